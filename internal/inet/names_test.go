package inet

import (
	"fmt"
	"testing"
)

func TestCacheAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "[]",
		"127.0.0.1":          "[127.0.0.1]",
		"127.0.0.1.10.0.0.2": "[127.0.0.1 10.0.0.2]",
		"127.0.0.1.10.0":     "[127.0.0.1]",
		"::1":                "[::1]",
		"localhost":          "[]",
	} {
		if got := fmt.Sprint(cacheAddresses(text)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

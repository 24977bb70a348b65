package command

import (
	"math"
	"testing"
)

func TestScanNumber(t *testing.T) {
	for _, c := range []struct {
		text   string
		number uint64
		taken  int
	}{
		{"", 0, 0},
		{"x1", 0, 0},
		{"-1", 0, 0},
		{" 1", 0, 0},
		{"0", 0, 1},
		{"007", 7, 3},
		{"40x", 40, 2},
		{"18446744073709551615", math.MaxUint64, 20},
		{"18446744073709551616", 0, 20},
		{"18446744073709551621/", 5, 20},
	} {
		if number, taken := ScanNumber(c.text); number != c.number || taken != c.taken {
			t.Errorf("%q: %d, %d", c.text, number, taken)
		}
	}
}

package main

import (
	"bytes"
	"os"
	"testing"
)

// TestCommitted holds the committed picture equal to what is drawn here.
func TestCommitted(t *testing.T) {
	got, err := os.ReadFile("parts.svg")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, draw()) {
		t.Error("parts.svg is not what this draws: go run ./docs/picture >docs/picture/parts.svg")
	}
}

package differential

import (
	"math/rand/v2"
	"strings"
)

// pick returns one of words.
func pick[T any](r *rand.Rand, words ...T) T { return words[r.IntN(len(words))] }

// text returns up to n pieces of which each is one of pieces, a random byte,
// or a long run of a byte.
func text(r *rand.Rand, n int, pieces ...string) string {
	var b strings.Builder
	for range r.IntN(n + 1) {
		switch r.IntN(20) {
		case 0:
			b.WriteByte(byte(r.IntN(256)))
		case 1:
			b.WriteString(strings.Repeat(pick(r, pieces...), r.IntN(700)))
		default:
			b.WriteString(pick(r, pieces...))
		}
	}
	return b.String()
}

// word returns a text that can be an argument, or a variable.
func word(r *rand.Rand, n int, pieces ...string) string {
	w := strings.ReplaceAll(text(r, n, pieces...), "\x00", "")
	return w[:min(len(w), 2000)]
}

// some returns each of words, or not.
func some(r *rand.Rand, words ...string) []string {
	var out []string
	for _, w := range words {
		if r.IntN(2) == 0 {
			out = append(out, w)
		}
	}
	return out
}

// number returns what a user may take for a number.
func number(r *rand.Rand) string {
	return pick(r, "0", "1", "7", "100", "4096", "65535", "1000000", "1000000000", "18446744073709551615",
		"18446744073709551616", "99999999999999999999999", "-1", "+1", " 1", "1 ", "1x", "x", "", "0x10", "=", "08")
}

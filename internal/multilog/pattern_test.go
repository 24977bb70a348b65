package multilog

import (
	"strings"
	"testing"
)

// matchSlowly is the definition of a pattern: the stars are tried one byte
// at a time.
func matchSlowly(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern == "*":
		return true
	case pattern[0] != '*':
		return text != "" && text[0] == pattern[0] && matchSlowly(pattern[1:], text[1:])
	case text != "" && text[0] == pattern[1]:
		return matchSlowly(pattern[1:], text)
	default:
		return text != "" && matchSlowly(pattern, text[1:])
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern string
		yes, no string // texts, separated by commas
	}{
		{"", "", "a"},
		{"*", ",a,foo,*", ""},
		{"foo", "foo", "fo,fooo,xfoo,"},
		{"*o", "o,fo,xyo", "foo,x,"},
		{"t*", "two,three,t", "one,"},
		{"* foo*", "@ foo a", "foo,@  foo,@ bar foo"},
		{"*a*b", "ab,aab,a*b", "b,ba,"},
		{"**", "*,a*b,*b", "foo,"},
		{"**b", "a*b,*b", "ab,*,"},
	} {
		for _, list := range []struct {
			texts string
			want  bool
		}{{test.yes, true}, {test.no, false}} {
			if !list.want && list.texts == "" {
				continue
			}
			for _, text := range strings.Split(list.texts, ",") {
				if got := match(test.pattern, []byte(text)); got != list.want {
					t.Errorf("match(%q, %q) = %v", test.pattern, text, got)
				}
			}
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("*a*b", "aab")
	f.Add("**b", "a*b")
	f.Add("-*x.y.z*", "status: ok")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern)+len(text) > 2000 {
			return
		}
		if got, want := match(pattern, []byte(text)), matchSlowly(pattern, text); got != want {
			t.Errorf("match(%q, %q) = %v", pattern, text, got)
		}
	})
}

package command

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestGetopt(t *testing.T) {
	getopt := ours(t) + "/getopt"
	for _, c := range []struct {
		args   []string
		stdout string
		stderr string
	}{
		{nil, "[]\n", ""},
		{[]string{"x", "-a"}, `["x" "-a"]` + "\n", ""},
		{[]string{"-a", "-d", "x"}, `a() d() ["x"]` + "\n", ""},
		{[]string{"-ad", "x"}, `a() d() ["x"]` + "\n", ""},
		{[]string{"-bvalue", "x"}, `b(value) ["x"]` + "\n", ""},
		{[]string{"-b", "value", "x"}, `b(value) ["x"]` + "\n", ""},
		{[]string{"-b", "-a", "x"}, `b(-a) ["x"]` + "\n", ""},
		{[]string{"-b", "", "x"}, `b() ["x"]` + "\n", ""},
		{[]string{"-adb40", "-c", "1", "x"}, `a() d() b(40) c(1) ["x"]` + "\n", ""},
		{[]string{"-a", "--", "-d"}, `a() ["-d"]` + "\n", ""},
		{[]string{"--", "--"}, `["--"]` + "\n", ""},
		{[]string{"-a", "-", "-d"}, `a() ["-" "-d"]` + "\n", ""},
		{[]string{"-a", "", "-d"}, `a() ["" "-d"]` + "\n", ""},
		{[]string{"-b"}, "?() []\n", "getopt: option requires an argument -- b\n"},
		{[]string{"-ab"}, "a() ?() []\n", "getopt: option requires an argument -- b\n"},
		{[]string{"-axd", "y"}, `a() ?() d() ["y"]` + "\n", "getopt: illegal option -- x\n"},
		{[]string{"-:", "y"}, `?() ["y"]` + "\n", "getopt: illegal option -- :\n"},
		{[]string{"-a-", "y"}, `a() ?() ["y"]` + "\n", "getopt: illegal option -- -\n"},
		{[]string{"--long", "-a", "x"}, `long() a() ["x"]` + "\n", ""},
		{[]string{"--value=v=w", "x"}, `value(v=w) ["x"]` + "\n", ""},
		{[]string{"--value", "x"}, `["x"]` + "\n", ""},
		{[]string{"--unknown", "-a"}, `["-a"]` + "\n", ""},
	} {
		want := result{stdout: c.stdout, stderr: c.stderr}
		if got := run(t, "", append([]string{getopt}, c.args...)...); got != want {
			t.Errorf("%q: %+v, want %+v", c.args, got, want)
		}
	}
}

// FuzzGetopt reads any words to their end: what is left is the end of them,
// and nothing is read twice.
func FuzzGetopt(f *testing.F) {
	for _, words := range []string{"-ab\nvalue\nx", "-b", "--\n-a", "--value=1\n-", "-\xff\n\n"} {
		f.Add(words)
	}
	stderr, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		f.Fatal(err)
	}
	os.Stderr = stderr
	f.Fuzz(func(t *testing.T, words string) {
		args := append([]string{"getopt"}, strings.Split(words, "\n")...)
		getopt := NewGetopt(args, "ab:")
		getopt.Long = []string{"long", "value="}
		var read int
		for {
			option, argument, ok := getopt.Next()
			if !ok {
				break
			}
			if read += 1 + len(argument); read > 2*len(words)+2 {
				t.Fatalf("%q: does not end", args)
			}
			if option == "" {
				t.Errorf("%q: an empty option", args)
			}
		}
		rest := getopt.Rest()
		if len(rest) >= len(args) || !slices.Equal(rest, args[len(args)-len(rest):]) {
			t.Errorf("%q: left %q", args, rest)
		}
	})
}

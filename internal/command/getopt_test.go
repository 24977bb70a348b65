package command

import "testing"

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

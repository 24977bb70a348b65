package command

import "testing"

func TestTable(t *testing.T) {
	dir := ours(t)
	const names = "find\ngetopt\nlimit\nmessage\npgrphack\n"
	for _, c := range []struct {
		args []string
		want result
	}{
		{[]string{"/getopt", "x"}, result{stdout: "[\"x\"]\n"}},
		{[]string{"/table", "getopt", "x"}, result{stdout: "[\"x\"]\n"}},
		{[]string{"/table", "getopt", "-x"}, result{stdout: "?() []\n", stderr: "getopt: illegal option -- x\n"}},
		{[]string{"/table", "--list-commands"}, result{stdout: names}},
		{[]string{"/table", ".hidden"}, result{exit: 7}},
		{[]string{"/table"}, result{stderr: "table: usage: table command [ arg ... ], where command is one of:\n" + names, exit: 100}},
		{[]string{"/table", "nosuch"}, result{stderr: "table: usage: table command [ arg ... ], where command is one of:\n" + names, exit: 100}},
	} {
		if got := run(t, "", append([]string{dir + c.args[0]}, c.args[1:]...)...); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.args, got, c.want)
		}
	}
	if exit := (Table{}).Run(nil); exit != ExitUsage {
		t.Errorf("no name at all: %d", exit)
	}
}

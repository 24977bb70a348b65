package rules

import (
	"testing"

	"qmail-smtpd/test/programs"
)

// What the two commands print, exit with and leave behind, in ours and in the
// originals. Each script runs in an empty directory.
func TestCommands(t *testing.T) {
	ours := ourCommands(t)
	for _, test := range []struct {
		name, script string
		want         result
	}{
		{"tcprules without arguments", "tcprules",
			result{"", "tcprules: usage: tcprules rules.cdb rules.tmp\n", 100}},
		{"tcprules with one", "tcprules r.cdb",
			result{"", "tcprules: usage: tcprules rules.cdb rules.tmp\n", 100}},
		{"tcprules has no options and needs no more words", "tcprules -x tmp more </dev/null && ls",
			result{"-x\n", "", 0}},
		{"the file is as the umask says", "umask 027; echo :deny | tcprules r.cdb tmp && stat -c %a r.cdb",
			result{"640\n", "", 0}},
		{"a bad line changes nothing", "echo :deny | tcprules r.cdb tmp; (echo :allow; printf 'a\\0b:x \\t\\n') | tcprules r.cdb tmp; echo $?; tcprulescheck r.cdb; ls",
			result{"100\nrule :\ndeny connection\nr.cdb\ntmp\n", "tcprules: fatal: unable to parse this line: a\n", 0}},
		{"no directory for tmp", "tcprules r.cdb no/tmp </dev/null",
			result{"", "tcprules: fatal: unable to create no/tmp: file does not exist\n", 111}},
		{"tmp is a directory", "mkdir tmp; tcprules r.cdb tmp </dev/null",
			result{"", "tcprules: fatal: unable to create tmp: is a directory\n", 111}},
		{"no directory for the cdb", "tcprules no/r.cdb tmp </dev/null; echo $?; ls",
			result{"111\ntmp\n", "tcprules: fatal: unable to move tmp to no/r.cdb: file does not exist\n", 0}},
		{"the cdb is a directory", "mkdir r.cdb; tcprules r.cdb tmp </dev/null",
			result{"", "tcprules: fatal: unable to move tmp to r.cdb: is a directory\n", 111}},
		{"the disk is full", "tcprules r.cdb /dev/full </dev/null",
			result{"", "tcprules: fatal: unable to write to /dev/full: out of disk space\n", 111}},
		{"the input is a directory", "tcprules r.cdb tmp </",
			result{"", "tcprules: fatal: unable to read input: is a directory\n", 111}},
		{"tcprulescheck without arguments", "tcprulescheck",
			result{"", "tcprulescheck: usage: tcprulescheck rules.cdb\n", 100}},
		{"tcprulescheck of no file", "tcprulescheck nofile",
			result{"", "tcprulescheck: fatal: unable to read nofile: file does not exist\n", 111}},
		{"tcprulescheck of an empty file", ":> r.cdb; tcprulescheck r.cdb",
			result{"", "tcprulescheck: fatal: unable to read r.cdb: invalid argument\n", 111}},
		{"tcprulescheck of another file", "echo text > r.cdb; tcprulescheck r.cdb",
			result{"", "tcprulescheck: fatal: unable to read r.cdb: protocol error\n", 111}},
		{"tcprulescheck without environment", "echo 0.0.0.:allow | tcprules r.cdb tmp; tcprulescheck r.cdb",
			result{"rule 0.0.0.:\nallow connection\n", "", 0}},
		{"tcprulescheck of a client", `echo '=.org:allow,A="b c"' | tcprules r.cdb tmp; TCPREMOTEHOST=x.org tcprulescheck r.cdb`,
			result{"rule =.org:\nset environment variable A=b c\nallow connection\n", "", 0}},
	} {
		for _, commands := range []string{programs.Originals(t), ours} {
			got := run(t, t.TempDir(), "", []string{"PATH=" + commands + ":/usr/bin:/bin"}, "/bin/sh", "-c", test.script)
			if got != test.want {
				t.Errorf("%s: %s\ngot:  %q\nwant: %q", test.name, commands, got, test.want)
			}
		}
	}
}

// The original crashes here, or says nothing.
func TestCommandsBeyondTheOriginals(t *testing.T) {
	path := "PATH=" + ourCommands(t) + ":/usr/bin:/bin"
	for _, test := range []struct {
		name, script string
		want         result
	}{
		{"a directory", "tcprulescheck /",
			result{"", "tcprulescheck: fatal: unable to read /: is a directory\n", 111}},
		{"output that cannot be written", "tcprules r.cdb tmp </dev/null; tcprulescheck r.cdb >/dev/full",
			result{"", "tcprulescheck: fatal: unable to write output: out of disk space\n", 111}},
	} {
		if got := run(t, t.TempDir(), "", []string{path}, "/bin/sh", "-c", test.script); got != test.want {
			t.Errorf("%s:\ngot:  %q\nwant: %q", test.name, got, test.want)
		}
	}
}

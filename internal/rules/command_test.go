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
		{"a file that is included", "mkdir d; printf '1.:deny\\n:include \t d/two\\n:allow' > d/one; printf '2.:deny\\n3-:bad' > d/two; " +
			"printf 'x:deny\\n\\n:include d/one\\n4.:deny\\n' > tcp; tcprules r.cdb tmp <tcp; tcprules --explain r.cdb tmp <tcp; " +
			"printf '2.:deny' > d/two; tcprules r.cdb tmp <tcp; printf '1.:deny\\n2.:deny\\n:allow\\n4.:deny' | sed 1ix:deny | tcprules s.cdb tmp; cmp r.cdb s.cdb",
			result{"", "tcprules: fatal: unable to parse this line: 3-:bad\n" +
				"tcprules: fatal: line 2 of d/two: after the first colon comes neither allow nor deny: 3-:bad\n", 0}},
		{"a file that is included and not there", "echo ':include no/file' | tcprules r.cdb tmp",
			result{"", "tcprules: fatal: unable to read no/file: file does not exist\n", 111}},
		{"a directory that is included", "echo ':include /' | tcprules r.cdb tmp",
			result{"", "tcprules: fatal: unable to read /: is a directory\n", 111}},
		{"a file that includes itself", "echo ':include x' > x; tcprules --explain r.cdb tmp <x",
			result{"", "tcprules: fatal: line 1 of x: too many files that include each other: :include x\n", 100}},
		{"reasons", "for line in 1:foo 1:denyx 1:deny,A '1:deny,A=\"x' '1-x:deny' '[::1]/8:deny' 1:deny; do printf '#\\n%s \\n' \"$line\" | tcprules --explain r.cdb tmp; done",
			result{"", "tcprules: fatal: line 2: after the first colon comes neither allow nor deny: 1:foo\n" +
				"tcprules: fatal: line 2: a comma is missing after allow, deny or a value: 1:denyx\n" +
				"tcprules: fatal: line 2: a variable has no value: 1:deny,A\n" +
				"tcprules: fatal: line 2: a value does not end with the byte before it: 1:deny,A=\"x\n" +
				"tcprules: fatal: line 2: a range needs two numbers: 1-x:deny\n" +
				"tcprules: fatal: line 2: there is no IPv6 address or prefix in the brackets: [::1]/8:deny\n", 0}},
		{"lines that do nothing", "printf '#\\n \\nallow all\\n10.0.0.1/8:deny\\n10.0.0.0/8:deny' | tcprules --explain r.cdb tmp; tcprulescheck r.cdb",
			result{"default:\nallow connection\n", "tcprules: warning: line 3: ignored, since it has no colon: allow all\n" +
				"tcprules: warning: line 4: matches nobody, since the address is no prefix of that length: 10.0.0.1/8:deny\n", 0}},
		{"which line decides", "printf '#\\n0.0.0-9.:deny,A=\"1\"\\n' > two; printf ':include two\\n:allow' > tcp; tcprules tcp.cdb tmp <tcp; " +
			"tcprulescheck --explain tcp.cdb; TCPREMOTEIP=9.9.9.9 tcprulescheck --explain tcp.cdb",
			result{"line 2 of two decides: 0.0.0-9.:deny,A=\"1\"\nrule 0.0.0.:\nset environment variable A=1\ndeny connection\n" +
				"line 2 of tcp decides: :allow\nrule :\nallow connection\n", "", 0}},
		{"rules that have changed", "echo 0.:deny > tcp; tcprules x.cdb tmp <tcp; echo 0.:allow > tcp; tcprulescheck --explain x.cdb tcp; " +
			"echo :allow > tcp; tcprulescheck --explain x.cdb tcp; echo :x > tcp; tcprulescheck --explain x.cdb tcp; TCPREMOTEIP=1.2.3.4 tcprulescheck --explain x.cdb tcp",
			result{"line 1 of tcp has changed since the rules were compiled: 0.:allow\nrule 0.:\ndeny connection\n" +
				"no line of tcp decides, which has changed since the rules were compiled\nrule 0.:\ndeny connection\n" +
				"no line before line 1 of tcp decides, and that is no rule: :x\nrule 0.:\ndeny connection\n" +
				"no line of tcp decides\ndefault:\nallow connection\n", "", 0}},
		{"rules that cannot be found", "tcprules x tmp <&-; tcprulescheck --explain x; tcprulescheck --explain; echo :deny | tcprules x.cdb tmp; tcprulescheck --explain x.cdb no",
			result{"", "tcprulescheck: usage: tcprulescheck --explain rules.cdb rules\ntcprulescheck: usage: tcprulescheck rules.cdb\n" +
				"tcprulescheck: fatal: unable to read no: file does not exist\n", 111}},
		{"an IPv6 client as it is not written", "echo '[2001:db8::1]:deny' | tcprules r.cdb tmp; TCPREMOTEIP=2001:DB8:0::1 tcprulescheck r.cdb",
			result{"rule 2001:db8::1:\ndeny connection\n", "", 0}},
	} {
		if got := run(t, t.TempDir(), "", []string{path}, "/bin/sh", "-c", test.script); got != test.want {
			t.Errorf("%s:\ngot:  %q\nwant: %q", test.name, got, test.want)
		}
	}
}

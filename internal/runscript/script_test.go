package runscript

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// files is a machine with these files, an account qmaild and a name.
func files(list map[string]string) System {
	return System{
		ReadFile: func(path string) (string, error) {
			text, ok := list[path]
			if !ok {
				return "", errors.New("file does not exist")
			}
			return text, nil
		},
		Exists: func(path, kind string) bool { _, ok := list[path]; return ok && kind != "d" },
		Account: func(name string) (uid, gid string, ok bool) {
			return "7791", "2108", name == "qmaild"
		},
		Hostname: func() string { return "mail.example.org" },
	}
}

var machine = files(map[string]string{
	"/c/n":    "20\n",
	"/c/me":   "mail.example.org\nsecond\n",
	"/c/list": "-r a.example\n-r b.example\n",
	"/s/conf": "HOST=0\nexport QMAILQUEUE=/q\n",
	"/c/loop": ". /c/loop\n",
})

func TestFind(t *testing.T) {
	for _, c := range []struct {
		script string
		want   string // words with bars between them
		notes  string // texts with line numbers, with semicolons between them
	}{
		{"#!/bin/sh\nexec tcpserver -v 0 smtp x 2>&1\n", "tcpserver|-v|0|smtp|x", ""},
		{"exec \\\nsoftlimit -m 1 \\\n  /usr/bin/tcpserver 0 25 x", "softlimit|-m|1|/usr/bin/tcpserver|0|25|x", ""},
		{"tcpserver 0 25 x\nexit 1", "tcpserver|0|25|x", ""},
		{"A=`id -u qmaild`\nB=$(id -g qmaild)\nC=\"`cat /c/n`\"\nexec tcpserver -u \"$A\" -g $B -c \"${C}\"", "tcpserver|-u|7791|-g|2108|-c|20", ""},
		{"exec tcpserver -l `head -1 /c/me` $(head -n 1 /c/me) `hostname` `hostname -f`", "tcpserver|-l|mail.example.org|mail.example.org|mail.example.org|mail.example.org", ""},
		{"L=`cat /c/list`\nexec tcpserver $L \"$L\" x$L", "tcpserver|-r|a.example|-r|b.example|-r a.example\n-r b.example|x-r|a.example|-r|b.example", ""},
		{`A='one  two' B=x; exec tcpserver $A "$A" '$A' \$A "a\"b\$c\d" ${NONE} "$NONE" '' a"b"'c'`, `tcpserver|one|two|one  two|$A|$A|a"b$c\d|||abc`, ""},
		{`exec tcpserver ${N:-d} ${N-d} ${N:+d} "${N:=a b}" ${N}`, "tcpserver|d|d|a b", ""},
		{`E=; A=v; exec tcpserver ${E:-d} "${E-d}" ${A:+set} ${A+set} ${E+"x y"} ${N:-"x $A"} ${N:-${A:-b}}`, "tcpserver|d||set|set|x y|x v|v", ""},
		{"if [ -z \"$A\" -o -z \"$B\" ]; then\n echo unset\n exit 1\nfi\nexec tcpserver", "", "3: it would end here: exit 1"},
		{"A=1 B=1\nif [ -z \"$A\" -o -z \"$B\" ]; then exit 1; fi\nif [ ! -f /c/me ]\nthen\n exit 1\nfi\nexec tcpserver", "tcpserver", ""},
		{"if [ -f /none ]; then exec tcpserver 1; elif test -r /c/me; then exec tcpserver 2; else exec tcpserver 3; fi", "tcpserver|2", ""},
		{"if ! [ -f /none ] ; then exec tcpserver 1; fi", "tcpserver|1", ""},
		{"[ -f /none ] && exit 1; [ -f /c/me ] || exit 1; [ a = b ] || [ a != b ] && exec tcpserver 1", "tcpserver|1", ""},
		{"[ -x /c/me -a ! -d /c ] && A=1; exec tcpserver $A", "tcpserver|1", ""},
		{"if grep -q x /etc/y; then\n exec tcpserver 1; fi\nexec tcpserver 2", "tcpserver|2", "1: not understood: grep -q x /etc/y;1: not known whether it holds: if"},
		{"grep x y && exit 1\nexec tcpserver", "tcpserver", "1: not understood: grep x y;1: not known whether it is done: exit 1"},
		{"for i in 1 2; do\n echo $i; exec tcpserver 1; done\nwhile :; do sleep 1; done\ncase $A in a) exec tcpserver 2;; esac\nf() {\n exec tcpserver 3\n}\n(exec tcpserver 4)\nexec tcpserver 5", "tcpserver|5",
			"1: not understood: for;3: not understood: while;4: not understood: case;5: not understood: f();8: not understood: ("},
		{"case a in a) case b in b) exec tcpserver 1;; esac;; esac\nexec tcpserver 2", "tcpserver|2", "1: not understood: case"},
		{"ulimit -c 0\nsleep 1 &\nexec tcpserver 1", "tcpserver|1", "1: not understood: ulimit -c 0;2: not understood: sleep 1"},
		{"cat <<EOT\nexec tcpserver 1\nEOT\nexec tcpserver 2", "tcpserver|2", "1: not understood: cat"},
		{"cat <<-EOT\nexec tcpserver 1\n\tEOT\nexec tcpserver 2 # comment", "tcpserver|2", "1: not understood: cat"},
		{". ./conf\n. /c/none\nexec tcpserver $HOST", "tcpserver|0", "2: unable to read /c/none"},
		{". /c/loop\nexec tcpserver", "tcpserver", ""},
		{"exec tcpserver 0 25 x | multilog t", "tcpserver|0|25|x", ""},
		{"tcpserver 0 25 x >/dev/null 2>&1", "tcpserver|0|25|x", "1: its output does not go to the log"},
		{"exec 2>&1\nexec tcpserver", "tcpserver", ""},
		{"exec inetd", "", "1: it becomes exec inetd"},
		{"exec tcpserver \"unclosed", "tcpserver|unclosed", ""},
		{"exec tcpserver 'unclosed", "tcpserver|", ""},
		{"fi\n}\n)\nthen\nexec tcpserver", "tcpserver", "1: not understood: fi;2: not understood: };4: not understood: then"},
		{"", "", ""},
	} {
		s := Find(c.script, "/s", "tcpserver", machine)
		var words, notes []string
		for _, w := range s.Command {
			words = append(words, w.Text)
		}
		for _, n := range s.Notes {
			notes = append(notes, itoa(n.Line)+": "+n.Text)
		}
		if got := strings.Join(words, "|"); got != c.want {
			t.Errorf("%s\ngot  %q\nwant %q", c.script, got, c.want)
		}
		if got := strings.Join(notes, ";"); got != c.notes {
			t.Errorf("%s\nnotes %q\nwant  %q", c.script, got, c.notes)
		}
	}
}

func itoa(n int) string { return string(rune('0' + n)) }

// What is known of a word: its line, the files that it is from, and what of it
// is not known.
func TestWords(t *testing.T) {
	s := Find("N=`cat /c/n`\nexport X=1 Y\nY=$(uname -n)\nZ=3 T=`cat /c/me | tr a b`\nexec \\\n tcpserver -c \"$N\" \\\n $T $1 `cat /c/none`", "/s", "tcpserver", machine)
	if len(s.Command) != 6 {
		t.Fatalf("%+v", s.Command)
	}
	if w := s.Command[2]; w.Text != "20" || w.Line != 6 || !slices.Equal(w.From, []string{"/c/n"}) || w.Lost() != "" {
		t.Errorf("%+v", w)
	}
	for i, lost := range map[int]string{3: "what `cat /c/me | tr a b` prints", 4: "$1", 5: "what `cat /c/none` prints"} {
		if w := s.Command[i]; w.Lost() != lost || w.Line != 7 {
			t.Errorf("%d: %+v", i, w)
		}
	}
	if len(s.Env) != 2 || s.Env["X"].Text != "1" || s.Env["Y"].Lost() == "" {
		t.Errorf("%+v", s.Env)
	}
	if !slices.Equal(s.Read, []string{"/c/n"}) {
		t.Errorf("%q", s.Read)
	}
	s = Find("A=1 tcpserver x", "/s", "tcpserver", machine)
	if s.Env["A"].Text != "1" || len(s.Command) != 2 {
		t.Errorf("%+v", s)
	}
}

func FuzzFind(f *testing.F) {
	for _, seed := range []string{
		"#!/bin/sh\nQMAILDUID=`id -u qmaild`\nMAXSMTPD=\"$(cat /c/n)\"\nif [ -z \"$QMAILDUID\" -o ! -f /c/me ]; then\n echo no\n exit 1\nfi\nexec softlimit -m 2000000 \\\n tcpserver -v -u \"$QMAILDUID\" 0 smtp rblsmtpd -r 'a b' qmail-smtpd 2>&1\n",
		". /s/conf\nexec tcpserver ${A:-\"x ${B:+`echo \\`id -u qmaild\\``}\"} $1 $(($x + 1))\n",
		"for i in `cat /c/list`; do case $i in a) b;; esac; done; f() { x; }\n(a; b) | c && d || e & cat <<E\nx\nE\n",
		"if a; then if b; then c; elif ! d; then e; else f; fi; fi; tcpserver \"\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, script string) {
		s := Find(script, "/s", "tcpserver", machine)
		lines := 2 + strings.Count(script, "\n")
		for _, w := range s.Command {
			if w.Line < 1 || w.Line > lines {
				t.Errorf("line %d of %d", w.Line, lines)
			}
		}
		if len(s.Command) > 0 && !slices.ContainsFunc(s.Command, func(w Word) bool { return strings.HasSuffix(w.Text, "tcpserver") }) {
			t.Errorf("%+v does not run tcpserver", s.Command)
		}
	})
}

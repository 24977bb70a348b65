package svcompat

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qmail-smtpd/test/supervision"
)

// Each line is a shell script in which $B is the directory of the programs.
// What it prints and its exit code must be those of the originals.
const scripts = `
$B/envdir
$B/envdir d
$B/envdir -- d env
$B/envdir d ''
$B/envdir none env
$B/envdir /dev/null env
$B/envdir subdirectory env
$B/envdir d nonexistent
env -i A=1 B=2 C=3 D=4 HOME=/x E=5 PATH=/bin ZQ=0 EQ=0 $B/envdir d /usr/bin/env
PATH=none:/bin $B/envdir path env | grep -c ^PATH=
$B/envuidgid
$B/envuidgid nobody
$B/envuidgid nosuchaccount env
env -i GID=1 A=1 UID=3 B=2 PATH=/bin $B/envuidgid nobody /usr/bin/env
$B/setuidgid
$B/setuidgid nobody
$B/setuidgid -- nobody env
$B/setuidgid nosuchaccount env
$B/setuidgid 0 env
$B/setuidgid '' env
$B/setuidgid nobody id
$B/setuidgid nobody nonexistent
$B/setuidgid nobody $B/setuidgid daemon id
setpriv --reuid=nobody --regid=daemon --clear-groups $B/setuidgid nobody id
$B/softlimit
$B/softlimit -z
$B/softlimit -d
$B/softlimit -d 1
$B/softlimit -d 1x env
$B/softlimit -d -1 env
$B/softlimit -d =x env
$B/softlimit -dc 1 env
$B/softlimit -d '' sh -c 'ulimit -d'
$B/softlimit -d = sh -c 'ulimit -d'
$B/softlimit -d 250000 sh -c 'ulimit -d'
$B/softlimit -d250000 -d500000 sh -c 'ulimit -d'
$B/softlimit -o 100 sh -c 'ulimit -Sn; ulimit -Hn'
$B/softlimit -o 99999999999999999999999 sh -c 'ulimit -Sn'
$B/softlimit -m 300000000 sh -c 'ulimit -Sa; ulimit -Ha'
$B/softlimit -a200000000 -c 0 -f1000000 -l 4096 -p 1000 -r 500 -s1000000 -t 50 -o 200 sh -c 'ulimit -Sa; ulimit -Ha'
$B/softlimit -d250000 nonexistent
$B/softlimit -d250000 ./plain
ulimit -Sn 77; $B/softlimit -d 250000 sh -c 'ulimit -n; ulimit -d'
ulimit -Sn 77; $B/envdir d sh -c 'ulimit -n'
ulimit -t 100; $B/softlimit -t 200 sh -c 'ulimit -St; ulimit -Ht'
$B/setlock
$B/setlock f
$B/setlock -q f env
$B/setlock -qz f env
$B/setlock none/f env
$B/setlock -x none/f env
$B/setlock -xX none/f env
$B/setlock f nonexistent
$B/setlock f $B/setlock -n f echo no
$B/setlock f $B/setlock -nx f echo no
$B/setlock f $B/setlock -nN g echo yes
$B/setlock f stat -c '%a %s' f
$B/setlock f flock -n f true
$B/setlock f true; flock -n f echo free
$B/pgrphack
$B/pgrphack nonexistent
$B/pgrphack -x
$B/pgrphack sh -c 'test $$ = $(ps -o sid= -p $$) && echo leader'
setsid -w $B/pgrphack sh -c 'test $$ = $(ps -o sid= -p $$) && echo leader'
$B/svok
$B/svok none
$B/svok /dev/null
$B/svok d
$B/svok loop
$B/svok -x
$B/svc
$B/svc -q
$B/svc -uq d
$B/svc -u
$B/svc d
$B/svc -- d
$B/svc -u /dev/null d none loop d
$B/svstat
$B/svstat -x
$B/svstat d none /dev/null loop
$B/svstat d >/dev/full
$B/supervise
$B/supervise a b
$B/supervise none
$B/supervise /dev/null
$B/supervise -x
$B/supervise loop
$B/supervise loopdown
$B/supervise plainsupervise
$B/supervise danglingfar
`

func TestCommandsDifferential(t *testing.T) {
	t.Parallel()
	list := strings.Split(strings.TrimSpace(scripts), "\n")
	const loop = `while IFS= read -r script; do (eval "$script") 2>&1; echo "[$?]"; echo END; done <scripts`
	transcripts := make(map[string][]string)
	for which, bin := range bothOf(t) {
		dir := t.TempDir()
		playground(t, dir)
		if err := os.WriteFile(dir+"/scripts", []byte(strings.Join(list, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		got := supervision.Run(t, dir, "/usr/bin/env", "B="+bin, "/bin/sh", "-c", loop)
		transcripts[which] = strings.Split(strings.ReplaceAll(got.Stdout, bin, "B"), "END\n")
		if len(transcripts[which]) != len(list)+1 {
			t.Fatalf("%s: %+v", which, got)
		}
	}
	for i, script := range list {
		if got, want := transcripts["ours"][i], transcripts["original"][i]; got != want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", script, got, want)
		}
	}
}

// playground fills dir with what scripts use.
func playground(t *testing.T, dir string) {
	t.Helper()
	for name, content := range map[string]string{
		"plain":                    "",
		"plainsupervise/supervise": "",
		"d/A":                      "v1  \t\nsecond",
		"d/HOME":                   "",
		"d/EQ=X":                   "p=q",
		"d/ZQ=Y":                   "",
		"d/EMPTY":                  "\n",
		"d/BLANK":                  "  \t\n",
		"d/LEAD":                   " lead",
		"d/NUL":                    "a\x00b\x00 \x00\n",
		"d/.hidden":                "x",
		"path/PATH":                "/none",
		"subdirectory/sub/file":    "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"loop":                  "loop",
		"loopdown/down":         "down",
		"danglingfar/supervise": "none/none",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
}

// Our own chain hands memory limits past programs that they would kill.
func TestSoftlimitChain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	playground(t, dir)
	b := func(name string) string { return filepath.Join(ours, name) }
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{b("softlimit"), "-d250000", b("envdir"), "d", b("envuidgid"), "nobody", "/bin/sh", "-c", "ulimit -d; echo $A"}, "244\nv1\n"},
		{[]string{b("softlimit"), "-m20000000", b("setlock"), "f", b("pgrphack"), "/bin/sh", "-c", "ulimit -v; ulimit -s; ulimit -d"}, "19531\n19531\n19531\n"},
		{[]string{b("softlimit"), "-d250000", b("softlimit"), "-a20000000", "/bin/sh", "-c", "ulimit -d; ulimit -v"}, "244\n19531\n"},
		{[]string{b("softlimit"), "-d20000000", "/bin/sh", "-c", "env | grep -c SVCOMPAT"}, "0\n"},
	} {
		if got := supervision.Run(t, dir, c.args...); got.Stdout != c.want {
			t.Errorf("%v: %+v, want %q", c.args[1:], got, c.want)
		}
	}
}

// A process that has the account's ids already may have no right to any
// set*id call, or may lose its life for one.
func TestSetuidgidAsCurrent(t *testing.T) {
	setuidgid := filepath.Join(ours, "setuidgid")
	want := supervision.Run(t, "/", setuidgid, "nobody", "id")
	if want.Exit != 0 {
		t.Fatal(want)
	}
	if got := supervision.Run(t, "/", setuidgid, "nobody", setuidgid, "nobody", setuidgid, "nobody", "id"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	supervision.Run(t, "/", "strace", "-f", "-o", trace, "-e", "trace=setuid,setgid,setgroups,setresuid,setresgid,setreuid,setregid,execve", setuidgid, "root", "true")
	calls, err := os.ReadFile(trace)
	if err != nil || !bytes.Contains(calls, []byte("execve")) || bytes.Contains(calls, []byte(" set")) {
		t.Errorf("%v, set*id calls:\n%s", err, calls)
	}
}

// The order of the environment, and so everything, must be that of the
// original, whatever the files hold.
func TestEnvdirDifferential(t *testing.T) {
	t.Parallel()
	rnd := random(t)
	dir := t.TempDir()
	for round := range 15 {
		d := filepath.Join(dir, fmt.Sprint(round))
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		for range rnd.IntN(12) {
			content := make([]byte, rnd.IntN(8)*rnd.IntN(8)*rnd.IntN(8))
			for i := range content {
				content[i] = "ab= \t\n\x00\xff"[rnd.IntN(8)]
			}
			name := string("ABCDEFGHZ"[rnd.IntN(9)]) + []string{"", "=x", "="}[rnd.IntN(3)]
			if err := os.WriteFile(filepath.Join(d, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		results := make(map[string]result)
		for which, bin := range bothOf(t) {
			results[which] = supervision.Run(t, d, "/usr/bin/env", "-i", "A=1", "B=2", "C=3", "D=4", "E=5", "F=6", "A=7", bin+"/envdir", ".", "/usr/bin/env", "-0")
		}
		if results["ours"] != results["original"] {
			t.Fatalf("round %d: got %q, want %q", round, results["ours"], results["original"])
		}
	}
}

func FuzzEnvChange(f *testing.F) {
	f.Add("NAME", []byte("value \t\nmore"))
	f.Add("NAME", []byte{})
	f.Add("EQ=X", []byte("a\x00b"))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		value, set := strings.CutPrefix(envChange(name, content), name+"=")
		if len(content) == 0 {
			if envChange(name, content) != name {
				t.Errorf("empty: %q", envChange(name, content))
			}
			return
		}
		if !set || strings.Contains(value, "\x00") || len(value) > len(content) || strings.TrimRight(value, " \t") != value {
			t.Errorf("%q: %q", content, value)
		}
	})
}

func TestFindAccount(t *testing.T) {
	const passwd = "# comment\n\nroot:x:0:0:root:/root:/bin/bash\n" +
		":x:1:1:no name:/:\n+nis::::::\n-no:x:3:3:::\nshort:x:4:4\nshorter:x:4\nnegative:x:-1:5:::\nbig:x:4294967296:5:::\n" +
		"empty:x::5:::\nnoexecutable:x:7:8:a:/\ntwice:x:9x:9:::\ntwice:x:10:11:::\ntwice:x:12:13:::\ngap:x:7: 8:::\nlast:x:4294967295:65534::/:/bin/sh"
	want := map[string]account{
		"root":         {0, 0},
		"noexecutable": {7, 8},
		"short":        {4, 4},
		"twice":        {10, 11},
		"last":         {4294967295, 65534},
	}
	got := make(map[string]account)
	for _, name := range []string{"root", "", "#", "# comment", "+nis", "-no", "short", "shorter", "negative", "big", "empty", "noexecutable", "twice", "gap", "last", "nosuch", "0", "root:x", "roo", "root\n"} {
		if a, ok := findAccount(passwd, name); ok {
			got[name] = a
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzFindAccount(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\n", "root")
	f.Add("a:b\n\n:::\na:x:1:2:::", "a")
	f.Fuzz(func(t *testing.T, passwd, name string) {
		got, ok := findAccount(passwd, name)
		if !ok {
			return
		}
		line := fmt.Sprintf("%s:x:%d:%d:::\n", name, got.uid, got.gid)
		if again, ok := findAccount(line, name); !strings.Contains(name, "\n") && (!ok || again != got) {
			t.Errorf("%q: %v, %v", line, again, ok)
		}
	})
}

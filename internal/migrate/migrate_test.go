package migrate

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/units"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		line string
		want options
		ok   bool
	}{
		{"", options{wait: time.Minute}, true},
		{"/service", options{wait: time.Minute, dir: "/service"}, true},
		{"--apply --undo=/u --wait=5 /service/", options{apply: true, undo: "/u", wait: 5 * time.Second, dir: "/service"}, true},
		{"-- /service", options{wait: time.Minute, dir: "/service"}, true},
		{"--aply /service", options{}, false},
		{"--apply --wait=1x", options{}, false},
		{"--wait=0", options{}, false},
		{"--wait", options{}, false},
		{"-a", options{}, false},
		{"/a /b", options{}, false},
	} {
		got, ok := parse(append([]string{name}, strings.Fields(test.line)...))
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%q: %+v, %v", test.line, got, ok)
		}
	}
}

func TestChoose(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	found := []scanner{
		{process: process{pid: 7}, kind: daemontools, dir: a},
		{process: process{pid: 8}, kind: runit, dir: b},
	}
	if s, why := choose(found, b+"/."); s != &found[1] || why != "" {
		t.Errorf("%v, %q", s, why)
	}
	if s, why := choose(found, "/"); s != nil || why != "" {
		t.Errorf("%v, %q", s, why)
	}
	if s, why := choose(found[:1], ""); s != &found[0] || why != "" {
		t.Errorf("%v, %q", s, why)
	}
	if _, why := choose(found, ""); why != "more than one scan directory is live: "+a+" (svscan, pid 7), "+b+" (runsvdir, pid 8): name one" {
		t.Error(why)
	}
	if _, why := choose(nil, ""); !strings.HasPrefix(why, "no svscan, runsvdir or s6-svscan is running") {
		t.Error(why)
	}
}

func TestParseStat(t *testing.T) {
	for text, want := range map[string]process{
		"12 (supervise) S 7 12 12 0":        {12, 7, "supervise"},
		"12 (a) S 9 (b) (c)) R 1 2 3":       {12, 1, "a) S 9 (b) (c)"},
		"12 (supervise) Z 7 12 12 0":        {},
		"12 supervise S 7":                  {},
		"":                                  {},
		"12 (s":                             {},
		"12 (s)":                            {},
		"x (s) S 1":                         {},
		")12 (":                             {},
		"12 (new\nline) S 3 0 0 0 -1 4 0 0": {12, 3, "new\nline"},
	} {
		if got, ok := parseStat([]byte(text)); ok != (want != process{}) || ok && got != want {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (supervise) S 7 12 12 0"))
	f.Fuzz(func(t *testing.T, stat []byte) { parseStat(stat) })
}

// recorder remembers each write.
type recorder struct{ writes [][]byte }

func (r *recorder) Write(b []byte) (int, error) {
	r.writes = append(r.writes, bytes.Clone(b))
	return len(b), nil
}

func TestCopyLines(t *testing.T) {
	long := strings.Repeat("l", 5000) + "\n"
	huge := strings.Repeat("h", 70000) + "\n"
	for _, text := range []string{
		"", "a\n", "a\nb", strings.Repeat("a line\n", 3000), "short\n" + long + "short\n", long + long, huge + "after\n", "x" + huge,
	} {
		for _, from := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
			var to recorder
			if err := copyLines(&to, from); err != nil {
				t.Fatal(err)
			}
			if got := string(bytes.Join(to.writes, nil)); got != text {
				t.Errorf("%d bytes became %d", len(text), len(got))
			}
			for _, b := range to.writes {
				if len(b) > 4096 && bytes.IndexByte(b[:len(b)-1], '\n') >= 0 {
					t.Errorf("a write of %d bytes has more than one line", len(b))
				}
				if b[len(b)-1] != '\n' && len(b) < 64<<10 && !strings.HasSuffix(text, string(b)) {
					t.Errorf("a write of %d bytes ends within a line", len(b))
				}
			}
		}
	}
}

func FuzzCopyLines(f *testing.F) {
	f.Add([]byte("a\nb"))
	f.Add(bytes.Repeat([]byte("line\n"), 2000))
	f.Fuzz(func(t *testing.T, text []byte) {
		var to bytes.Buffer
		if err := copyLines(&to, bytes.NewReader(text)); err != nil || !bytes.Equal(to.Bytes(), text) {
			t.Errorf("%v: %d bytes became %d", err, len(text), to.Len())
		}
	})
}

// TestPipe holds a pipe that nobody else reads.
func TestPipe(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	cat := exec.Command("sleep", "1000")
	cat.Stdin = os.NewFile(uintptr(ends[0]), "read")
	writer := os.NewFile(uintptr(ends[1]), "write")
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	p, ok := holdPipe(cat.Process.Pid)
	if !ok {
		t.Fatal("no pipe")
	}
	defer p.close()
	process := openPidfd(cat.Process.Pid)
	defer process.close()
	if process.ended(0) {
		t.Error("it has ended before its end")
	}
	cat.Process.Kill()
	if !process.ended(10 * time.Second) {
		t.Error("it has not ended")
	}
	cat.Wait()
	if !p.written() || !p.empty() {
		t.Error("there is a writer, and nothing written")
	}
	if _, err := writer.WriteString("rest"); err != nil {
		t.Fatal(err)
	}
	if p.empty() {
		t.Error("something was written")
	}
	writer.Close()
	if p.written() || p.empty() {
		t.Error("there is no writer, and something to read")
	}
	if _, ok := openPipe("/dev/null"); ok {
		t.Error("/dev/null is no pipe")
	}
}

func TestQuote(t *testing.T) {
	for _, word := range []string{"plain", "a b", "it's", "$HOME `x` \\", "new\nline", ""} {
		out, err := exec.Command("sh", "-c", "printf %s "+quote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q became %q: %v", word, out, err)
		}
	}
}

func TestReadScript(t *testing.T) {
	for script, want := range map[string]string{
		"exec 2>&1\nexec multilog t ./main":            "",
		"echo x >/dev/stderr":                          "run opens its standard error by a path, which fails: write >&2",
		"echo x >/dev/stdout":                          "run opens its standard output by a path, which fails: write >&1",
		"sv -w 5 start other || exit 1":                "run calls sv, which does not control units",
		"#!/usr/bin/env /lib/runit/invoke-run\nexec x": "run calls sv, which does not control units",
		"exec svscan /x":                               "",
		"s6-svwait -u /service/x":                      "run calls programs of s6 that do not control units",
		"mysv start x; rsv up thing":                   "",
	} {
		s := &service{}
		s.readScript("run", script, false)
		if got := strings.Join(append(s.differs, s.lost...), "|"); got != want {
			t.Errorf("%q: %q", script, got)
		}
	}
}

func TestStartedBy(t *testing.T) {
	look := func(unit string) (units.UnitFile, bool) {
		text, ok := map[string]string{
			"daemontools-run.service": "[Service]\nExecStart=/usr/bin/svscanboot /etc/service/\n",
			"runit.service":           "[Service]\nExecStart=/etc/runit/2\n",
			"rc-local.service":        "[Service]\nExecStart=/etc/rc.local start\n",
			"session-1.scope":         "svscan",
		}[unit]
		return units.UnitFile{Text: text}, ok
	}
	for _, test := range []struct {
		k    *kind
		unit string
		want bool
	}{
		{daemontools, "daemontools-run.service", true},
		{runit, "runit.service", true},
		{daemontools, "rc-local.service", false},
		{daemontools, "ssh.service", false},
		{daemontools, "session-1.scope", false},
	} {
		if got := test.k.startedBy(test.unit, look); got != test.want {
			t.Errorf("%s: %v", test.unit, got)
		}
	}
}

// TestReport says once what is so for all.
func TestReport(t *testing.T) {
	make := func(name string, differs ...string) *service {
		return &service{
			Service: units.Service{Name: name, Dir: "/var/" + name, Base: "svc-" + name},
			entry:   "/etc/service/" + name, main: keeper{kind: daemontools, process: process{pid: 3}, pid: 4}, differs: differs,
		}
	}
	tree := &tree{
		dir:      "/etc/service",
		scanner:  &scanner{process: process{pid: 2}, kind: daemontools, dir: "/etc/service", unit: "x.service"},
		services: []*service{make("a", "all", "one"), make("b", "all")},
		refused:  []units.Refusal{{Name: "c", Path: "/etc/service/c", Reason: "writable by others"}},
	}
	out := tree.report()
	for _, want := range []string{
		"/etc/service: daemontools, svscan is process 2, started by x.service\n",
		"    differs  all\n\n/etc/service/a -> /var/a\n    now      up (pid 4) under supervise, no log\n    becomes  svc-a.service\n    differs  one\n",
		"\n/etc/service/b -> /var/b\n    now      up (pid 4) under supervise, no log\n    becomes  svc-b.service\n\n",
		"\n/etc/service/c\n    cannot be moved: writable by others\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if got := tree.summary(); got != "2 to move, 1 cannot be moved" {
		t.Error(got)
	}
}

func TestUndoScript(t *testing.T) {
	g := &migration{tree: &tree{dir: "/etc/it's", services: []*service{{Service: units.Service{Name: "a b"}, entry: "/etc/it's/a b"}}}}
	script, err := g.undoScript()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`hide '/etc/it'\''s' 'a b'` + "\n", `svcompat-migrate --back '/etc/it'\''s/a b'` + "\n"} {
		if !strings.Contains(script, want) {
			t.Errorf("no %q in %s", want, script)
		}
	}
	cmd := exec.Command("sh", "-n")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if !slices.Contains(strings.Split(script, "\n"), "set -e") {
		t.Error("it goes on after failures")
	}
}

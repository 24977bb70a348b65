package multilog

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestExtensionsAsTheOriginal shows that the words of our own actions are
// none for the original, and that words like them are none for us.
func TestExtensionsAsTheOriginal(t *testing.T) {
	t.Parallel()
	input := strings.Repeat("0123456789\n", 3000)
	original := subjects(t)[0]
	plain := original.outcome(t, nil, input, "s4096", "n3", "./m")
	for _, word := range []string{"T", "S20000000", "A1", "F", "Z"} {
		if got := original.outcome(t, nil, input, word, "s4096", "n3", word, "./m"); got != plain {
			t.Errorf("%s means something to the original:\n%s", word, got)
		}
	}
	compare(t, nil, input[:1100], "Tx", "s4096", "T", "S", "Sx", "S9000k", "S-9000", "A", "A1d", "Fx", "Zx", "./m")
}

func TestLocalTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := ours.command(t, dir, "multilog", "T", "-*two", "./m")
	cmd.Env = append(os.Environ(), "TZ=JST-9")
	cmd.Stdin = strings.NewReader("one\ntwo\nthree")
	before := time.Now()
	must(t, cmd.Start())
	if code := wait(t, cmd); code != 0 {
		t.Fatalf("exit %d", code)
	}
	lines := strings.SplitAfter(read(t, dir+"/m/current"), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], " one\n") || !strings.HasSuffix(lines[1], " three\n") {
		t.Fatalf("%q", lines)
	}
	const form = "2006-01-02 15:04:05.000000000"
	at, err := time.ParseInLocation(form, lines[0][:len(form)], time.FixedZone("JST", 9*3600))
	if err != nil || at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) || lines[0] != at.Format(form)+" one\n" {
		t.Errorf("%q, %v", lines[0], err)
	}
}

// TestLocalTimeAsTAI64NLocal shows that T writes what tai64nlocal makes of t.
func TestLocalTimeAsTAI64NLocal(t *testing.T) {
	now := time.Now()
	local := localizer{zone: time.UTC, lineStart: true}
	labelled := append(stampOf(labelStamp)(nil, now), " x\n"...)
	want, _ := local.appendLines(nil, labelled)
	direct := localizer{zone: time.UTC}
	if got := string(direct.appendStamp(nil, now)) + " x\n"; got != string(want) {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestLargeSize(t *testing.T) {
	t.Parallel()
	input := strings.Repeat(strings.Repeat("x", 99)+"\n", 180_000) // 18 MB
	for word, want := range map[string]int{"S20000000": 0, "s20000000": 1, "S17000000": 1} {
		dir := t.TempDir()
		if _, stderr, code := ours.run(t, dir, input, "multilog", word, "./m"); code != 0 || stderr != "" {
			t.Fatalf("exit %d, %s", code, stderr)
		}
		if done := logs(t, dir+"/m"); len(done) != want {
			t.Errorf("%s: %d logs besides current", word, len(done))
		}
		if content(t, dir+"/m") != input {
			t.Errorf("%s: the content is not the input", word)
		}
	}
}

// TestAge shows that an idle log is rotated, and an empty one is not.
func TestAge(t *testing.T) {
	t.Parallel()
	r := newRunning(t)
	r.start(t, ours, "A1", "./m", "A0", "./forever")
	for i := range 2 {
		r.write(t, fmt.Sprintf("line %d\n", i))
		eventually(t, "a rotation without input", func() bool { return len(logs(t, r.path("m"))) == i+1 })
	}
	r.in.Close()
	if code := wait(t, r.cmd); code != 0 {
		t.Errorf("exit %d", code)
	}
	if got := read(t, r.path("m/current")); got != "" {
		t.Errorf("current %q", got)
	}
	if got := content(t, r.path("m")); got != "line 0\nline 1\n" {
		t.Errorf("logs %q", got)
	}
	if got := read(t, r.path("forever/current")); got != "line 0\nline 1\n" {
		t.Errorf("the log without an age: %q", got)
	}
}

// TestAgeUnderLoad shows that the age counts also while lines come, and where
// another process began the log.
func TestAgeUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRunning(t)
	must(t, os.Mkdir(r.path("m"), 0o700))
	write(t, r.path("m/current"), "old\n", modeComplete)
	r.start(t, ours, "A2", "./m")
	w := newLineWriter(r.in, 1000)
	eventually(t, "a rotation", func() bool { return len(logs(t, r.path("m"))) > 0 })
	w.stop(t)
	if first := read(t, logs(t, r.path("m"))[0]); !strings.HasPrefix(first, "old\n") {
		t.Errorf("the first log begins %.100q", first)
	}
}

func TestAgeOfAResumedLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	must(t, os.Mkdir(dir, 0o700))
	write(t, dir+"/current", "old\n", modeComplete)
	set := settings{size: defaultSize, count: defaultCount, age: time.Hour}
	d, err := openLogDir(dir, set)
	must(t, err)
	if left := time.Until(d.watch.due); d.isOld() || left > time.Hour || left < time.Hour-time.Minute {
		t.Errorf("a new file has %v left", left)
	}
	d.watch.due = time.Now()
	woken := make(chan struct{})
	d.watchAge(func() { close(woken) })
	select {
	case <-woken:
	case <-time.After(patience):
		t.Fatal("not woken")
	}
	if !d.isOld() {
		t.Error("not old")
	}
	d.rotate()
	if d.isOld() {
		t.Error("empty, but old")
	}
}

// TestSync shows that a batch is brought to disk when it is written: current
// is something that cannot be.
func TestSync(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"F"}, {}} {
		r := newRunning(t)
		must(t, os.Mkdir(r.path("m"), 0o700))
		must(t, unix.Mkfifo(r.path("m/current"), modeComplete))
		must(t, os.Chmod(r.path("m/current"), modeComplete))
		fifo, err := os.OpenFile(r.path("m/current"), os.O_RDWR, 0)
		must(t, err)
		defer fifo.Close()
		stderr, writer, err := os.Pipe()
		must(t, err)
		defer stderr.Close()
		cmd := ours.command(t, r.dir, append(append([]string{"multilog"}, words...), "./m")...)
		cmd.Stdin, cmd.Stderr = r.out, writer
		must(t, cmd.Start())
		writer.Close()
		r.write(t, "line\n")
		line := make([]byte, 5)
		if _, err := io.ReadFull(fifo, line); string(line) != "line\n" || err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		if len(words) == 0 {
			r.write(t, "more\n") // is written although "line" is on no disk
			if _, err := io.ReadFull(fifo, line); string(line) != "more\n" || err != nil {
				t.Fatalf("%q, %v", line, err)
			}
		} else {
			warning := make([]byte, 1000)
			n, err := stderr.Read(warning)
			const want = "multilog: warning: unable to write ./m/current to disk, pausing: invalid argument\n"
			if string(warning[:n]) != want || err != nil {
				t.Errorf("%q, %v", warning[:n], err)
			}
		}
		cmd.Process.Kill()
		wait(t, cmd)
	}
}

// unzipped is content of a log directory with compressed logs.
func unzipped(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, path := range append(logs(t, dir), filepath.Join(dir, "current")) {
		text := read(t, path)
		if strings.HasSuffix(path, ".gz") {
			plain, err := gzip.NewReader(strings.NewReader(text))
			must(t, err)
			b, err := io.ReadAll(plain)
			must(t, err)
			text = string(b)
		}
		all.WriteString(text)
	}
	return all.String()
}

func plainLogs(t *testing.T, dir string) (plain int) {
	t.Helper()
	for _, path := range logs(t, dir) {
		if strings.HasSuffix(path, ".s") {
			plain++
		}
	}
	return plain
}

func TestCompression(t *testing.T) {
	t.Parallel()
	r := newRunning(t)
	must(t, os.Mkdir(r.path("m"), 0o700))
	const left = "m/@400000003b4a39c23294b13c.s"
	write(t, r.path(left), "left\n", modeComplete)
	unfinished := strings.Replace(left, ".s", ".u", 1)
	write(t, r.path(unfinished), "unfinished\n", modeOpen)
	long := time.Date(2001, 7, 9, 23, 9, 44, 0, time.UTC)
	must(t, os.Chtimes(r.path(left), long, long))

	r.start(t, ours, "s4096", "n100", "Z", "./m")
	eventually(t, "what was left is compressed", func() bool { return plainLogs(t, r.path("m")) == 0 })
	var input bytes.Buffer
	for i := range 5000 {
		fmt.Fprintf(&input, "line %d\n", i)
	}
	r.write(t, input.String())
	eventually(t, "all is compressed", func() bool {
		done := logs(t, r.path("m"))
		return len(done) > 10 && plainLogs(t, r.path("m")) == 0
	})
	r.in.Close()
	if code := wait(t, r.cmd); code != 0 {
		t.Errorf("exit %d", code)
	}
	eventually(t, "the last is compressed", func() bool { return plainLogs(t, r.path("m")) == 0 })
	if got := unzipped(t, r.path("m")); got != "left\nunfinished\n"+input.String() {
		t.Errorf("the logs hold %.200q...", got)
	}
	info, err := os.Stat(r.path(left + ".gz"))
	if err != nil || info.Mode() != modeComplete || !info.ModTime().Equal(long) {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(r.path(unfinished)); err != nil {
		t.Error(err)
	}
}

// TestCompressionAndCount shows that compressed logs count, for both
// programs.
func TestCompressionAndCount(t *testing.T) {
	t.Parallel()
	for _, s := range subjects(t) {
		dir := t.TempDir()
		must(t, os.Mkdir(dir+"/m", 0o700))
		for i := range 5 {
			write(t, fmt.Sprintf("%s/m/@40000000000000000000000%d.s.gz", dir, i), "", modeComplete)
		}
		s.run(t, dir, strings.Repeat("x\n", 2050), "multilog", "s4096", "n4", "./m")
		done := logs(t, dir+"/m")
		if len(done) != 3 || !strings.HasSuffix(done[0], "3.s.gz") || !strings.HasSuffix(done[1], "4.s.gz") {
			t.Errorf("%s: %q", s.name, done)
		}
	}
}

// TestCompressionFails shows that the logs stay and that the log goes on.
func TestCompressionFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/m", 0o700))
	must(t, os.Mkdir(dir+"/m/compressed", 0o700)) // in the way
	write(t, dir+"/m/@400000000000000000000000.s", "left\n", modeComplete)
	input := strings.Repeat("0123456789\n", 2000)
	_, stderr, code := ours.run(t, dir, input, "multilog", "s4096", "Z", "./m")
	want := "multilog-gzip: fatal: unable to compress " + dir + "/m/@400000000000000000000000.s: is a directory\n"
	if code != 0 || stderr == "" || strings.ReplaceAll(stderr, want, "") != "" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if got := content(t, dir+"/m"); got != "left\n"+input {
		t.Errorf("the logs hold %.200q...", got)
	}
}

func TestGzipCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, test := range []struct {
		args   []string
		stderr string
		code   int
	}{
		{nil, "multilog-gzip: usage: multilog-gzip dir\n", 100},
		{[]string{"a", "b"}, "multilog-gzip: usage: multilog-gzip dir\n", 100},
		{[]string{"none"}, "multilog-gzip: fatal: unable to open directory none: file does not exist\n", 111},
		{[]string{"."}, "", 0},
	} {
		if _, stderr, code := ours.run(t, dir, "", append([]string{"multilog-gzip"}, test.args...)...); stderr != test.stderr || code != test.code {
			t.Errorf("%q: %q, %d", test.args, stderr, code)
		}
	}
	names := []string{"current", "@400000000000000000000000.s", "@400000000000000000000000.u", "@4000.s", "state", "lock"}
	for _, name := range names {
		write(t, filepath.Join(dir, name), name, 0o644)
	}
	if _, stderr, code := ours.run(t, dir, "", "multilog-gzip", "."); stderr != "" || code != 0 {
		t.Errorf("%q, %d", stderr, code)
	}
	for _, name := range names {
		_, err := os.Stat(filepath.Join(dir, name))
		if compressed := name == names[1]; (err != nil) != compressed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

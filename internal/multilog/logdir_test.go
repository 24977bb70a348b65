package multilog

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRotation checks the rule for the size of logs, on input that comes in
// pieces of all sizes: a log ends with a line end within slack of its limit,
// or at the limit in a line that is longer than that.
func TestRotation(t *testing.T) {
	for _, test := range []struct {
		lineSize, lines int
		limit, count    int
	}{
		{100, 400, 4096, 1000},
		{100, 400, 4096, 3},
		{100, 400, 4096, 2},
		{50, 1000, 10000, 1000},
		{100, 3000, 99999, 10},
		{2500, 10, 4096, 1000},
		{10001, 3, 4096, 1000},
		{100001, 2, 30000, 1000},
		{2001, 4, 4096, 1000},
		{2101, 5, 4096, 1000},
	} {
		input := strings.Repeat(strings.Repeat("y", test.lineSize-1)+"\n", test.lines)
		for _, piece := range []int{1 << 20, 1009, 100} {
			dir := t.TempDir()
			cmd := ours.command(t, dir, "multilog", fmt.Sprintf("s%d", test.limit), fmt.Sprintf("n%d", test.count), "./m")
			in, err := cmd.StdinPipe()
			must(t, err)
			must(t, cmd.Start())
			for rest := input; rest != ""; rest = rest[min(piece, len(rest)):] {
				_, err := io.WriteString(in, rest[:min(piece, len(rest))])
				must(t, err)
			}
			in.Close()
			if code := wait(t, cmd); code != 0 {
				t.Fatalf("exit %d", code)
			}
			done := logs(t, dir+"/m")
			if len(done) >= test.count || len(done) == 0 {
				t.Errorf("%+v: %d logs", test, len(done))
			}
			for _, path := range done {
				log := read(t, path)
				if size := len(log); size != test.limit && (size < test.limit-slack || size > test.limit || !strings.HasSuffix(log, "\n")) {
					t.Errorf("%+v: a log of %d bytes", test, size)
				}
			}
			got := content(t, dir+"/m")
			if !strings.HasSuffix(input, got) || test.count == 1000 && len(got) < len(input) {
				t.Errorf("%+v: the logs are not the input", test)
			}
		}
	}
}

// TestRotationGoesOn continues a log that an earlier run left, with less room.
func TestRotationGoesOn(t *testing.T) {
	for _, size := range []int{0, 2095, 2096, 3000, 4095, 4096, 9000} {
		prepare := func(dir string) {
			must(t, os.Mkdir(dir+"/m", 0o700))
			write(t, dir+"/m/current", strings.Repeat("c", size), modeComplete)
		}
		compare(t, prepare, "line\nline\nline\n", "s4096", "./m")
	}
}

func TestLockIsHeld(t *testing.T) {
	for _, s := range subjects(t) {
		r := newRunning(t)
		r.start(t, s, "./m")
		r.write(t, "line\n")
		r.awaitContent(t, "m/current", "line\n")
		for _, other := range subjects(t) {
			_, stderr, code := other.run(t, r.dir, "", "multilog", "./m")
			if want := "multilog: fatal: unable to lock directory ./m: temporary failure\n"; stderr != want || code != 111 {
				t.Errorf("%s beside %s: exit %d, %q", other.name, s.name, code, stderr)
			}
		}
	}
}

// TestTrouble makes each step fail that a test can make fail, and compares
// what is said with the original. Both then try for ever.
func TestTrouble(t *testing.T) {
	big := strings.Repeat("x", 2500) + "\n"
	for name, test := range map[string]struct {
		prepare func(dir string)
		input   string
		script  []string
	}{
		"previous is a directory": {func(dir string) {
			write(t, dir+"/m/current", "", modeComplete)
			must(t, os.Mkdir(dir+"/m/previous", 0o700))
		}, big, []string{"s4096", "./m"}},
		"a log is a directory": {func(dir string) {
			write(t, dir+"/m/current", "", modeComplete)
			must(t, os.Mkdir(dir+"/m/@400000000000000000000000.s", 0o700))
		}, big, []string{"s4096", "n2", "./m"}},
		"current is a directory": {func(dir string) {
			must(t, os.MkdirAll(dir+"/m/current", 0o700))
		}, "", []string{"./m"}},
		"state is a directory": {func(dir string) {
			must(t, os.MkdirAll(dir+"/m/state", 0o700))
		}, "", []string{"./m"}},
		"previous of a kill is a directory": {func(dir string) {
			must(t, os.MkdirAll(dir+"/m/previous", 0o700))
		}, "", []string{"./m"}},
		"the status file is a pipe": {func(dir string) {
			must(t, unix.Mkfifo(dir+"/status", 0o600))
			reader, err := os.OpenFile(dir+"/status", os.O_RDWR, 0)
			must(t, err)
			t.Cleanup(func() { reader.Close() })
		}, "line\n", []string{"=status"}},
		"the status file is full": {func(dir string) {
			must(t, os.Symlink("/dev/full", dir+"/status"))
		}, "line\n", []string{"=status"}},
		"the processor fails": {nil, big, []string{"s4096", "!exit 1", "./m"}},
		"the processor's state is a directory": {func(dir string) {
			write(t, dir+"/m/current", "", modeComplete)
			must(t, os.MkdirAll(dir+"/m/newstate", 0o700))
		}, big, []string{"s4096", "!cat", "./m"}},
		"the processor's state is missing": {func(dir string) {
			write(t, dir+"/m/current", "", modeComplete)
		}, big, []string{"s4096", "!cat", "./m"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said []string
			for _, s := range subjects(t) {
				dir := t.TempDir()
				must(t, os.Mkdir(dir+"/m", 0o700))
				if test.prepare != nil {
					test.prepare(dir)
				}
				cmd := s.command(t, dir, append([]string{"multilog"}, test.script...)...)
				cmd.Stdin = strings.NewReader(test.input)
				stderr, err := cmd.StderrPipe()
				must(t, err)
				must(t, cmd.Start())
				var text bytes.Buffer
				for !strings.Contains(text.String(), "pausing") {
					if _, err := io.CopyN(&text, stderr, 1); err != nil {
						break // a fatal error
					}
				}
				for !strings.HasSuffix(text.String(), "\n") {
					_, err := io.CopyN(&text, stderr, 1)
					must(t, err)
				}
				must(t, cmd.Process.Kill())
				go io.Copy(io.Discard, stderr)
				code := wait(t, cmd)
				said = append(said, fmt.Sprintf("%d %s", code, labels.ReplaceAllString(text.String(), "@")))
			}
			if said[0] != said[1] {
				t.Errorf("the original says %q, ours %q", said[0], said[1])
			}
		})
	}
}

// TestFullDisk fills a file system of its own, and gives it room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const inside = "MULTILOG_TEST_FULL_DISK"
	dir := os.Getenv(inside)
	if dir == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"="+t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(t, unix.Mount("log", dir, "tmpfs", 0, "size=16k"))
	must(t, os.Mkdir(dir+"/log", 0o700))

	var input strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&input, "line %d\n", i)
	}
	cmd := ours.command(t, dir, "multilog", "./log")
	cmd.Stdin = strings.NewReader(input.String())
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	const want = "multilog: warning: unable to write to ./log/current, pausing: out of disk space\n"
	got := make([]byte, len(want))
	_, err = io.ReadFull(stderr, got)
	must(t, err)
	if string(got) != want {
		t.Errorf("said %q", got)
	}
	// In the pause nothing but a kill ends it.
	must(t, cmd.Process.Signal(unix.SIGTERM))
	must(t, unix.Mount("log", dir, "tmpfs", unix.MS_REMOUNT, "size=4m"))
	if rest, _ := io.ReadAll(stderr); len(rest) > 0 {
		t.Errorf("said again %q", rest)
	}
	if code := wait(t, cmd); code != 0 {
		t.Errorf("exit %d", code)
	}
	written := content(t, filepath.Join(dir, "log"))
	if !strings.HasPrefix(input.String(), written) || !strings.HasSuffix(written, "\n") || len(written) < 16<<10 {
		t.Errorf("%d bytes written, %d in the log, or not the same", input.Len(), len(written))
	}
}

package multilog

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// running is a multilog that reads from a pipe of which the test holds both
// ends, as a supervisor does.
type running struct {
	dir string   // its working directory
	in  *os.File // the end to write to
	out *os.File // its standard input
	cmd *exec.Cmd

	signals *signals // where it runs in this process
	done    chan struct{}
}

func newRunning(t *testing.T) *running {
	t.Helper()
	out, in, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() {
		in.Close()
		out.Close()
	})
	return &running{dir: t.TempDir(), in: in, out: out}
}

// start starts a program; it can be started again after its end.
func (r *running) start(t *testing.T, s subject, script ...string) {
	t.Helper()
	cmd := s.command(t, r.dir, append([]string{"multilog"}, script...)...)
	cmd.Stdin, cmd.Stderr = r.out, os.Stderr
	must(t, cmd.Start())
	r.cmd = cmd
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// startHere starts multilog in this process, so that it is known when a
// signal has come to it.
func (r *running) startHere(t *testing.T, script ...string) {
	t.Helper()
	var err error
	r.signals, err = catchSignals()
	must(t, err)
	plan := parse(script)
	for i, a := range plan.actions {
		if a.kind == toLogDir {
			plan.actions[i].text = r.path(a.text)
		}
	}
	opened, err := open(plan)
	must(t, err)
	in, err := newInput(int(r.out.Fd()), r.signals.fd)
	must(t, err)
	r.done = make(chan struct{})
	go func() {
		run(opened, in, r.signals)
		opened.close()
		close(r.done)
	}()
}

func (r *running) awaitDone(t *testing.T) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		t.Fatalf("no end within %v", patience)
	}
}

func (r *running) write(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(r.in, text)
	must(t, err)
}

// awaitBegun waits until ours has seen the beginning of a line and waits for
// the rest.
func (r *running) awaitBegun(t *testing.T) {
	t.Helper()
	eventually(t, "the beginning of a line is seen", func() bool {
		flags, err := unix.FcntlInt(r.out.Fd(), unix.F_GETFL, 0)
		must(t, err)
		return flags&unix.O_ASYNC != 0
	})
}

func (r *running) path(name string) string { return filepath.Join(r.dir, name) }

func (r *running) awaitContent(t *testing.T, name, want string) {
	t.Helper()
	eventually(t, name+" holds "+want, func() bool {
		got, err := os.ReadFile(r.path(name))
		return err == nil && string(got) == want
	})
}

func (r *running) checkComplete(t *testing.T, want string) {
	t.Helper()
	if got := read(t, r.path("m/current")); got != want {
		t.Errorf("current holds %q, not %q", got, want)
	}
	info, err := os.Stat(r.path("m/current"))
	must(t, err)
	if info.Mode() != modeComplete {
		t.Errorf("current has mode %v", info.Mode())
	}
}

func (r *running) checkLeft(t *testing.T, want string) {
	t.Helper()
	r.in.Close()
	got, err := io.ReadAll(r.out)
	must(t, err)
	if string(got) != want {
		t.Errorf("the pipe holds %q, not %q", got, want)
	}
}

func TestTermEndsAtTheEndOfTheLine(t *testing.T) {
	r := newRunning(t)
	r.startHere(t, "./m")
	r.write(t, "whole\npart")
	r.awaitBegun(t)
	r.signals.raise(&r.signals.term)
	r.write(t, "X\nnext\nthird\n")
	r.awaitDone(t)
	r.checkComplete(t, "whole\npartX\n")
	r.checkLeft(t, "next\nthird\n")
}

func TestTermWaitsForTheEndOfTheLine(t *testing.T) {
	r := newRunning(t)
	r.startHere(t, "./m")
	r.write(t, "part")
	r.awaitBegun(t)
	r.signals.raise(&r.signals.term)
	r.write(t, "ial")
	r.in.Close()
	r.awaitDone(t)
	r.checkComplete(t, "partial\n")
}

func TestTermOfAnIdleProgram(t *testing.T) {
	for _, s := range subjects(t) {
		r := newRunning(t)
		r.start(t, s, "./m")
		r.write(t, "line\n")
		r.awaitContent(t, "m/current", "line\n")
		if s != ours {
			// Before it reads again, TERM would be noticed at the next line.
			eventually(t, "a read", func() bool {
				call, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", r.cmd.Process.Pid))
				return strings.HasPrefix(string(call), fmt.Sprint(unix.SYS_READ, " 0x0 "))
			})
		}
		must(t, r.cmd.Process.Signal(unix.SIGTERM))
		if code := wait(t, r.cmd); code != 0 {
			t.Errorf("%s: exit %d", s.name, code)
		}
		r.write(t, "next\n")
		r.checkComplete(t, "line\n")
		r.checkLeft(t, "next\n")
	}
}

// TestTermLosesNothing stops multilog again and again under a stream of lines.
func TestTermLosesNothing(t *testing.T) {
	r := newRunning(t)
	lines := newLineWriter(r.in, 1<<10)
	for range 20 {
		r.start(t, ours, "n1000000", "./m")
		lines.awaitProgress(t, 3000) // more than the pipe holds: it runs
		must(t, r.cmd.Process.Signal(unix.SIGTERM))
		if code := wait(t, r.cmd); code != 0 {
			t.Fatalf("exit %d", code)
		}
	}
	r.start(t, ours, "n1000000", "./m")
	want := lines.stop(t)
	if code := wait(t, r.cmd); code != 0 {
		t.Fatalf("exit %d", code)
	}
	if got := content(t, r.path("m")); got != want {
		t.Errorf("%d bytes written, %d in the log, or not the same", len(want), len(got))
	}
}

func TestAlarmRotates(t *testing.T) {
	for _, s := range subjects(t) {
		r := newRunning(t)
		r.start(t, s, "./m", "./n")
		r.write(t, "line\n")
		r.awaitContent(t, "m/current", "line\n")
		r.awaitContent(t, "n/current", "line\n")
		must(t, r.cmd.Process.Signal(unix.SIGALRM))
		r.awaitContent(t, "m/current", "")
		r.awaitContent(t, "n/current", "")
		r.write(t, "second\npart")
		r.awaitContent(t, "m/current", "second\n")
		r.in.Close()
		if code := wait(t, r.cmd); code != 0 {
			t.Errorf("%s: exit %d", s.name, code)
		}
		for _, dir := range []string{"m", "n"} {
			done := logs(t, r.path(dir))
			if len(done) != 1 || read(t, done[0]) != "line\n" || read(t, r.path(dir+"/current")) != "second\npart\n" {
				t.Errorf("%s: %s: %s", s.name, dir, tree(t, r.path(dir)))
			}
		}
	}
}

func TestAlarmLeavesEmptyLogsAndBegunLinesAlone(t *testing.T) {
	r := newRunning(t)
	r.startHere(t, "./m")
	alarm := func() {
		r.signals.raise(&r.signals.alarm)
		eventually(t, "the alarm is served", func() bool { return !r.signals.alarm.Load() })
	}
	alarm()
	r.write(t, "part")
	r.awaitBegun(t)
	alarm()
	r.write(t, "ial\n")
	r.awaitContent(t, "m/current", "partial\n")
	r.in.Close()
	r.awaitDone(t)
	if done := logs(t, r.path("m")); len(done) > 0 {
		t.Errorf("rotated: %s", tree(t, r.path("m")))
	}
}

func TestHangupKills(t *testing.T) {
	for _, s := range subjects(t) {
		for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT} {
			r := newRunning(t)
			r.start(t, s, "./m")
			r.write(t, "line\n")
			r.awaitContent(t, "m/current", "line\n")
			must(t, r.cmd.Process.Signal(sig))
			if code := wait(t, r.cmd); code != -1 {
				t.Errorf("%s: %v: exit %d", s.name, sig, code)
			}
			r.start(t, s, "./m")
			r.in.Close()
			if code := wait(t, r.cmd); code != 0 {
				t.Errorf("%s: exit %d", s.name, code)
			}
			if done := logs(t, r.path("m")); len(done) != 1 || filepath.Ext(done[0]) != ".u" || read(t, done[0]) != "line\n" {
				t.Errorf("%s: %s", s.name, tree(t, r.path("m")))
			}
		}
	}
}

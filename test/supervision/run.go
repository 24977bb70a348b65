package supervision

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Patient is how long a test waits for an event before it fails.
const Patient = 30 * time.Second

// A Result is what a program leaves.
type Result struct {
	Stdout, Stderr string
	Exit           int // -1: a signal
}

// Run runs a program to its end in the directory dir.
func Run(t testing.TB, dir string, args ...string) Result {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// Await waits until done, with deadline.
func Await(t testing.TB, what string, done func() bool) {
	t.Helper()
	end := time.Now().Add(Patient)
	for pause := 2 * time.Millisecond; !done(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for ", what)
		}
		time.Sleep(pause)
	}
}

// A Daemon is a program that runs until the end of the test.
type Daemon struct {
	Process *os.Process
	Ended   chan struct{} // closed once it has

	args   []string
	stderr string // a file: it has all that was written when the program has ended
	exit   int    // once Ended is closed
}

// Start starts a program in the directory dir, with additions to the
// environment. At the end of the test it is killed.
func Start(t testing.TB, dir string, env []string, args ...string) *Daemon {
	t.Helper()
	d := &Daemon{args: args, stderr: filepath.Join(t.TempDir(), "stderr"), Ended: make(chan struct{})}
	stderr, err := os.OpenFile(d.stderr, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.Process = cmd.Process
	go func() {
		cmd.Wait()
		d.exit = cmd.ProcessState.ExitCode()
		close(d.Ended)
	}()
	t.Cleanup(func() {
		d.Process.Kill()
		<-d.Ended
	})
	return d
}

// Wait waits for the end of the program and returns its exit code.
func (d *Daemon) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-d.Ended:
		return d.exit
	case <-time.After(Patient):
		t.Fatalf("%v does not end", d.args)
		return 0
	}
}

// Stderr returns what the program, and those that it started, have written to
// standard error.
func (d *Daemon) Stderr(t testing.TB) string {
	t.Helper()
	content, err := os.ReadFile(d.stderr)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

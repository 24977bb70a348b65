package filters

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/test/programs"
)

var commands = command.Table{
	"addcr":    AddCR,
	"delcr":    DelCR,
	"fixcrio":  Fixcrio,
	"recordio": Recordio,
}

// TestMain lets the test binary be the commands, by the names of links to it.
func TestMain(m *testing.M) {
	if body, ok := commands[filepath.Base(os.Args[0])]; ok {
		os.Exit(body(os.Args))
	}
	os.Exit(m.Run())
}

// ours returns a directory with the test binary under the names of commands.
func ours(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name := range commands {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// A result is what a command leaves.
type result struct {
	Stdout, Stderr string
	Exit           int // -1: a signal
}

// A run is a command, started.
type run struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// prepare makes a command of ours or of the originals whose output is kept.
func prepare(t *testing.T, dir string, args ...string) *run {
	r := &run{t: t, cmd: exec.Command(filepath.Join(dir, args[0]), args[1:]...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	r.cmd.WaitDelay = patience // then it has hung
	return r
}

// finish runs the command to its end, and that of all that writes to its
// output.
func (r *run) finish() result {
	r.t.Helper()
	timer := time.AfterFunc(patience, func() { r.cmd.Process.Kill() })
	defer timer.Stop()
	var exit *exec.ExitError
	if err := r.cmd.Run(); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return result{r.stdout.String(), r.log(), r.cmd.ProcessState.ExitCode()}
}

// log is standard error with PID in place of the process id, and with the
// directions of recordio apart, since it is chance how they mix.
func (r *run) log() string {
	pid := strconv.Itoa(r.cmd.Process.Pid)
	var in, out, other strings.Builder
	for _, line := range strings.SplitAfter(r.stderr.String(), "\n") {
		text, ours := strings.CutPrefix(line, pid+" ")
		switch {
		case ours && strings.HasPrefix(text, "<"):
			in.WriteString("PID " + text)
		case ours && strings.HasPrefix(text, ">"):
			out.WriteString("PID " + text)
		default:
			other.WriteString(line)
		}
	}
	return other.String() + in.String() + out.String()
}

// both compares what body makes of the directory of the originals with what
// it makes of that of ours.
func both[T any](t *testing.T, body func(dir string) T) {
	t.Helper()
	if diff := cmp.Diff(body(programs.Originals(t)), body(ours(t))); diff != "" {
		t.Errorf("original -, ours +:\n%s", diff)
	}
}

package svcompat

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/test/programs"
)

// patient is how long a test waits for an event before it fails.
const patient = 30 * time.Second

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random input that ours and the originals get")

var commands = command.Table{
	".svscan-finish": SvscanFinish,
	".svscan-run":    SvscanRun,
	"envdir":         Envdir,
	"envuidgid":      Envuidgid,
	"fghack":         Fghack,
	"pgrphack":       Pgrphack,
	"readproctitle":  Readproctitle,
	"setlock":        Setlock,
	"setuidgid":      Setuidgid,
	"softlimit":      Softlimit,
	"supervise":      Supervise,
	"svc":            Svc,
	"svls":           Svls,
	"svok":           Svok,
	"svscan":         Svscan,
	"svscanboot":     Svscanboot,
	"svstat":         Svstat,
	"svwait":         Svwait,
}

// ours is a directory that holds our commands, for every user to run.
var ours string

// TestMain makes the test binary all our commands, under their names.
func TestMain(m *testing.M) {
	if body, ok := commands[filepath.Base(os.Args[0])]; ok {
		os.Exit(body(os.Args))
	}
	var err error
	if ours, err = installCommands(); err != nil {
		panic(err)
	}
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" {
		flag.Set("test.parallel", "40") // they wait for seconds to pass, not for processors
	}
	code := m.Run()
	os.RemoveAll(ours)
	os.Exit(code)
}

func installCommands() (string, error) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "svcompat")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(dir+"/test-binary", self, 0o755); err != nil {
		return "", err
	}
	for name := range commands {
		if err := os.Symlink("test-binary", dir+"/"+name); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func random(t *testing.T) *rand.Rand {
	t.Helper()
	t.Logf("to repeat: -seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// A result is what a program leaves.
type result struct {
	stdout, stderr string
	exit           int // -1: a signal
}

// run runs a program to its end in the directory dir.
func run(t testing.TB, dir string, args ...string) result {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// await waits until done, with deadline.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	end := time.Now().Add(patient)
	for pause := 2 * time.Millisecond; !done(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for ", what)
		}
		time.Sleep(pause)
	}
}

// A daemon is a program that runs until the end of the test.
type daemon struct {
	cmd    *exec.Cmd
	stderr lines
	ended  chan struct{}
	exit   int // once ended is closed
}

// start starts a program in the directory dir. At the end of the test it is
// killed.
func start(t testing.TB, dir string, env []string, args ...string) *daemon {
	t.Helper()
	d := &daemon{ended: make(chan struct{})}
	d.cmd = exec.Command(args[0], args[1:]...)
	d.cmd.Dir = dir
	d.cmd.Env = append(os.Environ(), env...)
	d.cmd.Stderr = &d.stderr
	d.cmd.WaitDelay = 100 * time.Millisecond // what it started may keep stderr open
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.cmd.Wait()
		d.exit = d.cmd.ProcessState.ExitCode()
		close(d.ended)
	}()
	t.Cleanup(func() {
		d.cmd.Process.Kill()
		<-d.ended
	})
	return d
}

// wait waits for the end of the program and returns its exit code.
func (d *daemon) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-d.ended:
		return d.exit
	case <-time.After(patient):
		t.Fatalf("%v does not end", d.cmd.Args)
		return 0
	}
}

// lines collects what a program writes.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serviceDir makes a service directory with a run of the given text, none if
// it is empty, and sees to it that its service ends with the test.
func serviceDir(t testing.TB, parent, name, run string) string {
	t.Helper()
	dir := filepath.Join(parent, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if run != "" {
		writeRun(t, dir, run)
	}
	t.Cleanup(func() { endService(dir) })
	return dir
}

// writeRun puts a run of the given text in place at once.
func writeRun(t testing.TB, dir, text string) {
	t.Helper()
	if err := os.WriteFile(dir+"/run.new", []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/run.new", dir+"/run"); err != nil {
		t.Fatal(err)
	}
}

// endService kills what runs in a service directory. Tests end their
// supervise first.
func endService(dir string) {
	content, err := os.ReadFile(dir + "/supervise/status")
	if err != nil {
		return
	}
	if status, err := ParseStatus(content); err == nil && status.PID != 0 {
		if process, err := os.FindProcess(int(status.PID)); err == nil {
			process.Kill()
		}
	}
}

// supervised tells whether a supervise runs in a service directory.
func supervised(dir string) bool {
	fd, err := openEnd(dir+"/supervise/ok", unix.O_WRONLY)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// readStatus returns the status of a service directory.
func readStatus(t testing.TB, dir string) Status {
	t.Helper()
	content, err := os.ReadFile(dir + "/supervise/status")
	if err != nil {
		t.Fatal(err)
	}
	if len(content) != StatusSize {
		t.Fatalf("status has %d bytes", len(content))
	}
	status, err := ParseStatus(content)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// awaitUp waits until the service in dir runs as another process than
// before, and returns its pid.
func awaitUp(t testing.TB, dir string, before uint32) uint32 {
	t.Helper()
	var pid uint32
	await(t, dir+" to be up", func() bool {
		if !supervised(dir) {
			return false
		}
		pid = readStatus(t, dir).PID
		return pid != 0 && pid != before
	})
	return pid
}

// processState returns the fields of a process in proc(5) from its state on.
func processState(t testing.TB, pid uint32) []string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

// bothOf returns the directories of the originals and of ours.
func bothOf(t testing.TB) map[string]string {
	t.Helper()
	return map[string]string{"original": programs.Originals(t), "ours": ours}
}

//go:build durability

package durability

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	cuts  = flag.Int("cuts", 25, "how often the power of a queue is cut, on each file system")
	kills = flag.Int("kills", 100, "how often programs of the mail service are killed")
	seed  = flag.Int64("seed", 0, "seed of all that is random; 0: a fresh one")
	keep  = flag.String("keep", "", "directory for the images of disks on which something was lost")
)

// patient is how long a test waits for an event before it fails.
const patient = 30 * time.Second

// inside marks the process that runs the tests.
const inside = "DURABILITY_INSIDE"

// TestMain runs the tests in namespaces of their own: however they end, their
// processes and mounts, and with those the loop devices, go away.
func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(runInside())
	}
	unix.CloseOnExec(toldFD)
	flag.Parse()
	if *seed == 0 {
		*seed = time.Now().UnixNano()
	}
	if err := privateMounts(); err != nil {
		fmt.Fprintln(os.Stderr, "mounts of the tests' own:", err)
		os.Exit(1)
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintf(os.Stderr, "the seed was %d\n", *seed)
	}
	os.Exit(code)
}

// runInside runs this program again, as process 1 of a new pid namespace, and
// returns its exit code.
//
// A process that serves a disk and waits for it itself cannot end: the kernel
// closes its FUSE connection only when the last of its threads is gone. This
// process, which waits for no disk, then aborts the connection.
func runInside() int {
	runtime.LockOSThread() // whose end would end the child, and which has the mounts
	control, remove, err := mountControl()
	if err != nil {
		fmt.Fprintln(os.Stderr, "control of FUSE:", err)
		return 1
	}
	defer remove()
	connections, told, err := os.Pipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{told} // toldFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	told.Close()
	numbers := make(chan string)
	go func() {
		for lines := bufio.NewScanner(connections); lines.Scan(); {
			numbers <- lines.Text()
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var open []string
	look := time.NewTicker(time.Second)
	for {
		select {
		case number := <-numbers:
			open = append(open, number)
		case <-signals:
			cmd.Process.Kill()
		case <-look.C:
			if isDying(cmd.Process.Pid) {
				for _, number := range open {
					os.WriteFile(filepath.Join(control, number, "abort"), []byte("1"), 0)
				}
			}
		case err := <-ended:
			var exit *exec.ExitError
			switch {
			case errors.As(err, &exit):
				return max(1, exit.ExitCode())
			case err != nil:
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			return 0
		}
	}
}

// toldFD is where the numbers of FUSE connections are to be told.
const toldFD = 3

// tellConnection tells that a FUSE file system was mounted at path.
func tellConnection(path string) error {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return err
	}
	_, err := unix.Write(toldFD, fmt.Appendf(nil, "%d\n", unix.Minor(stat.Dev)))
	return err
}

// mountControl mounts the control of FUSE connections, for this thread and
// its children alone.
func mountControl() (path string, remove func(), err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return "", nil, err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", nil, err
	}
	if path, err = os.MkdirTemp("", "fusectl"); err != nil {
		return "", nil, err
	}
	if err := unix.Mount("fusectl", path, "fusectl", 0, ""); err != nil {
		os.Remove(path)
		return "", nil, err
	}
	return path, func() {
		unix.Unmount(path, unix.MNT_DETACH)
		os.Remove(path)
	}, nil
}

// pattern of /proc/PID/status of a process that ends: its first thread has
// ended, or SIGKILL waits for it.
var dying = regexp.MustCompile(`(?m)^(State:\tZ|SigPnd:\t[0-9a-f]{13}[13579bdf])`)

// isDying tells whether a process ends, or would if no thread of it waited for
// a disk.
func isDying(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && dying.Match(status)
}

func privateMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("proc", "/proc", "proc", 0, "")
}

// scratch makes a directory that every user may enter.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "durability")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until done returns true.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patient); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patient, what)
		}
	}
}

// run runs a program of the system to its end.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
	}
}

package differential

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/programs"
)

var (
	count = flag.Int("cases", 200, "cases per command; a tenth of it where each takes seconds")
	seed  = flag.Uint64("seed", 0, "of the cases; 0: a fixed one, and then a fresh one")
)

// fixedSeed is run every time, beside a fresh one.
const fixedSeed = 1

// inNamespace marks the process that TestMain starts in a network of its own, with
// mounts of its own.
const inNamespace = "DIFFERENTIAL_IN_NAMESPACE"

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(inNamespace) == "" {
		os.Exit(again())
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "ip link: %v\n%s", err, out)
		os.Exit(1)
	}
	if err := ownNames(); err != nil {
		fmt.Fprintln(os.Stderr, "names of its own:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// again runs this program in namespaces of its own, and returns its exit code.
func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=yes")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the death of this thread is what Pdeathsig tells of
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "a network of its own needs root:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// seeds are those to run.
func seeds() []uint64 {
	if *seed != 0 {
		return []uint64{*seed}
	}
	return []uint64{fixedSeed, uint64(time.Now().UnixNano())}
}

// A side is one of the two programs that are compared.
type side struct {
	name string
	bin  string // the directory of its commands
}

func sides(t testing.TB) [2]side {
	t.Helper()
	return [2]side{{"original", programs.Originals(t)}, {"ours", programs.Ours(t)}}
}

// fuzz compares both sides on cases of generate, for each seed, several at a
// time.
func fuzz(t *testing.T, generate func(r *rand.Rand) Case) {
	t.Helper()
	fuzzWith(t, *count, 2*runtime.NumCPU(), generate)
}

// fuzzSlowly is fuzz for cases that take seconds in which they wait: fewer of
// them, more at a time.
func fuzzSlowly(t *testing.T, generate func(r *rand.Rand) Case) {
	t.Helper()
	fuzzWith(t, max(*count/10, 1), 16, generate)
}

func fuzzWith(t *testing.T, n, parallel int, generate func(r *rand.Rand) Case) {
	t.Helper()
	both := sides(t)
	for _, s := range seeds() {
		t.Logf("to repeat: go test ./test/differential -run '^%s$' -cases %d -seed %d", t.Name(), *count, s)
		numbers := make(chan int)
		var workers sync.WaitGroup
		for range parallel {
			workers.Add(1)
			go func() {
				defer workers.Done()
				for i := range numbers {
					r := rand.New(rand.NewPCG(s, uint64(i)))
					if c := generate(r); !t.Failed() {
						if diff := c.differs(t, both); diff != "" {
							t.Errorf("seed %d, case %d: %s (-original +ours):\n%s", s, i, c, diff)
						}
					}
				}
			}()
		}
		for i := range n {
			numbers <- i
		}
		close(numbers)
		workers.Wait()
	}
}

// writeFile writes a file that no process started meanwhile has open: it may
// be a program, and be executed at once.
func writeFile(path, content string, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// fileOf makes a file of a descriptor without taking it over.
func fileOf(fd int) *os.File {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(dup), "pipe")
}

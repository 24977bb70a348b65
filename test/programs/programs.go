// Package programs finds, for tests, the programs that they run: ours, built
// from this tree, and the C originals that ours are compared with.
package programs

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Ours returns the directory that holds every command of this package under
// its own name, freshly built.
func Ours(t testing.TB) string {
	t.Helper()
	return made(t, &ours, "build", "bin")
}

// Originals returns the directory that holds the programs of Debian's
// daemontools and ucspi-tcp, unpacked and not installed.
func Originals(t testing.TB) string {
	t.Helper()
	return made(t, &originals, "originals", ".cache/originals/usr/bin")
}

// Supervisors returns a directory with what Debian's daemontools-run, runit
// and s6 put into the root directory, not installed.
func Supervisors(t testing.TB) string {
	t.Helper()
	return made(t, &supervisors, "supervisors", ".cache/supervisors")
}

// Holders returns a directory with a directory of Debian's packages for each
// server that may have port 25, called like the main one of them.
func Holders(t testing.TB) string {
	t.Helper()
	return made(t, &holders, "holders", ".cache/holders")
}

// Fail2ban returns a directory with Debian's fail2ban, not installed.
func Fail2ban(t testing.TB) string {
	t.Helper()
	return made(t, &fail2ban, "fail2ban", ".cache/fail2ban")
}

// Debian13 returns the root file system of a Debian 13, whose systemd is 257,
// for machine.BootOn.
func Debian13(t testing.TB) string {
	t.Helper()
	return made(t, &debian13, "debian13", ".cache/debian13")
}

// Root returns the top directory of the source tree.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

type making struct {
	once sync.Once
	out  []byte
	err  error
}

var ours, originals, supervisors, holders, fail2ban, debian13 making

// made runs a target of the Makefile once in this process, under a lock
// against the tests of other packages that run at the same time.
func made(t testing.TB, m *making, target, dir string) string {
	t.Helper()
	root := Root(t)
	m.once.Do(func() {
		lock, err := os.Open(root) // not go.mod: go build takes a lock on that itself
		if err != nil {
			m.err = err
			return
		}
		defer lock.Close()
		if m.err = unix.Flock(int(lock.Fd()), unix.LOCK_EX); m.err != nil {
			return
		}
		cmd := exec.Command("make", "-s", target)
		cmd.Dir = root
		m.out, m.err = cmd.CombinedOutput()
	})
	if m.err != nil {
		t.Fatalf("make %s: %v\n%s", target, m.err, m.out)
	}
	return filepath.Join(root, dir)
}

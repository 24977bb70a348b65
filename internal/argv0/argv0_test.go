package argv0

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

// TestMain makes the test binary argv0, under that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "argv0" {
		os.Exit(Main(os.Args))
	}
	os.Exit(m.Run())
}

// Each line is a shell script in which $B is the directory of argv0. What it
// prints and its exit code must be those of the original.
const scripts = `
$B/argv0
$B/argv0 sh
$B/argv0 sh zero -c 'echo "$0"; tr "\0" " " </proc/$$/cmdline'
$B/argv0 /bin/sh -sh -c 'echo "$0" "$@"' a -b ''
$B/argv0 sh '' -c 'echo "<$0>"'
$B/argv0 -x zero
$B/argv0 -- sh zero
$B/argv0 nonexistent zero
$B/argv0 ./nonexistent zero
$B/argv0 '' zero
$B/argv0 / zero
$B/argv0 /etc/passwd zero
PATH=/etc:/bin; $B/argv0 sh zero -c 'echo found'
cd /bin; PATH=; $B/argv0 sh zero -c 'echo here'
A=1 $B/argv0 sh zero -c 'echo $A; exit 9'
$B/argv0 sh zero -c 'kill -9 $$'
`

func TestDifferential(t *testing.T) {
	original := programs.Originals(t)
	ours := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, ours+"/argv0"); err != nil {
		t.Fatal(err)
	}
	for _, script := range strings.Split(strings.TrimSpace(scripts), "\n") {
		want, got := run(script, original), run(script, ours)
		if got != want {
			t.Errorf("%s\noriginal: %s\nours:     %s", script, want, got)
		}
	}
}

// run returns what a script prints, and its exit code.
func run(script, bin string) string {
	cmd := exec.Command("/bin/sh", "-c", "("+script+") 2>&1; echo [$?]")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "B=" + bin}
	out, err := cmd.Output()
	if err != nil {
		return err.Error()
	}
	return string(out)
}

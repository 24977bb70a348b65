package command

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/programs"
)

// The test binary is these programs, under their names.
var testPrograms = Table{
	".hidden": func(args []string) int { return 7 },
	"pgrphack": func(args []string) int {
		err := Exec(args[1:], os.Environ())
		return Fatal("pgrphack", "unable to run "+args[1], err)
	},
	"find": func(args []string) int {
		path, err := Find(args[1])
		if err != nil {
			return Fatal("find", args[1], err)
		}
		fmt.Println(path)
		return 0
	},
	// "limit RESOURCE=SOFT,… PROGRAM …" hands limits on to the program.
	"limit": func(args []string) int {
		limits := HandedLimits([]string{limitsVariable + "=" + args[1]})
		err := Exec(args[2:], HandLimits(os.Environ(), limits))
		return Fatal("limit", "unable to run "+args[2], err)
	},
	"getopt": func(args []string) int {
		options := NewGetopt(args, "ab:c:d")
		options.Long = []string{"long", "value="}
		for {
			option, argument, ok := options.Next()
			if !ok {
				break
			}
			fmt.Printf("%s(%s) ", option, argument)
		}
		fmt.Printf("%q\n", options.Rest())
		return 0
	},
	"message": func(args []string) int {
		exit := map[string]func(error) int{
			"usage":     func(error) int { return Usage("message", "message kind errno") },
			"fatal":     func(err error) int { return Fatal("message", "unable to x", err) },
			"permanent": func(err error) int { return Permanent("message", "unable to x", err) },
			"warning":   func(err error) int { Warning("message", "unable to x", err); return 0 },
		}[args[1]]
		if n, err := strconv.Atoi(args[2]); err == nil {
			return exit(&os.PathError{Op: "open", Path: "x", Err: unix.Errno(n)})
		}
		return exit(nil)
	},
}

func TestMain(m *testing.M) {
	if body, ok := testPrograms[filepath.Base(os.Args[0])]; ok {
		os.Exit(body(os.Args))
	}
	if filepath.Base(os.Args[0]) == "table" {
		os.Exit(testPrograms.Run(os.Args))
	}
	os.Exit(m.Run())
}

// ours returns a directory with the test binary under all its names.
func ours(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"pgrphack", "find", "limit", "getopt", "message", "table"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bothOf returns the directories of the originals and of ours.
func bothOf(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"original": programs.Originals(t), "ours": ours(t)}
}

// A result is what a program leaves.
type result struct {
	stdout, stderr string
	exit           int // -1: a signal
}

// run runs a program to its end in the directory dir.
func run(t *testing.T, dir string, args ...string) result {
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

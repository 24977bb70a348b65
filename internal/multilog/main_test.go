package multilog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/test/programs"
)

// TestMain lets the test binary be the commands, by the name it is called by.
func TestMain(m *testing.M) {
	table := command.Table{"multilog": Main, "multilog-gzip": Gzip, "tai64n": TAI64N, "tai64nlocal": TAI64NLocal}
	if _, ok := table[filepath.Base(os.Args[0])]; ok {
		os.Exit(table.Run(os.Args))
	}
	os.Exit(m.Run())
}

const patience = 30 * time.Second

// subject is an implementation under test.
type subject struct {
	name string
	path string // of the program, or "" for ours
}

var ours = subject{name: "ours"}

func subjects(t *testing.T) []subject {
	return []subject{{"original", programs.Originals(t)}, ours}
}

// command returns the command words, run in dir.
func (s subject) command(t testing.TB, dir string, words ...string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(s.path, words[0])
	if s.path == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, words[1:]...)
	cmd.Args[0] = words[0]
	cmd.Dir = dir
	return cmd
}

// run runs words in dir to their end, killed if that takes too long.
func (s subject) run(t testing.TB, dir, input string, words ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := s.command(t, dir, words...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	code = wait(t, cmd)
	return out.String(), errs.String(), code
}

// wait returns the exit code of cmd; -1 where a signal ended it.
func wait(t testing.TB, cmd *exec.Cmd) int {
	t.Helper()
	killed := make(chan struct{})
	timer := time.AfterFunc(patience, func() {
		cmd.Process.Kill()
		close(killed)
	})
	err := cmd.Wait()
	if !timer.Stop() {
		<-killed
		t.Fatalf("%s: no end within %v", cmd.Args, patience)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// eventually waits until condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

var labels = regexp.MustCompile(`@4[0-9a-f]{23}`)

// tree describes the files below dir, with the labels in names replaced by
// their rank and those in contents by "@".
func tree(t testing.TB, dir string) string {
	t.Helper()
	var out strings.Builder
	rank := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name := path[len(dir):]
		if labels.MatchString(name) {
			rank++
			name = labels.ReplaceAllString(name, fmt.Sprintf("@%d", rank))
		}
		fmt.Fprintf(&out, "%s %v", name, info.Mode())
		if info.Mode().IsRegular() {
			fmt.Fprintf(&out, " %q", labels.ReplaceAllString(read(t, path), "@"))
		}
		out.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func read(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// logs returns the logs of a log directory that are done, oldest first.
func logs(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "@*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

// content returns all that a log directory holds, oldest first.
func content(t testing.TB, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, path := range append(logs(t, dir), filepath.Join(dir, "current")) {
		all.WriteString(read(t, path))
	}
	return all.String()
}

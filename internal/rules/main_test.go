package rules

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"qmail-smtpd/internal/cdb"
	"qmail-smtpd/internal/command"
	"qmail-smtpd/test/programs"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random input that ours and the originals get")

var commands = command.Table{"tcprules": TCPRules, "tcprulescheck": TCPRulesCheck}

// This test binary is also the commands, under their names.
func TestMain(m *testing.M) {
	if _, ok := commands[filepath.Base(os.Args[0])]; ok {
		os.Exit(commands.Run(os.Args))
	}
	os.Exit(m.Run())
}

// ourCommands returns a directory with our commands.
func ourCommands(t *testing.T) string {
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

// both returns the original and our command of that name.
func both(t *testing.T, name string) [2]string {
	t.Helper()
	return [2]string{filepath.Join(programs.Originals(t), name), filepath.Join(ourCommands(t), name)}
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

// run runs a program in dir with no environment but env.
func run(t *testing.T, dir, stdin string, env []string, args ...string) result {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append([]string{}, env...)
	cmd.Stdin = bytes.NewReader([]byte(stdin))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// compile makes the cdb path of text and returns its bytes.
func compile(t testing.TB, path, text string) []byte {
	t.Helper()
	w, err := cdb.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Compile(bytes.NewReader([]byte(text)), w.Add); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// describe returns what tcprulescheck prints for p.
func describe(path string, p Peer) (string, error) {
	m, err := findIn(path, p)
	if err != nil {
		return "", err
	}
	return string(m.describe(nil, false)), nil
}

package differential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A Case is a command and all that it meets.
type Case struct {
	Args  []string // the command's name first
	Env   []string // beside PATH
	Stdin string   // of a regular file: what is read at a time depends on the reader alone
	Files []File   // in the directory where it runs
	User  uint32   // 0: root

	// Run runs the command where it takes more than to start it and to wait
	// for its end, and tells what else was observed. dir is where it runs.
	Run func(ctx context.Context, cmd *exec.Cmd, dir string) (observed string, err error)

	// Normal takes out of an outcome what differs between two runs of the
	// same program.
	Normal func(o *Outcome)

	// Excused tells that the two differ as is listed.
	Excused func(original, ours Outcome) bool
}

// A File is something in the directory of a case.
type File struct {
	Path    string
	Mode    fs.FileMode // with the type: regular, fs.ModeDir, fs.ModeNamedPipe, fs.ModeSymlink
	Content string      // of a symbolic link: its target
	Owner   uint32
}

// An Outcome is all that can be observed of a run.
type Outcome struct {
	Stdout, Stderr string
	Status         string // "exit N" or "signal N"
	Observed       string
	Files          map[string]string // path → type, mode, owner, content
}

func (c Case) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q env %q stdin %.300q", c.Args, c.Env, c.Stdin)
	if c.User != 0 {
		fmt.Fprintf(&b, " as %d", c.User)
	}
	for _, f := range c.Files {
		fmt.Fprintf(&b, "\n  file %q %v %d %.200q", f.Path, f.Mode, f.Owner, f.Content)
	}
	return b.String()
}

// nameServer is one that is not there, and need not be waited for.
const nameServer = "DNSCACHEIP=127.0.0.1"

// limit is far above what a case takes.
const limit = 60 * time.Second

// differs returns how the outcomes of both sides differ, nothing if they do
// not. What differs once may be due to a second that passed; what differs
// three times is not.
func (c Case) differs(t testing.TB, both [2]side) string {
	t.Helper()
	var diff string
	for range 3 {
		original, ours := c.outcome(t, both[0]), c.outcome(t, both[1])
		if c.Excused != nil && c.Excused(original, ours) {
			return ""
		}
		if diff = cmp.Diff(original, ours); diff == "" {
			return ""
		}
	}
	return diff
}

// outcome runs the case in a new directory.
func (c Case) outcome(t testing.TB, s side) Outcome {
	t.Helper()
	top, err := os.MkdirTemp("", "differential")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(top)
	must := func(err error) {
		if err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
	must(os.Chmod(top, 0o755))
	dir := filepath.Join(top, "dir")
	must(os.Mkdir(dir, 0o755))
	must(os.Chown(dir, int(c.User), int(c.User)))
	for _, f := range c.Files {
		must(f.make(dir))
	}
	must(writeFile(top+"/stdin", c.Stdin, 0o644))
	stdin, err := os.Open(top + "/stdin")
	must(err)
	defer stdin.Close()

	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, c.Args[0]), c.Args[1:]...)
	cmd.Args[0] = c.Args[0]
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + s.bin + ":/usr/bin:/bin:/usr/sbin:/sbin", nameServer}, c.Env...)
	cmd.Stdin = stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.User != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.User, Gid: c.User, NoSetGroups: false}
	}
	var o Outcome
	run := c.Run
	if run == nil {
		run = func(_ context.Context, cmd *exec.Cmd, _ string) (string, error) { return "", cmd.Run() }
	}
	o.Observed, err = run(ctx, cmd, dir)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		t.Errorf("%s: %s: %v", s.name, c, err)
	}
	if cmd.Process != nil {
		unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // what it left in its session
	}
	if ctx.Err() != nil {
		o.Status = "no end"
	} else if cmd.ProcessState != nil {
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		o.Status = fmt.Sprint("exit ", status.ExitStatus())
		if status.Signaled() {
			o.Status = fmt.Sprint("signal ", int(status.Signal()))
		}
	}
	for text, of := range map[*string]string{&o.Stdout: stdout.String(), &o.Stderr: stderr.String(), &o.Observed: o.Observed} {
		*text = strings.NewReplacer(s.bin, "BIN", top, "TOP").Replace(of)
	}
	if o.Files, err = list(dir); err != nil {
		t.Errorf("%s: %v", c, err)
	}
	if c.Normal != nil {
		c.Normal(&o)
	}
	return o
}

func (f File) make(dir string) error {
	path := filepath.Join(dir, f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var err error
	switch f.Mode.Type() {
	case fs.ModeDir:
		if err = os.MkdirAll(path, 0o755); err == nil {
			err = os.Chmod(path, f.Mode)
		}
	case fs.ModeNamedPipe:
		err = unix.Mkfifo(path, uint32(f.Mode.Perm()))
	case fs.ModeSymlink:
		return os.Symlink(f.Content, path)
	default:
		err = writeFile(path, f.Content, f.Mode)
	}
	if err == nil && f.Owner != 0 {
		err = os.Chown(path, int(f.Owner), int(f.Owner))
	}
	return err
}

// list tells of each file below dir.
func list(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		text := fmt.Sprintf("%v %d", info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
		switch info.Mode().Type() {
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if name != "core" {
				text += " " + string(content)
			}
		case fs.ModeSymlink:
			target, _ := os.Readlink(path)
			text += " " + target
		}
		files[name] = text
		return nil
	})
	return files, err
}

// sorted returns the lines of text in order.
func sorted(text, end string) string {
	lines := strings.SplitAfter(text, end)
	sort.Strings(lines)
	return strings.Join(lines, "")
}

var (
	label  = regexp.MustCompile(`@[0-9a-f]{24}`)
	digits = regexp.MustCompile(`[0-9]+`)
)

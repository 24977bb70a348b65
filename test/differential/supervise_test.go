package differential

import (
	"bytes"
	"context"
	"encoding/binary"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tai is what TAI64 adds to the seconds since 1970.
const tai = 1<<62 + 10

// statusBytes returns what supervise/status may hold.
func statusBytes(r *rand.Rand) string {
	b := binary.BigEndian.AppendUint64(nil, pick(r, tai+1e9, tai+uint64(time.Now().Unix())+1e6, 0, 1<<63, 1<<64-1, tai))
	b = binary.BigEndian.AppendUint32(b, 5e8)
	b = binary.LittleEndian.AppendUint32(b, pick[uint32](r, 0, 0, 1, 77, 1<<32-1))
	b = append(b, pick[byte](r, 0, 0, 1, 2), pick[byte](r, 'u', 'd', 0, 'x'))
	b = append(b, "more"...)
	return string(b[:pick(r, 18, 18, 18, 18, 20, 22, 17, 0)])
}

// serviceDir returns the files of a service directory, whole or not.
func serviceDir(r *rand.Rand, dir string) []File {
	var files []File
	add := func(odds int, name string, mode fs.FileMode, content string) {
		if r.IntN(odds) > 0 {
			files = append(files, File{Path: dir + "/" + name, Mode: mode, Content: content})
		}
	}
	add(15, "supervise/ok", pick[fs.FileMode](r, fs.ModeNamedPipe|0o600, fs.ModeNamedPipe|0o600, fs.ModeNamedPipe|0o600, 0o600, fs.ModeDir|0o755), "")
	add(15, "supervise/control", pick[fs.FileMode](r, fs.ModeNamedPipe|0o600, fs.ModeNamedPipe|0o600, fs.ModeNamedPipe|0o600, 0o600), "")
	add(10, "supervise/status", 0o644, statusBytes(r))
	if r.IntN(2) == 0 {
		add(10, "down", pick[fs.FileMode](r, 0o644, fs.ModeDir|0o755), "")
	}
	return files
}

// supervised runs a command while something reads each ok and control FIFO,
// as often as not, and tells what was written to them.
func supervised(r *rand.Rand, dirs []string) func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
	var read []string
	for _, d := range dirs {
		for _, name := range []string{"ok", "control"} {
			if r.IntN(4) > 0 {
				read = append(read, d+"/supervise/"+name)
			}
		}
	}
	return readWhile(read)
}

// readWhile returns a run during which FIFOs are read from, and that tells
// what was written to them.
func readWhile(read []string) func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
	return func(_ context.Context, cmd *exec.Cmd, dir string) (string, error) {
		var fds []int
		for _, path := range read {
			fd, err := unix.Open(filepath.Join(dir, path), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				fd = -1
			}
			fds = append(fds, fd)
		}
		err := cmd.Run()
		var observed strings.Builder
		for i, fd := range fds {
			if fd < 0 {
				continue
			}
			letters := make([]byte, 4096)
			n, _ := unix.Read(fd, letters)
			observed.WriteString(read[i] + " " + string(letters[:max(n, 0)]) + "\n")
			unix.Close(fd)
		}
		return observed.String(), err
	}
}

// directories returns operands, and the files behind them.
func directories(r *rand.Rand) (operands []string, files []File) {
	made := map[string]bool{}
	for range r.IntN(5) {
		name := pick(r, "a", "b", "c d", "-e", "ü", "x\ny")
		if !made[name] {
			made[name] = true
			files = append(files, serviceDir(r, name)...)
		}
		operands = append(operands, pick(r, name, name, name, "./"+name, name+"/", "missing", "file", "file/x", ""))
	}
	return operands, append(files, File{Path: "file", Mode: 0o644})
}

func TestSvstat(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		operands, files := directories(r)
		return Case{Args: append([]string{"svstat"}, classicOperands(operands)...), Files: files, Run: supervised(r, operands), User: pick(r, uint32(0), nobody)}
	})
}

// classicOperands are those that are no options, which the original svstat
// does not know.
func classicOperands(operands []string) []string {
	var out []string
	for _, o := range operands {
		if !strings.HasPrefix(o, "-") {
			out = append(out, o)
		}
	}
	return out
}

func TestSvok(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		operands, files := directories(r)
		return Case{Args: append([]string{"svok"}, operands...), Files: files, Run: supervised(r, operands), User: pick(r, uint32(0), nobody)}
	})
}

func TestSvc(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		operands, files := directories(r)
		args := []string{"svc"}
		for range r.IntN(4) {
			letters := "-"
			for range 1 + r.IntN(4) {
				letters += pick(r, "u", "d", "o", "p", "c", "h", "a", "i", "t", "k", "x", "u", "d", "x", "t")
			}
			if r.IntN(20) == 0 {
				letters += pick(r, "q", "1", "-", "?")
			}
			args = append(args, letters)
		}
		if r.IntN(4) == 0 {
			args = append(args, "--")
		}
		return Case{Args: append(args, operands...), Files: files, Run: supervised(r, operands), User: pick(r, uint32(0), nobody)}
	})
}

// TestSupervise has services obey letters, one each second.
func TestSupervise(t *testing.T) {
	fuzzSlowly(t, func(r *rand.Rand) Case {
		files := []File{{Path: "s/run", Mode: 0o755, Content: "#!/bin/sh\n" + pick(r, "exec sleep 1000\n", "exec sleep 1000\n",
			"trap 'echo term' TERM; trap 'echo hup' HUP; trap 'echo alarm' ALRM; trap 'exit 3' INT\nwhile :; do sleep 0.1; done\n")}}
		if r.IntN(3) == 0 {
			files = append(files, File{Path: "s/down", Mode: 0o644})
		}
		letters := make([]string, 1+r.IntN(3))
		for i := range letters {
			letters[i] = pick(r, "u", "d", "o", "p", "c", "h", "a", "i", "t", "k", "du", "pd", "od", "ud", "pc", "z")
		}
		return Case{
			Args: []string{"supervise", pick(r, "s", "s", "s", "s", "./s/", "missing")}, Files: files,
			Run: func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
				return obeying(ctx, cmd, dir+"/s", letters)
			},
			Normal: func(o *Outcome) {
				for name := range o.Files {
					if varies(name) {
						delete(o.Files, name)
					}
				}
			},
		}
	})
}

// varies tells whether a file holds times and pids, or is one that only ours
// has.
func varies(name string) bool {
	return strings.Contains(name, "/supervise/status") || strings.HasSuffix(name, "/supervise/starts")
}

// obeying runs supervise, gives it letters, and tells what its status said
// after each.
func obeying(ctx context.Context, cmd *exec.Cmd, dir string, letters []string) (string, error) {
	var observed strings.Builder
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	see := func() {
		status, err := os.ReadFile(dir + "/supervise/status")
		if err == nil && len(status) == 18 {
			observed.WriteString(strconv.FormatBool(!bytes.Equal(status[12:16], []byte{0, 0, 0, 0})) + " " + strconv.Quote(string(status[16:])) + "\n")
		} else {
			observed.WriteString("no status\n")
		}
	}
	control := -1
	for ctx.Err() == nil && control < 0 {
		select {
		case err := <-ended:
			return "ended", err
		case <-time.After(5 * time.Millisecond):
			control, _ = unix.Open(dir+"/supervise/control", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		}
	}
	defer unix.Close(control)
	// The original looks at letters a second after each start.
	const settled = 1300 * time.Millisecond
	time.Sleep(settled)
	see()
	for _, l := range letters {
		unix.Write(control, []byte(l))
		time.Sleep(settled)
		see()
	}
	unix.Write(control, []byte("cxk"))
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = <-ended
	}
	see()
	return observed.String(), err
}

// TestSvscan has svscan start what is in a directory.
func TestSvscan(t *testing.T) {
	fuzzSlowly(t, func(r *rand.Rand) Case {
		c := Case{Args: append([]string{"svscan"}, pick(r, []string{"scan"}, []string{"scan"}, []string{"scan", "more"}, []string{"missing"}, []string{"scan/file"})...)}
		c.Files = append(c.Files, File{Path: "scan/file", Mode: 0o644}, File{Path: "real/run", Mode: 0o755, Content: "#!/bin/sh\nexec sleep 1000\n"})
		var dirs []string
		for _, name := range some(r, "a", "b c", ".hidden", "ü", "-x", "x\ny", strings.Repeat("n", 255)) {
			switch r.IntN(6) {
			case 0:
				c.Files = append(c.Files, File{Path: "scan/" + name, Mode: fs.ModeSymlink, Content: pick(r, "../real", "../real", "nowhere", "file", ".", name[:1])})
				continue
			case 1: // nothing to run: up in the original, where it never is
				c.Files = append(c.Files, File{Path: "scan/" + name, Mode: fs.ModeDir | 0o755})
				continue
			case 2:
				c.Files = append(c.Files, File{Path: "scan/" + name + "/down", Mode: 0o644})
			}
			dirs = append(dirs, "scan/"+name)
			c.Files = append(c.Files, File{Path: "scan/" + name + "/run", Mode: 0o755, Content: "#!/bin/sh\necho hello\nexec sleep 1000\n"})
			if r.IntN(2) == 0 {
				dirs = append(dirs, "scan/"+name+"/log")
				c.Files = append(c.Files, pick(r, File{Path: "scan/" + name + "/log/run", Mode: 0o755, Content: "#!/bin/sh\nexec cat >got\n"},
					File{Path: "scan/" + name + "/log/run", Mode: 0o755, Content: "#!/bin/sh\nexec cat >got\n"}, File{Path: "scan/" + name + "/log", Mode: 0o644}))
			}
		}
		c.Run = func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
			return scanning(ctx, cmd, dir, dirs)
		}
		c.Normal = func(o *Outcome) {
			// Each of several processes writes when its turn comes, and what cannot
			// be started is tried again each second.
			var lines []string
			for _, line := range strings.SplitAfter(sorted(o.Stderr, "\n"), "\n") {
				if len(lines) == 0 || line != lines[len(lines)-1] {
					lines = append(lines, line)
				}
			}
			o.Stderr = strings.Join(lines, "")
			for name := range o.Files {
				if varies(name) {
					delete(o.Files, name)
				}
			}
		}
		return c
	})
}

// hasStarted tells whether supervise runs in a directory, with the service if
// it has one that is not meant to be down, and a log has got what is said.
func hasStarted(dir string) bool {
	exists := func(path string) bool { _, err := os.Stat(path); return err == nil }
	status, _ := os.ReadFile(dir + "/supervise/status")
	if len(status) != 18 {
		return false
	}
	if !exists(dir+"/run") || exists(dir+"/down") {
		return true
	}
	if bytes.Equal(status[12:16], []byte{0, 0, 0, 0}) {
		return false
	}
	if main, isLog := strings.CutSuffix(dir, "/log"); isLog && !exists(main+"/down") {
		got, _ := os.ReadFile(dir + "/got")
		return len(got) > 0
	}
	return true
}

// haveStarted tells whether all in a directory have started, with their logs.
func haveStarted(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if entry.Name()[0] == '.' || entry.Name() == "supervise" { // of a link to the directory itself
			continue
		}
		for _, d := range []string{dir + "/" + entry.Name(), dir + "/" + entry.Name() + "/log"} {
			info, err := os.Stat(d)
			if err == nil && info.IsDir() && !hasStarted(d) {
				return false
			}
		}
	}
	return true
}

// scanning runs svscan until all has settled, and tells what is up.
func scanning(ctx context.Context, cmd *exec.Cmd, dir string, dirs []string) (string, error) {
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	for deadline := time.Now().Add(20 * time.Second); err == nil && !haveStarted(dir+"/scan") && time.Now().Before(deadline); {
		select {
		case err = <-ended:
		case <-time.After(20 * time.Millisecond):
		}
	}
	time.Sleep(1500 * time.Millisecond) // for what services say, and for messages that come each second
	var observed strings.Builder
	for _, d := range dirs {
		status, _ := os.ReadFile(dir + "/" + d + "/supervise/status")
		observed.WriteString(strconv.Quote(d))
		if len(status) == 18 {
			observed.WriteString(" " + strconv.FormatBool(!bytes.Equal(status[12:16], []byte{0, 0, 0, 0})) + " " + strconv.Quote(string(status[16:])))
		}
		observed.WriteByte('\n')
	}
	unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	if err == nil {
		<-ended // by our signal, or by itself: the status tells
	}
	return observed.String(), nil
}

// Package machine makes, for tests, a machine to spoil: the root file system
// of this one under a writable layer that is thrown away, with processes,
// mounts, network and host name of its own. It needs root.
package machine

import (
	"bytes"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// T is what a machine needs of the test that it is for.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	TempDir() string
	Cleanup(func())
}

//go:embed init.sh
var initScript string

// A Machine is running from Start until the test ends.
type Machine struct {
	t     T
	enter []string // arguments with which nsenter enters it
}

// Start starts a machine without a service manager. All that runs in it ends
// with the test.
func Start(t T) *Machine {
	t.Helper()
	return start(t, "plain", nil)
}

// Boot starts a machine whose process 1 is systemd, and returns when it is
// up. All that runs in it ends with the test.
func Boot(t T) *Machine {
	t.Helper()
	group := cgroup(t)
	m := start(t, "systemd", group)
	m.Await(30*time.Second, `case $(systemctl is-system-running) in running|degraded) exit 0; esac; exit 1`)
	return m
}

// cgroup makes a cgroup in the unified hierarchy, wherever that is mounted;
// systemd in the machine takes it for the root.
func cgroup(t T) *os.File {
	t.Helper()
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[2] != "cgroup2" {
			continue
		}
		dir, err := os.MkdirTemp(fields[1], "machine-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { removeCgroup(t, dir) })
		group, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return group
	}
	t.Fatal("no cgroup2 hierarchy is mounted")
	return nil
}

// removeCgroup removes a cgroup and those in it, once the processes in them
// have ended.
func removeCgroup(t T, dir string) {
	var dirs []string
	filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	deadline := time.Now().Add(10 * time.Second)
	for _, d := range slices.Backward(dirs) {
		for {
			err := os.Remove(d)
			if err == nil || os.IsNotExist(err) {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("cgroup of the machine: %v", err)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func start(t T, kind string, group *os.File) *Machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("a machine of its own needs root")
	}
	ready, started, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	args := []string{"--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child"}
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if group != nil {
		defer group.Close()
		args = append(args, "--cgroup")
		attr.UseCgroupFD, attr.CgroupFD = true, int(group.Fd())
	}
	args = append(args, "bash", "-euc", initScript, "machine", t.TempDir(), "/", kind)
	init := exec.Command("unshare", args...)
	init.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	init.ExtraFiles = []*os.File{started}
	var console bytes.Buffer
	init.Stdout, init.Stderr = &console, &console
	init.SysProcAttr = attr
	if err := init.Start(); err != nil {
		t.Fatal(err)
	}
	started.Close()
	t.Cleanup(func() {
		init.Process.Kill()
		init.Wait()
	})
	word := make([]byte, 16)
	n, _ := ready.Read(word)
	if string(word[:n]) != "ready\n" {
		init.Process.Kill()
		init.Wait()
		t.Fatalf("the machine did not start: %s", console.String())
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", init.Process.Pid, init.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(children))
	enter := []string{"-t", pid, "-m", "-p", "-u", "-i", "-n"}
	if group != nil {
		enter = append(enter, "-C")
	}
	return &Machine{t: t, enter: enter}
}

// Command prepares a command inside the machine, with a plain environment.
func (m *Machine) Command(name string, args ...string) *exec.Cmd {
	line := append(slices.Clone(m.enter), "env", "-i",
		"HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", name)
	return exec.Command("nsenter", append(line, args...)...)
}

// Sh runs a shell script inside the machine and returns what it printed on
// both outputs; a script that fails ends the test.
func (m *Machine) Sh(script string) string {
	m.t.Helper()
	out, code := m.run(script, "-euc")
	if code != 0 {
		m.t.Fatalf("%s\n%sexit status %d", script, out, code)
	}
	return out
}

// Try is Sh for scripts that may fail: it returns the exit code too.
func (m *Machine) Try(script string) (out string, code int) {
	m.t.Helper()
	return m.run(script, "-uc")
}

// scriptLimit is far above what any script takes: one that needs it hangs.
const scriptLimit = 100 * time.Second

// run runs a script; one that hangs ends the test, with what the machine was
// doing.
func (m *Machine) run(script, options string) (out string, code int) {
	m.t.Helper()
	cmd := m.Command("bash", options, script)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	var doing []byte
	hangs := time.AfterFunc(scriptLimit, func() {
		look := m.Command("timeout", "20", "bash", "-c", `ps axfo pid,ppid,stat,wchan:20,args; systemctl list-jobs; journalctl -n 60 --no-pager`)
		doing, _ = look.CombinedOutput()
		cmd.Process.Kill()
	})
	err := cmd.Wait()
	if !hangs.Stop() {
		m.t.Fatalf("hangs: %s\n%s\n%s", script, output.String(), doing)
	}
	if cmd.ProcessState == nil || err != nil && cmd.ProcessState.ExitCode() == 0 {
		m.t.Fatalf("%s\n%s%v", script, output.String(), err)
	}
	return output.String(), cmd.ProcessState.ExitCode()
}

// Await runs a shell script inside the machine again and again until it
// succeeds; when it does not in time, the test ends with its last output.
func (m *Machine) Await(limit time.Duration, script string) string {
	m.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		out, code := m.Try(script)
		if code == 0 {
			return out
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("still not after %v: %s\n%s", limit, script, out)
		}
	}
}

// WriteFile writes a file inside the machine.
func (m *Machine) WriteFile(path, content string, mode os.FileMode) {
	m.t.Helper()
	cmd := m.Command("sh", "-c", `cat >"$0" && chmod "$1" "$0"`, path, strconv.FormatUint(uint64(mode), 8))
	cmd.Stdin = strings.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%s: %s%v", path, out, err)
	}
}

// CopyDir copies what is in the directory src of this machine into the
// directory dst of the new one, links as links.
func (m *Machine) CopyDir(src, dst string) {
	m.t.Helper()
	pack := exec.Command("tar", "-C", src, "-c", ".")
	unpack := m.Command("sh", "-c", `mkdir -p "$0" && tar -C "$0" -x --no-same-owner`, dst)
	pipe, err := pack.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	unpack.Stdin = pipe
	var errors bytes.Buffer
	pack.Stderr, unpack.Stderr = &errors, &errors
	if err := pack.Start(); err != nil {
		m.t.Fatal(err)
	}
	err = unpack.Run()
	if packErr := pack.Wait(); err == nil {
		err = packErr
	}
	if err != nil {
		m.t.Fatalf("copying %s: %v\n%s", src, err, errors.String())
	}
}

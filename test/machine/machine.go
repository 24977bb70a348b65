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
	"sync"
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
	kill  func()   // ends all that runs in it
	limit time.Duration
}

// Start starts a machine without a service manager. All that runs in it ends
// with the test.
func Start(t T) *Machine {
	t.Helper()
	return start(t, "/", "plain", nil)
}

// Boot starts a machine whose process 1 is systemd, and returns when it is
// up. All that runs in it ends with the test.
func Boot(t T) *Machine {
	t.Helper()
	return BootOn(t, "/")
}

// BootOn is Boot with the root file system that stands in a directory.
func BootOn(t T, root string) *Machine {
	t.Helper()
	group := cgroup(t)
	m := start(t, root, "systemd", group)
	deadline := time.Now().Add(2 * time.Minute)
	for {
		state, _ := m.Try(`timeout 20 systemctl is-system-running --wait`)
		switch strings.TrimSpace(state) {
		case "running", "degraded":
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("systemd is not up: %s\n%s", state, m.look())
		}
		time.Sleep(50 * time.Millisecond)
	}
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
	deadline := time.Now().Add(30 * time.Second)
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

func start(t T, root, kind string, group *os.File) *Machine {
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
	args = append(args, "bash", "-euc", initScript, "machine", t.TempDir(), root, kind)
	init := exec.Command("unshare", args...)
	init.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	init.ExtraFiles = []*os.File{started}
	var console bytes.Buffer
	init.Stdout, init.Stderr = &console, &console
	init.SysProcAttr = attr
	init.WaitDelay = scriptLimit
	if err := init.Start(); err != nil {
		t.Fatal(err)
	}
	started.Close()
	end := sync.OnceFunc(func() {
		init.Process.Kill()
		init.Wait()
	})
	t.Cleanup(end)
	ready.SetReadDeadline(time.Now().Add(scriptLimit))
	word := make([]byte, 16)
	n, err := ready.Read(word)
	if string(word[:n]) != "ready\n" {
		end()
		t.Fatalf("the machine did not start: %v\n%s", err, console.String())
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
	return &Machine{t: t, enter: enter, kill: end, limit: scriptLimit}
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

func (m *Machine) run(script, options string) (out string, code int) {
	m.t.Helper()
	return m.finish(m.Command("bash", options, script), script)
}

// finish runs a command of the machine to its end. One that hangs ends the
// machine and the test, with what the machine was doing.
func (m *Machine) finish(cmd *exec.Cmd, what string) (out string, code int) {
	m.t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-time.After(m.limit):
		doing := m.look()
		// nsenter alone would leave behind what it has started
		m.kill()
		cmd.Process.Kill()
		<-ended
		m.t.Fatalf("hangs: %s\n%s\n%s", what, output.String(), doing)
	}
	if err != nil && cmd.ProcessState.ExitCode() == 0 {
		m.t.Fatalf("%s\n%s%v", what, output.String(), err)
	}
	return output.String(), cmd.ProcessState.ExitCode()
}

// look tells what the machine is doing.
func (m *Machine) look() string {
	look := m.Command("timeout", "20", "bash", "-c", `ps axfo pid,ppid,stat,wchan:20,args; systemctl list-jobs; journalctl -n 60 --no-pager`)
	look.WaitDelay = time.Second
	timer := time.AfterFunc(25*time.Second, func() { look.Process.Kill() })
	defer timer.Stop()
	doing, err := look.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s%v", doing, err)
	}
	return string(doing)
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
	if out, code := m.finish(cmd, "writing "+path); code != 0 {
		m.t.Fatalf("%s: %sexit status %d", path, out, code)
	}
}

// CopyDir copies what is in the directory src of this machine into the
// directory dst of the new one, links as links.
func (m *Machine) CopyDir(src, dst string) {
	m.t.Helper()
	archive, packed, err := os.Pipe()
	if err != nil {
		m.t.Fatal(err)
	}
	defer archive.Close()
	pack := exec.Command("tar", "-C", src, "-c", ".")
	var errors bytes.Buffer
	pack.Stdout, pack.Stderr = packed, &errors
	err = pack.Start()
	packed.Close()
	if err != nil {
		m.t.Fatal(err)
	}
	unpack := m.Command("sh", "-c", `mkdir -p "$0" && tar -C "$0" -x --no-same-owner`, dst)
	unpack.Stdin = archive
	out, code := m.finish(unpack, "copying "+src)
	archive.Close() // or a tar that nobody reads waits for ever
	if err := pack.Wait(); err != nil || code != 0 {
		m.t.Fatalf("copying %s: %v, exit status %d\n%s%s", src, err, code, errors.String(), out)
	}
}

package supervision

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Sleeper is a run that sleeps.
const Sleeper = "exec sleep 1000\n"

// ServiceDir makes a service directory with a run of the given text, none if
// it is empty, and sees to it that its service ends with the test.
func ServiceDir(t testing.TB, parent, name, run string) string {
	t.Helper()
	dir := filepath.Join(parent, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if run != "" {
		WriteRun(t, dir, run)
	}
	t.Cleanup(func() { endService(dir) })
	return dir
}

// WriteRun puts a run of the given text, a shell script, in place at once.
func WriteRun(t testing.TB, dir, text string) {
	t.Helper()
	if err := os.WriteFile(dir+"/run.new", []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/run.new", dir+"/run"); err != nil {
		t.Fatal(err)
	}
}

// endService kills what runs in a service directory. Tests end their
// supervise first.
func endService(dir string) {
	if pid, err := readPID(dir); err == nil && pid != 0 {
		unix.Kill(int(pid), unix.SIGKILL)
	}
}

// Supervised tells whether somebody keeps the service in dir running.
func Supervised(dir string) bool {
	fd, err := unix.Open(dir+"/supervise/ok", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// PID returns the pid of the service in dir, 0 where it is down.
func PID(t testing.TB, dir string) uint32 {
	t.Helper()
	pid, err := readPID(dir)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// readPID reads what supervise/status says.
func readPID(dir string) (uint32, error) {
	status, err := os.ReadFile(dir + "/supervise/status")
	if err != nil {
		return 0, err
	}
	if len(status) != 18 {
		return 0, fmt.Errorf("status has %d bytes", len(status))
	}
	return binary.LittleEndian.Uint32(status[12:]), nil
}

// AwaitUp waits until the service in dir runs as another process than
// before, and returns its pid.
func AwaitUp(t testing.TB, dir string, before uint32) uint32 {
	t.Helper()
	var pid uint32
	Await(t, dir+" to be up", func() bool {
		if !Supervised(dir) {
			return false
		}
		pid = PID(t, dir)
		return pid != 0 && pid != before
	})
	return pid
}

// ProcessState returns the fields of a process in proc(5) from its state on.
func ProcessState(t testing.TB, pid uint32) []string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

package svscan

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/supervision"
)

// The writer passes on what it gets in feed, line by line and without reading
// ahead; the log service writes it to the file log/got.
const (
	writerRun = `exec 3<>feed
while read -r line <&3; do echo "$line"; done
`
	logRun = "exec cat >>got\n"
)

// Every pair of svscan and supervise, of ours and the originals, looks after
// services in the same way.
func TestSvscan(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{ours, ours}, {ours, programs.Originals(t)}, {programs.Originals(t), ours}} {
		t.Run(strings.ReplaceAll(fmt.Sprint(pair), ours, "ours"), func(t *testing.T) {
			t.Parallel()
			s := startSvscan(t, pair[0], pair[1])
			t.Run("both", func(t *testing.T) {
				t.Run("log pipe", func(t *testing.T) { t.Parallel(); s.testLogPipe(t) })
				t.Run("links", func(t *testing.T) { t.Parallel(); s.testLinks(t) })
			})
		})
	}
}

// A scanning is a running svscan with its scan directory.
type scanning struct {
	svscan  *supervision.Daemon
	dir     string // the scan directory
	writer  string // a service directory linked there, with a log
	sleeper string // a service directory that is not linked there yet
}

func startSvscan(t *testing.T, svscan, supervise string) *scanning {
	t.Helper()
	path := t.TempDir()
	if err := os.Symlink(supervise+"/supervise", path+"/supervise"); err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	s := &scanning{dir: parent + "/scan", writer: parent + "/writer", sleeper: parent + "/sleeper"}
	for dir, run := range map[string]string{s.writer: writerRun, s.writer + "/log": logRun, s.sleeper: supervision.Sleeper} {
		supervision.ServiceDir(t, "", dir, run)
	}
	if err := unix.Mkfifo(s.writer+"/feed", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{s.dir, s.dir + "/.hidden"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"w": "../writer", "again": "../writer", "dangling": "none", "plain": "/dev/null"} {
		if err := os.Symlink(target, filepath.Join(s.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, dir := range []string{s.writer, s.writer + "/log", s.sleeper} {
			supervision.Run(t, "", ours+"/svc", "-dx", dir)
		}
		for _, dir := range []string{s.writer, s.writer + "/log", s.sleeper} {
			supervision.Await(t, "the end of supervise in "+dir, func() bool { return !supervision.Supervised(dir) })
		}
	})
	s.svscan = supervision.Start(t, "/", []string{"PATH=" + path + ":/usr/bin:/bin"}, svscan+"/svscan", s.dir)
	return s
}

// Whatever is killed on either side of the log pipe, no line is lost.
func (s *scanning) testLogPipe(t *testing.T) {
	feed, err := os.OpenFile(s.writer+"/feed", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	log := s.writer + "/log"
	want := ""
	next := 0
	write := func() {
		t.Helper()
		text := ""
		for range 10 {
			text += fmt.Sprintf("line %d\n", next)
			next++
		}
		if _, err := feed.WriteString(text); err != nil {
			t.Fatal(err)
		}
		want += text
	}
	arrive := func(after string) {
		t.Helper()
		var got []byte
		supervision.Await(t, "the lines after "+after, func() bool {
			got, _ = os.ReadFile(log + "/got")
			return len(got) >= len(want)
		})
		if string(got) != want {
			t.Fatalf("after %s: got %q, want %q", after, got, want)
		}
	}
	writerPID, logPID := supervision.AwaitUp(t, s.writer, 0), supervision.AwaitUp(t, log, 0)
	write()
	arrive("the start")

	kill(t, int(logPID))
	write()
	logPID = supervision.AwaitUp(t, log, logPID)
	arrive("the end of the log service")

	kill(t, int(writerPID))
	write()
	writerPID = supervision.AwaitUp(t, s.writer, writerPID)
	arrive("the end of the writer")

	supervision.Run(t, "", ours+"/svc", "-d", log)
	supervision.Await(t, "the log service to be down", func() bool { return supervision.PID(t, log) == 0 })
	kill(t, parentOf(t, writerPID))
	kill(t, int(writerPID))
	write()
	supervision.AwaitUp(t, s.writer, writerPID)
	write()
	supervision.Run(t, "", ours+"/svc", "-u", log)
	logPID = supervision.AwaitUp(t, log, logPID)
	arrive("the end of the writer and its supervise, while the log service was down")

	kill(t, parentOf(t, logPID))
	kill(t, int(logPID))
	write()
	supervision.AwaitUp(t, log, logPID)
	arrive("the end of the log service and its supervise")

	if _, err := os.Stat(s.dir + "/.hidden/supervise"); err == nil {
		t.Error("a hidden directory is supervised")
	}
	if text, line := s.svscan.Stderr(t), "svscan: warning: unable to stat dangling: file does not exist\n"; !strings.HasPrefix(text, line) || strings.ReplaceAll(text, line, "") != "" {
		t.Errorf("messages:\n%s", text)
	}
}

// A new link starts a service; without it the service goes on, and is
// forgotten once its supervise has left.
func (s *scanning) testLinks(t *testing.T) {
	link := s.dir + "/sleeper"
	if err := os.Symlink("../sleeper", link); err != nil {
		t.Fatal(err)
	}
	pid := supervision.AwaitUp(t, s.sleeper, 0)
	supervise := parentOf(t, pid)
	if got := parentOf(t, uint32(supervise)); got != s.svscan.Process.Pid {
		t.Errorf("supervise is a child of %d", got)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	s.awaitLook(t)
	if now := supervision.PID(t, s.sleeper); now != pid {
		t.Errorf("after the link went: it is %d", now)
	}
	supervision.Run(t, "", ours+"/svc", "-dx", s.sleeper)
	supervision.Await(t, "supervise to be collected", func() bool { return unix.Kill(supervise, 0) != nil })
	if err := os.Symlink("../sleeper", s.dir+"/other"); err != nil {
		t.Fatal(err)
	}
	supervision.AwaitUp(t, s.sleeper, pid)
}

// awaitLook waits until svscan has looked at its directory from now on.
func (s *scanning) awaitLook(t *testing.T) {
	t.Helper()
	before := len(s.svscan.Stderr(t)) // grows with each look at dangling
	supervision.Await(t, "a look", func() bool { return len(s.svscan.Stderr(t)) > before })
}

// kill kills a process and waits until it takes nothing from a pipe any more.
func kill(t *testing.T, pid int) {
	t.Helper()
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	supervision.Await(t, "a killed process to end", func() bool {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
		return n == 1
	})
}

func parentOf(t *testing.T, pid uint32) int {
	t.Helper()
	parent, err := strconv.Atoi(supervision.ProcessState(t, pid)[1])
	if err != nil {
		t.Fatal(err)
	}
	return parent
}

// Everything that can be wrong in a scan directory brings the same warnings,
// and the same supervises.
func TestSvscanDifferential(t *testing.T) {
	t.Parallel()
	const recorder = `#!/bin/sh
[ "$1" = log ] && read line; [ "$1" = log ] || echo "from $1"
echo "$* in ${PWD##*/}, $line" >>"$RECORD"
`
	dir := t.TempDir()
	long := strings.Repeat("l", 255)
	for _, d := range []string{"scan/plain", "scan/logged/log", "scan/loop", "scan/filelog", "scan/" + long + "/log", "bin", "nobin/supervise"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"bin/supervise": recorder, "scan/file": "", "scan/filelog/log": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("log", dir+"/scan/loop/log"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir+"/simple/plain", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scan, path string
		supervises int
		messages   int
	}{
		{"scan", dir + "/bin", 7, 1},
		{"simple", dir + "/nobin", 0, 1},
		{"simple", dir + "/none:" + dir, 0, 1},
		{"simple", dir + "/bin/supervise", 0, 1},
	} {
		outcomes := make(map[string]string)
		for which, bin := range bothOf(t) {
			record := filepath.Join(t.TempDir(), "record")
			svscan := supervision.Start(t, filepath.Join(dir, c.scan), []string{"PATH=" + c.path, "RECORD=" + record}, bin+"/svscan")
			var recorded []byte
			supervision.Await(t, "the first look", func() bool {
				recorded, _ = os.ReadFile(record)
				return strings.Count(string(recorded), "\n") == c.supervises && strings.Count(svscan.Stderr(t), "\n") == c.messages
			})
			svscan.Process.Kill()
			outcomes[which] = supervision.Run(t, "", "sh", "-c", "printf %s \"$1\" | sort", "sh", string(recorded)+svscan.Stderr(t)).Stdout
		}
		if outcomes["ours"] != outcomes["original"] {
			t.Errorf("%+v: got\n%s\nwant\n%s", c, outcomes["ours"], outcomes["original"])
		}
	}
}

// A scan directory that cannot be entered is the end of svscan.
func TestSvscanWithout(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"none", "/dev/null", "-x"} {
		results := make(map[string]supervision.Result)
		for which, bin := range bothOf(t) {
			results[which] = supervision.Run(t, t.TempDir(), bin+"/svscan", dir)
		}
		if results["ours"] != results["original"] {
			t.Errorf("%s: got %+v, want %+v", dir, results["ours"], results["original"])
		}
	}
}

// Beyond a thousand services, svscan says so and knows no more.
func TestSvscanLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range maxServices + 1 {
		if err := os.Mkdir(fmt.Sprintf("%s/%d", dir, i), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	svscan := supervision.Start(t, "", []string{"PATH=/none"}, ours+"/svscan", dir)
	supervision.Await(t, "the warning", func() bool {
		for _, line := range strings.Split(svscan.Stderr(t), "\n") {
			name, found := strings.CutSuffix(strings.TrimPrefix(line, "svscan: warning: unable to start "), ": running too many services")
			if _, err := strconv.Atoi(name); found && err == nil {
				return true
			}
		}
		return false
	})
}

package queue

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// complaint runs qmail-queued, which must end at once, and returns its exit
// code and what it printed.
func complaint(t *testing.T, home string, change func(*exec.Cmd)) (code int, stderr string) {
	t.Helper()
	p := prepare(t, home, "qmail-queued")
	if change != nil {
		change(p.Cmd)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(patient, func() { p.Process.Kill() })
	defer watchdog.Stop()
	p.Wait()
	return p.ProcessState.ExitCode(), p.stderr.String()
}

func TestComplaints(t *testing.T) {
	const uid = 64030
	home := newHome(t, os.Getuid())
	owned := func() string { // by another, with a queue of root
		home := newHome(t, 0)
		os.Chown(home, uid, uid)
		return home
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	running := newHome(t, os.Getuid())
	start(t, running, nil)
	socket := func(home string) string { return home + "/qmail-queue.socket" }
	mine := owned()
	for _, test := range []struct {
		name, home string
		change     func(*exec.Cmd)
		code       int
		stderr     string
	}{
		{"argument", home, func(cmd *exec.Cmd) { cmd.Args = append(cmd.Args, "x") }, 100,
			"usage: qmail-queued"},
		{"second", running, nil, 111,
			"fatal: unable to listen on " + socket(running) + ": another process serves it"},
		{"no home", "/nonexistent", nil, 111,
			"fatal: unable to listen on /nonexistent/qmail-queue.socket: file does not exist"},
		{"home of another", home, as(uid), 111,
			"fatal: unable to listen on " + socket(home) + ": access denied"},
		{"queue of another", mine, as(uid), 111,
			"fatal: unable to write " + mine + "/queue: access denied"},
		{"no unix socket", home, func(cmd *exec.Cmd) { handOver(t, cmd, tcp.(*net.TCPListener)) }, 111,
			"fatal: unable to listen on " + socket(home) + ": the socket handed over is no unix socket but " + tcp.Addr().String()},
	} {
		code, stderr := complaint(t, test.home, test.change)
		if want := "qmail-queued: " + test.stderr + "\n"; code != test.code || stderr != want {
			t.Errorf("%s: got %d %q, want %d %q", test.name, code, stderr, test.code, want)
		}
	}
	submit(t, NewClient(running), aMessage) // still served by the first
}

// handOver hands a listening socket to cmd in systemd's way.
func handOver(t *testing.T, cmd *exec.Cmd, listener interface{ File() (*os.File, error) }) {
	t.Helper()
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	path := cmd.Path
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec " + path}
	cmd.ExtraFiles = []*os.File{file}
}

func TestSocketHandedOver(t *testing.T) {
	home := newHome(t, os.Getuid())
	path := home + "/" + socketName
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := NewClient(home)
	for range 2 {
		p := start(t, home, func(cmd *exec.Cmd) { handOver(t, cmd, listener) })
		submit(t, c, aMessage)
		terminate(t, p)
	}
	if !c.present() {
		t.Error("the socket was removed")
	}
	if len(entries(t, home)) != 2 {
		t.Errorf("%d entries", len(entries(t, home)))
	}
}

// terminate stops the service in the regular way.
func terminate(t *testing.T, p *process) {
	t.Helper()
	p.Process.Signal(unix.SIGTERM)
	watchdog := time.AfterFunc(patient, func() { p.Process.Kill() })
	defer watchdog.Stop()
	if err := p.Wait(); err != nil || p.stderr.Len() > 0 {
		t.Errorf("end: %v, %q", err, p.stderr)
	}
}

func TestSocketMode(t *testing.T) {
	home := newHome(t, os.Getuid())
	os.WriteFile(home+"/"+socketName+".new", nil, 0o600)
	if err := os.WriteFile(home+"/"+socketName, nil, 0o600); err != nil { // something stale
		t.Fatal(err)
	}
	p := start(t, home, nil)
	info, err := os.Stat(home + "/" + socketName)
	if err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	terminate(t, p)
	if !absent(home + "/" + socketName) {
		t.Error("the socket is still there")
	}
}

// TERM closes idle connections and lets a submission come to its end.
func TestTermination(t *testing.T) {
	home := newHome(t, os.Getuid())
	p := start(t, home, nil)
	dialed := func() *net.UnixConn {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: home + "/" + socketName, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patient))
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	idle, busy := dialed(), dialed()
	idle.Write(append(version, inChunks...))
	if _, err := readAnswer(idle); err != nil {
		t.Fatal(err)
	}
	busy.Write(slices.Concat(version, large, inChunks[:20]))
	await(t, "the second message", func() bool { return files(t, home) == "mess mess intd todo" })
	p.Process.Signal(unix.SIGTERM)
	if n, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("idle connection: %d, %v", n, err)
	}
	busy.Write(inChunks[20:])
	if result, err := readAnswer(busy); err != nil || result.Code != 0 {
		t.Errorf("busy connection: %+v, %v", result, err)
	}
	if n, err := busy.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("busy connection afterwards: %d, %v", n, err)
	}
	terminate(t, p)
	if len(entries(t, home)) != 2 {
		t.Errorf("%d entries", len(entries(t, home)))
	}
}

func TestFailureIsLogged(t *testing.T) {
	home := newHome(t, os.Getuid())
	p := start(t, home, nil)
	os.Rename(home+"/queue/intd", home+"/queue/away")
	code, _ := runQueue(t, home, strings.Repeat("x", maxSmall), anAddress)
	os.Rename(home+"/queue/away", home+"/queue/intd")
	bad, _ := runQueue(t, home, aMessage, "X")
	good, _ := runQueue(t, home, aMessage, anAddress)
	if code != 65 || bad != 91 || good != 0 {
		t.Errorf("codes %d, %d, %d", code, bad, good)
	}
	p.Process.Signal(unix.SIGTERM)
	p.Wait()
	pid := p.Process.Pid
	lines := strings.SplitAfter(p.stderr.String(), "\n")
	if len(lines) != 3 ||
		!strings.HasPrefix(lines[0], fmt.Sprintf("qmail-queued: warning: message %d from uid %d refused with code 65: unable to open %s/queue/intd/", pid, os.Getuid(), home)) ||
		!strings.HasSuffix(lines[0], ": file does not exist\n") ||
		lines[1] != fmt.Sprintf("qmail-queued: warning: message %d from uid %d refused with code 91: malformed envelope\n", pid+1, os.Getuid()) {
		t.Errorf("log %q", lines)
	}
}

// A log reader that goes away does not end the service.
func TestLogReaderGone(t *testing.T) {
	home := newHome(t, os.Getuid())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, home, func(cmd *exec.Cmd) { cmd.Stderr = w })
	r.Close()
	w.Close()
	if code, _ := runQueue(t, home, aMessage, "X"); code != 91 { // and is logged
		t.Errorf("code %d", code)
	}
	submit(t, NewClient(home), aMessage)
	terminate(t, p)
}

// Without descriptors the service neither dies nor spins, and goes on when
// there are some again.
func TestNoDescriptors(t *testing.T) {
	home := newHome(t, os.Getuid())
	p := start(t, home, nil)
	c := NewClient(home)
	submit(t, c, aMessage) // and keeps the connection
	settle(t, home)
	large := func() int {
		s, _ := c.Begin()
		s.Write(make([]byte, maxSmall))
		return s.Commit(Envelope{"a", []string{"b"}}).Code
	}
	var old unix.Rlimit
	if err := unix.Prlimit(p.Process.Pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(p.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
	if code := large(); code != 63 {
		t.Errorf("code %d", code)
	}
	waiting := make(chan Result)
	for range 3 {
		go func() { waiting <- commit(t, NewClient(home)) }()
	}
	if code := large(); code != 63 {
		t.Errorf("code %d", code)
	}
	if err := unix.Prlimit(p.Process.Pid, unix.RLIMIT_NOFILE, &old, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if result := <-waiting; result.Code != 0 {
			t.Errorf("code %d for one that waited", result.Code)
		}
	}
	if result := commit(t, c); result.Code != 0 {
		t.Errorf("code %d afterwards", result.Code)
	}
	p.Process.Signal(unix.SIGTERM)
	p.Wait()
	if n := strings.Count(p.stderr.String(), "unable to accept connections, trying again: process cannot open more files\n"); n > 1 {
		t.Errorf("log %q", p.stderr)
	}
}

// Whenever the service is killed: what it acknowledged is in the queue once,
// what it did not acknowledge at most once.
func TestKilledUnderLoad(t *testing.T) {
	home := newHome(t, os.Getuid())
	c := NewClient(home)
	var acknowledged sync.Map
	var sent atomic.Int64
	var good atomic.Int64
	stop := make(chan struct{})
	var submitters sync.WaitGroup
	for i := range 10 {
		submitters.Add(1)
		go func() {
			defer submitters.Done()
			filler := strings.Repeat("x", i*i*2000)
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("id %d\n", sent.Add(1))
				s, _ := c.Begin()
				io.WriteString(s, id+filler)
				if result := s.Commit(Envelope{"a", []string{"b"}}); result.Code == 0 {
					acknowledged.Store(id, result.Number)
					good.Add(1)
				}
			}
		}()
	}
	for range 8 {
		p := start(t, home, nil)
		before := good.Load()
		await(t, "messages", func() bool { return good.Load() > before+5 })
		p.Process.Kill()
		p.Wait()
	}
	close(stop)
	submitters.Wait()
	start(t, home, nil)

	seen := make(map[string]int)
	for _, e := range entries(t, home) {
		_, body, _ := strings.Cut(e.message, "\n")
		id, filler, _ := strings.Cut(body, "\n")
		if strings.Trim(filler, "x") != "" || !strings.HasSuffix(e.record, "\x00Fa\x00Tb\x00") {
			t.Errorf("message %q is not whole", id)
		}
		seen[id+"\n"]++
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%q is there %d times", id, times)
		}
	}
	count := 0
	acknowledged.Range(func(id, number any) bool {
		count++
		if seen[id.(string)] != 1 {
			t.Errorf("acknowledged %q is there %d times", id, seen[id.(string)])
		}
		return true
	})
	t.Logf("%d sent, %d acknowledged, %d in the queue", sent.Load(), count, len(seen))
}

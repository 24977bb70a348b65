package tcpserver

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// startEcho runs a tcpserver with the builtin echo.
func startEcho(t *testing.T, options ...string) *process {
	t.Helper()
	return start(t, echoCommand(t, options...))
}

func echoCommand(t *testing.T, options ...string) *exec.Cmd {
	args := append([]string{"-1vHRl0"}, options...)
	return exec.Command(self(t, "tcpserver"), append(args, "127.0.0.1", "0", self(t, "echo"), "a", "b")...)
}

func TestBuiltinServes(t *testing.T) {
	p := startEcho(t)
	c := p.connect("127.0.0.1", "127.0.0.2")
	c.say("hello")
	c.hear("hello")
	c.say("args")
	c.hear("[a b]")
	c.say("id")
	c.hear("1")
	c.say("env TCPREMOTEIP")
	c.hear("127.0.0.2 true")
	c.say("env TCPLOCALHOST")
	c.hear("0 true")
	c.say("env TCPREMOTEHOST")
	c.hear(" false")
	c.say("addresses")
	c.hear(c.RemoteAddr().String() + " " + c.LocalAddr().String())
	c.say("timeout")
	c.hear("true")
	c.say("exit")
	if rest := c.all(); rest != "" {
		t.Errorf("after the end came %q", rest)
	}
	got := p.expect(`tcpserver: end .*`)
	want := []string{
		"tcpserver: status: 0/40",
		"tcpserver: status: 1/40",
		"tcpserver: pid 1 from 127.0.0.2",
		fmt.Sprintf("tcpserver: ok 1 0:127.0.0.1:%s :127.0.0.2::%s", p.port, port(c)),
		"tcpserver: end 1 status 768",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("log:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	p.expect("tcpserver: status: 0/40")
}

func port(c *client) string {
	address := c.LocalAddr().String()
	return address[strings.LastIndexByte(address, ':')+1:]
}

func TestBuiltinPanicEndsOneSession(t *testing.T) {
	p := startEcho(t)
	other := p.connect("127.0.0.1", "")
	other.say("id")
	other.hear("1")
	c := p.connect("127.0.0.1", "")
	c.say("panic")
	c.all()
	p.expect(`tcpserver: warning: dropping connection, echo 2 failed at main_test\.go:\d+: on\?request`)
	p.expect("tcpserver: end 2 status 28416")
	other.say("still here")
	other.hear("still here")
}

func TestExecIsForced(t *testing.T) {
	p := startEcho(t, "--exec")
	c := p.connect("127.0.0.1", "")
	c.say("id")
	c.hear("id") // the builtin would tell its number
}

// TestNamesakeIsRun shows that only a link to the running binary is served
// by a builtin, not every program of that name.
func TestNamesakeIsRun(t *testing.T) {
	echo, err := exec.LookPath("echo")
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, exec.Command(self(t, "tcpserver"), "-1vHRl0", "127.0.0.1", "0", echo, "a", "b"))
	if got := p.connect("127.0.0.1", "").all(); got != "a b\n" {
		t.Errorf("got %q", got)
	}
}

func TestBuiltinThatCannotStart(t *testing.T) {
	wrong := self(t, "wrong")
	out, err := exec.Command(self(t, "tcpserver"), "127.0.0.1", "0", wrong).CombinedOutput()
	want := "tcpserver: fatal: unable to run " + wrong + ": invalid argument\n"
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 111 || string(out) != want {
		t.Errorf("%q, %v; want %q, 111", out, err, want)
	}
}

func TestTermDrains(t *testing.T) {
	p := startEcho(t)
	idle := p.connect("127.0.0.1", "")
	idle.say("here")
	idle.hear("here")
	busy := p.connect("127.0.0.1", "")
	busy.say("busy")
	busy.hear("busy")
	p.signal(unix.SIGTERM)
	idle.hear("stopping")
	p.expect("tcpserver: end 1 status 1792")
	busy.say("data")
	busy.hear("done data")
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.expect("tcpserver: end 2 status 0")
}

func TestTermWaitsNoLongerThanDrain(t *testing.T) {
	t.Parallel()
	for _, drain := range []string{"0", "1"} {
		cmd := echoCommand(t)
		cmd.Env = environ("DRAIN=" + drain)
		p := start(t, cmd)
		c := p.connect("127.0.0.1", "")
		c.say("hang")
		c.hear("hanging")
		p.signal(unix.SIGTERM)
		if code := p.wait(); code != 0 {
			t.Errorf("DRAIN=%s: exit code %d", drain, code)
		}
		c.all()
		p.expect("tcpserver: warning: stopping without waiting longer than " + drain + " seconds for connections")
	}
}

func TestSecondTermStopsAtOnce(t *testing.T) {
	cmd := echoCommand(t)
	cmd.Env = environ("DRAIN=3600")
	p := start(t, cmd)
	c := p.connect("127.0.0.1", "")
	c.say("busy")
	c.hear("busy")
	idle := p.connect("127.0.0.1", "")
	p.expect("tcpserver: ok 2 .*")
	p.signal(unix.SIGTERM)
	idle.hear("stopping")
	p.signal(unix.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestAcceptRecovers(t *testing.T) {
	server := echoCommand(t)
	p := start(t, exec.Command("sh", append([]string{"-c", `ulimit -n 15; exec "$@"`, "sh"}, server.Args...)...))
	var clients []*client
	for range 20 {
		clients = append(clients, p.connect("127.0.0.1", ""))
	}
	p.expect("tcpserver: warning: unable to accept, will try again: process cannot open more files")
	for _, c := range clients {
		c.say("exit")
	}
	lines := p.expect("tcpserver: end 20 status 768")
	if n := strings.Count(strings.Join(lines, "\n"), "unable to accept"); n > 0 {
		t.Errorf("the same trouble was logged %d more times", n)
	}
	for _, c := range clients {
		c.all()
	}
}

// smallPipe returns a pipe with room for pipeSize bytes.
func smallPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		reader.Close()
		writer.Close()
	})
	if _, err := unix.FcntlInt(writer.Fd(), unix.F_SETPIPE_SZ, pipeSize); err != nil {
		t.Fatal(err)
	}
	return reader, writer
}

const pipeSize = 4096

// startOnPipe runs a tcpserver with the builtin echo, whose standard error is
// writer.
func startOnPipe(t *testing.T, writer *os.File, variables ...string) *process {
	t.Helper()
	cmd := echoCommand(t)
	cmd.Env = environ(variables...)
	cmd.Stderr = writer
	p := &process{t: t, cmd: cmd}
	p.awaitPort(p.launch())
	return p
}

// awaitFull waits until the pipe with the given reader has no room for the
// lines of another connection.
func awaitFull(t *testing.T, reader *os.File) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		n, err := unix.IoctlGetInt(int(reader.Fd()), unix.TIOCINQ)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d bytes in the pipe, %v", n, err)
		}
		if n > pipeSize-200 {
			return
		}
	}
}

// TestLogSurvivesNonBlocking shows that lines wait for a reader also where
// standard error is non-blocking and full.
func TestLogSurvivesNonBlocking(t *testing.T) {
	reader, writer := smallPipe(t)
	p := startOnPipe(t, writer)
	// Only now, since os/exec sets it blocking.
	if err := unix.SetNonblock(int(writer.Fd()), true); err != nil {
		t.Fatal(err)
	}
	const sessions = 100
	for range sessions {
		p.connect("127.0.0.1", "").say("exit")
	}
	awaitFull(t, reader)
	in := bufio.NewScanner(reader)
	ends := 0
	for ends < sessions && in.Scan() {
		if strings.HasSuffix(in.Text(), " status 768") {
			ends++
		} else if !strings.HasPrefix(in.Text(), "tcpserver: ") {
			t.Errorf("broken line %q", in.Text())
		}
	}
	if ends != sessions {
		t.Errorf("%d of %d ends in the log", ends, sessions)
	}
}

// TestTermWhileNobodyReads shows that the server stops although its log is
// stuck.
func TestTermWhileNobodyReads(t *testing.T) {
	t.Parallel()
	reader, writer := smallPipe(t)
	p := startOnPipe(t, writer, "DRAIN=1")
	for range 100 {
		p.connect("127.0.0.1", "").say("exit")
	}
	awaitFull(t, reader)
	p.signal(unix.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestStartWhileNobodyReads shows that the server is ready, and stops when it
// is told to, although its log is stuck from the start, and that nothing is
// missing from the log when it is read at last.
func TestStartWhileNobodyReads(t *testing.T) {
	t.Parallel()
	startStuck := func() (*process, *os.File) {
		reader, writer := smallPipe(t)
		if _, err := writer.WriteString(strings.Repeat(".", pipeSize-1) + "\n"); err != nil {
			t.Fatal(err)
		}
		manager, variable := listenAsManager(t)
		p := startOnPipe(t, writer, variable, "DRAIN=0")
		manager.expect("READY=1\nSTATUS=status: 0/40")
		p.connect("127.0.0.1", "").say("exit")
		return p, reader
	}
	p, reader := startStuck()
	in := bufio.NewScanner(reader)
	in.Scan() // what the pipe was filled with
	for _, want := range []string{"tcpserver: status: 0/40", "tcpserver: status: 1/40", "tcpserver: pid 1 from 127.0.0.1"} {
		if in.Scan(); in.Text() != want {
			t.Errorf("%q in the log, want %q", in.Text(), want)
		}
	}
	p.signal(unix.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("read: exit code %d", code)
	}
	p, _ = startStuck()
	p.signal(unix.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("not read: exit code %d", code)
	}
}

// TestReaderOfLogGoesAway shows that the server survives the lines that it and
// its builtin write to nobody.
func TestReaderOfLogGoesAway(t *testing.T) {
	reader, writer := smallPipe(t)
	p := startOnPipe(t, writer)
	reader.Close()
	c := p.connect("127.0.0.1", "")
	c.say("log a line")
	c.hear("logged")
	c.say("here")
	c.hear("here")
	p.connect("127.0.0.1", "").say("exit")
	p.signal(unix.SIGTERM)
	c.hear("stopping")
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestProgramsGetSIGPIPE shows that programs do not inherit that the server
// survives the signal.
func TestProgramsGetSIGPIPE(t *testing.T) {
	p := start(t, exec.Command(self(t, "tcpserver"), "-1vHRl0", "127.0.0.1", "0", "sh", "-c", "kill -s PIPE $$; echo alive"))
	if got := p.connect("127.0.0.1", "").all(); got != "" {
		t.Errorf("got %q", got)
	}
	p.expect(`tcpserver: end \d+ status 13`)
}

package tcpserver

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/internal/inet"
)

// TestIPv6 shows what a program gets of an IPv6 connection, and that the
// unspecified address of IPv6 takes IPv4 connections as such.
func TestIPv6(t *testing.T) {
	for _, test := range []struct {
		host, to, from string
		names          []string // of the variables' beginnings
	}{
		{"::1", "::1", "::1", []string{"TCP6", "TCP"}},
		{"[::1]", "::1", "::1", []string{"TCP6", "TCP"}},
		{"::", "::1", "::1", []string{"TCP6", "TCP"}},
		{"::", "127.0.0.1", "127.0.0.2", []string{"TCP"}},
		{"::ffff:127.0.0.1", "127.0.0.1", "127.0.0.2", []string{"TCP"}},
		{"localhost", "127.0.0.1", "127.0.0.2", []string{"TCP"}},
	} {
		t.Run(test.host+" "+test.to, func(t *testing.T) {
			cmd := exec.Command(self(t, "tcpserver"), "-1vHRl0", test.host, "0", self(t, "report"))
			cmd.Env = environ("TCP6REMOTEIP=liar", "TCP6REMOTEHOST=liar", "TCP6INTERFACE=liar")
			p := start(t, cmd)
			c := p.connect(test.to, test.from)
			want := "PROTO=" + test.names[0] + "\n"
			for _, name := range test.names {
				want += fmt.Sprintf("%[1]sLOCALHOST=0\n%[1]sLOCALIP=%[2]s\n%[1]sLOCALPORT=%[3]s\n%[1]sREMOTEIP=%[4]s\n%[1]sREMOTEPORT=%[5]s\n",
					name, test.to, p.port, test.from, port(c))
			}
			if got, _, _ := strings.Cut(c.all(), "nodelay"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			p.expect(`tcpserver: pid \d+ from ` + test.from)
			p.expect(fmt.Sprintf(`tcpserver: ok \d+ 0:%s:%s :%s::%s`, test.to, p.port, test.from, port(c)))
		})
	}
}

// handTo returns a command that runs args with the listening sockets, as
// systemd would.
func handTo(t *testing.T, listeners []net.Listener, args ...string) *exec.Cmd {
	t.Helper()
	script := fmt.Sprintf(`LISTEN_PID=$$ LISTEN_FDS=%d exec "$@"`, len(listeners))
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.Env = environ("LISTEN_FDNAMES=smtp:other")
	for _, l := range listeners {
		file, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	return cmd
}

func listenOn(t *testing.T, network, address string) (l net.Listener, port string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return l, port
}

// TestHandedSocket shows that a socket from systemd is served, that it stays
// open when the server stops, and that the program learns nothing of it.
func TestHandedSocket(t *testing.T) {
	l, port := listenOn(t, "tcp4", "127.0.0.1:0")
	unixSocket, _ := listenOn(t, "unix", t.TempDir()+"/socket")
	for range 2 {
		cmd := handTo(t, []net.Listener{unixSocket, l}, self(t, "tcpserver"), "-1vHRl0", "127.0.0.1", port, self(t, "report"))
		p := start(t, cmd)
		if p.port != port {
			t.Errorf("port %s, want %s", p.port, port)
		}
		got := p.connect("127.0.0.1", "").all()
		if !strings.Contains(got, "TCPLOCALPORT="+port) || strings.Contains(got, "LISTEN") || strings.Contains(got, "inherited 3") {
			t.Errorf("the program got:\n%s", got)
		}
		p.signal(15)
		if code := p.wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if log := strings.Join(p.rest(), "\n"); strings.Contains(log, "warning") {
			t.Errorf("log:\n%s", log)
		}
	}
}

// TestHandedSocketsShareTheLimit shows that each of several sockets is
// served, however many there are.
func TestHandedSocketsShareTheLimit(t *testing.T) {
	a, portA := listenOn(t, "tcp4", "127.0.0.1:0")
	b, portB := listenOn(t, "tcp", "[::]:0")
	p := start(t, handTo(t, []net.Listener{a, b}, self(t, "tcpserver"), "-1vHRl0", "-c1", "0", portB, self(t, "echo")))
	for range 3 {
		for _, port := range []string{portA, portB} {
			p.port = port
			c := p.connect("127.0.0.1", "127.0.0.9")
			c.say("env TCPREMOTEIP")
			c.hear("127.0.0.9 true")
			c.Close()
		}
	}
	first := p.connect("127.0.0.1", "")
	first.say("here")
	first.hear("here")
	p.port = portA
	second := p.connect("127.0.0.1", "")
	second.say("here")
	first.Close()
	second.hear("here")
}

func TestHandedSocketThatDoesNotFit(t *testing.T) {
	l, port := listenOn(t, "tcp4", "127.0.0.1:0")
	p := start(t, handTo(t, []net.Listener{l}, self(t, "tcpserver"), "-1HRl0", "127.0.0.2", "smtp", self(t, "cat")))
	p.expect("tcpserver: warning: serving 127.0.0.1:" + port + " that was handed over, not 127.0.0.2 port smtp as the command line says")
	c := p.connect("127.0.0.1", "")
	c.say("served")
	c.hear("served")
}

func TestHandedToAnotherProcess(t *testing.T) {
	cmd := exec.Command(self(t, "tcpserver"), "127.0.0.1", "0", "true")
	cmd.Env = environ("LISTEN_PID=1", "LISTEN_FDS=1")
	out, err := cmd.CombinedOutput()
	want := "tcpserver: fatal: unable to take sockets: sockets were handed to another process: run must exec its program\n"
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 111 || string(out) != want {
		t.Errorf("%q, %v; want %q, 111", out, err, want)
	}
}

// TestSocketActivate shows the same with systemd's own tool, which runs its
// program when the first client comes.
func TestSocketActivate(t *testing.T) {
	l, port := listenOn(t, "tcp4", "127.0.0.1:0")
	l.Close()
	cmd := exec.Command("systemd-socket-activate", "-l", "127.0.0.1:"+port,
		self(t, "tcpserver"), "-vHRl0", "127.0.0.1", port, self(t, "cat"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	p := process{t: t, port: port}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for range 2 {
		c := p.connect("127.0.0.1", "")
		c.say("served")
		c.hear("served")
	}
}

func TestFits(t *testing.T) {
	for _, test := range []struct {
		have string
		host string
		port uint16
		want bool
	}{
		{"127.0.0.1:25", "127.0.0.1", 25, true},
		{"127.0.0.1:25", "127.0.0.1", 0, true},
		{"127.0.0.1:25", "127.0.0.1", 26, false},
		{"127.0.0.1:25", "127.0.0.2", 25, false},
		{"127.0.0.1:25", "mail.example.org", 25, true},
		{"127.0.0.1:25", "0", 25, false},
		{"0.0.0.0:25", "0", 25, true},
		{"[::]:25", "0", 25, true},
		{"[::]:25", "::", 25, true},
		{"[::1]:25", "[::1]", 25, true},
		{"[::1]:25", "127.0.0.1", 25, false},
	} {
		host, known := inet.Literal(test.host)
		if got := fits(netip.MustParseAddrPort(test.have), host, known, test.port); got != test.want {
			t.Errorf("%s for %s %d: %v", test.have, test.host, test.port, got)
		}
	}
}

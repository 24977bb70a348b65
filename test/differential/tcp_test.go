package differential

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"qmail-smtpd/test/network"
)

// lastHost counts the addresses that cases have used, so that those which run
// at the same time can offer the same port.
var lastHost atomic.Uint32

// host returns an address of this namespace that no other case uses.
func host() string {
	n := lastHost.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 64+n>>16&63, n>>8&255, n&255)
}

// A client is one connection to a tcpserver.
type client struct {
	from string // its address
	says string
}

var clients = []string{"127.0.1.1", "127.0.1.2", "127.0.2.1", "127.1.0.1", identClients[0], identClients[1], identClients[2], identClients[3]}

// identClients are addresses with an ident service each, of identAnswers.
var identClients = []string{"127.0.3.0", "127.0.3.1", "127.0.3.2", "127.0.3.3"}

var identAnswers = []string{"1,2:USERID:UNIX:info\r\n", "1 , 2 : USERID : UNIX : a\tb:c%\r\n", "1,2:ERROR:NO-USER\r\n", "1,2:USERID:UNIX:no line"}

var serveIdent = sync.OnceValue(func() error {
	for i, ip := range identClients {
		if _, _, err := network.ListenIdent(ip, identAnswers[i]); err != nil {
			return err
		}
	}
	return nil
})

func TestTcpserver(t *testing.T) {
	original := sides(t)[0]
	if err := serveIdent(); err != nil {
		t.Fatal(err)
	}
	fuzz(t, func(r *rand.Rand) Case {
		at := host()
		c := Case{Args: []string{"tcpserver", "-1"}, Env: some(r, "TCPREMOTEHOST=old", "TCPREMOTEINFO=old", "TCPLOCALHOST=old", "PROTO=x"),
			Normal: func(o *Outcome) { served(o, at) }}
		flags := []string{"-v", "-q", "-Q", "-R", "-l0", "-lname", "-D", "-d", "-O", "-o", "-P", "-p", "-p", "-X", "-h", "-H", "-r", "-t2", "-c1", "-c3", "-b5",
			"-Bhello", "-u65534", "-g65534", "-xrules.cdb", "-xmissing.cdb", "-U"}
		for range r.IntN(7) {
			c.Args = append(c.Args, pick(r, flags...))
		}
		if r.IntN(3) > 0 {
			c.Args = append(c.Args, "-v")
		}
		c.Args = append(c.Args, pick(r, nil, []string{"-H"}, []string{"-R"}, []string{"-HR"})...)
		c.Args = append(c.Args, pick(r, nil, []string{"-l0"}, []string{"-lmail.example.org"}, []string{"-la:b%"})...)
		if r.IntN(40) == 0 {
			c.Args = append(c.Args, pick(r, "-z", "-c", "-x"))
		}
		c.Args = append(c.Args, pick(r, at, at, at, at, at, at, at, "server.example.org", "192.0.2.1"), pick(r, "0", "0", "0", "0", "0", "0", "0", "0", "0", "nosuchport"))
		c.Args = append(c.Args, pick(r, []string{"env", "-0"}, []string{"env", "-0"}, []string{"cat"}, []string{"sh", "-c", "cat; exit 3"},
			[]string{"sh", "-c", "echo out; sleep 0.05; echo err >&2; kill -9 $$"}, []string{"missing"}, []string{"./missing"}, []string{"id"}, nil,
			[]string{"rblsmtpd", "-rlist.example", "cat"})...)
		if rules := ruleText(r, 100); r.IntN(2) == 0 {
			rules = "127.0.1.1:deny\n127.0.2.:allow,A=\"1\",TCPREMOTEIP=\"9.9.9.9\",PATH2=\"x\"\n" + rules
			c.Files = append(c.Files, File{Path: "rules.cdb", Mode: 0o644, Content: string(compiled(t, original, rules))})
		}
		var connections []client
		for range 1 + r.IntN(3) {
			connections = append(connections, client{pick(r, clients...), text(r, 5, lineEnds...)})
		}
		c.Run = func(ctx context.Context, cmd *exec.Cmd, _ string) (string, error) {
			return serve(ctx, cmd, at, connections)
		}
		if r.IntN(4) == 0 {
			c.Env = append(c.Env, pick(r, "DNSCACHEIP=", "DNSCACHEIP=127.0.0.1."+resolver))
		} else {
			names := host()
			z := zone(r, append(clients, at))
			z["server.example.org"] = pick(r, nil, []string{at}, []string{at}, []string{"::1", at})
			for _, from := range clients {
				z[network.Reverse(from)[:len(from)]+".list.example"] = pick(r, nil, []string{`"listed`}, []string{"127.0.0.2"})
			}
			c.Env = append(c.Env, "DNSCACHEIP="+names)
			c.Run = withNames(names, z, c.Run)
		}
		return c
	})
}

// serve runs a tcpserver until all connections have been served, and tells
// what they got.
func serve(ctx context.Context, cmd *exec.Cmd, at string, connections []client) (string, error) {
	cmd.Stdout = nil
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	log := &watchedBuffer{to: cmd.Stderr}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return "", err
	}
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "no port", cmd.Wait()
	}
	port = strings.TrimSpace(port)
	var observed strings.Builder
	for i, c := range connections {
		got, err := c.connect(net.JoinHostPort(at, port))
		fmt.Fprintf(&observed, "%s: %q %v\n", c.from, got, err)
		if verbose := bytes.Contains(log.bytes(), []byte("tcpserver: status: ")); verbose {
			log.await(ctx, func(text []byte) bool { return bytes.Count(text, []byte("tcpserver: status: ")) >= 2*i+3 })
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	err = cmd.Wait()
	return observed.String(), err
}

// connect sends what the client says, and returns what it hears until the
// other side closes.
func (c client) connect(to string) (string, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}, Timeout: limit}
	conn, err := dialer.Dial("tcp4", to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	io.WriteString(conn, c.says)
	conn.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(conn)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil // the other side did not read all: a matter of time
	}
	return string(got), err
}

var (
	connection = regexp.MustCompile(`(?m)(^tcpserver: (?:pid|ok|deny|end)|^rblsmtpd: \S+ pid) [0-9]+`)
	lastPort   = regexp.MustCompile(`(?m)^(tcpserver: (?:ok|deny) .*:)[0-9]+$`)
	portWord   = regexp.MustCompile(`(TCP(?:LOCAL|REMOTE)PORT=)[0-9]+`)
)

// served takes pids, ports and the address out of what a tcpserver did, and
// the order of the environment, which the original permutes.
func served(o *Outcome, at string) {
	replace := func(text string) string {
		text = connection.ReplaceAllString(text, "$1 PID")
		text = lastPort.ReplaceAllString(text, "${1}PORT")
		text = regexp.MustCompile(regexp.QuoteMeta(at)+`:[0-9]+`).ReplaceAllString(text, "ADDRESS:PORT")
		text = portWord.ReplaceAllString(text, "${1}PORT")
		return strings.ReplaceAll(text, at, "ADDRESS")
	}
	o.Stderr = replace(o.Stderr)
	var lines []string
	for _, line := range strings.Split(replace(o.Observed), "\n") {
		if strings.Contains(line, `\x00`) {
			line = sorted(strings.ReplaceAll(line, `"`, `\x00`), `\x00`)
		}
		lines = append(lines, line)
	}
	o.Observed = strings.Join(lines, "\n")
}

// A watchedBuffer passes on what is written, and lets others wait for it.
type watchedBuffer struct {
	to io.Writer

	mu      sync.Mutex
	text    []byte
	changed chan struct{}
}

func (b *watchedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	return b.to.Write(p)
}

func (b *watchedBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.text)
}

func (b *watchedBuffer) await(ctx context.Context, done func(text []byte) bool) {
	for {
		b.mu.Lock()
		if done(b.text) {
			b.mu.Unlock()
			return
		}
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// A server is what a client meets.
type server struct {
	port  string
	first int    // how many bytes it reads first
	says  string // then
	reads bool   // to the end, before it closes
}

// TestTcpclient has tcpclient meet servers of all kinds.
func TestTcpclient(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		c := Case{Args: []string{"tcpclient"}, Env: some(r, "TCPREMOTEHOST=old", "TCPREMOTEINFO=old", "TCPLOCALHOST=old", "PROTO=x")}
		for range r.IntN(5) {
			c.Args = append(c.Args, pick(r, "-v", "-q", "-Q", "-r", "-R", "-d", "-D", "-h", "-H", "-i127.0.1.1", "-lname", "-t1", "-T1", "-T1+1"))
		}
		c.Args = append(c.Args, pick(r, nil, []string{"-H"}, []string{"-R"}, []string{"-HR"})...)
		c.Args = append(c.Args, pick(r, nil, []string{"-l0"}, []string{"-llocal"})...)
		if r.IntN(40) == 0 {
			c.Args = append(c.Args, pick(r, "-z", "-T", "-ix"))
		}
		s := server{port: "7000", says: text(r, 5, lineEnds...), reads: r.IntN(3) > 0}
		c.Excused = func(original, ours Outcome) bool { // it may have sent all before the server closed, or not
			return !s.reads && strings.Contains(original.Stderr+ours.Stderr, "Connection reset by peer")
		}
		at := host()
		c.Args = append(c.Args, pick(r, at, at, at, at, at, at, "server.example.org", "127.0.0.1", "192.0.2.1"), pick(r, s.port, s.port, s.port, s.port, s.port, "7001", "nosuchport"))
		c.Args = append(c.Args, pick(r, []string{"sh", "-c", "env -0; cat <&6; printf 'bye\\n' >&7"}, []string{"sh", "-c", "cat >&7; exec 7>&-; cat <&6"},
			[]string{"sh", "-c", "exit 4"}, []string{"missing"}, []string{"./missing"}, nil)...)
		c.Stdin = text(r, 10, lineEnds...)
		c.Run = func(ctx context.Context, cmd *exec.Cmd, _ string) (string, error) {
			return meet(cmd, at, s)
		}
		if r.IntN(4) == 0 {
			c.Env = append(c.Env, "DNSCACHEIP=")
		} else {
			names := host()
			z := zone(r, []string{at, "127.0.0.1", "127.0.1.1"})
			z["server.example.org"] = pick(r, nil, []string{at}, []string{at}, []string{"127.0.1.9"}, []string{`"text`})
			c.Env = append(c.Env, "DNSCACHEIP="+names)
			c.Run = withNames(names, z, c.Run)
		}
		c.Normal = func(o *Outcome) {
			environment(o)
			o.Stdout = strings.ReplaceAll(portWord.ReplaceAllString(o.Stdout, "${1}PORT"), at, "ADDRESS")
			o.Stderr = strings.ReplaceAll(o.Stderr, at, "ADDRESS")
		}
		return c
	})
}

// listen opens a socket where another was: a process that was being started
// then may have that one still open.
func listen(open func() error) (err error) {
	for range 100 {
		if err = open(); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// meet runs a client while a server waits for it, and tells what the server
// got from each connection.
func meet(cmd *exec.Cmd, at string, s server) (string, error) {
	var listener net.Listener
	err := listen(func() (err error) {
		listener, err = net.Listen("tcp4", net.JoinHostPort(at, s.port))
		return err
	})
	if err != nil {
		return "", err
	}
	var observed strings.Builder
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(limit))
			got := make([]byte, s.first)
			io.ReadFull(conn, got)
			io.WriteString(conn, s.says)
			if s.reads {
				conn.(*net.TCPConn).CloseWrite()
				rest, _ := io.ReadAll(conn)
				got = append(got, rest...)
			}
			conn.Close()
			fmt.Fprintf(&observed, "%q\n", got)
		}
	}()
	err = cmd.Run()
	listener.Close()
	<-ended
	return observed.String(), err
}

// TestRblsmtpd has rblsmtpd obey RBLSMTPD, and lists that have a client or
// not, or cannot be asked.
func TestRblsmtpd(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		lines := []string{"HELO x\r\n", "ehlo\n", "MAIL FROM:<>\r\n", "rcpt to:<a@b>\n", "DATA\r\n", "NOOP\n", "rset x\r\n", "VRFY\n", "QUIT\r\n", "\r\n", "x\x00y\n", "quit", " quit\n", "HELOx\r\n"}
		c := Case{Args: []string{"rblsmtpd"}, Stdin: text(r, 12, lines...), Files: childFiles(), Normal: func(o *Outcome) {
			environment(o)
			o.Stderr = regexp.MustCompile(`pid [0-9]+`).ReplaceAllString(o.Stderr, "pid PID")
		}}
		// Of a name server that fails, the original asks for a minute; a name
		// that is none fails at once.
		lists := []string{"-rone.example", "-atwo.example", "-rthree.example.", "-r.four..example", "-aone.example", "-r" + strings.Repeat("x", 64), "-a" + strings.Repeat("x", 64)}
		for range r.IntN(6) {
			c.Args = append(c.Args, pick(r, append(lists, "-b", "-B", "-c", "-C", "-t0", "-t5", "-t60")...))
		}
		if r.IntN(20) == 0 {
			c.Args = append(c.Args, pick(r, "-t", "-z", "-R", "-r"))
		}
		if r.IntN(3) == 0 {
			c.Env = append(c.Env, "RBLSMTPD="+word(r, 3, "-", "", "text", "Go away", "\x01\xff", " ", strings.Repeat("long", 60)))
		}
		c.Env = append(c.Env, some(r, "TCPREMOTEIP="+pick(r, "1.2.3.4", "1.2.3.4", "1.2.3.4", "", "x", "1.2.3"))...)
		c.Args = append(c.Args, pick(r, []string{"sh", "-c", "cat; exit 3"}, []string{"cat"}, []string{"cat"}, []string{"./missing"}, nil)...)
		c.Run = func(_ context.Context, cmd *exec.Cmd, _ string) (string, error) { return "", cmd.Run() }
		if r.IntN(4) == 0 {
			c.Env = append(c.Env, "DNSCACHEIP=")
			return c
		}
		names, z := host(), network.Zone{}
		for _, list := range []string{"one.example", "two.example", "three.example", "four.example"} {
			entry := [][]string{nil, {`"`}, {`"Blocked "`}, {`"one "two`, `"three`}, {"127.0.0.2"}, {`"both`, "127.0.0.2", "127.0.0.3"},
				{`"` + strings.Repeat("long ", 50)}, {"\"\x01\x7f\xff\r\n"}, {"::1"}, {"= alias.example"}}
			if what := entry[r.IntN(len(entry))]; r.IntN(4) > 0 {
				z[pick(r, "4.3.2.1.", "4.3.2.1.", "4.3.2.1.", "3.2.1.", "x.", "")+list] = what
			}
		}
		z["alias.example"] = pick(r, nil, []string{`"alias`}, []string{"127.0.0.9"})
		c.Env = append(c.Env, "DNSCACHEIP="+names)
		run := withNames(names, z, c.Run)
		c.Run = func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
			_, err := run(ctx, cmd, dir)
			return "", err // ours asks all lists, the original those before the first that has an answer
		}
		return c
	})
}

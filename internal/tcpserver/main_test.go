package tcpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/ucspi"
)

// TestMain lets the test binary be other programs too, by the name of a link
// to it: tcpserver with builtins made for the tests, and programs that it
// starts for connections.
func TestMain(m *testing.M) {
	table := command.Table{
		"tcpserver": Command(map[string]ucspi.Builtin{
			"echo":  func(args []string) (ucspi.Handler, error) { return echo{args[1:]}, nil },
			"wrong": func(args []string) (ucspi.Handler, error) { return nil, unix.EINVAL },
		}, map[string]ucspi.Filter{
			"through": func(args []string, next ucspi.Builtin) (ucspi.Handler, error) {
				program, err := next(args[1:])
				return struct{ ucspi.Handler }{program}, err
			},
		}),
		"echo":      cat,
		"report":    report,
		"ipoptions": ipOptions,
		"cat":       cat,
	}
	if body, ok := table[filepath.Base(os.Args[0])]; ok {
		os.Exit(body(os.Args))
	}
	os.Exit(m.Run())
}

// self returns a link to the test binary by the given name.
func self(t testing.TB, name string) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(binary, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// cat is a program that copies its connection to itself.
func cat([]string) int {
	io.Copy(os.Stdout, os.Stdin)
	return 0
}

// report tells its connection what a program gets from the server.
func report(args []string) int {
	var lines []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.Contains(name, "TCP") || strings.Contains(name, "PROTO") || strings.HasPrefix(name, "X_") ||
			strings.Contains(name, "LISTEN") || strings.Contains(name, "NOTIFY") || strings.Contains(name, "LIMITS") {
			lines = append(lines, entry)
		}
	}
	slices.Sort(lines)
	noDelay, err := unix.GetsockoptInt(0, unix.IPPROTO_TCP, unix.TCP_NODELAY)
	lines = append(lines, fmt.Sprint("nodelay ", noDelay, err))
	for fd := range 2 {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		lines = append(lines, fmt.Sprint("nonblocking ", flags&unix.O_NONBLOCK != 0, err))
	}
	for fd := 3; fd < 20; fd++ {
		// What the Go runtime opens is close-on-exec.
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			lines = append(lines, fmt.Sprint("inherited ", fd))
		}
	}
	dir, err := os.Getwd()
	lines = append(lines, fmt.Sprint("directory ", dir, err), fmt.Sprint("args ", args[1:]))
	fmt.Println(strings.Join(lines, "\n"))
	return 0
}

// echo is a builtin that does what the lines of its client say.
type echo struct{ args []string }

func (e echo) Serve(ctx context.Context, c *ucspi.Conn) int {
	busy := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Now()) })
	defer busy()
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if ctx.Err() != nil {
			fmt.Fprintln(c, "stopping")
			return 7
		}
		if err != nil {
			return 0
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "args":
			fmt.Fprintln(c, e.args)
		case "env":
			value, ok := c.Env.Lookup(rest)
			fmt.Fprintln(c, value, ok)
		case "log":
			fmt.Fprintln(os.Stderr, rest)
			fmt.Fprintln(c, "logged")
		case "id":
			fmt.Fprintln(c, c.ID)
		case "addresses":
			fmt.Fprintln(c, c.LocalAddr(), c.RemoteAddr())
		case "exit":
			return 3
		case "panic":
			panic("on\nrequest")
		case "timeout":
			c.SetReadDeadline(time.Now())
			_, err := in.ReadByte()
			fault, ok := err.(net.Error)
			fmt.Fprintln(c, ok && fault.Timeout())
			c.SetReadDeadline(time.Time{})
		case "hang":
			fmt.Fprintln(c, "hanging")
			<-ctx.Done()
			select {}
		case "busy": // a transfer that outlasts the order to stop
			busy()
			fmt.Fprintln(c, "busy")
			<-ctx.Done()
			line, _ := in.ReadString('\n')
			fmt.Fprint(c, "done "+line)
			return 0
		default:
			fmt.Fprint(c, line)
		}
	}
}

func (e echo) Busy() string { return "busy" }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// A process is a running tcpserver.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	port  string
	lines chan string   // of standard error
	ended chan struct{} // closed when it ended, with cmd.ProcessState set
}

// start runs cmd, a tcpserver with the option -1, with its log at p.lines.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	stderr, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = writer
	p := &process{t: t, cmd: cmd, lines: make(chan string, 1<<16)}
	go func() {
		defer close(p.lines)
		defer stderr.Close()
		in := bufio.NewScanner(stderr)
		for in.Scan() {
			p.lines <- in.Text()
		}
	}()
	stdout := p.launch()
	writer.Close()
	p.awaitPort(stdout)
	return p
}

// launch runs the command and returns its standard output.
func (p *process) launch() io.Reader {
	p.t.Helper()
	stdout, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return stdout
}

// awaitPort reads the port that the command prints and sees to its end.
func (p *process) awaitPort(stdout io.Reader) {
	p.t.Helper()
	p.ended = make(chan struct{})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	p.port = strings.TrimSpace(port)
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	p.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
	})
	if err != nil {
		p.t.Fatalf("%s printed no port: %v\n%s", p.cmd.Args, err, strings.Join(p.rest(), "\n"))
	}
}

// expect reads lines of the log until one matches pattern and returns those
// that it read.
func (p *process) expect(pattern string) []string {
	p.t.Helper()
	expression := regexp.MustCompile("^(?:" + pattern + ")$")
	timeout := time.After(patience)
	var read []string
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the log ended without %q:\n%s", pattern, strings.Join(read, "\n"))
			}
			read = append(read, line)
			if expression.MatchString(line) {
				return read
			}
		case <-timeout:
			p.t.Fatalf("no %q in the log:\n%s", pattern, strings.Join(read, "\n"))
		}
	}
}

// rest returns the lines of the log up to its end.
func (p *process) rest() []string {
	p.t.Helper()
	var read []string
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return read
			}
			read = append(read, line)
		case <-timeout:
			p.t.Fatalf("the log does not end:\n%s", strings.Join(read, "\n"))
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", p.cmd.Args)
	}
	return p.cmd.ProcessState.ExitCode()
}

// A client is a connection to a server under test.
type client struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

// connect connects to a server at ip from another address, or from any.
func (p *process) connect(ip, from string) *client {
	p.t.Helper()
	dialer := net.Dialer{Timeout: patience}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := dialer.Dial("tcp", net.JoinHostPort(ip, p.port))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{conn, p.t, bufio.NewReader(conn)}
}

func (c *client) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads a line and checks it.
func (c *client) hear(want string) {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if got := strings.TrimSuffix(line, "\n"); err != nil || got != want {
		c.t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

// all reads to the end; a reset is an end.
func (c *client) all() string {
	b, _ := io.ReadAll(c.in)
	return string(b)
}

func environ(variables ...string) []string {
	return append(os.Environ(), variables...)
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

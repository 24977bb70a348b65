package tcpclient

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/test/network"
	"qmail-smtpd/test/programs"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

var commands = command.Table{
	"date@":       Date,
	"finger@":     Finger,
	"http@":       HTTP,
	"mconnect":    Mconnect,
	"mconnect-io": MconnectIO,
	"tcpcat":      TCPCat,
	"tcpclient":   TCPClient,
	"who@":        Who,
	"report":      report,
}

// ours is a directory that holds our commands, and report.
var ours string

// TestMain makes the test binary all our commands, under their names.
func TestMain(m *testing.M) {
	if body, ok := commands[filepath.Base(os.Args[0])]; ok {
		os.Exit(body(os.Args))
	}
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" {
		flag.Set("test.parallel", "20") // they wait for seconds to pass, not for processors
	}
	code := 1
	if err := install(); err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	os.RemoveAll(ours)
	os.Exit(code)
}

func install() (err error) {
	if ours, err = os.MkdirTemp("", "tcpclient"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for name := range commands {
		if err := os.Symlink(self, filepath.Join(ours, name)); err != nil {
			return err
		}
	}
	return nil
}

// report is a program for tcpclient: it prints its arguments, its environment,
// what it has at descriptors 6 and 7, and what comes from there.
func report(args []string) int {
	fmt.Printf("%q\n", args[1:])
	for _, entry := range os.Environ() {
		fmt.Println(entry)
	}
	read, write := new(unix.Stat_t), new(unix.Stat_t)
	fmt.Println(unix.Fstat(readDescriptor, read), unix.Fstat(writeDescriptor, write), read.Ino == write.Ino)
	noDelay, err := unix.GetsockoptInt(writeDescriptor, unix.IPPROTO_TCP, unix.TCP_NODELAY)
	fmt.Println("nodelay", noDelay != 0, err)
	flags, err := unix.FcntlInt(readDescriptor, unix.F_GETFL, 0)
	fmt.Println("nonblocking", flags&unix.O_NONBLOCK != 0, err)
	io.Copy(os.Stdout, os.NewFile(readDescriptor, "network"))
	return 7
}

// both returns the directories of the originals and of ours.
func both(t testing.TB) map[string]string {
	t.Helper()
	return map[string]string{"original": programs.Originals(t), "ours": ours}
}

// run runs a program to its end and returns what it printed, on both outputs,
// and its exit code.
func run(t testing.TB, env []string, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = env
	cmd.Stdin = strings.NewReader(input)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s[%d]", output.String(), cmd.ProcessState.ExitCode())
}

// A server greets its clients, hears them, and ends.
type server struct {
	ip, port string
	heard    chan string // what a client sent
}

// serve starts a server at ip, or at an address of its own where that is
// empty. It greets, reads until it has what ends with last, or to the end if
// that is empty, and says goodbye.
func serve(t testing.TB, ip, greeting, last, goodbye string) *server {
	t.Helper()
	if ip == "" {
		ip = network.Loopback()
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	s := &server{ip: ip, port: port, heard: make(chan string, 100)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, greeting)
			if last == "" {
				conn.Close()
				continue
			}
			var text []byte
			for buf := make([]byte, 4096); !bytes.HasSuffix(text, []byte(last)); {
				n, err := conn.Read(buf)
				text = append(text, buf[:n]...)
				if err != nil {
					text = append(text, err.Error()...)
					break
				}
			}
			io.WriteString(conn, goodbye)
			conn.Close()
			s.heard <- string(text)
		}
	}()
	return s
}

// hear returns what the next client sent.
func (s *server) hear(t testing.TB) string {
	t.Helper()
	select {
	case text := <-s.heard:
		return text
	case <-time.After(patience):
		t.Fatal("no client was heard")
		return ""
	}
}

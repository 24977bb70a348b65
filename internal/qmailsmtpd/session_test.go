package qmailsmtpd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/ucspi"
	"qmail-smtpd/test/programs"
)

const (
	greeting    = "220 mail.example.org ESMTP\r\n"
	transaction = "mail from:<a@b.org>\r\nrcpt to:<me@example.org>\r\ndata\r\n"
	goAhead     = "250 ok\r\n250 ok\r\n354 go ahead\r\n"
)

func files(pairs ...string) map[string]*string {
	m := map[string]*string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &pairs[i+1]
	}
	return m
}

// A served client is on a connection to the built-in form.
type served struct {
	*net.TCPConn
	replies *bufio.Reader
	exit    chan int
	log     *bytes.Buffer // to be read after exit
	stop    context.CancelFunc
}

// serve begins a session of the built-in form.
func (tr *trial) serve(t testing.TB) *served {
	t.Helper()
	client, conn := connection(t)
	client.SetDeadline(time.Now().Add(30 * time.Second))
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	s := &served{client, bufio.NewReader(client), make(chan int, 1), new(bytes.Buffer), stop}
	go func() {
		exit := builtin{tr.server(s.log)}.Serve(ctx, &ucspi.Conn{Conn: conn, Env: ucspi.NewEnv(tr.env), ID: 17})
		conn.Close()
		s.exit <- exit
	}()
	return s
}

// expect reads exactly text from the server.
func (s *served) expect(t *testing.T, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(s.replies, got); err != nil || string(got) != text {
		t.Fatalf("got %q and %v, want %q", got[:n], err, text)
	}
}

// ends reads the rest, which must be text, and the exit code.
func (s *served) ends(t *testing.T, text string, exit int) {
	t.Helper()
	rest, err := io.ReadAll(s.replies)
	if err != nil || string(rest) != text {
		t.Errorf("got %q and %v, want %q", rest, err, text)
	}
	if got := <-s.exit; got != exit {
		t.Errorf("exit code %d, want %d", got, exit)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, files("timeoutsmtpd", "1\n"), nil, nil)
	t.Run("command", func(t *testing.T) {
		s := tr.serve(t)
		io.WriteString(s, "helo dude\r\n")
		s.expect(t, greeting+"250 mail.example.org\r\n")
		start := time.Now()
		s.ends(t, "451 timeout (#4.4.2)\r\n", 1)
		if waited := time.Since(start); waited < 900*time.Millisecond {
			t.Errorf("after %v", waited)
		}
		if want := "cause=timeout phase=command "; !strings.Contains(s.log.String(), want) {
			t.Errorf("log %q without %q", s.log, want)
		}
	})
	t.Run("data", func(t *testing.T) {
		s := tr.serve(t)
		io.WriteString(s, transaction+"ab\r\n")
		s.ends(t, greeting+goAhead+"451 timeout (#4.4.2)\r\n", 1)
		if queued := tr.queued(t); len(queued) != 1 || queued[0][1] != "" {
			t.Errorf("queued %q", queued)
		}
		if want := "cause=timeout phase=data "; !strings.Contains(s.log.String(), want) {
			t.Errorf("log %q without %q", s.log, want)
		}
	})
}

// The program waits on whatever its descriptors are.
func TestTimeoutOfProgram(t *testing.T) {
	t.Parallel()
	program := filepath.Join(programs.Ours(t), "qmail-smtpd")
	tr := newTrial(t, files("timeoutsmtpd", "1\n"), nil, nil)
	for name, open := range map[string]func(*testing.T) (theirs, ours *os.File){
		"pipe": nil, "socket": socketPair, "terminal": terminal,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(program)
			cmd.Env = tr.env
			var replies io.Reader
			var theirs *os.File
			var err error
			if open == nil {
				stdin, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer stdin.Close()
				if replies, err = cmd.StdoutPipe(); err != nil {
					t.Fatal(err)
				}
			} else {
				var ours *os.File
				theirs, ours = open(t)
				defer ours.Close()
				cmd.Stdin, cmd.Stdout = theirs, theirs
				replies = ours
			}
			if err = cmd.Start(); err != nil {
				t.Fatal(err)
			}
			theirs.Close()
			timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
			defer timer.Stop()
			want := greeting + "451 timeout (#4.4.2)\r\n"
			got := make([]byte, len(want))
			n, err := io.ReadFull(replies, got)
			if err != nil || string(got) != want {
				t.Errorf("got %q and %v, want %q", got[:n], err, want)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func socketPair(t *testing.T) (theirs, ours *os.File) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "theirs"), os.NewFile(uintptr(fds[1]), "ours")
}

func terminal(t *testing.T) (theirs, ours *os.File) {
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	raw.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, raw); err != nil {
		t.Fatal(err)
	}
	return theirs, ours
}

func TestStopping(t *testing.T) {
	t.Parallel()
	const closing = "421 mail.example.org closing, try again (#4.3.2)\r\n"
	tr := newTrial(t, nil, nil, nil)
	t.Run("idle", func(t *testing.T) {
		s := tr.serve(t)
		s.expect(t, greeting)
		s.stop()
		s.ends(t, closing, 1)
		if want := "cause=stopping phase=command "; !strings.Contains(s.log.String(), want) {
			t.Errorf("log %q without %q", s.log, want)
		}
	})
	t.Run("transaction", func(t *testing.T) {
		s := tr.serve(t)
		io.WriteString(s, "mail from:<a@b.org>\r\nnoop\r\n")
		s.expect(t, greeting+"250 ok\r\n250 ok\r\n")
		s.stop()
		s.ends(t, closing, 1)
	})
	t.Run("message", func(t *testing.T) {
		s := tr.serve(t)
		io.WriteString(s, transaction+"one\r\n")
		s.expect(t, greeting+goAhead)
		s.stop()
		io.WriteString(s, "two\r\n.\r\n")
		s.expect(t, "250 ok 1112493660 qp ")
		if number, err := s.replies.ReadString('\n'); err != nil || !strings.HasSuffix(number, "\r\n") {
			t.Errorf("%q, %v", number, err)
		}
		s.ends(t, closing, 1)
		queued := tr.queued(t)
		if len(queued) != 1 || !strings.HasSuffix(queued[0][0], "\none\ntwo\n") || queued[0][1] != "Fa@b.org\x00Tme@example.org\x00\x00" {
			t.Errorf("queued %q", queued)
		}
	})
}

func TestControlsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	const refused = "421 unable to read controls (#4.3.0)\r\n"
	names := []string{"me", "smtpgreeting", "localiphost", "timeoutsmtpd", "rcpthosts", "morercpthosts.cdb", "badmailfrom", "databytes"}
	t.Run("directory", func(t *testing.T) {
		for _, name := range names {
			if name == "morercpthosts.cdb" {
				continue // a directory can be opened; it shows when it is looked into
			}
			tr := newTrial(t, files(name, ""), nil, nil)
			path := filepath.Join(tr.home, "control", name)
			os.Remove(path)
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
			s := tr.serve(t)
			s.ends(t, refused, 1)
			if want := "qmail-smtpd: warning: unable to read " + path + ": is a directory\nqmail-smtpd: 17 end ip=192.0.2.9 helo= cause=local-error phase=command "; !strings.HasPrefix(s.log.String(), want) {
				t.Errorf("log %q, want %q", s.log, want)
			}
		}
	})
	t.Run("mode", func(t *testing.T) {
		for _, name := range names {
			tr := newTrial(t, files(name, "1\n"), nil, nil)
			if err := os.Chmod(filepath.Join(tr.home, "control", name), 0); err != nil {
				t.Fatal(err)
			}
			if out, exit := tr.asNobody(t, "quit\r\n"); out != refused || exit != 1 {
				t.Errorf("%s: %q, exit code %d", name, out, exit)
			}
		}
	})
	t.Run("no home", func(t *testing.T) {
		tr := newTrial(t, nil, nil, nil)
		if err := os.RemoveAll(tr.home); err != nil {
			t.Fatal(err)
		}
		s := tr.serve(t)
		s.ends(t, refused, 1)
	})
	t.Run("corrupt", func(t *testing.T) {
		tr := newTrial(t, files("morercpthosts.cdb", "garbage"), nil, nil)
		s := tr.serve(t)
		io.WriteString(s, "mail from:<>\r\nrcpt to:<me@example.org>\r\nrcpt to:<a@other.test>\r\nquit\r\n")
		s.ends(t, greeting+"250 ok\r\n250 ok\r\n"+refused, 1)
		if want := "qmail-smtpd: warning: unable to read " + tr.home + "/control/morercpthosts.cdb: protocol error\n"; !strings.HasPrefix(s.log.String(), want) {
			t.Errorf("log %q, want %q", s.log, want)
		}
	})
}

// asNobody runs the program with the rights of no one.
func (tr *trial) asNobody(t *testing.T, in string) (out string, exit int) {
	t.Helper()
	// Neither the trial nor the source tree need be open to others.
	for dir := tr.home; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(filepath.Join(programs.Ours(t), "qmail-smtpd"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(tr.home, "qmail-smtpd")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	var replies bytes.Buffer
	cmd := exec.Command(path)
	cmd.Env, cmd.Stdin, cmd.Stdout = tr.env, strings.NewReader(in), &replies
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return replies.String(), cmd.ProcessState.ExitCode()
}

// Where descriptor 2 is the client's, the client gets no log lines.
func TestLogIsNotForTheClient(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, map[string]*string{"rcpthosts": nil}, nil, nil)
	theirs, ours := socketPair(t)
	defer ours.Close()
	cmd := exec.Command(filepath.Join(programs.Ours(t), "qmail-smtpd"))
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = tr.env, theirs, theirs, theirs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	io.WriteString(ours, "quit\r\n")
	out, _ := io.ReadAll(ours)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if want := greeting + "221 mail.example.org\r\n"; string(out) != want {
		t.Errorf("%q, want %q", out, want)
	}
}

func TestOpenRelayIsWarnedOf(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, map[string]*string{"rcpthosts": nil}, nil, nil)
	var log bytes.Buffer
	s := newServer(tr.home, &log)
	path := filepath.Join(tr.home, "control/rcpthosts")
	for _, present := range []bool{false, false, true, false, false} {
		if present {
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		} else {
			os.Remove(path)
		}
		if _, err := s.config(); err != nil {
			t.Fatal(err)
		}
	}
	const warning = "qmail-smtpd: warning: no control/rcpthosts: mail for every domain is accepted\n"
	if got, want := log.String(), warning+warning; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

// An idle session costs little: buffers, goroutine and connection.
func TestIdleSessionsAreSmall(t *testing.T) {
	const sessions = 500
	tr := newTrial(t, nil, nil, map[string]string{"QMAILQUEUE": "/nonexistent"})
	server := builtin{tr.server(io.Discard)}
	env := ucspi.NewEnv(tr.env)
	ctx, stop := context.WithCancel(context.Background())
	before := memory()
	var clients []*net.TCPConn
	var done sync.WaitGroup
	for range sessions {
		client, conn := connection(t)
		clients = append(clients, client)
		done.Add(1)
		go func() {
			defer done.Done()
			server.Serve(ctx, &ucspi.Conn{Conn: conn, Env: env, ID: 1})
		}()
	}
	// Each has transferred a message, in a large buffer.
	for _, client := range clients {
		io.WriteString(client, "ehlo client.example.com\r\n"+transaction+"x\r\n.\r\n")
		for range 8 {
			if _, err := readLine(client); err != nil {
				t.Fatal(err)
			}
		}
	}
	each := (memory() - before) / sessions
	t.Logf("%d bytes a session", each)
	if each > 16<<10 {
		t.Errorf("%d bytes a session", each)
	}
	stop()
	done.Wait()
}

func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc + stats.StackInuse
}

// readLine reads a line without reading beyond it.
func readLine(r io.Reader) (line string, err error) {
	var b [1]byte
	for b[0] != '\n' {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return line, err
		}
		line += string(b[:])
	}
	return line, nil
}

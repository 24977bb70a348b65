package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"qmail-smtpd/test/programs"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// names are the commands that the tests run.
var names = []string{"tcpserver", "rblsmtpd", "recordio", "fixcrio", "qmail-smtpd"}

// TestMain lets the test binary be tcpserver, and all that it is, by the names
// of links to it.
func TestMain(m *testing.M) {
	if slices.Contains(names, filepath.Base(os.Args[0])) {
		main()
	}
	os.Exit(m.Run())
}

// links returns a directory with this binary under the names of commands.
func links(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// home returns a home of qmail with as few control files as will do.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"me": "mail.example.org\n", "rcpthosts": "example.org\n"} {
		if err := os.WriteFile(filepath.Join(dir, "control", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A server is a tcpserver that runs.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	port string
	log  bytes.Buffer
}

func start(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	s := &server{t: t, cmd: exec.Command(args[0], args[1:]...)}
	s.cmd.Env = append([]string{"PATH=/bin:/usr/bin"}, env...)
	s.cmd.Stderr = &s.log
	s.cmd.WaitDelay = patience
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	s.port = strings.TrimSpace(line)
	return s
}

// stop ends the server and returns its log, when all who write to it have
// ended.
func (s *server) stop() string {
	s.t.Helper()
	s.cmd.Process.Signal(unix.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Error(err)
	}
	return s.log.String()
}

// talk is a session: the greeting is awaited, and after each piece that the
// client sends a reply. It returns all that came.
func (s *server) talk(pieces []string, closes bool) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	var got strings.Builder
	hear := func() {
		for {
			line, err := in.ReadString('\n')
			got.WriteString(line)
			if err != nil || len(line) > 3 && line[3] == ' ' {
				return
			}
		}
	}
	hear()
	for _, piece := range pieces {
		io.WriteString(conn, piece)
		hear()
	}
	if closes {
		conn.(*net.TCPConn).CloseWrite()
	}
	io.Copy(&got, in)
	return got.String()
}

var (
	numbered = regexp.MustCompile(`(?m)^(\d+)( [<>] )|( pid |^qmail-smtpd: )(\d+)`)
	seconds  = regexp.MustCompile(` seconds=\d+`)
)

// apart replaces the numbers of processes and connections in a log, and puts
// the lines of each kind together, since it is chance how they mix. It tells
// which numbers there were.
func apart(log string) (kinds map[string]string, numbers map[string]bool) {
	kinds, numbers = map[string]string{}, map[string]bool{}
	for _, line := range strings.SplitAfter(log, "\n") {
		found := numbered.FindStringSubmatch(line)
		if found == nil {
			kinds[""] += line
			continue
		}
		numbers[found[1]+found[4]] = true
		line = numbered.ReplaceAllString(line, "${3}N${2}")
		kinds[found[2]+found[3]] += seconds.ReplaceAllString(line, "")
	}
	return kinds, numbers
}

// TestChain shows that a chain does the same inside the process, as programs
// of ours, and with the originals of the filters under the original
// tcpserver.
func TestChain(t *testing.T) {
	quit := []string{"HELO client\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@elsewhere.example>\r\n", "NOOP\r\n", "QUIT\r\n"}
	for name, c := range map[string]struct {
		chain  []string
		pieces []string
		closes bool
		env    []string
	}{
		"recordio":           {chain: []string{"recordio"}, pieces: quit},
		"client closes":      {chain: []string{"recordio"}, pieces: quit[:3], closes: true},
		"long lines":         {chain: []string{"recordio"}, pieces: []string{"NOOP " + strings.Repeat("x", 600) + "\r\n", "VRFY " + strings.Repeat("y", 249) + "\r\n", "QUIT\r\n"}},
		"strange bytes":      {chain: []string{"recordio"}, pieces: []string{"\x00\x1b[1m\xff % 1 > x\r\n", "QUIT\r\n"}},
		"rblsmtpd accepts":   {chain: []string{"rblsmtpd"}, pieces: quit},
		"rblsmtpd rejects":   {chain: []string{"rblsmtpd"}, pieces: quit, env: []string{"RBLSMTPD=-not you"}},
		"rblsmtpd says no":   {chain: []string{"rblsmtpd", "-t0"}, env: []string{"RBLSMTPD=not you"}},
		"rblsmtpd waits":     {chain: []string{"rblsmtpd", "-t", "1"}, env: []string{"RBLSMTPD=not you"}},
		"fixcrio":            {chain: []string{"fixcrio"}, pieces: []string{"HELO client\n", "NOOP\r\n", "QUIT\n"}},
		"all accept":         {chain: []string{"recordio", "rblsmtpd", "-b", "fixcrio"}, pieces: quit},
		"all, bare LF":       {chain: []string{"fixcrio", "recordio", "rblsmtpd"}, pieces: []string{"HELO x\n", "QUIT\n"}},
		"all reject":         {chain: []string{"recordio", "fixcrio", "rblsmtpd", "-t5"}, pieces: quit, env: []string{"RBLSMTPD=not you"}},
		"after rblsmtpd":     {chain: []string{"rblsmtpd", "recordio"}, pieces: quit},
		"rejected unlogged":  {chain: []string{"rblsmtpd", "recordio"}, pieces: quit, env: []string{"RBLSMTPD=not you"}},
		"closed while lost":  {chain: []string{"rblsmtpd"}, pieces: quit[:2], closes: true, env: []string{"RBLSMTPD=not you"}},
		"recordio, rejected": {chain: []string{"recordio", "rblsmtpd"}, pieces: quit[:2], closes: true, env: []string{"RBLSMTPD=not you"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, originals := links(t), programs.Originals(t)
			env := append([]string{"QMAILHOME=" + home(t)}, c.env...)
			session := func(filters string, server ...string) (string, map[string]string, map[string]bool) {
				args := append(server, "-1HRl0", "127.0.0.1", "0")
				for _, word := range c.chain {
					if !strings.HasPrefix(word, "-") && !strings.ContainsAny(word, "0123456789") {
						word = filepath.Join(filters, word)
					}
					args = append(args, word)
				}
				s := start(t, env, append(args, filepath.Join(ours, "qmail-smtpd"))...)
				got := s.talk(c.pieces, c.closes)
				kinds, numbers := apart(s.stop())
				return got, kinds, numbers
			}
			want, wantLog, _ := session(originals, filepath.Join(originals, "tcpserver"))
			for form, server := range map[string][]string{
				"inside":   {filepath.Join(ours, "tcpserver")},
				"programs": {filepath.Join(ours, "tcpserver"), "--exec"},
			} {
				got, log, numbers := session(ours, server...)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: to the client, original -, ours +:\n%s", form, diff)
				}
				if diff := cmp.Diff(wantLog, log); diff != "" {
					t.Errorf("%s: log, original -, ours +:\n%s", form, diff)
				}
				if inside := len(numbers) == 1 && numbers["1"]; len(numbers) > 0 && inside != (form == "inside") {
					t.Errorf("%s: numbers %v", form, numbers)
				}
			}
		})
	}
}

// TestForeignChain shows that a chain that ends in a program of others, or
// has a wrong command line, is a process for each connection.
func TestForeignChain(t *testing.T) {
	ours := links(t)
	recordio, rblsmtpd := filepath.Join(ours, "recordio"), filepath.Join(ours, "rblsmtpd")
	s := start(t, nil, filepath.Join(ours, "tcpserver"), "-1HRl0", "127.0.0.1", "0", rblsmtpd, recordio, "echo", "220 x")
	if got := s.talk(nil, true); got != "220 x\n" {
		t.Errorf("%q", got)
	}
	if _, numbers := apart(s.stop()); len(numbers) != 1 || numbers["1"] {
		t.Errorf("numbers %v", numbers)
	}
	for _, chain := range [][]string{{rblsmtpd}, {rblsmtpd, "-z", filepath.Join(ours, "qmail-smtpd")}, {recordio}, {recordio, rblsmtpd}} {
		s := start(t, nil, append([]string{filepath.Join(ours, "tcpserver"), "-1vHRl0", "127.0.0.1", "0"}, chain...)...)
		if got := s.talk(nil, true); got != "" {
			t.Errorf("%q: %q", chain, got)
		}
		if log := s.stop(); !strings.Contains(log, ": usage: ") || strings.Contains(log, ": ok 1 ") || !strings.Contains(log, ": ok ") {
			t.Errorf("%q:\n%s", chain, log)
		}
	}
}

// TestChainStops shows that a chain lets sessions end when the server stops.
func TestChainStops(t *testing.T) {
	ours := links(t)
	words := []string{filepath.Join(ours, "tcpserver"), "-1HRl0", "127.0.0.1", "0"}
	for _, name := range []string{"recordio", "fixcrio", "rblsmtpd", "qmail-smtpd"} {
		words = append(words, filepath.Join(ours, name))
	}
	for variable, want := range map[string]string{
		"RBLSMTPD=":        "220 mail.example.org ESMTP\r\n421 ",
		"RBLSMTPD=not you": "220 rblsmtpd.local\r\n",
	} {
		s := start(t, []string{"QMAILHOME=" + home(t), variable, "DRAIN=3600"}, words...)
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		in := bufio.NewReader(conn)
		greeting, _ := in.ReadString('\n')
		log := s.stop()
		rest, _ := io.ReadAll(in)
		if got := greeting + string(rest); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q", variable, got)
		}
		if !strings.Contains(log, "1 > [EOF]\n") {
			t.Errorf("%q: %q", variable, log)
		}
	}
}

package qmailsmtpd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"qmail-smtpd/internal/ucspi"
	"qmail-smtpd/test/programs"
)

// A vector is a session recorded from the originals.
type vector struct {
	Name    string
	In      string
	Control map[string]*string // what differs from the usual files; nil: absent
	Env     map[string]*string
	Rec     map[string]string // settings of the queue program
	Want    struct {
		Out   string
		RC    int
		Queue [][2]string // message and envelope
	} `json:"notqmail"`
}

// deviations are the replies in which we differ from notqmail, and why.
var deviations = map[string][2]string{
	// HELP names this project.
	"S02": {"214 notqmail home page: https://notqmail.org\r\n", "214 qmail-smtpd for systemd: see qmail-smtpd(8)\r\n"},
	// Control bytes of a queue program's text do not reach the client.
	"X908": {"554 one\ntwo\r\n", "554 one?two\r\n"},
}

func vectors(t *testing.T) []vector {
	text, err := os.ReadFile("testdata/qmail-smtpd.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 202 {
		t.Fatalf("%d vectors", len(all))
	}
	for i := range all {
		v := &all[i]
		v.In = unescape(t, v.In)
		v.Want.Out = unescape(t, v.Want.Out)
		for _, values := range []map[string]*string{v.Control, v.Env} {
			for name, value := range values {
				if value != nil {
					text := unescape(t, *value)
					values[name] = &text
				}
			}
		}
		for j, queued := range v.Want.Queue {
			v.Want.Queue[j] = [2]string{unescape(t, queued[0]), unescape(t, queued[1])}
		}
		id, _, _ := strings.Cut(v.Name, " ")
		if d, ok := deviations[id]; ok {
			if !strings.Contains(v.Want.Out, d[0]) {
				t.Fatalf("%s: no %q to deviate from", v.Name, d[0])
			}
			v.Want.Out = strings.ReplaceAll(v.Want.Out, d[0], d[1])
		}
	}
	return all
}

func unescape(t *testing.T, text string) string {
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		i++
		switch text[i] {
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case '0':
			out = append(out, 0)
		case '\\':
			out = append(out, '\\')
		case 'x':
			b, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, byte(b))
			i += 2
		default:
			t.Fatalf("unknown escape in %q", text)
		}
	}
	return string(out)
}

// A trial is qmail's home directory, an environment, and what the queue
// program got.
type trial struct {
	home string
	env  []string
	rec  string
}

// recorder is the queue program of a trial.
var recorder string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "qmail-smtpd-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	recorder = filepath.Join(dir, "recorder")
	build := exec.Command("go", "build", "-o", recorder, "./testdata/recorder")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func newTrial(t *testing.T, control, env map[string]*string, rec map[string]string) *trial {
	t.Helper()
	dir := t.TempDir()
	tr := &trial{home: filepath.Join(dir, "qmail"), rec: filepath.Join(dir, "rec")}
	for _, name := range []string{tr.rec, tr.home, filepath.Join(tr.home, "control")} {
		if err := os.Mkdir(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{"me": "mail.example.org\n", "rcpthosts": "example.org\n.example.net\n"}
	for name, value := range control {
		delete(files, name)
		if value != nil {
			files[name] = *value
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(tr.home, "control", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	variables := map[string]string{
		"TCPREMOTEIP": "192.0.2.9", "TCPREMOTEHOST": "client.example.com", "TCPREMOTEPORT": "40000",
		"TCPLOCALIP": "192.0.2.1", "TCPLOCALHOST": "mail.example.org", "TCPLOCALPORT": "25",
		"QMAILHOME": tr.home, "QMAILQUEUE": recorder, "RECDIR": tr.rec,
	}
	for name, value := range rec {
		variables[name] = value
	}
	for name, value := range env {
		delete(variables, name)
		if value != nil {
			variables[name] = *value
		}
	}
	for name, value := range variables {
		tr.env = append(tr.env, name+"="+value)
	}
	if _, ok := files["morercpthosts"]; ok {
		newmrh := exec.Command(filepath.Join(programs.Ours(t), "qmail-newmrh"))
		newmrh.Env = tr.env
		if out, err := newmrh.CombinedOutput(); err != nil {
			t.Fatalf("qmail-newmrh: %v\n%s", err, out)
		}
	}
	return tr
}

// queued returns what the queue program got.
func (tr *trial) queued(t *testing.T) [][2]string {
	t.Helper()
	var queued [][2]string
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s/%d", tr.rec, i)
		message, err := os.ReadFile(name + ".message")
		if errors.Is(err, fs.ErrNotExist) {
			return queued
		}
		if err != nil {
			t.Fatal(err)
		}
		envelope, err := os.ReadFile(name + ".envelope")
		if err != nil {
			t.Fatal(err)
		}
		queued = append(queued, [2]string{string(message), string(envelope)})
	}
}

var (
	processNumber = regexp.MustCompile(`(?m)^(250 ok \d+ qp )\d+`)
	unixTime      = regexp.MustCompile(`(?m)^250 ok \d+ qp`)
	date          = regexp.MustCompile(`; \d+ [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d -0000`)
)

// check compares a session with what was recorded.
func (v *vector) check(t *testing.T, out string, exit int, queued [][2]string) {
	t.Helper()
	out = processNumber.ReplaceAllString(out, "${1}{PID}")
	if diff := cmp.Diff(v.Want.Out, out); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
	if exit != v.Want.RC {
		t.Errorf("exit code %d, want %d", exit, v.Want.RC)
	}
	for i := range min(len(queued), len(v.Want.Queue)) {
		// Of a message that was cut off, any beginning may have been written.
		if v.Want.Queue[i] == [2]string{} && queued[i][1] == "" {
			queued[i][0] = ""
		}
	}
	want := v.Want.Queue
	if len(want) == 0 {
		want = nil
	}
	if diff := cmp.Diff(want, queued); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

// normalise puts the time of the recordings in place of the present.
func normalise(out string, queued [][2]string) string {
	for i := range queued {
		queued[i][0] = date.ReplaceAllString(queued[i][0], "; 3 Apr 2005 02:01:00 -0000")
	}
	return unixTime.ReplaceAllString(out, "250 ok 1112493660 qp")
}

// oneByte is a connection of which each read brings one byte.
type oneByte struct{ net.Conn }

func (c oneByte) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), 1)]) }

// connection returns both ends of a connection.
func connection(t testing.TB) (client *net.TCPConn, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); server.Close() })
	return dialled.(*net.TCPConn), server
}

func (tr *trial) server(log io.Writer) *server {
	s := newServer(tr.home, log)
	s.now = func() time.Time { return time.Unix(1112493660, 0) }
	return s
}

func TestVectorsInProcess(t *testing.T) {
	for _, v := range vectors(t) {
		for form, wrap := range map[string]func(net.Conn) net.Conn{
			"whole":  func(c net.Conn) net.Conn { return c },
			"single": func(c net.Conn) net.Conn { return oneByte{c} },
		} {
			t.Run(v.Name+"/"+form, func(t *testing.T) {
				t.Parallel()
				tr := newTrial(t, v.Control, v.Env, v.Rec)
				client, conn := connection(t)
				go func() {
					io.WriteString(client, v.In)
					client.CloseWrite()
				}()
				exit := make(chan int, 1)
				go func() {
					exit <- builtin{tr.server(io.Discard)}.Serve(context.Background(),
						&ucspi.Conn{Conn: wrap(conn), Env: ucspi.NewEnv(tr.env), ID: 1})
					conn.(*net.TCPConn).CloseWrite()
				}()
				out, err := io.ReadAll(client)
				if err != nil {
					t.Fatal(err)
				}
				v.check(t, string(out), <-exit, tr.queued(t))
			})
		}
	}
}

func TestVectorsProgram(t *testing.T) {
	program := filepath.Join(programs.Ours(t), "qmail-smtpd")
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t, v.Control, v.Env, v.Rec)
			var out bytes.Buffer
			cmd := exec.Command(program)
			cmd.Env, cmd.Stdin, cmd.Stdout = tr.env, strings.NewReader(v.In), &out
			err := cmd.Run()
			if _, ok := err.(*exec.ExitError); err != nil && !ok {
				t.Fatal(err)
			}
			queued := tr.queued(t)
			v.check(t, normalise(out.String(), queued), cmd.ProcessState.ExitCode(), queued)
		})
	}
}

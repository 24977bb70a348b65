package endtoend

import (
	"bytes"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

// screen is what a command has printed so far.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// await waits until text has been printed.
func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(soon); !strings.Contains(s.String(), text); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q is not printed after %v; what is:\n%s", text, soon, s)
		}
	}
}

// processes lists how many there are of each, and none of what lists them but
// its shell and ps.
const processes = "ps -e -o comm= >/tmp/processes; sort /tmp/processes | uniq -c"

// TestTrial is what "make run" runs, by a user who is not root, and the
// three things that it tells a stranger to do.
func TestTrial(t *testing.T) {
	m := machine.Start(t)
	m.CopyDir(programs.Ours(t), "/opt/tree/bin")
	m.CopyDir(filepath.Join(programs.Root(t), "scripts"), "/opt/tree/scripts")
	before := m.Sh(processes)

	out := new(screen)
	trial := m.Command("setsid", "-w", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		"env", "TRIAL=/tmp/trial", "PORT=2526", "/opt/tree/scripts/trial")
	trial.Stdout, trial.Stderr = out, out
	if err := trial.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trial.Process.Kill() })

	out.await(t, "tcpserver: status: 0/40")
	out.await(t, "An SMTP server runs on 127.0.0.1 port 2526.")
	m.Sh("swaks --server 127.0.0.1:2526 --to you@localhost --body 'hello there'")
	out.await(t, "hello there")
	out.await(t, "Tyou@localhost")
	out.await(t, " accepted ")
	if got := m.Sh("cd /tmp; /opt/tree/bin/svstat trial/service/smtpd trial/service/smtpd/log"); strings.Count(got, ": up (pid ") != 2 {
		t.Errorf("svstat says %s", got)
	}
	if got := m.Sh("/opt/tree/bin/tai64nlocal </tmp/trial/service/smtpd/log/main/current"); !strings.Contains(got, "tcpserver: status: 0/40") {
		t.Errorf("the log is %s", got)
	}

	if got, code := m.Try("TRIAL=/tmp/trial /opt/tree/scripts/trial"); code != 111 || got != "trial: fatal: a trial is running already in /tmp/trial\n" {
		t.Errorf("a second trial: %d %s", code, got)
	}

	// Ctrl-C in a terminal reaches the whole process group
	m.Sh("kill -INT -- -$(pgrep -x trial)")
	done := make(chan error, 1)
	go func() { done <- trial.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the trial ended with %v", err)
		}
	case <-time.After(soon):
		t.Fatalf("the trial does not end:\n%s", out)
	}
	if after := m.Sh(processes); after != before {
		t.Errorf("processes before:\n%s\nand after the trial:\n%s", before, after)
	}

	// once more: the mail is still there; and when the port is taken
	occupied := m.Command("python3", "-c", "import socket,time; s=socket.socket(); s.bind(('127.0.0.1',2527)); s.listen(); time.sleep(300)")
	if err := occupied.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { occupied.Process.Kill(); occupied.Wait() })
	m.Await(soon, `grep ':09DF 00000000:0000 0A' /proc/net/tcp`)
	got, code := m.Try("setpriv --reuid=65534 --regid=65534 --clear-groups env TRIAL=/tmp/trial PORT=2527 /opt/tree/scripts/trial")
	if code != 111 || !strings.Contains(got, "tcpserver: fatal: unable to bind: address already used") {
		t.Errorf("with the port taken: %d %s", code, got)
	}
	if got, code := m.Try("PORT=x /opt/tree/scripts/trial"); code != 111 || got != "trial: fatal: PORT is not a number: x\n" {
		t.Errorf("with a wrong port: %d %s", code, got)
	}
}

// Package traffic sends steady mail to a machine, for tests that kill and
// restart services under it.
package traffic

import (
	"bufio"
	_ "embed"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"qmail-smtpd/test/machine"
)

//go:embed traffic.py
var trafficScript string

// soon is long enough for what takes five seconds on a machine at rest.
const soon = 30 * time.Second

// A Traffic is steady mail to port 25 of a machine, and what became of it.
type Traffic struct {
	t     *testing.T
	m     *machine.Machine
	stop  io.Closer
	ended chan struct{}

	mu       sync.Mutex
	cond     *sync.Cond
	pid      string            // of the script
	killed   bool              // the test has ended
	last     string            // reason of the last attempt that failed
	port     map[string]string // id → port of each client that was greeted
	Accepted map[string]string // id → qp of each attempt that got a 250
	Refused  map[string]string // id → reason of each other attempt; both to be read after Finish
}

// Start starts sending, from so many clients at a time, until Finish.
func Start(t *testing.T, m *machine.Machine, threads int) *Traffic {
	t.Helper()
	m.WriteFile("/tmp/traffic.py", trafficScript, 0o644)
	cmd := m.Command("python3", "/tmp/traffic.py", "25", strconv.Itoa(threads))
	stop, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tr := &Traffic{t: t, m: m, stop: stop, ended: make(chan struct{}),
		port: map[string]string{}, Accepted: map[string]string{}, Refused: map[string]string{}}
	tr.cond = sync.NewCond(&tr.mu)
	go func() {
		defer close(tr.ended)
		tr.read(out)
		if err := cmd.Wait(); err != nil && !tr.isKilled() {
			t.Errorf("traffic: %v\n%s", err, stderr.String())
		}
	}()
	t.Cleanup(tr.kill)
	return tr
}

// kill ends the traffic of a test that did not finish it.
func (tr *Traffic) kill() {
	tr.stop.Close()
	tr.mu.Lock()
	tr.killed = true
	pid := tr.pid
	tr.mu.Unlock()
	if pid != "" {
		tr.m.Try("kill -KILL " + pid)
	}
	<-tr.ended
}

func (tr *Traffic) isKilled() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.killed
}

func (tr *Traffic) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word := strings.SplitN(lines.Text(), " ", 4)
		tr.mu.Lock()
		if len(word) < 4 {
			tr.pid = word[0]
		} else {
			if word[2] != "0" {
				tr.port[word[1]] = word[2]
			}
			if word[0] == "ok" {
				tr.Accepted[word[1]] = word[3]
			} else {
				tr.Refused[word[1]] = word[3]
				tr.last = word[3]
			}
		}
		tr.cond.Broadcast()
		tr.mu.Unlock()
	}
}

// More waits until n more messages have been accepted.
func (tr *Traffic) More(n int) {
	tr.t.Helper()
	timer := time.AfterFunc(soon, tr.cond.Broadcast)
	defer timer.Stop()
	deadline := time.Now().Add(soon)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for goal := len(tr.Accepted) + n; len(tr.Accepted) < goal; tr.cond.Wait() {
		if time.Now().After(deadline) {
			tr.t.Fatalf("%d messages accepted, no %d more in %v; %d refused, the last with %s", len(tr.Accepted), n, soon, len(tr.Refused), tr.last)
		}
	}
}

// Finish ends the traffic and waits for the last attempt.
func (tr *Traffic) Finish() {
	tr.t.Helper()
	tr.stop.Close()
	select {
	case <-tr.ended:
	case <-time.After(3 * soon):
		tr.t.Fatal("traffic does not end")
	}
}

// Settle waits until all that the queue service of m took is in the queue.
func Settle(m *machine.Machine) {
	m.Await(soon, `qmail-queue --status | grep '^waiting: 0 '`)
}

// CheckQueue holds the queue against what the clients were told: each
// message with a 250 is there exactly once, each other at most once.
func (tr *Traffic) CheckQueue() {
	tr.t.Helper()
	Settle(tr.m)
	list := tr.m.Sh(`cd /var/qmail/queue/todo
for n in [0-9]*; do echo ../mess/$((n % 23))/$n; done | xargs grep -h -m 1 '^Subject: id=' | sed 's/^Subject: id=\(.*\);.*/\1/'`)
	queued := map[string]int{}
	for _, id := range strings.Fields(list) {
		queued[id]++
	}
	for id := range tr.Accepted {
		if queued[id] != 1 {
			tr.t.Errorf("message %s got a 250 and is in the queue %d times", id, queued[id])
		}
	}
	for id, reason := range tr.Refused {
		if queued[id] > 1 {
			tr.t.Errorf("message %s (%s) is in the queue %d times", id, reason, queued[id])
		}
	}
	tr.t.Logf("%d messages accepted, %d attempts failed, %d in the queue", len(tr.Accepted), len(tr.Refused), len(queued))
}

// Refusals are the attempts of which no connection was taken, not even to be
// broken later.
func (tr *Traffic) Refusals() []string {
	var list []string
	for id, reason := range tr.Refused {
		if strings.Contains(reason, "ConnectionRefused") {
			list = append(list, id+" "+reason)
		}
	}
	return list
}

// CheckLog holds the log in the log directory dir against what the clients
// were told: the lines of each session are there, in order. A SIGKILL of the
// server may cut a session off after its 250 and before the line about it:
// cut is how many that may be. repeated is how many of the lines are there
// twice.
func (tr *Traffic) CheckLog(dir string, cut int) (lines, repeated int) {
	tr.t.Helper()
	// The end of a session that comes after all others tells that all is written.
	tr.m.Await(soon, `exec 3<>/dev/tcp/127.0.0.1/25; read -r -u 3 && printf 'HELO last\r\nQUIT\r\n' >&3 && grep '^221' <&3`)
	tr.m.Await(soon, "cd "+dir+"; cat $(ls @* 2>/dev/null) current | grep 'qmail-smtpd: .* end .*helo=last '")
	log := tr.m.Sh("cd " + dir + "; cat $(ls @* 2>/dev/null) current | cut -c27-")

	// Connections have numbers anew after each start of the server; a client
	// is known by its port until it has said who it is.
	ok := regexp.MustCompile(`^tcpserver: ok (\d+) .*:(\d+)$`)
	session := regexp.MustCompile(`^qmail-smtpd: (\d+) (accepted|end) .*helo=(\d+-\d+) `)
	began := map[string]bool{}     // number and port
	known := map[string][]string{} // id → events
	numbers := map[string]string{} // id → connection number
	ports := map[string]bool{}     // of all that began
	seen := map[string]bool{}
	for _, line := range strings.Split(log, "\n") {
		lines++
		if f := ok.FindStringSubmatch(line); f != nil {
			if began[f[1]+" "+f[2]] {
				repeated++
			}
			began[f[1]+" "+f[2]] = true
			ports[f[2]] = true
			continue
		}
		f := session.FindStringSubmatch(line)
		if f == nil {
			continue
		}
		if seen[line] {
			repeated++
			continue
		}
		seen[line] = true
		known[f[3]] = append(known[f[3]], f[2])
		numbers[f[3]] = f[1]
		if !began[f[1]+" "+tr.port[f[3]]] {
			tr.t.Errorf("of the client %s with the port %s, no beginning is logged before: %s", f[3], tr.port[f[3]], line)
		}
	}
	for id, port := range tr.port {
		if !ports[port] {
			tr.t.Errorf("client %s with the port %s was greeted, and its beginning is not in the log", id, port)
		}
	}
	missing := 0
	for id := range tr.Accepted {
		switch events := strings.Join(known[id], " "); events {
		case "accepted end":
		case "accepted", "":
			missing++
			if missing > cut {
				tr.t.Errorf("session %s, connection %s, had a message accepted, and has the lines %q in the log", id, numbers[id], events)
			}
		default:
			tr.t.Errorf("session %s, connection %s, has the lines %q in the log", id, numbers[id], events)
		}
	}
	tr.t.Logf("%d log lines, %d of those of sessions twice, %d sessions cut off", lines, repeated, missing)
	return lines, repeated
}

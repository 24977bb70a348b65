// Package traffic sends steady mail to a machine, for tests that kill and
// restart services under it.
package traffic

import (
	"bufio"
	_ "embed"
	"io"
	"regexp"
	"slices"
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
	tr := &Traffic{t: t, m: m, stop: stop, ended: make(chan struct{}), Accepted: map[string]string{}, Refused: map[string]string{}}
	tr.cond = sync.NewCond(&tr.mu)
	go func() {
		defer close(tr.ended)
		tr.read(out)
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("traffic: %v\n%s", err, stderr.String())
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-tr.ended
	})
	return tr
}

func (tr *Traffic) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word := strings.SplitN(lines.Text(), " ", 3)
		tr.mu.Lock()
		if word[0] == "ok" {
			tr.Accepted[word[1]] = word[2]
		} else {
			tr.Refused[word[1]] = word[2]
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
			tr.t.Fatalf("%d messages accepted, %d refused; no %d more in %v", len(tr.Accepted), len(tr.Refused), n, soon)
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

// CheckQueue holds the queue against what the clients were told: each
// message with a 250 is there exactly once, each other at most once.
func (tr *Traffic) CheckQueue() {
	tr.t.Helper()
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

// CheckLog holds the log in the log directory dir against what the clients
// were told: the lines of each connection are there, in order, but for
// repeats, and a line for each message with a 250.
func (tr *Traffic) CheckLog(dir string) {
	tr.t.Helper()
	// The last line of the last session tells that all is written.
	tr.m.Await(soon, "tail -n 1 "+dir+"/current | grep 'tcpserver: status: 0/'")
	log := tr.m.Sh("cd " + dir + "; cat $(ls @* 2>/dev/null) current | cut -c27-")
	accepted := map[string]int{}
	lines := map[string][]string{} // connection → its lines, repeats left out
	seen := map[string]bool{}
	repeats := 0
	qp := regexp.MustCompile(`^qmail-smtpd: \d+ accepted .* qp=(\d+)`)
	connection := regexp.MustCompile(`^(tcpserver: pid|tcpserver: ok|qmail-smtpd:|tcpserver: end) (\d+)( accepted| end)?`)
	for _, line := range strings.Split(log, "\n") {
		f := connection.FindStringSubmatch(line)
		if f == nil {
			continue
		}
		if seen[line] {
			repeats++
			continue
		}
		seen[line] = true
		lines[f[2]] = append(lines[f[2]], f[1]+f[3])
		if f := qp.FindStringSubmatch(line); f != nil {
			accepted[f[1]]++
		}
	}
	want := []string{"tcpserver: pid", "tcpserver: ok", "qmail-smtpd: accepted", "qmail-smtpd: end", "tcpserver: end"}
	for id, got := range lines {
		if !slices.Equal(got, want) {
			tr.t.Errorf("connection %s has the lines %q", id, got)
		}
	}
	for id, number := range tr.Accepted {
		if accepted[number] == 0 {
			tr.t.Errorf("message %s was accepted as %s, and the log does not say so", id, number)
		}
	}
	tr.t.Logf("%d log lines were written twice", repeats)
}

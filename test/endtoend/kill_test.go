package endtoend

import (
	"fmt"
	"strings"
	"testing"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/traffic"
)

// killed kills the process of a service with SIGKILL and waits until another
// runs in its place.
func killed(m *machine.Machine, dir string) {
	const pid = `pid() { svstat $DIR | sed -n 's/.*up (pid \([0-9]*\)).*/\1/p'; }; `
	old := strings.TrimSpace(m.Await(soon, "DIR="+dir+"; "+pid+"p=$(pid); kill -KILL $p && echo $p"))
	m.Await(soon, fmt.Sprintf("DIR=%s; OLD=%s; %s p=$(pid); test -n \"$p\" && test $p != $OLD && kill -0 $p", dir, old, pid))
}

func TestKillTCPServer(t *testing.T) {
	m := classicMachine(t)
	runSMTPD(m)
	tr := traffic.Start(t, m, 4)
	for range 8 {
		tr.More(30)
		killed(m, "/service/smtpd")
	}
	tr.More(30)
	tr.Finish()
	tr.CheckQueue()
}

func TestKillQueueService(t *testing.T) {
	m := classicMachine(t)
	runSMTPD(m)
	tr := traffic.Start(t, m, 4)
	for range 8 {
		tr.More(30)
		killed(m, "/service/qmail-queue")
	}
	tr.More(30)
	tr.Finish()
	tr.CheckQueue()
	for id, reason := range tr.Refused {
		if !strings.HasPrefix(reason, "451 ") {
			t.Errorf("message %s was refused with %q; the client is to try again", id, reason)
		}
	}
}

func TestKillMultilog(t *testing.T) {
	m := classicMachine(t)
	runSMTPD(m)
	m.Sh(`cd /service/smtpd/log; echo 16000000 >env/MAXFILESIZE; echo 1000 >env/MAXLOGFILES; svc -t .`)
	tr := traffic.Start(t, m, 4)
	for range 8 {
		tr.More(30)
		killed(m, "/service/smtpd/log")
	}
	tr.More(30)
	tr.Finish()
	tr.CheckQueue()
	if len(tr.Refused) > 0 {
		t.Errorf("the death of the log service was felt by %d clients: %v", len(tr.Refused), tr.Refused)
	}

	tr.CheckLog("/service/smtpd/log/main", 0)
}

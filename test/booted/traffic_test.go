package booted

import (
	"testing"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/traffic"
)

// startUnderTraffic starts the service with a log that keeps all lines, and
// mail to it.
func startUnderTraffic(t *testing.T) (*machine.Machine, *traffic.Traffic) {
	t.Helper()
	m := start(t)
	m.Sh(`cd /service/smtpd/log; echo 16000000 >env/MAXFILESIZE; echo 1000 >env/MAXLOGFILES; svc -t .; sleep 0.5`)
	says(m, "/service/smtpd/log", up)
	return m, traffic.Start(t, m, 2)
}

// killed kills the main process of a unit with SIGKILL and waits until
// another runs in its place.
func killed(m *machine.Machine, unit string) {
	m.Await(soon, `old=$(systemctl show -P MainPID `+unit+`); test $old != 0 && kill -KILL $old && echo $old >/tmp/old`)
	m.Await(soon, `new=$(systemctl show -P MainPID `+unit+`); test $new != 0 && test $new != $(cat /tmp/old) && systemctl is-active `+unit)
}

// checkNeverRefused fails the test where a client found nobody listening.
func checkNeverRefused(t *testing.T, tr *traffic.Traffic) {
	t.Helper()
	if refusals := tr.Refusals(); len(refusals) > 0 {
		t.Errorf("nobody listened: %q", refusals)
	}
}

// TestLogDownAndUp takes the log down under mail, three times, with svscan
// killed in between: the lines wait.
func TestLogDownAndUp(t *testing.T) {
	m, tr := startUnderTraffic(t)
	pid := pids(m, "/service/smtpd")
	for i := range 3 {
		tr.More(20)
		m.Sh(`svc -d /service/smtpd/log`)
		says(m, "/service/smtpd/log", down)
		tr.More(20)
		if i == 1 {
			killed(m, "svscan")
			m.Await(soon, `svok /service/smtpd/log`)
			tr.More(20)
		}
		m.Sh(`svc -u /service/smtpd/log`)
		says(m, "/service/smtpd/log", up)
	}
	tr.More(20)
	tr.Finish()
	if now := pids(m, "/service/smtpd"); now != pid {
		t.Errorf("the service restarted: %s, then %s", pid, now)
	}
	if len(tr.Refused) > 0 {
		t.Errorf("clients noticed that the log was down: %v", tr.Refused)
	}
	tr.CheckQueue()
	tr.CheckLog("/service/smtpd/log/main", 0)

	// the writer restarts, and does not bring the log with it
	m.Sh(`svc -d /service/smtpd/log`)
	says(m, "/service/smtpd/log", down)
	m.Sh(`sleep 1; svc -t /service/smtpd`)
	anotherPID(m, pid)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)
	says(m, "/service/smtpd/log", down)
}

// TestKillLog kills multilog and svscan under mail: no client notices, and no
// line is lost.
func TestKillLog(t *testing.T) {
	m, tr := startUnderTraffic(t)
	for range 2 {
		tr.More(20)
		killed(m, "qmail-smtpd-log")
		tr.More(20)
		killed(m, "svscan")
	}
	tr.More(20)
	tr.Finish()
	if len(tr.Refused) > 0 {
		t.Errorf("clients noticed: %v", tr.Refused)
	}
	tr.CheckQueue()
	tr.CheckLog("/service/smtpd/log/main", 0)
}

// TestKillService kills tcpserver and the queue service under mail: each 250
// is in the queue once, and somebody always listens.
func TestKillService(t *testing.T) {
	m, tr := startUnderTraffic(t)
	for range 3 {
		tr.More(20)
		killed(m, "qmail-smtpd")
		tr.More(20)
		killed(m, "qmail-queue")
	}
	tr.More(20)
	tr.Finish()
	checkNeverRefused(t, tr)
	tr.CheckQueue()
}

// TestRestart restarts the service under mail, by both sets of commands:
// nobody is refused, and no line is lost.
func TestRestart(t *testing.T) {
	m, tr := startUnderTraffic(t)
	for range 2 {
		for _, command := range []string{`svc -t /service/smtpd`, `systemctl restart qmail-smtpd`, `svc -t /service/smtpd/log`, `systemctl reload qmail-smtpd`} {
			tr.More(20)
			m.Sh(command)
		}
	}
	tr.More(20)
	tr.Finish()
	checkNeverRefused(t, tr)
	tr.CheckQueue()
}

// TestTransferSurvives restarts the service in the midst of a message.
func TestTransferSurvives(t *testing.T) {
	m := start(t)
	m.WriteFile("/tmp/slow.py", `
import os, smtplib, time
c = smtplib.SMTP("127.0.0.1", 25, timeout=30)
c.helo("slow")
c.mail("<a@b.example>")
c.rcpt("<you@example.org>")
c.docmd("DATA")
c.send("Subject: slow\r\n\r\nbegin\r\n")
old = os.popen("systemctl show -P MainPID qmail-smtpd").read()
os.system("svc -t /service/smtpd")
for i in range(6):
    time.sleep(0.5)
    c.send("line\r\n")
c.send("end\r\n.\r\n")
code, text = c.getreply()
print(code, text.decode())
while os.popen("systemctl show -P MainPID qmail-smtpd").read() in (old, "0\n"):
    time.sleep(0.1)
assert code == 250
`, 0o644)
	m.Sh(`timeout 60 python3 /tmp/slow.py`)
	traffic.Settle(m)
	m.Sh(`grep -l "^Subject: slow" /var/qmail/queue/mess/*/*`)
	m.Await(soon, `swaks --server 127.0.0.1 --quit-after BANNER`)
}

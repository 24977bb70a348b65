package booted

import (
	"strings"
	"testing"
)

// TestSecondDirectory makes a second service beside the default one: it has
// no units, so supervise keeps it, under the same svscan, whose end it
// survives.
func TestSecondDirectory(t *testing.T) {
	m := start(t)
	m.Sh(`
qmail-smtpd-conf qmaild qmaill /var/qmail/service/smtpd2
cd /var/qmail/service/smtpd2
echo 2527 >env/PORT
make -s
ln -s /var/qmail/service/smtpd2 /service`)
	m.Await(soon, `swaks --server 127.0.0.1 --port 2527 --to you@example.org && swaks --server 127.0.0.1 --to you@example.org`)
	const dirs = "/service/smtpd2 /service/smtpd2/log"
	says(m, "/service/smtpd2", up)
	before := pids(m, dirs)

	killed(m, "svscan")
	m.Sh(`sleep 6`)
	if after := pids(m, dirs); after != before {
		t.Errorf("pids %s became %s", before, after)
	}
	if n := strings.TrimSpace(m.Sh(`pgrep -c -x supervise`)); n != "2" {
		t.Errorf("%s supervises run", n)
	}
	// the pipe is the same: a new log reads what the service goes on to write
	m.Sh(`svc -dx /service/smtpd2/log`)
	m.Await(soon, `swaks --server 127.0.0.1 --port 2527 --to you@example.org --h-Subject later`)
	m.Await(soon, `svstat /service/smtpd2/log | grep 'up (pid' && test $(grep -c 'qmail-smtpd: .* accepted ' /service/smtpd2/log/main/current) = 2`)
	m.Sh(`svc -dx /service/smtpd2 /service/smtpd2/log; rm /service/smtpd2`)
	m.Await(soon, `! svok /var/qmail/service/smtpd2 && systemctl show -P NFileDescriptorStore svscan | grep -x 2`)
}

// TestClassicWalk has only the commands and svscan.service: the walk of
// daemontools and qmail, on a machine with systemd.
func TestClassicWalk(t *testing.T) {
	m := installSVCompat(t)
	m.Sh(`
systemctl start svscan
ln -s /usr/bin/qmail-smtpd /usr/bin/qmail-queue /var/qmail/bin/
echo mail.example.org >/var/qmail/control/me
echo example.org >/var/qmail/control/rcpthosts
qmail-queue-conf qmailq qmaill /var/qmail/service/queue
qmail-smtpd-conf qmaild qmaill /var/qmail/service/smtpd
cd /var/qmail/service/smtpd
./add-relayclient 127.0.0.1
make -s
ln -s /var/qmail/service/queue /service/qmail-queue
ln -s /var/qmail/service/smtpd /service`)
	m.Await(soon, `swaks --server 127.0.0.1 --to someone@elsewhere.example`)
	says(m, "/service/smtpd", up)
	says(m, "/service/smtpd/log", up)
	m.Await(soon, `tai64nlocal </service/smtpd/log/main/current | grep 'tcpserver: status: 0/40'`)
	before := pids(m, "/service/smtpd /service/smtpd/log /service/qmail-queue")
	m.Sh(`systemctl restart svscan; sleep 6`)
	if after := pids(m, "/service/smtpd /service/smtpd/log /service/qmail-queue"); after != before {
		t.Errorf("pids %s became %s", before, after)
	}
	if env := m.Sh(`tr '\0' '\n' </proc/$(pgrep -x tcpserver)/environ`); strings.Contains(env, "NOTIFY_SOCKET") || strings.Contains(env, "WATCHDOG") {
		t.Errorf("services get svscan's own variables: %s", env)
	}
	m.Sh(`svc -t /service/smtpd`)
	m.Await(soon, `swaks --server 127.0.0.1 --to someone@elsewhere.example`)

	// units come, and the directory goes over to them
	m.Sh(`cp /tmp/units/* /usr/lib/systemd/system/; systemctl daemon-reload; svc -dx /service/smtpd /service/smtpd/log`)
	m.Await(soon, `svok /service/smtpd && svok /service/smtpd/log && pgrep -c -x supervise | grep -qx 2`)
	m.Sh(`systemctl start qmail-smtpd.socket; swaks --server 127.0.0.1 --to someone@elsewhere.example`)
	m.Await(soon, `test "$(systemctl show -P MainPID qmail-smtpd)" = "$(svstat /service/smtpd | sed -n 's/.*pid \([0-9]*\).*/\1/p')"`)
	m.Sh(`rm /service/smtpd; cd /var/qmail/service/smtpd; svc -dx . log`)
	m.Await(soon, `! svok /var/qmail/service/smtpd && ! svok /var/qmail/service/smtpd/log`)
}

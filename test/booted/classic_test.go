package booted

import (
	"strings"
	"testing"
)

// TestSecondDirectory makes a second service beside the default one: svscan
// has systemd run it like any other, and it survives the end of svscan.
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
	if out := m.Sh(`systemctl is-active qmail-smtpd2.socket qmail-smtpd2.service qmail-smtpd2-log.service; pgrep -c -x supervise || true`); out != "active\nactive\nactive\n0\n" {
		t.Errorf("got %q", out)
	}
	before := pids(m, dirs)

	killed(m, "svscan")
	m.Await(soon, `svok /service/smtpd2 && svok /service/smtpd2/log`)
	if after := pids(m, dirs); after != before {
		t.Errorf("pids %s became %s", before, after)
	}
	// an edit, which needs another address and no package's unit
	m.Sh(`echo 2528 >/service/smtpd2/env/PORT`)
	m.Await(soon, `swaks --server 127.0.0.1 --port 2528 --quit-after BANNER && ! swaks --server 127.0.0.1 --port 2527 --quit-after CONNECT`)

	// let go while its entry is there, it starts anew
	log := pids(m, "/service/smtpd2/log")
	m.Sh(`svc -dx /service/smtpd2/log`)
	m.Await(soon, `svstat /service/smtpd2/log | grep 'up (pid' | grep -vF '`+strings.Trim(log, "[]")+`)'`)
	m.Sh(`swaks --server 127.0.0.1 --port 2528 --to you@example.org --h-Subject later`)
	m.Await(soon, `test $(grep -c 'qmail-smtpd: .* accepted ' /service/smtpd2/log/main/current) = 2`)

	m.Sh(`rm /service/smtpd2; cd /var/qmail/service/smtpd2; svc -dx . log`)
	m.Await(soon, `cd /var/qmail/service/smtpd2; ! svok . && ! svok log && systemctl show -P NFileDescriptorStore svscan | grep -x 2 && ! ls /run/svcompat/held/qmail-smtpd2`)
	m.Await(soon, `! systemctl cat qmail-smtpd2.service`)
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
	const dirs = "/service/smtpd /service/smtpd/log /service/qmail-queue"
	before := pids(m, dirs)
	m.Sh(`systemctl restart svscan`)
	m.Await(soon, `svok /service/smtpd && svok /service/smtpd/log && svok /service/qmail-queue`)
	if after := pids(m, dirs); after != before {
		t.Errorf("pids %s became %s", before, after)
	}
	m.Sh(`svc -t /service/smtpd`)
	m.Await(soon, `swaks --server 127.0.0.1 --to someone@elsewhere.example`)

	// a package brings the units, and what runs goes over to them
	before = pids(m, dirs)
	m.Sh(`cp /tmp/units/* /usr/lib/systemd/system/; systemctl daemon-reload`)
	m.Await(soon, `! ls /run/systemd/generator.late/qmail-smtpd.service && systemctl show -P FragmentPath qmail-smtpd.service | grep ^/usr/lib/ || systemctl show -P FragmentPath qmail-smtpd.service | grep ^/lib/`)
	if after := pids(m, dirs); after != before {
		t.Errorf("pids %s became %s", before, after)
	}
	old := pids(m, "/service/smtpd")
	m.Sh(`svc -t /service/smtpd`)
	anotherPID(m, old)
	m.Await(soon, `swaks --server 127.0.0.1 --to someone@elsewhere.example`)
	m.Sh(`rm /service/smtpd; cd /var/qmail/service/smtpd; svc -dx . log`)
	m.Await(soon, `! svok /var/qmail/service/smtpd && ! svok /var/qmail/service/smtpd/log`)
}

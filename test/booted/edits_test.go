package booted

import (
	"fmt"
	"strings"
	"testing"
)

// TestEdits edits env/ of the default service as README says, and looks for
// the classic effect.
func TestEdits(t *testing.T) {
	m := start(t)
	m.Sh(`echo 2526 >/service/smtpd/env/PORT; svc -t /service/smtpd`)
	m.Await(soon, `swaks --server 127.0.0.1 --port 2526 --to you@example.org && ! swaks --server 127.0.0.1 --quit-after CONNECT`)
	m.Await(soon, `journalctl -u svscan -o cat | grep -Fx 'svscan: status: smtpd: env/ has changed: systemd listens on 2526 now'`)
	says(m, "/service/smtpd", up)

	// by the look alone
	m.Sh(`cd /service/smtpd/env; echo 127.0.0.1 >IP; echo 25 >PORT; echo 77 >BACKLOG`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org && ss -Hltn sport = :25 | grep ' 77 *127.0.0.1:25 '`)

	// svc -d comes after what svc -t begins
	m.Sh(`cd /service/smtpd; echo 2527 >env/PORT; svc -t .; svc -d .`)
	m.Await(soon, `journalctl -u svscan -o cat | grep -Fx 'svscan: status: smtpd: env/ has changed: systemd listens on 127.0.0.1:2527 now'`)
	says(m, "/service/smtpd", down)
	m.Sh(`cd /service/smtpd; echo 25 >env/PORT; svc -u .`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)
	says(m, "/service/smtpd", up)

	// as it was: no drop-in is left
	m.Sh(`cd /service/smtpd/env; echo 0 >IP; : >BACKLOG; svc -t /service/smtpd`)
	m.Await(soon, `! ls /run/systemd/generator.late/qmail-smtpd.socket.d/05-svcompat.conf && swaks --server 127.0.0.1 --quit-after BANNER && ss -Hltn sport = :25 | grep -F '*:25 '`)

	// look-ups need the network; /etc/hosts serves them here
	m.Sh(`echo '127.0.0.1 client.example.net' >/etc/hosts; cd /service/smtpd; echo h >env/REMOTENAME; svc -t .`)
	m.Await(soon, `systemctl show -P PrivateNetwork qmail-smtpd | grep -x no && swaks --server 127.0.0.1 --to you@example.org`)
	m.Await(soon, `grep 'tcpserver: ok .* client.example.net:127.0.0.1:' /service/smtpd/log/main/current`)
	m.Sh(`: >/service/smtpd/env/REMOTENAME; svc -t /service/smtpd`)
	m.Await(soon, `systemctl show -P PrivateNetwork qmail-smtpd | grep -x yes && swaks --server 127.0.0.1 --quit-after BANNER`)

	// what tcpserver reads by itself
	m.Sh(`echo 99 >/service/smtpd/env/CONCURRENCY; svc -t /service/smtpd`)
	m.Await(soon, `grep 'tcpserver: status: 0/99' /service/smtpd/log/main/current`)

	// the administrator's own drop-in wins, and nobody fights it
	m.Sh(`mkdir -p /etc/systemd/system/qmail-smtpd.socket.d; cd /etc/systemd/system/qmail-smtpd.socket.d
printf '[Socket]\nListenStream=\nListenStream=2528\n' >override.conf
systemctl daemon-reload; systemctl stop qmail-smtpd; systemctl restart qmail-smtpd.socket; systemctl start qmail-smtpd`)
	m.Await(soon, `swaks --server 127.0.0.1 --port 2528 --quit-after BANNER`)
	old := pids(m, "/service/smtpd")
	m.Sh(`sleep 6`)
	if now := pids(m, "/service/smtpd"); now != old {
		t.Errorf("a drop-in of the administrator makes the service restart")
	}

	said := m.Sh(`journalctl -u svscan -o cat | grep '^svscan:'`)
	if n := strings.Count(said, "env/ has changed"); n != 5 {
		t.Errorf("%d lines tell of changed addresses:\n%s", n, said)
	}
	if n := strings.Count(said, "network"); n != 2 {
		t.Errorf("%d lines tell of the network:\n%s", n, said)
	}
}

// TestEditAndStop has an administrator stop the service while svscan is about to
// restart it for an edit: it stays down.
func TestEditAndStop(t *testing.T) {
	m := start(t)
	for i := range 10 {
		word, network := "h", "gets the network"
		if i%2 == 1 {
			word, network = "", "gives up the network"
		}
		m.Sh(fmt.Sprintf(`cd /service/smtpd; echo %s >env/REMOTENAME; svc -t .; sleep 0.%02d; systemctl stop qmail-smtpd.socket qmail-smtpd.service`, word, 7*i))
		m.Await(soon, fmt.Sprintf(`journalctl -u svscan -o cat | grep -c '%s' | grep -x %d`, network, i/2+1))
		m.Await(soon, `systemctl list-jobs | grep 'No jobs'`)
		m.Sh(`sleep 0.3; ! systemctl is-active qmail-smtpd.socket qmail-smtpd.service`)
		m.Sh(`systemctl start qmail-smtpd.socket`)
		m.Await(soon, `swaks --server 127.0.0.1 --quit-after BANNER`)
		says(m, "/service/smtpd", up)
	}

	// a run that is the last one goes on
	m.Sh(`svc -o /service/smtpd`)
	m.Await(soon, `ls /run/svcompat/qmail-smtpd.once`)
	old := pids(m, "/service/smtpd")
	m.Sh(`echo h >/service/smtpd/env/REMOTENAME`)
	m.Await(soon, `journalctl -u svscan -o cat | grep -c 'gets the network' | grep -x 6`)
	m.Sh(`sleep 0.3; swaks --server 127.0.0.1 --quit-after BANNER`)
	if now := pids(m, "/service/smtpd"); now != old {
		t.Errorf("an edit ended the one run: %s, then %s", old, now)
	}
}

// TestDownAndUpOften is more often than systemd starts a unit by default.
func TestDownAndUpOften(t *testing.T) {
	m := start(t)
	m.Sh(`systemctl enable qmail-smtpd.socket qmail-smtpd-log.socket`) // otherwise systemd forgets how often
	for range 8 {
		m.Sh(`svc -d /service/smtpd`)
		says(m, "/service/smtpd", down)
		m.Sh(`svc -u /service/smtpd`)
		says(m, "/service/smtpd", up)
		m.Sh(`systemctl restart qmail-smtpd-log.socket`)
	}
	m.Sh(`systemctl is-active qmail-smtpd.socket qmail-smtpd-log.socket`)
	m.Await(soon, `swaks --server 127.0.0.1 --quit-after BANNER`)
}

// TestTrouble meets what is wrong with one clear line, and goes on.
func TestTrouble(t *testing.T) {
	m := start(t)
	said := func(line string) {
		t.Helper()
		m.Await(soon, `journalctl -u svscan -o cat | grep -F '`+line+`'`)
	}

	// nonsense in env/, and back
	m.Sh(`echo abc >/service/smtpd/env/PORT`)
	said("svscan: warning: /service/smtpd/systemd/listen: not a port number: abc")
	m.Sh(`echo 25 >/service/smtpd/env/PORT`)

	// a unit that is masked
	m.Sh(`svc -d /service/qmail-queue`)
	says(m, "/service/qmail-queue", down)
	m.Sh(`systemctl mask qmail-queue.service; svc -u /service/qmail-queue`)
	said("Unit qmail-queue.service is masked.")
	m.Sh(`systemctl unmask qmail-queue.service; svc -u /service/qmail-queue`)
	says(m, "/service/qmail-queue", up)

	// a run that does not start; beside the old one, as nothing may write what
	// is being executed
	m.Sh(`cd /service/qmail-queue; cp -p run run.good; cp -p run run.bad; echo '#!/nonexistent' >run.bad; mv run.bad run; svc -t .`)
	says(m, "/service/qmail-queue", `: down`)
	m.Sh(`cd /service/qmail-queue; mv run.good run`)
	says(m, "/service/qmail-queue", up)

	// a copy that says it is the other's
	m.Sh(`cp -a /var/qmail/service/smtpd /var/qmail/service/copy; touch /var/qmail/service/copy/down; ln -s /var/qmail/service/copy /service`)
	said("svscan: warning: /service/copy: qmail-smtpd.socket is of /service/smtpd")

	// /run/svcompat gone, with all FIFOs
	m.Sh(`systemctl stop svscan qmail-smtpd.socket qmail-smtpd qmail-smtpd-log.socket qmail-smtpd-log; rm -r /run/svcompat; systemctl start svscan`)
	m.Await(soon, `svok /service/smtpd && svok /service/smtpd/log && svc -u /service/smtpd`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)
	says(m, "/service/smtpd/log", up)

	m.Sh(`sleep 6`)
	counts := map[string]int{}
	for _, line := range strings.Split(m.Sh(`journalctl -u svscan -o cat | grep '^svscan: warning:'`), "\n") {
		counts[line]++
	}
	for line, n := range counts {
		if n > 2 {
			t.Errorf("said %d times: %s", n, line)
		}
	}
}

package booted

import "testing"

// TestRunWithoutExec has a run script that does not exec its program: systemd
// gave the sockets to the shell.
func TestRunWithoutExec(t *testing.T) {
	m := start(t)
	m.Sh(`cd /service/smtpd; cp -p run run.good
sed -i 's/^  exec \\$/  true;/' run
svc -t .`)
	m.Await(soon, `grep 'tcpserver: fatal: .*sockets were handed to another process: run must exec its program' /service/smtpd/log/main/current`)
	m.Sh(`svstat /service/qmail-queue | grep 'up (pid'; cd /service/smtpd; mv run.good run`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)
}

// TestMissingUser takes the account of the SMTP service away.
func TestMissingUser(t *testing.T) {
	m := start(t)
	m.Sh(`sed -i.good '/^qmaild:/d' /etc/passwd; svc -t /service/smtpd`)
	m.Await(soon, `journalctl -u qmail-smtpd -o cat | grep 'Failed to determine user credentials: No such process'`)
	m.Sh(`svstat /service/qmail-queue | grep 'up (pid'; mv /etc/passwd.good /etc/passwd`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)
}

// TestBadVar has /var/qmail full, and then read-only: mail is refused for
// now, nothing that was accepted is lost, and it mends itself.
func TestBadVar(t *testing.T) {
	m := install(t)
	m.Sh(`
systemctl stop svscan
mv /var/qmail /var/qmail.disk
mkdir /var/qmail
mount -t tmpfs -o size=3M,mode=755 tmpfs /var/qmail
cp -a /var/qmail.disk/. /var/qmail
systemctl start svscan qmail-queue.socket qmail-smtpd.socket`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)

	m.Sh(`head -c 100M /dev/zero >/var/qmail/filler 2>/dev/null || true`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org | grep '<\*\* 451 qq '`)
	m.Sh(`rm /var/qmail/filler`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)

	m.Sh(`
systemctl stop svscan qmail-smtpd.socket qmail-queue.socket qmail-{smtpd,queue}-log.socket qmail-{smtpd,queue}{,-log}.service
mount -o remount,ro /var/qmail
systemctl start svscan qmail-queue.socket qmail-smtpd.socket || systemctl start svscan qmail-smtpd.socket`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org | grep '<\*\* 451 qq '`)
	// a socket unit that could not make its socket is tried again by svscan
	m.Sh(`mount -o remount,rw /var/qmail`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)
	m.Sh(`test $(ls /var/qmail/queue/todo | wc -l) = 3; systemctl is-active svscan`)
	m.Await(soon, `svstat /service/smtpd /service/smtpd/log; svstat /service/smtpd /service/smtpd/log | grep -c "up (pid" | grep -x 2 || { journalctl -u svscan -o cat | grep ^svscan: | tail -20; false; }`)
}

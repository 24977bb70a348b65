// Package booted tests the service on a machine whose process 1 is systemd,
// as administrators use it there.
package booted

import (
	"testing"
	"time"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

// soon is for what takes five seconds at most on a machine at rest.
const soon = 60 * time.Second

// installSVCompat boots a machine and puts our programs and the units of svscan
// where packages put them. Nothing is started.
func installSVCompat(t *testing.T) *machine.Machine {
	t.Helper()
	m := boot(t)
	m.CopyDir(programs.Ours(t), "/usr/libexec/qmail-smtpd")
	m.CopyDir(programs.Root(t)+"/units/system", "/tmp/units")
	m.AddQmailAccounts()
	m.Sh(`
cd /usr/libexec/qmail-smtpd
for command in *; do ln -sf ../libexec/qmail-smtpd/$command /usr/bin/$command; done
mkdir -p /usr/lib/systemd/system-generators
ln -s /usr/libexec/qmail-smtpd/svscan-generator /usr/lib/systemd/system-generators/
rm -rf /var/qmail /service
mkdir -p /service /var/qmail/bin /var/qmail/control /var/qmail/service
cp /tmp/units/svscan* /usr/lib/systemd/system/
systemctl daemon-reload
`)
	return m
}

// install is installSVCompat and all the rest: the default directories with
// their units, and svscan started. The units are not.
func install(t *testing.T) *machine.Machine {
	t.Helper()
	m := installSVCompat(t)
	m.Sh(`
ln -s /usr/bin/qmail-smtpd /usr/bin/qmail-queue /var/qmail/bin/
echo mail.example.org >/var/qmail/control/me
echo example.org >/var/qmail/control/rcpthosts
qmail-queue-conf qmailq qmaill /var/qmail/service/queue
qmail-smtpd-conf qmaild qmaill /var/qmail/service/smtpd
make -s -C /var/qmail/service/smtpd
ln -s /var/qmail/service/smtpd /service/smtpd
ln -s /var/qmail/service/queue /service/qmail-queue
cp /tmp/units/* /usr/lib/systemd/system/
systemctl daemon-reload
systemctl start svscan
`)
	return m
}

// start is install with the service started, as administrators start it.
func start(t *testing.T) *machine.Machine {
	t.Helper()
	m := install(t)
	m.Sh(`systemctl start qmail-queue.socket qmail-smtpd.socket`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org --body first`)
	m.Await(soon, `svstat /service/smtpd /service/smtpd/log /service/qmail-queue /service/qmail-queue/log | grep -c 'up (pid' | grep -qx 4`)
	return m
}

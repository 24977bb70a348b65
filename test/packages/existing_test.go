package packages

import (
	"path/filepath"
	"strings"
	"testing"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

// TestExistingQmail installs beside a qmail, over Debian's daemontools and
// ucspi-tcp, where no systemd runs.
func TestExistingQmail(t *testing.T) {
	t.Parallel()
	m := machine.Start(t)
	debs.copyTo(t, m)
	m.CopyDir(filepath.Join(programs.Originals(t), "../../deb"), "/packages/originals")
	m.Sh(`
rm -f /var/lib/man-db/auto-update
dpkg -i /packages/originals/* >&2
rm -rf /var/qmail /service
groupadd -g 7801 nofiles
groupadd -g 7802 qmail
for name in alias qmaild qmaill qmailp; do useradd -g nofiles -d /var/qmail -s /bin/false $name; done
for name in qmailq qmailr qmails; do useradd -g qmail -d /var/qmail -s /bin/false $name; done
mkdir -p /var/qmail/bin /var/qmail/control /var/qmail/alias /service
chown alias:qmail /var/qmail/alias; chmod 3775 /var/qmail/alias; chmod 711 /var/qmail/control
echo old.example.org >/var/qmail/control/me
for name in qmail-smtpd qmail-queue; do echo patched >/var/qmail/bin/$name; done
chmod 4711 /var/qmail/bin/qmail-queue
for i in 0 1 2 3 4; do mkdir -p /var/qmail/queue/mess/$i; done
echo mail >/var/qmail/queue/mess/3/8
chown -R qmailq:qmail /var/qmail/queue
ln -s /nowhere /service/smtpd`)
	state := `cd /var/qmail; getent passwd | grep -E '^(qmail|alias)'; find . -path ./queue -prune -o ! -path './service*' -printf '%M %u %g %p %l\n' | sort; find queue/mess -printf '%M %u %g %p\n'; ls -l /service/smtpd; cat bin/qmail-smtpd bin/qmail-queue queue/mess/3/8`
	before := m.Sh(state)
	out := do(m, deb.install, debs)
	if got := m.Sh("dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' daemontools ucspi-tcp svcompat qmail-smtpd 2>/dev/null | grep ' installed'"); got != "qmail-smtpd installed\nsvcompat installed\n" {
		t.Errorf("now there are %q; %s", got, out)
	}
	if got := m.Sh("cat /var/qmail/control/rcpthosts"); got != "old.example.org\n" {
		t.Errorf("control/rcpthosts is %q", got)
	}
	m.Sh("test /usr/bin/svscan -ef /usr/libexec/qmail-smtpd/svscan; test /usr/bin/supervise -ef /usr/libexec/qmail-smtpd/svcompat; test /usr/bin/tcprules -ef /usr/libexec/qmail-smtpd/tcpserver")
	made := []string{"./bin/qmail-newmrh", "./control/rcpthosts"}
	var after strings.Builder
next:
	for _, line := range strings.SplitAfter(m.Sh(state), "\n") {
		for _, name := range made {
			if strings.Contains(line, " "+name+" ") {
				continue next
			}
		}
		after.WriteString(line)
	}
	if after.String() != before {
		t.Errorf("the installation changed what was there:\n%s, before:\n%s", after.String(), before)
	}
	m.Sh("dpkg -P qmail-smtpd svcompat >&2")
	if got := m.Sh(state); got != before {
		t.Errorf("the purge changed what was there:\n%s, before:\n%s", got, before)
	}
}

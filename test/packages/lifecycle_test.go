package packages

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

// A kind of packages, with the commands of its packager.
type kind struct {
	install, reinstall, upgrade, downgrade string // followed by the files of packages
	remove                                 string
	first, later                           packages
}

var (
	deb = kind{
		install: "dpkg -i", reinstall: "dpkg -i", upgrade: "dpkg -i", downgrade: "dpkg -i",
		remove: "dpkg -r qmail-smtpd svcompat qmail-smtpd-doc",
		first:  debs, later: debsLater,
	}
	rpm = kind{
		install: "rpm -i", reinstall: "rpm -U --replacepkgs", upgrade: "rpm -U", downgrade: "rpm -U --oldpackage",
		remove: "rpm -e qmail-smtpd svcompat qmail-smtpd-doc",
		first:  rpms, later: rpmsLater,
	}
)

// do runs a command of a packager on packages, and returns what it said.
func do(m *machine.Machine, command string, p packages) string {
	return m.Sh(command + " " + p.inside + " 2>&1")
}

// listFiles prints the files of a machine, but for those of other packages.
const listFiles = `find /etc /usr /opt /srv /var /service -xdev \( -path '/var/lib/*' ! -path '/var/lib/qmail*' ! -path '/var/lib/systemd*' \
  -o -path /var/lib/systemd/timers -o -path /var/cache -o -path /var/log -o -path /var/tmp \) -prune -o -print 2>/dev/null | LC_ALL=C sort`

// checkLeft holds the files of a machine against those that it had before.
func checkLeft(t *testing.T, m *machine.Machine, before, want string) {
	t.Helper()
	m.WriteFile("/root/before", before, 0o644)
	if got := m.Sh("(" + listFiles + ") >/root/after; diff /root/before /root/after | grep '^[<>]' | sed 's,\\(/queue/\\|/smtpd/\\).*,\\1...,' | uniq"); got != want {
		t.Errorf("after a purge and before the installation there are other files: %s\nwant %s", got, want)
	}
}

// send sends a mail with id as its subject, and waits until it is in the
// queue in qmail's format.
func send(m *machine.Machine, id string) {
	m.Sh("swaks --silent 2 --server 127.0.0.1 --from sender@client.example --to user@mail.example.org --header 'Subject: " + id + "'")
	m.Await(soon, `
for mess in $(grep -rlx 'Subject: `+id+`' /var/qmail/queue/mess); do
  todo=/var/qmail/queue/todo/${mess##*/}
  tr '\0' '\n' <$todo | grep -qx Tuser@mail.example.org && tr '\0' '\n' <$todo | grep -qx Fsender@client.example && exit
done
exit 1`)
}

// property returns a property of a unit.
func property(m *machine.Machine, unit, name string) string {
	return strings.TrimSpace(m.Sh("systemctl show --value -p " + name + " " + unit))
}

// checkRunning waits until the four services run, as whom they should.
func checkRunning(m *machine.Machine) {
	for unit, want := range map[string]string{
		"qmail-smtpd.service":     "qmaild tcpserver",
		"qmail-smtpd-log.service": "qmaill multilog",
		"qmail-queue.service":     "qmailq qmail-queued",
		"qmail-queue-log.service": "qmaill multilog",
	} {
		m.Await(soon, "ps -o user=,comm= -p $(systemctl show --value -p MainPID "+unit+") | tr -s ' ' | grep -x '"+want+"'")
	}
}

// checkExposure holds the sandboxes of the packaged units against the numbers
// in docs/SECURITY.md.
func checkExposure(t *testing.T, m *machine.Machine) {
	t.Helper()
	for unit, limit := range map[string]float64{"qmail-smtpd": 1.0, "qmail-smtpd-log": 1.0, "qmail-queue": 1.0, "qmail-queue-log": 1.0, "svscan": 1.5} {
		out := m.Sh("systemd-analyze security --no-pager " + unit + ".service")
		level := regexp.MustCompile(`level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
		if level == nil {
			t.Fatalf("systemd-analyze security: %s", out)
		}
		if n, err := strconv.ParseFloat(level[1], 64); err != nil || n > limit {
			t.Errorf("%s is exposed at level %s", unit, level[1])
		}
	}
}

// TestDeb and TestRPM install, reinstall, upgrade, remove and install again,
// with an administrator who edits in between.
func TestDeb(t *testing.T) {
	t.Run("here", func(t *testing.T) { debLifecycle(t, "/") })
	t.Run("debian13", func(t *testing.T) { debLifecycle(t, programs.Debian13(t)) })
}

func debLifecycle(t *testing.T, root string) {
	t.Parallel()
	m := bootOn(t, root, debs, debsLater)
	before := m.Sh(listFiles)
	lifecycle(t, m, deb)

	m.CopyDir(programs.Root(t)+"/packaging/deb/tests", "/packages/tests")
	if out := m.Sh("/packages/tests/smoke"); !strings.Contains(out, "/service/smtpd: up (pid") {
		t.Errorf("the test of the package says %q", out)
	}

	// What was edited, and mail, survive a purge; the rest goes.
	m.Sh("dpkg -P qmail-smtpd svcompat qmail-smtpd-doc 2>&1 | grep 'holds mail'")
	checkLeft(t, m, before, `> /var/qmail
> /var/qmail/control
> /var/qmail/control/rcpthosts
> /var/qmail/queue
> /var/qmail/queue/...
> /var/qmail/service
> /var/qmail/service/smtpd
> /var/qmail/service/smtpd/...
`)
	m.Sh("! find /var/qmail/service -name supervise -o -path '*/log/main/*' | grep .")
	if out := m.Sh("getent passwd qmaild qmaill qmailq >/dev/null; find /etc/systemd/system -name '*qmail*'"); out != "" {
		t.Errorf("a purge left %q", out)
	}
	do(m, deb.install, debsLater)
	checkRunning(m)
	m.Sh("grep -qx '# edited' /var/qmail/service/smtpd/run; grep -qx example.net /var/qmail/control/rcpthosts")
	send(m, "purged")
}

func TestRPM(t *testing.T) {
	t.Parallel()
	m := boot(t, rpms, rpmsLater)
	addBase(m)
	lifecycle(t, m, rpm)
}

func lifecycle(t *testing.T, m *machine.Machine, k kind) {
	out := do(m, k.install, k.first)
	if strings.Contains(out, "held") {
		t.Errorf("a port is said to be held on a fresh machine: %s", out)
	}

	m.Sh("systemctl is-enabled qmail-smtpd.socket qmail-queue.socket >&2; systemctl is-active qmail-smtpd.socket qmail-queue.socket >&2")
	checkRunning(m)
	send(m, "fresh")
	m.Await(soon, "grep -q 'tcpserver: status: 0/40' /service/smtpd/log/main/current")
	m.Await(soon, `
svstat /service/smtpd | grep "up (pid $(systemctl show --value -p MainPID qmail-smtpd.service))" &&
svstat /service/smtpd/log | grep "up (pid $(systemctl show --value -p MainPID qmail-smtpd-log.service))"`)
	if got := m.Sh("cat /var/qmail/control/me /var/qmail/control/rcpthosts"); got != "mail.example.org\nmail.example.org\n" {
		t.Errorf("control/me and control/rcpthosts are %q", got)
	}
	if out, code := m.Try("swaks --server 127.0.0.1 --from a@client.example --to b@elsewhere.example"); code == 0 || !strings.Contains(out, "** 553 ") {
		t.Errorf("a stranger may relay: %s", out)
	}
	m.Sh(`
cd /service/smtpd
test -s tcp.cdb
test -z "$(cat systemd/service.conf log/systemd/service.conf systemd/socket.conf | grep -v '^#')"
test $(readlink /service/qmail-queue) = /var/qmail/service/queue
test /var/qmail/bin/qmail-smtpd -ef /usr/libexec/qmail-smtpd/tcpserver`)
	if out := m.Sh("systemd-analyze verify --man=$(man -w svscan >/dev/null 2>&1 && echo yes || echo no) /usr/lib/systemd/system/qmail-* /usr/lib/systemd/system/svscan.service /usr/lib/systemd/system/svscan-pipe@.service 2>&1"); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	checkExposure(t, m)
	m.Sh("! systemctl show -p After -p Wants -p Requires svscan.service 'qmail-*' | grep network-online")

	// Reinstall and upgrade, with files edited and clients knocking.
	m.Sh(`
cd /var/qmail/service/smtpd
echo '# edited' >>run
echo '10.:deny' >tcp
tcprules tcp.cdb tcp.tmp <tcp
echo example.net >>/var/qmail/control/rcpthosts
rm /service/qmail-queue
echo '# edited' >>/etc/fail2ban/filter.d/qmail-smtpd.conf
systemd-run -q --unit=knock bash -c 'while sleep 0.1; do
  read -r line </dev/tcp/127.0.0.1/25
  echo "$line" >>/tmp/greetings
done'`)
	const sums = "cd /var/qmail; sha256sum $(find control service /etc/fail2ban/filter.d/qmail-smtpd.* -type f -not -path '*/log/main/*' -not -path '*/supervise/*')"
	edited := m.Sh(sums)
	m.Await(soon, "grep -q 220 /tmp/greetings")
	for _, step := range []struct {
		name, command string
		packages      packages
	}{{"reinstall", k.reinstall, k.first}, {"upgrade", k.upgrade, k.later}} {
		socket := property(m, "qmail-smtpd.socket", "ActiveEnterTimestampMonotonic")
		pid := property(m, "qmail-smtpd.service", "MainPID")
		do(m, step.command, step.packages)
		if property(m, "qmail-smtpd.socket", "ActiveEnterTimestampMonotonic") != socket {
			t.Errorf("%s restarted the socket", step.name)
		}
		if property(m, "qmail-smtpd.service", "MainPID") == pid {
			t.Errorf("%s did not restart the service", step.name)
		}
		checkRunning(m)
		if now := m.Sh(sums); now != edited {
			t.Errorf("%s changed files:\n%s, before:\n%s", step.name, now, edited)
		}
		send(m, step.name)
	}
	m.Sh("systemctl stop knock")
	if out, code := m.Try("journalctl -u knock --no-pager | grep refused"); code == 0 {
		t.Errorf("clients were refused: %s", out)
	}
	m.Sh("test ! -L /service/qmail-queue")

	// What was stopped stays stopped.
	m.Sh("systemctl stop qmail-smtpd.socket qmail-smtpd.service")
	do(m, k.reinstall, k.later)
	m.Sh("test $(systemctl is-active qmail-smtpd.socket) = inactive; systemctl is-active qmail-queue.socket >&2")

	// Remove.
	m.Sh("systemctl start qmail-smtpd.socket")
	m.Await(soon, "systemctl is-active qmail-smtpd.service")
	m.Sh(k.remove + " >&2")
	if _, code := m.Try("exec 2>/dev/null 3<>/dev/tcp/127.0.0.1/25"); code == 0 {
		t.Error("port 25 answers after the removal")
	}
	if out := m.Sh(`
for name in svscan tcpserver qmail-queued multilog; do pgrep -lx $name || true; done
ls -d /usr/libexec/qmail-smtpd /service/smtpd /var/qmail/bin/qmail-smtpd /var/qmail/qmail-queue.socket 2>/dev/null || true`); out != "" {
		t.Errorf("after the removal there are %q", out)
	}
	m.Sh(`
grep -rqx 'Subject: fresh' /var/qmail/queue/mess
grep -qx example.net /var/qmail/control/rcpthosts
grep -qx '# edited' /var/qmail/service/smtpd/run
grep -qx '# edited' /etc/fail2ban/filter.d/qmail-smtpd.conf*`)

	// Install again.
	do(m, k.install, k.later)
	m.Sh("systemctl is-enabled qmail-smtpd.socket >&2")
	checkRunning(m)
	m.Sh("grep -qx '# edited' /var/qmail/service/smtpd/run; grep -qx example.net /var/qmail/control/rcpthosts")
	send(m, "again")
}

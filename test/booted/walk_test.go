package booted

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/traffic"
)

var pidWord = regexp.MustCompile(`pid \d+`)

// pids returns the pids that svstat prints for service directories.
func pids(m *machine.Machine, dirs string) string {
	return fmt.Sprint(pidWord.FindAllString(m.Sh("svstat "+dirs), -1))
}

// says waits until svstat says of a service directory what the pattern, of
// grep -E, matches.
func says(m *machine.Machine, dir, pattern string) string {
	return m.Await(soon, "svstat "+dir+" | grep -E '"+pattern+"' || { svstat "+dir+"; false; }")
}

// anotherPID waits until the SMTP service is up with another pid than old, as
// pids gave it.
func anotherPID(m *machine.Machine, old string) {
	m.Await(soon, `svstat /service/smtpd | grep 'up (pid' | grep -vF '`+strings.Trim(old, "[]")+`)'`)
}

const (
	up   = `: up \(pid [0-9]+\) [0-9]+ seconds$`
	down = `: down [0-9]+ seconds, normally up$`
)

// TestWalk is the administrator's walk: the service is where daemontools
// taught to look for it.
func TestWalk(t *testing.T) {
	m := start(t)
	m.CopyDir(programs.Originals(t), "/opt/classic")
	const dirs = "/service/smtpd /service/smtpd/log"
	says(m, "/service/smtpd", up)
	says(m, "/service/smtpd/log", up)
	before := pids(m, dirs)
	later := m.Sh("sleep 1.1; svstat " + dirs)
	if after := fmt.Sprint(pidWord.FindAllString(later, -1)); before != after {
		t.Errorf("pids are not steady: %s, then %s", before, after)
	}
	if classic := m.Sh("/opt/classic/svok /service/smtpd; /opt/classic/svok /service/smtpd/log; /opt/classic/svstat " + dirs); fmt.Sprint(pidWord.FindAllString(classic, -1)) != before {
		t.Errorf("the original svstat says %s, ours says %s", classic, later)
	}
	users := m.Sh(`ps -o user:8=,comm= -p $(systemctl show -P MainPID qmail-smtpd),$(systemctl show -P MainPID qmail-smtpd-log),$(systemctl show -P MainPID qmail-queue)`)
	for _, want := range []string{`qmaild +tcpserver\n`, `qmaill +multilog\n`, `qmailq +qmail-queued\n`} {
		if !regexp.MustCompile(want).MatchString(users) {
			t.Errorf("no %q in %q", want, users)
		}
	}
	if main := m.Sh(`echo "[pid $(systemctl show -P MainPID qmail-smtpd) pid $(systemctl show -P MainPID qmail-smtpd-log)]"`); strings.TrimSpace(main) != before {
		t.Errorf("svstat says %s, systemd %s", before, main)
	}
	m.Await(soon, `tai64nlocal </service/smtpd/log/main/current | grep 'tcpserver: status: 0/40'`)
	modes := m.Sh(`cd /service/smtpd/supervise; stat -c '%n %F %a %U %s' . lock ok control status`)
	// the directory has its group bit from the one above
	for _, want := range []string{". directory 2700 root", "lock regular empty file 600 root 0", "ok fifo 600 root 0", "control fifo 600 root 0", "status regular file 644 root 18"} {
		if !strings.Contains(modes, want) {
			t.Errorf("no %q in %q", want, modes)
		}
	}

	out := m.Sh(`swaks --server 127.0.0.1 --from a@b.example --to you@example.org --h-Subject walk`)
	qp := regexp.MustCompile(`250 ok \d+ qp (\d+)`).FindStringSubmatch(out)
	if qp == nil {
		t.Fatalf("swaks said %s", out)
	}
	traffic.Settle(m)
	m.Sh(`cd /var/qmail/queue; grep -l "^Subject: walk$" mess/*/* && grep -z "p` + qp[1] + `" todo/*`)

	// letters, from both svc
	for _, svc := range []string{"svc", "/opt/classic/svc"} {
		old := pids(m, "/service/smtpd")
		m.Sh(svc + " -t /service/smtpd")
		anotherPID(m, old)
		m.Await(soon, `swaks --server 127.0.0.1 --quit-after BANNER`)
		m.Sh(svc + " -d /service/smtpd")
		says(m, "/service/smtpd", down)
		m.Await(soon, `! swaks --server 127.0.0.1 --quit-after BANNER && ss -Hltn sport = :25 | grep -c . | grep -qx 0`)
		if out, _ := m.Try(`systemctl is-active qmail-smtpd.socket qmail-smtpd.service`); out != "inactive\ninactive\n" {
			t.Errorf("after svc -d systemd says %q", out)
		}
		m.Sh(svc + " -u /service/smtpd")
		says(m, "/service/smtpd", up)
		m.Await(soon, `swaks --server 127.0.0.1 --quit-after BANNER`)
	}
	old := pids(m, "/service/smtpd")
	m.Sh(`svc -h /service/smtpd; swaks --server 127.0.0.1 --quit-after BANNER`)
	if now := pids(m, "/service/smtpd"); now != old {
		t.Errorf("svc -h changed %s into %s", old, now)
	}
	m.Sh(`svc -k /service/smtpd`)
	anotherPID(m, old)
	m.Sh(`svc -p /service/smtpd`)
	says(m, "/service/smtpd", "seconds, paused$")
	m.Await(soon, `grep '^State:.T' /proc/$(systemctl show -P MainPID qmail-smtpd)/status`)
	m.Sh(`svc -c /service/smtpd`)
	says(m, "/service/smtpd", up)

	// once, and not again
	m.Sh(`svc -o /service/smtpd; sleep 0.1; svc -k /service/smtpd`)
	says(m, "/service/smtpd", down)
	m.Await(soon, `! systemctl is-active qmail-smtpd.socket`)
	m.Sh(`svc -u /service/smtpd`)
	says(m, "/service/smtpd", up)

	// the verbs of systemd, seen by svstat
	m.Sh(`systemctl stop qmail-smtpd.socket qmail-smtpd.service`)
	says(m, "/service/smtpd", down)
	m.Sh(`systemctl start qmail-smtpd.socket`)
	says(m, "/service/smtpd", up)
	m.Sh(`systemctl restart qmail-smtpd.service; systemctl reload qmail-smtpd.service`)
	m.Await(soon, `test "$(systemctl show -P MainPID qmail-smtpd)" = "$(svstat /service/smtpd | sed 's/.*pid \([0-9]*\).*/\1/')"`)
	m.Sh(`systemctl stop qmail-smtpd-log.socket qmail-smtpd-log.service`)
	says(m, "/service/smtpd/log", down)
	m.Sh(`svc -u /service/smtpd/log`)
	says(m, "/service/smtpd/log", up)

	// the way out, and back
	m.Sh(`rm /service/smtpd; cd /var/qmail/service/smtpd; sleep 5; svok .; svc -dx . log`)
	m.Await(soon, `! svok /var/qmail/service/smtpd && ! svok /var/qmail/service/smtpd/log`)
	m.Sh(`ln -s /var/qmail/service/smtpd /service/smtpd`)
	m.Await(soon, `svok /service/smtpd && svok /service/smtpd/log && svc -u /service/smtpd /service/smtpd/log`)
	says(m, "/service/smtpd", up)
	says(m, "/service/smtpd/log", up)
}

// TestColdActivation stops the service and leaves its socket: a client brings
// it back, and its log.
func TestColdActivation(t *testing.T) {
	m := start(t)
	m.Sh(`systemctl stop qmail-smtpd.service qmail-smtpd-log.service qmail-queue.service`)
	says(m, "/service/smtpd", ": down")
	m.Sh(`swaks --server 127.0.0.1 --to you@example.org --h-Subject cold`)
	says(m, "/service/smtpd", up)
	says(m, "/service/smtpd/log", up)
	says(m, "/service/qmail-queue", up)
	m.Await(soon, `grep 'qmail-smtpd: .* accepted ' /service/smtpd/log/main/current`)
}

// TestSvscanRestart replaces svscan: the services do not notice, and svstat
// says the same.
func TestSvscanRestart(t *testing.T) {
	m := start(t)
	const dirs = "/service/smtpd /service/smtpd/log /service/qmail-queue /service/qmail-queue/log"
	const since = `for d in ` + dirs + `; do od -An -tx1 $d/supervise/status; done`
	before, stamps := pids(m, dirs), m.Sh(since)
	for _, end := range []string{`kill -KILL $(systemctl show -P MainPID svscan)`, `systemctl restart svscan`} {
		old := m.Sh(`systemctl show -P MainPID svscan`)
		m.Sh(end)
		m.Await(soon, `svok /service/qmail-queue/log && test $(systemctl show -P MainPID svscan) != `+strings.TrimSpace(old)+` && systemctl is-active svscan && svok /service/smtpd && svok /service/smtpd/log && svok /service/qmail-queue && svok /service/qmail-queue/log`)
		if after := pids(m, dirs); after != before {
			t.Errorf("%s: pids %s became %s", end, before, after)
		}
		if now := m.Sh(since); now != stamps {
			t.Errorf("%s: status\n%s became\n%s", end, stamps, now)
		}
	}
	m.Sh(`svc -t /service/smtpd`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)

	// systemd itself, and the bus
	m.Sh(`systemctl daemon-reexec; svc -t /service/smtpd; sleep 1`)
	m.Await(soon, `test "$(systemctl show -P MainPID qmail-smtpd)" = "$(svstat /service/smtpd | sed -n 's/.*pid \([0-9]*\).*/\1/p')"`)
	m.Sh(`systemctl stop dbus.socket dbus.service; svc -d /service/smtpd`)
	says(m, "/service/smtpd", down)
	m.Sh(`systemctl daemon-reexec`)
	m.Sh(`svc -u /service/smtpd`)
	says(m, "/service/smtpd", up)
	m.Await(soon, `swaks --server 127.0.0.1 --quit-after BANNER`)
}

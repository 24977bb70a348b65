package booted

import (
	"fmt"
	"strings"
	"testing"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

// startSleeper starts svscan on one service, x, with a log.
func startSleeper(t *testing.T) *machine.Machine {
	t.Helper()
	m := installSVCompat(t)
	m.CopyDir(programs.Originals(t), "/opt/classic")
	m.Sh(`mkdir -p /srv/x/log
printf '#!/bin/sh\nsleep 0.1; echo begin\nexec sleep 100000\n' >/srv/x/run
printf '#!/bin/sh\nexec cat >>lines\n' >/srv/x/log/run
chmod 755 /srv/x/run /srv/x/log/run
systemctl start svscan; ln -s /srv/x /service`)
	says(m, "/service/x", up)
	says(m, "/service/x/log", up)
	m.Await(soon, `grep begin /srv/x/log/lines`)
	return m
}

// svscanSaid is what svscan complained of.
func svscanSaid(m *machine.Machine) string {
	return m.Sh(`journalctl -u svscan -o cat | grep ^svscan: || true`)
}

// TestOnce runs a service once, in all the ways in which that can end.
func TestOnce(t *testing.T) {
	m := startSleeper(t)
	gone := func() {
		t.Helper()
		says(m, "/service/x", down)
		m.Await(soon, `! ls /run/svcompat/svc-x.once && ! systemctl is-active svc-x`)
	}
	m.Sh(`svc -o /service/x`)
	m.Await(soon, `ls /run/svcompat/svc-x.once`)
	m.Sh(`svc -t /service/x`)
	gone()

	// without svscan, too; since systemd 254, where a restart passes over
	// conditions, the next run is the last
	m.Sh(`svc -o /service/x`)
	says(m, "/service/x", up)
	m.Await(soon, `ls /run/svcompat/svc-x.once`)
	old := pids(m, "/service/x")
	m.Sh(`systemctl stop svscan; kill -KILL $(systemctl show -P MainPID svc-x)`)
	if m.Sh(`systemctl --version | awk 'NR == 1 {print $2 < 254}'`) == "1\n" {
		m.Await(soon, `systemctl show -P ConditionResult svc-x | grep -x no && test $(systemctl show -P MainPID svc-x) = 0`)
		m.Sh(`systemctl start svscan`)
	} else {
		m.Await(soon, `new=$(systemctl show -P MainPID svc-x); test $new != 0 && test "[pid $new]" != '`+old+`'`)
		m.Sh(`systemctl start svscan; svok /service/x; svc -t /service/x`)
	}
	gone()

	// a run that is over at once
	m.Sh(`cp -p /srv/x/run /srv/x/run.good; printf '#!/bin/sh\necho short\n' >/srv/x/run; svc -o /service/x`)
	m.Await(soon, `grep short /srv/x/log/lines`)
	gone()
	m.Sh(`mv /srv/x/run.good /srv/x/run`)

	// u, and restart, end it
	m.Sh(`svc -o /service/x`)
	m.Await(soon, `ls /run/svcompat/svc-x.once`)
	m.Sh(`svc -u /service/x`)
	m.Await(soon, `! ls /run/svcompat/svc-x.once`)
	m.Sh(`svc -o /service/x`)
	m.Await(soon, `ls /run/svcompat/svc-x.once`)
	old = pids(m, "/service/x")
	m.Sh(`systemctl restart svc-x`)
	m.Await(soon, `svstat /service/x | grep 'up (pid' | grep -vF '`+strings.Trim(old, "[]")+`)'`)
	m.Await(soon, `! ls /run/svcompat/svc-x.once`)
	if restart := m.Sh(`systemctl show -P Restart svc-x`); restart != "always\n" {
		t.Errorf("Restart=%s", restart)
	}
}

// TestEntries removes, renames and brings back entries of the scan directory,
// and the directory behind one.
func TestEntries(t *testing.T) {
	m := startSleeper(t)
	before := pids(m, "/srv/x /srv/x/log")
	m.Sh(`mv /service/x /service/y; mkdir /service/z; printf '#!/bin/sh\nexec sleep 100000\n' >/service/z/run; chmod 755 /service/z/run`)
	says(m, "/service/z", up)
	if after := pids(m, "/srv/x /srv/x/log"); after != before {
		t.Errorf("a new name changed %s into %s", before, after)
	}
	m.Sh(`rm /service/y; sleep 6; systemctl daemon-reload; svc -k /srv/x`)
	m.Await(soon, `svstat /srv/x | grep 'up (pid' | grep -v '`+strings.TrimSpace(m.Sh(`svstat /srv/x | sed 's/.*\(pid [0-9]*\).*/\1)/'`))+`' || svstat /srv/x | grep 'up (pid'`)
	m.Sh(`systemctl restart svscan`)
	m.Await(soon, `svok /srv/x && svok /srv/x/log`)
	m.Sh(`svc -dx /srv/x /srv/x/log`)
	m.Await(soon, `! svok /srv/x && ! svok /srv/x/log && ! ls /run/svcompat/held/svc-x && ! systemctl cat svc-x`)
	m.Sh(`ln -s /srv/x /service/x`)
	says(m, "/service/x", up)

	// down by hand, it stays down with the next svscan
	m.Sh(`svc -d /service/x`)
	says(m, "/service/x", down)
	killed(m, "svscan")
	m.Await(soon, `svok /service/x`)
	says(m, "/service/x", down)

	// a log comes later
	m.Sh(`mkdir /service/z/.log; cp /srv/x/log/run /service/z/.log; mv /service/z/.log /service/z/log`)
	m.Await(soon, `systemctl is-active svc-z-log.service && svok /service/z/log && systemctl show -P StandardOutput svc-z | grep ^file`)

	m.Sh(`rm -r /service/z`)
	m.Await(soon, `journalctl -u svscan -o cat | grep -x 'svscan: warning: /service/z is gone: z is given up when it is down'`)
	m.Sh(`svstat /service/x; systemctl kill -s KILL svc-z.service svc-z-log.service || true`)
	m.Await(soon, `! ls /run/svcompat/held/svc-z && ! systemctl is-active svc-z.service svc-z-log.service`)
}

// TestOthers starts whoever else would hold a service directory: each is
// refused, and harms nothing. Then the original supervise is there first.
func TestOthers(t *testing.T) {
	m := startSleeper(t)
	before := pids(m, "/service/x /service/x/log")
	for _, supervise := range []string{"supervise", "/opt/classic/supervise"} {
		if out, code := m.Try(supervise + ` /service/x`); code != 111 || out != "supervise: fatal: unable to acquire /service/x/supervise/lock: temporary failure\n" {
			t.Errorf("%s: %d, %s", supervise, code, out)
		}
	}
	if out, _ := m.Try(`timeout 8 svscan --systemd /service`); out != "svscan: warning: unable to acquire x/log/supervise/lock: temporary failure\nsvscan: warning: unable to acquire x/supervise/lock: temporary failure\n" {
		t.Errorf("another svscan says %s", out)
	}
	if out, _ := m.Try(`timeout 3 svscan /service; svstat /service/x`); !strings.Contains(out, "supervise: fatal: unable to acquire x/supervise/lock: temporary failure\n") {
		t.Errorf("svscan without systemd says %s", out)
	}
	if after := pids(m, "/service/x /service/x/log"); after != before {
		t.Errorf("pids %s became %s", before, after)
	}

	m.Sh(`mkdir /srv/y; cp /srv/x/run /srv/y; systemd-run -q --unit=other /opt/classic/supervise /srv/y`)
	m.Await(soon, `svstat /srv/y | grep 'up (pid'`)
	m.Sh(`ln -s /srv/y /service; sleep 6; ! systemctl is-active svc-y`)
	m.Sh(`svc -dx /srv/y`)
	m.Await(soon, `systemctl is-active svc-y && svstat /service/y | grep 'up (pid'`)
	if said := svscanSaid(m); said != "svscan: warning: unable to acquire y/supervise/lock: temporary failure\n" {
		t.Errorf("svscan said %s", said)
	}
}

// TestBadDirectories has directories with which something is wrong: one line
// each, and the others go on.
func TestBadDirectories(t *testing.T) {
	m := startSleeper(t)
	before := pids(m, "/service/x /service/x/log")
	m.Sh(`mkdir /srv/.new; cd /srv/.new
for name in control busy setting masked status; do mkdir $name; cp /srv/x/run $name; done
mkdir control/supervise setting/systemd busy/systemd status/supervise
touch control/supervise/control
echo nonsense >status/supervise/status
echo 127.0.0.1:7000 >busy/systemd/listen
printf '#!/bin/sh\n[ "$LISTEN_FDS" = 1 ] || exit 111\nexec sleep 100000\n' >busy/run
printf '[Service]\nType=oneshot\nRestart=always\nNonsense\n' >setting/systemd/service.conf
python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 7000)); time.sleep(100000)' >/dev/null 2>&1 &
echo $! >/tmp/busy
ln -s /dev/null /etc/systemd/system/svc-masked.service
systemctl daemon-reload
mv /srv/.new/* /service`)
	says(m, "/service/status", up)
	m.Await(soon, `svok /service/busy && svok /service/setting && svok /service/masked`)
	m.Sh(`printf z >/service/x/supervise/control; svc -u /service/masked /service/masked; sleep 12`)
	counts := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(svscanSaid(m)), "\n") {
		counts[line]++
	}
	for line, n := range counts {
		if n > 1 {
			t.Errorf("said %d times: %s", n, line)
		}
	}
	said := fmt.Sprint(counts)
	for _, want := range []string{
		"svscan: warning: unable to use control/supervise/control: not a FIFO:1",
		"svscan: warning: systemd does not run svc-setting.service: it is bad-setting (systemctl status svc-setting.service):1",
		"svc-masked.service is masked.",
		"svc-busy.socket: systemd says failed",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %s", want, said)
		}
	}
	if after := pids(m, "/service/x /service/x/log"); after != before {
		t.Errorf("pids %s became %s", before, after)
	}
	m.Sh(`kill $(cat /tmp/busy)`)
	m.Await(soon, `systemctl is-active svc-busy.socket && svstat /service/busy | grep 'up (pid'`)
	m.Sh(`systemctl unmask svc-masked.service`)
	says(m, "/service/masked", up)
}

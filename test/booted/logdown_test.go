package booted

import (
	"testing"

	"qmail-smtpd/test/machine"
)

// counterRun writes numbered lines until there is a file stop, and for some time
// after it was told to end. The last number is in the file last.
const counterRun = `#!/bin/bash
rm -f last
left=-1
trap 'left=1000' TERM
i=0
while [ ! -e stop ] && [ $left != 0 ]; do
  i=$((i+1)) left=$((left-1))
  echo $i
  sleep 0.0005
done
trap - TERM
echo $i >last
[ $left = 0 ] || exec sleep 100000
`

// startCounter starts svscan on a service, x, that writes numbered lines as
// fast as a shell does, with a log that keeps all of them.
func startCounter(t *testing.T) *machine.Machine {
	t.Helper()
	m := installSVCompat(t)
	m.Sh(`mkdir -p /srv/x/log`)
	m.WriteFile("/srv/x/run", counterRun, 0o755)
	m.WriteFile("/srv/x/log/run", "#!/bin/sh\nexec multilog n1000 s16000000 ./main\n", 0o755)
	m.Sh(`systemctl start svscan; ln -s /srv/x /service`)
	says(m, "/service/x", up)
	says(m, "/service/x/log", up)
	m.Await(soon, `ls /srv/x/log/main/current`)
	return m
}

// checkCounted fails the test if the log does not get all lines in order.
func checkCounted(t *testing.T, m *machine.Machine) {
	t.Helper()
	m.Await(soon, `grep -x "$(cat /srv/x/last)" /srv/x/log/main/current`)
	if out, code := m.Try(`cd /srv/x/log/main; cat $(ls @* 2>/dev/null) current >/tmp/got; test -s /tmp/got; seq $(cat /srv/x/last) | diff - /tmp/got >/tmp/diff || { head -n 20 /tmp/diff; exit 1; }`); code != 0 {
		t.Errorf("lines are missing or out of order:\n%s", out)
	}
}

// TestLogDown puts a log down at the worst moments: lines that come then wait.
func TestLogDown(t *testing.T) {
	m := startCounter(t)
	upAgain := func() {
		t.Helper()
		says(m, "/service/x/log", down)
		m.Sh(`svc -u /service/x/log`)
		says(m, "/service/x/log", up)
	}
	// between two runs
	for range 40 {
		m.Sh(`svc -t /service/x/log; svc -d /service/x/log`)
		upAgain()
	}
	// while it fails at once
	for range 5 {
		m.Sh(`cd /service/x/log; cp -p run run.good; printf '#!/bin/sh\nexit 1\n' >run.bad; chmod 755 run.bad; mv run.bad run; svc -t .`)
		m.Await(soon, `systemctl show -P SubState svc-x-log | grep auto-restart`)
		m.Sh(`cd /service/x/log; svc -d .; mv run.good run`)
		upAgain()
	}
	// by systemctl, which then leaves it down though lines come
	m.Sh(`systemctl stop svc-x-log.service`)
	says(m, "/service/x/log", down)
	m.Sh(`n=$(tail -n 1 /srv/x/log/main/current); sleep 1; test "$(tail -n 1 /srv/x/log/main/current)" = "$n"; systemctl start svc-x-log.service`)
	says(m, "/service/x/log", up)
	// and svscan ends meanwhile
	m.Sh(`svc -d /service/x/log`)
	says(m, "/service/x/log", down)
	killed(m, "svscan")
	m.Sh(`systemctl stop svscan; sleep 0.1; systemctl start svscan; svok /service/x/log`)
	upAgain()
	m.Sh(`touch /srv/x/stop`)
	checkCounted(t, m)
}

// TestShutdown stops all units as a shutdown does, while a service takes some
// time to end and writes on: the log ends after it and has all lines.
func TestShutdown(t *testing.T) {
	m := startCounter(t)
	m.Sh(`printf '[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target\n' >/run/systemd/system/bye.target
systemctl daemon-reload; systemctl start --no-block bye.target`)
	m.Await(soon, `ls /srv/x/last; systemctl show -P ActiveState svc-x svc-x-log svc-x-log.socket | xargs | grep -x 'inactive inactive inactive'`)
	checkCounted(t, m)
}

// TestLogNeverUp has a log that is not to come up: systemd keeps its pipe, also
// while svscan is stopped.
func TestLogNeverUp(t *testing.T) {
	m := startCounter(t)
	m.Sh(`cp -a /srv/x /srv/.y; cd /srv/.y; rm -rf log/main supervise log/supervise; touch log/down; mv /srv/.y /srv/y; ln -s /srv/y /service`)
	says(m, "/service/y", up)
	old := pids(m, "/service/y")
	m.Sh(`systemctl stop svscan; sleep 0.1; systemctl start svscan; svok /service/y/log; svc -u /service/y/log`)
	says(m, "/service/y/log", `: up \(pid [0-9]+\) [0-9]+ seconds, normally down$`)
	if now := pids(m, "/service/y"); now != old {
		t.Errorf("the service ended without its log: %s, then %s", old, now)
	}
	m.Await(soon, `test $(head -n 1 /srv/y/log/main/current) = 1`)
}

// TestOldLogSocket has a socket unit of an administrator that activates the log,
// as all did once.
func TestOldLogSocket(t *testing.T) {
	m := startCounter(t)
	m.Sh(`sed '/svscan-pipe/d' /run/systemd/generator.late/svc-x-log.socket >/etc/systemd/system/svc-x-log.socket
svc -d /service/x /service/x/log`)
	m.Await(soon, `svstat /service/x /service/x/log | grep -c ': down' | grep -x 2`)
	m.Sh(`systemctl stop svc-x-log.socket; systemctl daemon-reload; systemctl restart svscan; svc -u /service/x/log /service/x`)
	says(m, "/service/x", up)
	says(m, "/service/x/log", up)
	m.Sh(`svc -d /service/x/log`)
	says(m, "/service/x/log", down)
	m.Sh(`sleep 1; svstat /service/x/log | grep ': down'; svc -u /service/x/log`)
	says(m, "/service/x/log", up)
}

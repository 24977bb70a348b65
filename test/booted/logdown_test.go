package booted

import (
	"testing"

	"qmail-smtpd/test/machine"
)

// startCounter starts svscan on a service, x, that writes numbered lines as
// fast as a shell does, with a log that keeps all of them.
func startCounter(t *testing.T) *machine.Machine {
	t.Helper()
	m := installSVCompat(t)
	m.Sh(`mkdir -p /srv/x/log
printf '#!/bin/sh\ni=0; while [ ! -e stop ]; do i=$((i+1)); echo $i; sleep 0.0005; done; exec sleep 100000\n' >/srv/x/run
printf '#!/bin/sh\nexec multilog n1000 s16000000 ./main\n' >/srv/x/log/run
chmod 755 /srv/x/run /srv/x/log/run
systemctl start svscan; ln -s /srv/x /service`)
	says(m, "/service/x", up)
	says(m, "/service/x/log", up)
	m.Await(soon, `ls /srv/x/log/main/current`)
	return m
}

// checkCounted ends the lines and fails the test if the log has not got all
// of them in order.
func checkCounted(t *testing.T, m *machine.Machine) {
	t.Helper()
	m.Sh(`pid=$(systemctl show -P MainPID svc-x); touch /srv/x/stop; until grep -qx sleep /proc/$pid/comm; do sleep 0.01; done`)
	m.Sh(`(echo end) >/run/svcompat/svc-x.log`)
	m.Await(soon, `grep -x end /srv/x/log/main/current`)
	if out, code := m.Try(`cd /srv/x/log/main; cat $(ls @* 2>/dev/null) current | grep -vx end >/tmp/got; seq $(tail -n 1 /tmp/got) | diff - /tmp/got | head -20; seq $(tail -n 1 /tmp/got) | cmp - /tmp/got`); code != 0 {
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
	checkCounted(t, m)
}

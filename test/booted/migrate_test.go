package booted

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

// installOld is installSVCompat with the original daemontools under /command,
// which run scripts and svscanboot prefer, and with runit and s6, all of them
// not started.
func installOld(t *testing.T) *machine.Machine {
	t.Helper()
	m := installGenerator(t)
	m.CopyDir(programs.Originals(t), "/opt/classic")
	old := programs.Supervisors(t)
	m.CopyDir(old+"/usr/bin", "/usr/bin")
	m.CopyDir(old+"/usr/lib", "/usr/local/lib/s6")
	m.CopyDir(old+"/lib/systemd/system", "/opt/units")
	m.WriteFile("/usr/local/bin/writer", writer, 0o755)
	m.WriteFile("/tmp/old.sh", oldTrees, 0o644)
	m.Sh(`ln -s /opt/classic /command
echo /usr/local/lib/s6/*-linux-gnu >/etc/ld.so.conf.d/s6.conf
ldconfig
systemctl start svscan`)
	return m
}

// writer numbers its lines, and goes on with the next number when it is
// started again; after SIGTERM it ends with a whole line.
const writer = `#!/usr/bin/python3
import os, signal, time
def term(*_):
    global ending
    ending = True
ending = False
signal.signal(signal.SIGTERM, term)
try:
    n = int(open("n").read())
except FileNotFoundError:
    n = 0
while not ending:
    for _ in range(50):
        n += 1
        os.write(1, b"line %d\n" % n)
    time.sleep(0.005)
open("n", "w").write(str(n))
`

// oldTrees are shell functions that make service directories.
const oldTrees = `
# service DIR LOG COMMAND ...: a service directory and its log
service() {
  dir=$1 log=$2
  shift 2
  mkdir -p "$dir/log/main"
  printf '#!/bin/sh\nexec 2>&1\necho up\nexec %s\n' "$*" >"$dir/run"
  printf '#!/bin/sh\nexec %s ./main\n' "$log" >"$dir/log/run"
  chmod 755 "$dir/run" "$dir/log/run"
}
# watch DIR ...: every few milliseconds, the services that are not up
watch() {
  while :; do /opt/classic/svstat "$@" | grep -v ': up' || :; echo; sleep 0.01; done >/tmp/downs &
}
`

// lines checks that a log directory has the lines of writer, all of them and
// in their order.
func lines(t *testing.T, m *machine.Machine, main string) {
	t.Helper()
	out := m.Sh(`cd ` + main + `; cat $(ls | grep '^@' | sort) current |
awk '$(NF-1) == "line" { n++; if ($NF != n) { print "after", n - 1, "comes", $0; n = $NF } } END { print n }'`)
	fields := strings.Fields(out)
	if len(fields) != 1 || fields[0] == "" {
		t.Errorf("%s: %s", main, out)
		return
	}
	t.Log(main, "has", fields[0], "lines")
}

// mostDown returns how many services were down at one time.
func mostDown(m *machine.Machine) int {
	most := 0
	for _, look := range strings.Split(m.Sh(`cat /tmp/downs`), "\n\n") {
		most = max(most, strings.Count(strings.TrimSpace(look), ": "))
	}
	return most
}

// TestMigrate moves a daemontools-run with twenty services, one of them busy,
// to systemd.
func TestMigrate(t *testing.T) {
	m := installOld(t)
	m.Sh(`. /tmp/old.sh
mkdir /etc/service
for i in $(seq 1 19); do
  service /var/sv/s$i 'multilog t' sleep 100000
  ln -s /var/sv/s$i /etc/service
done
service /var/sv/busy 'multilog t s1000000 n1000' writer
ln -s /var/sv/busy /etc/service
touch /var/sv/s2/down
ln -s /nowhere /etc/service/dangling
sed s,/usr/bin/,/opt/classic/, /opt/units/daemontools-run.service >/usr/lib/systemd/system/daemontools-run.service
systemctl daemon-reload
systemctl enable --now daemontools-run`)
	const allUp = `test $(/opt/classic/svstat /var/sv/* /var/sv/*/log | grep -c ': up') -ge `
	m.Await(soon, allUp+`39`)
	m.Sh(`svc -d /var/sv/s1; svc -u /var/sv/s2`)
	m.Await(soon, `svstat /var/sv/s1 | grep ': down' && svstat /var/sv/s2 | grep ': up'`)

	before := m.Sh(`ls -l /service /etc/service /etc/systemd/system /var/sv/*`)
	out := m.Sh(`svcompat-migrate`)
	for _, want := range []string{
		"/etc/service: daemontools, svscan is process ", ", started by daemontools-run.service\n",
		"\n/etc/service/busy -> /var/sv/busy\n    now      up (pid ",
		"    becomes  svc-busy.service, svc-busy-log.socket, svc-busy-log.service\n",
		"\n/etc/service/dangling\n    leads nowhere: passed over\n",
		"\n20 to move; nothing has been changed\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if after := m.Sh(`ls -l /service /etc/service /etc/systemd/system /var/sv/*`); clean(after) != clean(before) {
		t.Errorf("the dry run changed\n%s into\n%s", before, after)
	}

	out = m.Sh(`. /tmp/old.sh; watch /var/sv/busy /var/sv/s?? /var/sv/s[3-9]
svcompat-migrate --apply --undo=/root/undo
kill %1`)
	t.Log(out)
	if n := len(regexp.MustCompile(`: moved to svc-\S+\.service in`).FindAllString(out, -1)); n != 20 {
		t.Errorf("%d services are moved", n)
	}
	if n := mostDown(m); n > 1 {
		t.Errorf("%d services were down at once", n)
	}
	m.Sh(`test $(pgrep -c -x supervise) = 0 || { ps axf; false; }`)
	m.Sh(allUp + `39`)
	says(m, "/service/s1", `: down [0-9]+ seconds, normally up$`)
	says(m, "/service/s2", `: up \(pid [0-9]+\) [0-9]+ seconds, normally down$`)
	for _, dir := range []string{"s3", "busy"} {
		if pid := m.Sh(`svstat /service/` + dir + ` | grep -o 'pid [0-9]*'; echo pid $(systemctl show -P MainPID svc-` + dir + `)`); len(strings.Fields(pid)) != 4 || strings.Fields(pid)[1] != strings.Fields(pid)[3] {
			t.Errorf("svstat and systemd do not agree: %s", pid)
		}
	}
	m.Sh(`systemctl start daemontools-run && exit 1
svc -d /service/busy`)
	says(m, "/service/busy", down)
	m.Sh(`svc -dx /service/busy/log`)
	lines(t, m, "/var/sv/busy/log/main")
	if out, code := m.Try(`svcompat-migrate`); code != 100 || !strings.Contains(out, "no svscan, runsvdir or s6-svscan is running") {
		t.Errorf("once more: %d, %s", code, out)
	}
}

// clean takes out what changes by itself.
func clean(list string) string {
	return regexp.MustCompile(`(?m)^.* (n|status|current|@\S+)$|total \d+`).ReplaceAllString(list, "")
}

// TestMigrateInPlace moves /service itself, where an svscanboot watches it
// that nobody knows of, and back. A session of a service outlives both.
func TestMigrateInPlace(t *testing.T) {
	m := installOld(t)
	m.Sh(`. /tmp/old.sh
systemctl stop svscan
service /service/plain 'multilog t' sleep 100000
service /var/sv/session 'multilog t s10000000 n100' sh -c "'setsid writer & exec sleep 100000'"
ln -s /var/sv/session /service
service /var/sv/idle 'multilog t' sleep 100000
touch /var/sv/idle/down
ln -s /var/sv/idle /service
sed 's,/etc/service,/service,g' /opt/classic/svscanboot >/opt/svscanboot
chmod 755 /opt/svscanboot
COLOUR=blue setsid sh /opt/svscanboot </dev/null >/dev/null 2>&1 &`)
	const dirs = `/service/plain /service/session /service/plain/log /service/session/log /service/idle/log`
	m.Await(soon, `test $(/opt/classic/svstat `+dirs+` | grep -c ': up') = 5`)
	const writer = `writer='^/usr/bin/python3 /usr/local/bin/writer'; `
	was := strings.TrimSpace(m.Await(soon, writer+`pgrep -f "$writer"`))

	out := m.Sh(`svcompat-migrate --apply --undo=/root/undo`)
	t.Log(out)
	m.Sh(`test $(svstat ` + dirs + ` | grep -c ': up') = 5 || { svstat ` + dirs + `; false; }`)
	says(m, "/service/idle", `: down [0-9]+ seconds$`)
	m.Sh(`pgrep -x supervise && exit 1
true`)
	// the session has another beside it now, which is none of its business
	m.Await(soon, writer+`pgrep -c -f "$writer" | grep -x 2`)
	m.Sh(writer + `pkill -f -n "$writer"`)
	m.Await(soon, writer+`pgrep -f "$writer" | tr '\n' ' ' | grep -x '`+was+` '`)

	t.Log(m.Sh(`sh /root/undo`))
	m.Sh(`test $(/opt/classic/svstat ` + dirs + ` | grep -c ': up') = 5 || { svstat ` + dirs + `; false; }
test $(pgrep -c -x supervise) = 6
systemctl is-active svscan && exit 1
systemctl is-enabled svscan && exit 1
test "$(ls -A /service)" = "$(printf 'idle\nplain\nsession')"
test "$(systemctl list-units --no-legend 'svc-*')" = ''
tr '\0' '\n' </proc/$(pgrep -f /opt/svscanboot | head -n 1)/environ | grep COLOUR=blue`)
	m.Await(soon, writer+`pgrep -c -f "$writer" | grep -x 2`)
	m.Sh(writer + `pkill -f -n "$writer"; kill ` + was)
	m.Await(soon, `! pgrep -f '^svcompat-migrate --carry'`)
	m.Sh(`svc -d /service/session`)
	m.Await(soon, `svstat /service/session | grep ': down'`)
	// it has all lines of the session, between those of others
	out = m.Sh(`cd /service/session/log/main
cat $(ls | grep '^@' | sort) current | awk '$(NF-1) == "line" { print $NF }' | sort -n | uniq >/tmp/numbers
comm -3 <(seq 1 $(tail -n 1 /tmp/numbers) | sort) <(sort /tmp/numbers) | head`)
	if out != "" {
		t.Errorf("lines are missing: %s", out)
	}
}

// TestMigrateOthers moves a runit and an s6, with units of their own, and the
// runit back.
func TestMigrateOthers(t *testing.T) {
	m := installOld(t)
	m.Sh(`. /tmp/old.sh
mkdir /etc/runs /etc/s6
service /var/sv/r1 'svlogd -t' writer
echo s100000000 >/var/sv/r1/log/main/config
mkdir /var/sv/r1/control
printf '#!/bin/sh\n' >/var/sv/r1/control/t
service /var/sv/r2 'svlogd -t' sleep 100000
ln -s /var/sv/r1 /var/sv/r2 /etc/runs
service /var/sv/s1 's6-log t s100000000' writer
service /var/sv/s2 's6-log t' sleep 100000
echo 5000 >/var/sv/s2/timeout-kill
ln -s /var/sv/s1 /var/sv/s2 /etc/s6
cat >/etc/systemd/system/old-runit.service <<'E'
[Service]
ExecStart=/usr/bin/runsvdir -P /etc/runs
KillSignal=SIGHUP
Restart=always
[Install]
WantedBy=multi-user.target
E
cat >/etc/systemd/system/old-s6.service <<'E'
[Service]
ExecStart=/usr/bin/s6-svscan /etc/s6
Restart=always
[Install]
WantedBy=multi-user.target
E
systemctl daemon-reload
systemctl enable --now old-runit old-s6`)
	m.Await(soon, `svstat /var/sv/r1 /var/sv/r2 | grep -c ': up' | grep 2 && s6-svstat /var/sv/s1 | grep '^up' && s6-svstat /var/sv/s2 | grep '^up'`)
	if out, code := m.Try(`svcompat-migrate`); code != 100 || !strings.Contains(out, "more than one scan directory is live: /etc/runs (runsvdir, pid ") {
		t.Errorf("%d, %s", code, out)
	}
	out := m.Sh(`svcompat-migrate /etc/runs; svcompat-migrate /etc/s6`)
	for _, want := range []string{"lost     control/t is not run\n", "started by old-runit.service\n", "    now      up (pid ", " under s6-supervise, log up (pid "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	for _, dir := range []string{"runs", "s6"} {
		t.Log(m.Sh(fmt.Sprintf(`svcompat-migrate --apply --undo=/root/undo-%s /etc/%[1]s`, dir)))
	}
	m.Sh(`test $(svstat /service/[rs]? /service/[rs]?/log | grep -c ': up') = 8 || { svstat /service/[rs]?; false; }
pgrep 'runsv|runsvdir|s6-svscan|s6-supervise' && exit 1
systemctl is-enabled old-runit old-s6 && exit 1
systemctl show -P TimeoutStopUSec svc-s2 | grep 5s`)

	t.Log(m.Sh(`sh /root/undo-runs`))
	m.Sh(`sv status /var/sv/r1 /var/sv/r2 | grep -c '^run: .*; run: log' | grep 2
systemctl is-enabled old-runit
test $(svstat /service/s? | grep -c ': up') = 2
sv -w 20 down /var/sv/r1
svc -d /service/s1`)
	says(m, "/service/s1", down)
	m.Sh(`sv exit /var/sv/r1; svc -dx /service/s1/log`)
	lines(t, m, "/var/sv/r1/log/main")
	lines(t, m, "/var/sv/s1/log/main")
}

// TestMigrateNot has trees that cannot be moved, and stay as they are.
func TestMigrateNot(t *testing.T) {
	m := installOld(t)
	m.Sh(`. /tmp/old.sh
mkdir /etc/service
service /var/sv/good 'multilog t' sleep 100000
service /var/sv/open 'multilog t' sleep 100000
ln -s /var/sv/good /var/sv/open /etc/service
PATH=/command:$PATH setsid svscan /etc/service </dev/null >/dev/null 2>&1 &`)
	m.Await(soon, `test $(/opt/classic/svstat /var/sv/* /var/sv/*/log | grep -c ': up') = 4`)
	m.Sh(`chmod 777 /var/sv/open`)
	refused := func(want string) {
		t.Helper()
		out, code := m.Try(`svcompat-migrate --apply /etc/service`)
		if code != 100 || !strings.Contains(out, want) {
			t.Errorf("%d, no %q in %s", code, want, out)
		}
	}
	if out, code := m.Try(`svcompat-migrate`); code != 1 || !strings.Contains(out, "\n/etc/service/open\n    cannot be moved: writable by others\n") {
		t.Errorf("%d, %s", code, out)
	}
	refused("svcompat-migrate: warning: /etc/service/open: writable by others\n")
	m.Sh(`chmod 755 /var/sv/open; mkdir -p /var/sv/other; printf '#!/bin/sh\nexec sleep 1000\n' >/var/sv/other/run; chmod 755 /var/sv/other/run; ln -s /var/sv/other /service/open`)
	refused("open")
	m.Await(soon, `svstat /service/open | grep ': up'`)
	m.Sh(`rm /service/open; svc -dx /var/sv/other`)
	m.Await(soon, `! svok /var/sv/other && ! test -e /run/svcompat/held/svc-open`)
	m.Sh(`rm /usr/lib/systemd/system-generators/svscan-generator`)
	if out, code := m.Try(`svcompat-migrate --apply`); code != 111 || !strings.Contains(out, "svscan-generator") {
		t.Errorf("%d, %s", code, out)
	}
	// one that does not end goes on
	m.Sh(`ln -s ../../../libexec/qmail-smtpd/svscan /usr/lib/systemd/system-generators/svscan-generator
printf '#!/bin/sh\ntrap "" TERM\nwhile :; do sleep 1; done\n' >/var/sv/good/run; svc -t /var/sv/good`)
	m.Await(soon, `pgrep -f '^/bin/sh ./run'`)
	m.Sh(`ls -A /var/lib/svcompat | grep . && exit 1; ls -A /service | grep . && exit 1; pgrep -x svscan | grep . -c | grep 2; test $(/opt/classic/svstat /var/sv/good /var/sv/open /var/sv/*/log | grep -c ': up') = 4`)
	pid := m.Sh(`svstat /var/sv/good | grep -o 'pid [0-9]*'`)
	out, code := m.Try(`svcompat-migrate --apply --wait=2`)
	if code != 111 || !strings.Contains(out, "does not end within 2s, and goes on") || !strings.Contains(out, "undo with: /var/lib/svcompat/undo-migrate-") {
		t.Errorf("%d, %s", code, out)
	}
	if now := m.Sh(`svstat /var/sv/good | grep -o 'pid [0-9]*'`); now != pid {
		t.Errorf("%s became %s", pid, now)
	}
	says(m, "/var/sv/good", up)
	// the way back from there
	t.Log(m.Sh(`printf '#!/bin/sh\nexec sleep 1000\n' >/var/sv/good/run; svc -k /var/sv/good
sh /var/lib/svcompat/undo-* && rm /var/lib/svcompat/undo-*
test "$(ls -A /service /etc/service)" = "$(printf '/etc/service:\ngood\nopen\n\n/service:')"
test $(pgrep -x -c supervise) = 4`))
	m.Await(soon, `test $(/opt/classic/svstat /var/sv/good /var/sv/open /var/sv/*/log | grep -c ': up') = 4`)
	t.Log(m.Sh(`svcompat-migrate --apply /etc/service; pgrep -x supervise && exit 1; true`))
}

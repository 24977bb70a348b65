package booted

import (
	"strings"
	"testing"

	"qmail-smtpd/test/machine"
)

// installGenerator is installSVCompat with svscan-generator where the package
// puts it, and shell functions that make service directories.
func installGenerator(t *testing.T) *machine.Machine {
	t.Helper()
	m := installSVCompat(t)
	m.WriteFile("/tmp/make.sh", `
# logged DIR: a service that says where it is, and its log
logged() {
  mkdir -p "$1/log"
  printf '#!/bin/sh\npwd\nexec sleep 100000\n' >"$1/run"
  printf '#!/bin/sh\nexec cat >>lines\n' >"$1/log/run"
  chmod 755 "$1/run" "$1/log/run"
}
cd /service
`, 0o644)
	m.Sh(`mkdir -p /usr/lib/systemd/system-generators
ln -sf ../../../libexec/qmail-smtpd/svscan /usr/lib/systemd/system-generators/svscan-generator
umount /usr/share/man 2>/dev/null || true`)
	return m
}

// TestGeneratorNames has service directories of all sorts of names; each
// becomes units that systemd runs in that directory.
func TestGeneratorNames(t *testing.T) {
	m := installGenerator(t)
	m.Sh(`. /tmp/make.sh
for name in plain 'my app' 'per%cent%f' 'do$llar ${HOME}' "quo'te" 'dq"uote' 'back\slash' 'end\' 'grün' 'semi;colon # hash' \
  'trailing ' $'new\nline' $'tab\there' $'latin\xfc' x-log x a@b -dash $(printf '%0180d' 0); do
  logged "./$name"
done
mkdir -p 'my app/systemd' "quo'te/systemd"
printf '127.0.0.1:7001 first\n127.0.0.1:7002 second\n/run/my\\a%%pp third\n' >'my app/systemd/listen'
echo '127.0.0.1:7003' >"quo'te/systemd/listen"
systemctl daemon-reload
cd /run/systemd/generator.late
systemd-analyze verify --man=no svc-*.service svc-*.socket >/tmp/verify 2>&1 || true
for unit in svc-*.socket svc-*.service; do systemctl start --no-block -- "$unit"; done`)
	if out := m.Sh(`cat /tmp/verify`); out != "" {
		t.Errorf("systemd-analyze says %s", out)
	}
	// pwd prints a newline in a name as it is
	m.Await(soon, `cd /service
for dir in */; do
  dir=${dir%/}
  printf '/service/%s\n' "$dir" | cmp - "./$dir/log/lines" || exit 1
done
systemctl --failed --no-legend --plain 'svc-*' | grep . && exit 1
test $(systemctl list-units --no-legend --plain --state=running 'svc-*.service' | wc -l) = 38`)
	sockets := m.Sh(`tr '\0' '\n' </proc/$(systemctl show -P MainPID 'svc-my\x20app.service')/environ | grep ^LISTEN_FDNAMES | tr = : | tr : '\n' | sort | tr '\n' ' '
ss -Hlxn | grep -cF '/run/my\a%pp'`)
	if sockets != "LISTEN_FDNAMES first second third 1\n" {
		t.Errorf("sockets %q", sockets)
	}
	if wanted := m.Sh(`systemctl show -P WantedBy svc-plain.service svc-plain-log.service svc-plain-log.socket | xargs`); !strings.Contains(wanted, "multi-user.target") || !strings.Contains(wanted, "sockets.target") {
		t.Errorf("wanted at boot by %s", wanted)
	}
}

// TestGeneratorSurprises has all that is no service, or must not be one, and
// a service that is: the others do not disturb it, and nothing hangs.
func TestGeneratorSurprises(t *testing.T) {
	m := installGenerator(t)
	m.Sh(`systemctl start dbus.socket dbus.service
. /tmp/make.sh
logged good
touch file; ln -s loop loop; ln -s /nonexistent/x dangling; mkdir .hidden; mkfifo fifo; ln -s /dev/zero device
logged down; touch down/down down/log/down
logged untrusted; chmod 777 untrusted/run
logged others; chown 54321 others/log/run
mkdir -p thief/systemd; echo dbus >thief/systemd/unit; cp good/run thief
mkdir -p first/systemd second/systemd; echo same >first/systemd/unit; echo same >second/systemd/unit
mkdir -p waits/env; mkfifo waits/env/IP
mkdir -p bad/systemd; echo 25:25:x >bad/systemd/listen
mkdir -p huge/systemd; truncate -s 10G huge/systemd/service.conf
logged extra; touch extra/check
timeout 20 systemctl daemon-reload`)
	journal := m.Await(soon, `journalctl -o cat SYSLOG_IDENTIFIER=svscan-generator | grep bad; journalctl -o cat SYSLOG_IDENTIFIER=svscan-generator | LC_ALL=C sort`)
	for _, want := range []string{
		"/service/bad/systemd/listen: not a port number: x",
		"/service/huge/systemd/service.conf: longer than 64 KiB",
		"/service/loop: symbolic link loop",
		"/service/others/log/run: owned by uid 54321",
		"/service/second: same.service is of /service/first",
		"/service/thief: dbus.service is of something else: ",
		"/service/untrusted/run: writable by others",
		"/service/waits/env/IP: not a regular file",
	} {
		if n := strings.Count(journal, "svscan-generator: warning: "+want); n == 0 {
			t.Errorf("no line %q", want)
		}
	}
	if n := strings.Count(journal, "\n"); n != 8+1 {
		t.Errorf("other lines than wanted:\n%s", journal)
	}
	units := m.Sh(`cd /run/systemd/generator.late; ls -d *.s[eo]* | tr '\n' ' '
ls multi-user.target.wants sockets.target.wants | grep -c down || true`)
	const want = "same.service svc-down-log.service svc-down-log.socket svc-down.service svc-extra-log.service svc-extra-log.socket svc-extra.service " +
		"svc-good-log.service svc-good-log.socket svc-good.service 0\n"
	if units != want {
		t.Errorf("made %s", units)
	}
	m.Sh(`systemctl start svc-good.service; systemctl is-active svc-good.service svc-good-log.service dbus.service`)

	print, code := m.Try(`svscan-generator --print`)
	for _, want := range []string{
		"# refused: /service/dangling: file does not exist\n", "# refused: /service/untrusted/run: writable by others\n",
		"# ignored: /service/extra/check: not understood\n", "# /run/systemd/generator.late/svc-good.service\n[Unit]\n",
		"# /run/systemd/generator.late/multi-user.target.wants/svc-good.service -> ../svc-good.service\n",
	} {
		if !strings.Contains(print, want) {
			t.Errorf("--print says no %q", want)
		}
	}
	if code != 1 {
		t.Errorf("--print returns %d", code)
	}

	// no scan directory, or none that is one
	for _, spoil := range []string{`mv /service /old`, `ln -s /nonexistent /service`, `rm /service; touch /service`, `rm /service; ln -s service /service`, `rm /service; mkfifo /service`, `rm /service; mkdir /service; chmod 777 /service`} {
		m.Sh(spoil + `; timeout 20 systemctl daemon-reload; ! ls /run/systemd/generator.late/svc-*`)
	}
}

// TestGeneratorExtras has the files of s6: finish, timeout-kill, down-signal
// and notification-fd.
func TestGeneratorExtras(t *testing.T) {
	m := installGenerator(t)
	m.Sh(`. /tmp/make.sh
logged ends
printf '#!/bin/sh\necho finish "$@"; pwd\n' >ends/finish; chmod 755 ends/finish
echo INT >ends/down-signal; echo 2500 >ends/timeout-kill
for name in "says it's" ready; do
  logged "$name"
  echo 7 >"$name/notification-fd"
  printf '#!/bin/sh\nwhile ! test -e go; do sleep 0.1; done\necho >&7\nexec 7>&-\nexec sleep 100000\n' >"$name/run"
done
logged never; echo 3 >never/notification-fd
logged broken; echo 3 >broken/notification-fd; mkdir broken/systemd; echo '127.0.0.1:7004' >broken/systemd/listen
systemctl daemon-reload
systemctl start svc-ends.service svc-broken.socket
systemctl start --no-block svc-ready.service 'svc-says\x20it\x27s.service' svc-never.service`)
	if out := m.Sh(`systemctl show -P KillSignal svc-ends; systemctl show -P TimeoutStopUSec svc-ends`); out != "2\n2.500000s\n" {
		t.Errorf("svc-ends has %q", out)
	}
	m.Await(soon, `grep -x /service/ends /service/ends/log/lines`)
	m.Sh(`systemctl stop svc-ends; systemctl start svc-ends`)
	m.Await(soon, `test $(grep -c . /service/ends/log/lines) = 4 && systemctl kill -s KILL --kill-whom=main svc-ends`)
	m.Await(soon, `test $(grep -c . /service/ends/log/lines) -ge 6`)
	if lines := m.Sh(`head -6 /service/ends/log/lines`); lines != "/service/ends\nfinish 256 2 ends\n/service/ends\n/service/ends\nfinish 256 9 ends\n/service/ends\n" {
		t.Errorf("finish said %q", lines)
	}

	for unit, dir := range map[string]string{"svc-ready": "ready", `svc-says\x20it\x27s`: "says it's"} {
		m.Await(soon, `cd "/service/`+dir+`"; systemctl show -P SubState '`+unit+`.service' | grep -x start && pgrep -f '[a]wait-newline'`)
		pid := m.Sh(`systemctl show -P MainPID '` + unit + `.service'`)
		m.Sh(`touch "/service/` + dir + `/go"`)
		m.Await(soon, `systemctl show -P SubState '`+unit+`.service' | grep -x running`)
		if now := m.Sh(`systemctl show -P MainPID '` + unit + `.service'`); now != pid {
			t.Errorf("%s had pid %s and has %s", unit, pid, now)
		}
		m.Await(soon, `test $(wc -l <"$(systemctl show -P ControlGroup '`+unit+`.service' | sed 's/^/\/sys\/fs\/cgroup/')"/cgroup.procs) = 1`)
		if tree := m.Sh(`ps -o comm= --ppid ` + strings.TrimSpace(pid) + ` || true`); tree != "" {
			t.Errorf("%s has children %s", unit, tree)
		}
	}
	// never ready, and never the worse for it
	m.Sh(`systemctl show -P SubState svc-never | grep -x start; systemctl show -P TimeoutStartUSec svc-never | grep -x infinity
systemctl stop svc-never`)
	m.Await(soon, `! pgrep -f '[a]wait-newline'`)
	m.Await(soon, `journalctl -o cat -u svc-broken | grep -F "svscan-run: fatal: descriptor 3 of notification-fd is one of the service's sockets"`)
}

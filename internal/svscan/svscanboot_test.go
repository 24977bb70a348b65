package svscan

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/supervision"
)

// bootScript starts svscanboot on Debian's scan directory, prints what is to
// be seen of it, starts another after it was killed, which must replace all
// that the first one left, and shows how that ends.
const bootScript = `
await() { for i in $(seq 1500); do eval "$1" && return; sleep 0.02; done; echo "in vain: $1"; ps axfo pid,args; exit 1; }
only() { # the one process whose program has a name
  for p in /proc/[0-9]*; do if read -r name 2>/dev/null <$p/comm && [ "$name" = "$1" ]; then echo ${p#/proc/}; fi; done
}
descriptors() { for f in 0 1 2; do echo "$1 $f $(readlink /proc/$2/fd/$f | sed 's/:.*//')"; done; }
mkdir -p /sv/one /sv/two/log /sv/.hidden /etc/service
printf '#!/bin/sh\nenv >env.new; mv env.new env\nexec sleep 1000\n' >/sv/one/run
printf '#!/bin/sh\nhead -c 500 /dev/zero | tr "\\0" x >&2\n>shown\nexec sleep 1000\n' >/sv/two/run
printf '#!/bin/sh\nexec cat\n' >/sv/two/log/run
chmod 755 /sv/*/run /sv/two/log/run
ln -s /sv/one /sv/two /sv/.hidden /etc/service/
cd /
A=1 HOME=/x svscanboot argument </dev/zero >/tmp/output 2>&1 &
boot=$!
await '[ -s /sv/one/env ] && [ -e /sv/two/shown ] && svok /sv/two/log'
sort /sv/one/env
title=$(only readproctitle)
await 'grep -qz xxxxxxxx /proc/$title/cmdline'
tr '\0' ' ' </proc/$title/cmdline; echo
tr '\0' ' ' </proc/$(only svscan)/cmdline; echo
tr '\0' ' ' </proc/$(only svscan)/environ; echo
tr '\0' ' ' </proc/$title/environ; echo
descriptors svscan $(only svscan)
descriptors readproctitle $title
for child in svscan readproctitle; do [ $(awk '/^PPid/ {print $2}' /proc/$(only $child)/status) = $boot ]; done
[ ! -e /sv/.hidden/supervise ]

kill -9 $boot $(only svscan) $title
{ wait $boot || echo killed $?; } 2>/dev/null
first=$(svstat /etc/service/one | sed 's/.*pid \([0-9]*\).*/\1/')
rm /sv/one/env
svscanboot & boot=$!
await '! [ -e /proc/$first ]'
await '[ -s /sv/one/env ] && svok /etc/service/two/log'

kill $(only svscan)
svc -dx /etc/service/one /etc/service/two /etc/service/two/log
wait $boot
cat /tmp/output
rm -r /sv /etc/service
`

func TestSvscanboot(t *testing.T) {
	t.Parallel()
	results := make(map[string]string)
	m := machine.Start(t)
	m.Sh("rm -rf /service /etc/service")
	m.CopyDir(programs.Originals(t), "/command") // the first directory of its PATH
	// the shell tells of what was killed when it comes to know
	killed := regexp.MustCompile(`(?m)^bash: line .* Killed .*\n`)
	boot := func() string { return killed.ReplaceAllString(m.Sh("PATH=/command:$PATH"+bootScript), "") }
	results["original"] = boot()
	m.Sh("rm -r /command")
	m.CopyDir(ours, "/command")
	results["ours"] = boot()
	if diff := cmp.Diff(results["original"], results["ours"]); diff != "" {
		t.Errorf("original -, ours +:\n%s", diff)
	}
}

// TestBootScanDir shows that upstream's scan directory is used where it has
// services.
func TestBootScanDir(t *testing.T) {
	t.Parallel()
	m := machine.Start(t)
	m.CopyDir(ours, "/command")
	m.Sh("rm -rf /service /etc/service; mkdir -p /service /etc/service/debian")
	scans := func(want string) {
		t.Helper()
		m.Sh("/command/svscanboot >/dev/null 2>&1 &")
		m.Await(supervision.Patient, `pgrep -xf 'svscan `+want+`' || { ps axo args; false; }`)
		m.Sh("pkill -x svscan; pkill -x supervise || :; pkill -x readproctitle || :")
	}
	scans("/etc/service")
	m.Sh("mkdir /service/upstream")
	scans("/service")
	m.Sh("rmdir /service/upstream/supervise /service/upstream || rm -r /service/upstream; rm -r /etc/service")
	scans("/service")
}

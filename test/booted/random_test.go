package booted

import (
	_ "embed"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"qmail-smtpd/test/programs"
)

//go:embed testdata/twins.py
var twinsPy string

// TestRandom has services that svscan and systemd run go through the same
// random sequences as services that the original svscan and supervise run:
// whatever is done by letter, systemctl or kill, both end in the same state.
// RANDOM_SEED repeats a run; RANDOM_STEPS, by default 84 in all, is how many
// steps are done.
func TestRandom(t *testing.T) {
	const services = 12
	seed := os.Getenv("RANDOM_SEED")
	if seed == "" {
		seed = strconv.FormatInt(time.Now().UnixNano(), 36)
	}
	steps := 84
	if word := os.Getenv("RANDOM_STEPS"); word != "" {
		var err error
		if steps, err = strconv.Atoi(word); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("RANDOM_SEED=%s RANDOM_STEPS=%d", seed, steps)
	m := installSVCompat(t)
	m.CopyDir(programs.Originals(t), "/opt/classic")
	m.WriteFile("/tmp/twins.py", twinsPy, 0o644)
	m.Sh(`
mkdir /twin
for i in $(seq ` + strconv.Itoa(services) + `); do
  for dir in /service/.r$i /twin/.r$i; do
    mkdir -p $dir
    printf '#!/bin/sh\nexec sleep 100000\n' >$dir/run
    [ $((i % 4)) = 0 ] && touch $dir/down
    [ $((i % 2)) = 1 ] && mkdir $dir/log && printf '#!/bin/sh\nexec cat >/dev/null\n' >$dir/log/run
    [ $((i % 3)) = 0 ] && printf '#!/bin/sh\nsleep 1000000 & exec sleep 100000\n' >$dir/run
    find $dir -name run -exec chmod 755 {} +
    mv $dir ${dir%/*}/r$i
  done
done
systemctl start svscan
systemd-run -q --unit=classic -p KillMode=process -p Environment=PATH=/opt/classic:/usr/bin:/bin /opt/classic/svscan /twin`)
	m.Sh(fmt.Sprintf(`systemd-run -q --unit=random -p Environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c 'python3 /tmp/twins.py %s %d >/tmp/random.new 2>&1; mv /tmp/random.new /tmp/random.out'`, seed, (steps+services-1)/services))
	out := m.Await(time.Duration(steps)*time.Second+2*time.Minute, `cat /tmp/random.out`)
	if out != "same\n" {
		t.Errorf("RANDOM_SEED=%s: %s\n%s", seed, out, m.Sh(`journalctl -u svscan -o cat | tail -30`))
	}
}

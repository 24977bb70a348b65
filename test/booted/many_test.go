package booted

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/test/programs"
)

// TestMany copies service directories of all kinds into the scan directory:
// all come up, and both svstats say the same of them. MANY says how many;
// bench/svscan-many reads the measures.
func TestMany(t *testing.T) {
	many := 200
	if word := os.Getenv("MANY"); word != "" {
		var err error
		if many, err = strconv.Atoi(word); err != nil {
			t.Fatal(err)
		}
	}
	m := installSVCompat(t)
	m.CopyDir(programs.Originals(t), "/opt/classic")
	m.WriteFile("/tmp/directories", manyScript, 0o755)
	if os.Getenv("MANY") != "" {
		t.Logf("measure: as many plain units of systemd are up after %s s", strings.TrimSpace(m.Sh(plainScript+strconv.Itoa(many))))
	}
	m.Sh(`systemctl start svscan; bash /tmp/directories ` + strconv.Itoa(many) + ` /srv/many; cp -a /srv/many/. /service`)
	copied := time.Now()
	m.Await(2*soon, `
for try in $(seq 40); do
  test $(svstat /service/* /service/*/log 2>/dev/null | grep -c ': up (pid') = $(cat /srv/up) && exit
  sleep 0.5
done
svstat /service/* | grep 'want up' | head -3; false`)
	t.Logf("measure: %d directories are up %v after the last was copied", many, time.Since(copied).Round(100*time.Millisecond))
	out := m.Sh(`cd /service
/opt/classic/svstat m* m*/log >/tmp/classic; svstat m* m*/log >/tmp/ours
sed -i 's/[0-9]* seconds/seconds/' /tmp/classic /tmp/ours
diff /tmp/classic /tmp/ours | head
for dir in m* m*/log; do svok $dir; echo $?; /opt/classic/svok $dir; echo $?; done | sort | uniq -c | awk '{print $2, $1}'
journalctl -u svscan -o cat | grep ^svscan || true`)
	if want := "0 " + m.Sh(`ls -d /service/m* /service/m*/log | echo $(($(wc -l) * 2))`); out != want {
		t.Errorf("got %s, want %s", out, want)
	}
	if os.Getenv("MANY") == "" {
		return
	}
	for _, line := range strings.Split(strings.TrimSpace(m.Sh(`
used() { systemctl show -P CPUUsageNSec svscan; }
sleep 45; before=$(used); sleep 20; after=$(used)
echo "a look takes $(((after - before) / 4000)) us of CPU"
cd /service
for svstat in /usr/bin/svstat /opt/classic/svstat; do
  start=$(date +%s%N); for i in 1 2 3 4 5 6 7 8 9 10; do $svstat m* >/dev/null; done; end=$(date +%s%N)
  echo "$svstat takes $(((end - start) / 10000)) us"
done`)), "\n") {
		t.Logf("measure: %s", line)
	}
}

// manyScript makes $1 service directories in $2; /srv/up says how many of
// their processes are to run.
const manyScript = `n=$1 dir=$2 up=0
mkdir -p $dir && cd $dir || exit
for i in $(seq $n); do
  mkdir m$i
  printf '#!/bin/sh\nexec sleep 100000\n' >m$i/run
  chmod 755 m$i/run
  case $((i % 10)) in 3) touch m$i/down;; *) up=$((up+1));; esac
  case $((i % 4)) in 0|2) mkdir m$i/log; printf '#!/bin/sh\nexec cat >/dev/null\n' >m$i/log/run; chmod 755 m$i/log/run; up=$((up+1));; esac
  case $((i % 7)) in 5) mkdir m$i/systemd; echo /run/m$i.socket >m$i/systemd/listen;; esac
done
echo $up >/srv/up
`

// plainScript prints how long systemd takes to start as many units, with
// nothing in them, as manyScript makes processes of $1 directories.
const plainScript = `plain() {
  n=$(($1 * 14 / 10))
  printf '#!/bin/sh\nexec sleep 100000\n' >/tmp/plain; chmod 755 /tmp/plain
  for i in $(seq $n); do printf '[Service]\nExecStart=/tmp/plain\n' >/run/systemd/system/plain$i.service; done
  units=$(cd /run/systemd/system; ls plain*.service)
  begin=$(date +%s%N)
  systemctl daemon-reload
  systemctl start --no-block $units
  until [ $(pgrep -c -f '^sleep 100000$') = $n ]; do sleep 0.2; done
  echo $((($(date +%s%N) - begin) / 100000000)) | sed 's/.$/.&/'
  systemctl stop $units
  rm /run/systemd/system/plain*.service
  systemctl daemon-reload
}
plain `

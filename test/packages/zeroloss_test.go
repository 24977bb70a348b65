package packages

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/traffic"
)

// TestZeroLoss does to the installed service whatever may happen to it, in
// random order, under a steady stream of mail and of log lines, on both
// systemds. ZEROLOSS_SEED repeats an order.
func TestZeroLoss(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if word := os.Getenv("ZEROLOSS_SEED"); word != "" {
		var err error
		if seed, err = strconv.ParseUint(word, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("here", func(t *testing.T) { zeroLoss(t, "/", seed) })
	t.Run("debian13", func(t *testing.T) { zeroLoss(t, programs.Debian13(t), seed) })
}

// clients is how many sessions of the traffic there are at a time.
const clients = 3

func zeroLoss(t *testing.T, root string, seed uint64) {
	t.Parallel()
	m := bootOn(t, root, debs, debsLater)
	do(m, deb.install, debs)
	checkRunning(m)
	checkExposure(t, m)
	m.Sh(`echo example.org >>/var/qmail/control/rcpthosts
ln -s ` + strings.TrimSuffix(debs.inside, "/*") + ` /packages/installed
cd /service/smtpd/log; echo 16000000 >env/MAXFILESIZE; echo 1000 >env/MAXLOGFILES; svc -t .`)
	startTicker(m)
	before := m.Await(soon, "now=$("+processes+"); echo $now; test $(grep -o multilog <<<$now | wc -l) = 3")
	m.WriteFile("/root/trouble.sh", troubleScript, 0o644)

	random := rand.New(rand.NewPCG(seed, 0))
	list := troubles(random)
	began := 0
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := m.Try("journalctl --no-pager -o short-precise -u 'qmail-*' -u 'svc-*' -u svscan | uniq -c -s 40 | tail -n 200")
			t.Logf("ZEROLOSS_SEED=%d repeats what there was: %q\n%s", seed, list[:began], said)
		}
	})
	tr := traffic.Start(t, m, clients)
	tr.More(10)
	for _, trouble := range list {
		began++
		m.Sh(". /root/trouble.sh; " + trouble)
		if random.IntN(2) == 0 {
			tr.More(1 + random.IntN(8))
		}
	}
	tr.More(10)
	tr.Finish()

	if refusals := tr.Refusals(); len(refusals) > 0 {
		t.Errorf("nobody listened: %q", refusals)
	}
	tr.CheckQueue()
	done := strings.Join(list, "\n") + "\n"
	lines, repeated := tr.CheckLog("/service/smtpd/log/main", clients*strings.Count(done, "killed qmail-smtpd\n"))
	ticks, ticksRepeated := checkTicker(t, m, strings.Count(done, "killedticker"))
	m.Await(soon, "now=$("+processes+"); echo $now; test \"$now\" = '"+strings.TrimSpace(before)+"'")
	t.Logf("seed %d: %d troubles; %d messages accepted, %d attempts failed; of %d and %d log lines %d and %d twice",
		seed, len(list), len(tr.Accepted), len(tr.Refused), lines, ticks, repeated, ticksRepeated)
}

// processes lists those of the service.
const processes = `ps -e -o comm= | grep -Ex 'svscan|supervise|tcpserver|multilog|qmail-.*|python3|run' | sort | xargs`

// troubleScript has the words that troubles are made of. A systemd that
// executes itself anew does not answer for a moment.
const troubleScript = `
patient() {
  local end=$((SECONDS + 60))
  until "$@" >/tmp/said 2>&1; do
    [ $SECONDS -lt $end ] || { cat /tmp/said; echo "still not: $*"; exit 1; }
    sleep 0.05
  done
}
asked() { patient systemctl "$@"; cat /tmp/said; }
gone() { ! kill -KILL $1; }
killed() {
  pid=$(asked show -P MainPID $1)
  [ $pid = 0 ] || patient gone $pid
}
killedticker() { killed svc-ticker-log; }
letter() { patient svok $2; svc $1 $2; }
is() { svstat $1; svstat $1 | grep ": $2"; }
says() { patient is $1 $2; }
withoutlog() {
  letter -d $1
  says $1 down
  shift 1
  "$@"
  sleep 0.2
}
withlog() { letter -u $1; says $1 up; }
`

// troubles is all that may happen, in random order: scripts with the words of
// troubleScript.
func troubles(random *rand.Rand) []string {
	units := []string{"qmail-smtpd", "qmail-smtpd-log", "qmail-queue", "qmail-queue-log", "svscan"}
	dirs := []string{"/service/smtpd", "/service/smtpd/log", "/service/qmail-queue", "/service/qmail-queue/log", "/service/ticker/log"}
	list := []string{
		"asked daemon-reexec",
		"asked daemon-reload",
		"asked reload qmail-smtpd",
		"killedticker",
		"dpkg -i /packages/installed/*.deb",
		"dpkg -i " + debsLater.inside + "; ln -sfn " + strings.TrimSuffix(debsLater.inside, "/*") + " /packages/installed",
	}
	for _, unit := range units {
		list = append(list, "killed "+unit, "asked restart "+unit)
	}
	for _, dir := range dirs {
		list = append(list, "letter -t "+dir)
	}
	for _, name := range []string{"smtpd", "ticker", "qmail-queue"} {
		dir := "/service/" + name + "/log"
		unit := map[string]string{"smtpd": "qmail-smtpd", "ticker": "svc-ticker", "qmail-queue": "qmail-queue"}[name] + "-log"
		list = append(list,
			"letter -t "+dir+"\nwithoutlog "+dir+"\nwithlog "+dir,
			"asked stop "+unit+"\nsays "+dir+" down\nsleep 0.1\nasked start "+unit+"\nsays "+dir+" up")
		for range 2 {
			meanwhile := []string{"killed svscan", "asked restart svscan", "killed qmail-smtpd", "killed qmail-queue", "asked daemon-reexec"}[random.IntN(5)]
			list = append(list, "withoutlog "+dir+" "+meanwhile+"\nwithlog "+dir)
		}
	}
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// startTicker makes a service whose log lines are numbered, and many.
func startTicker(m *machine.Machine) {
	m.Sh("mkdir -p /var/qmail/service/ticker/log/main; chown qmaill /var/qmail/service/ticker/log/main")
	m.WriteFile("/var/qmail/service/ticker/log/run", "#!/bin/sh\nexec setuidgid qmaill multilog s16000000 n1000 ./main\n", 0o755)
	m.WriteFile("/var/qmail/service/ticker/run", `#!/usr/bin/python3
import signal, sys, time
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
n = 0
while not ended:
    sys.stdout.write("".join(f"line {i} of the ticker\n" for i in range(n, n + 50)))
    sys.stdout.flush()
    n += 50
    time.sleep(0.05)
print(f"end after {n} lines", flush=True)
`, 0o755)
	m.Sh("ln -s /var/qmail/service/ticker /service")
	m.Await(soon, "grep -q 'line 1 of' /service/ticker/log/main/current; svstat /service/ticker /service/ticker/log | grep -c 'up (pid' | grep -x 2")
}

// checkTicker ends the ticker and holds its log: all lines are there, in
// order, but for those of the batch that a log had in hand when it was
// killed, which may be there twice. The ticker is started again.
func checkTicker(t *testing.T, m *machine.Machine, kills int) (lines, repeated int) {
	t.Helper()
	const main = "/service/ticker/log/main"
	m.Sh("until svok /service/ticker && svok /service/ticker/log; do sleep 0.1; done; svc -d /service/ticker; svc -u /service/ticker/log")
	m.Await(soon, "tail -n 1 "+main+"/current | grep '^end after '")
	log := m.Sh("cd " + main + "; cat $(ls @* 2>/dev/null) current")
	next, rewinds := 0, 0
	number := regexp.MustCompile(`^line (\d+) of the ticker$`)
	for _, line := range strings.Split(strings.TrimSpace(log), "\n") {
		f := number.FindStringSubmatch(line)
		if f == nil {
			if line != fmt.Sprintf("end after %d lines", lines) {
				t.Errorf("after line %d of the ticker, the log has %q", next-1, line)
			}
			continue
		}
		n, err := strconv.Atoi(f[1])
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case n > next:
			t.Errorf("the log lacks the ticker's lines from %d to %d", next, n-1)
		case n < next:
			rewinds++
		}
		if n < lines {
			repeated++
		}
		next = n + 1
		lines = max(lines, next)
	}
	if rewinds > kills {
		t.Errorf("after %d kills of the log, it goes back %d times", kills, rewinds)
	}
	m.Sh("svc -u /service/ticker")
	m.Await(soon, "svstat /service/ticker | grep 'up (pid'")
	return lines, repeated
}

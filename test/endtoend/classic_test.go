// Package endtoend tests the whole service, on machines of its own, as
// administrators use it.
package endtoend

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/traffic"
)

// soon is for what takes five seconds at most on a machine at rest.
const soon = 20 * time.Second

// classicMachine starts a machine as daemontools and qmail leave it: the
// accounts, /var/qmail with control files, /service watched by our svscan,
// and our programs in /usr/local/bin.
func classicMachine(t *testing.T) *machine.Machine {
	t.Helper()
	m := machine.Start(t)
	m.CopyDir(programs.Ours(t), "/usr/local/bin")
	m.AddQmailAccounts()
	m.Sh(`
rm -rf /var/qmail /service
mkdir -p /service /var/qmail/bin /var/qmail/control /var/qmail/service
ln -s /usr/local/bin/qmail-smtpd /usr/local/bin/qmail-queue /var/qmail/bin/
echo mail.example.org >/var/qmail/control/me
echo example.org >/var/qmail/control/rcpthosts
qmail-queue-conf qmailq qmaill /var/qmail/service/queue
ln -s /var/qmail/service/queue /service/qmail-queue
`)
	scan := m.Command("svscan", "/service")
	if err := scan.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		scan.Process.Kill()
		scan.Wait()
	})
	return m
}

// runSMTPD makes a service directory on port 25 and waits until it runs.
func runSMTPD(m *machine.Machine) {
	m.Sh(`
qmail-smtpd-conf qmaild qmaill /var/qmail/service/smtpd
cd /var/qmail/service/smtpd
make -s
ln -s /var/qmail/service/smtpd /service
`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org --body first`)
}

// TestClassicWalk is the administrator's procedure, word for word.
func TestClassicWalk(t *testing.T) {
	m := classicMachine(t)
	m.WriteFile("/etc/tcp.smtp", "10.:allow,RELAYCLIENT=\"\"\n127.0.0.2:deny\n:allow\n", 0o644)
	m.Sh(`
qmail-smtpd-conf qmaild qmaill /var/qmail/service/smtpd
cd /var/qmail/service/smtpd
cp /etc/tcp.smtp tcp
./add-relayclient 127.0.0.1 192.168.1.
make
ln -s /var/qmail/service/smtpd /service
`)
	m.Await(soon, `svstat /service/smtpd /service/smtpd/log | grep -c 'up (pid' | grep -qx 2`)
	const later = `sleep 1.1; svstat /service/smtpd /service/smtpd/log | tee /tmp/svstat | grep -v ' [01] seconds' | grep -c 'up (pid' | grep -qx 2 && cat /tmp/svstat`
	first, second := m.Await(soon, later), m.Sh(later)
	pids := regexp.MustCompile(`pid \d+`)
	if a, b := fmt.Sprint(pids.FindAllString(first, -1)), fmt.Sprint(pids.FindAllString(second, -1)); a != b {
		t.Errorf("pids are not steady: %s, then %s", a, b)
	}

	log := m.Await(soon, `timeout 1 tail -f /service/smtpd/log/main/current | tai64nlocal | grep 'tcpserver: status: 0/40'`)
	if !regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9} tcpserver: status: 0/40$`).MatchString(log) {
		t.Errorf("log is %q", log)
	}

	processes := m.Sh(`ps -eo user:8,ppid,pid,args --no-headers`)
	for _, want := range []string{
		`(?m)^root +\d+ +\d+ svscan /service$`,
		`(?m)^root +\d+ +\d+ supervise smtpd$`,
		`(?m)^root +\d+ +\d+ supervise log$`,
		`(?m)^qmaild +\d+ +\d+ /usr/local/bin/tcpserver -vDUHR -lmail\.example\.org -xtcp\.cdb -- 0 25 /var/qmail/bin/qmail-smtpd$`,
		`(?m)^qmaill +\d+ +\d+ multilog t \./main$`,
		`(?m)^qmailq +\d+ +\d+ qmail-queued$`,
	} {
		if !regexp.MustCompile(want).MatchString(processes) {
			t.Errorf("ps does not show %s:\n%s", want, processes)
		}
	}

	// the relay client may send anywhere, and what it sends is in the queue
	out := m.Sh(`swaks --server 127.0.0.1 --from a@b.example --to someone@elsewhere.example --h-Subject walk --body hello`)
	qp := regexp.MustCompile(`250 ok \d+ qp (\d+)`).FindStringSubmatch(out)
	if qp == nil {
		t.Fatalf("swaks said %s", out)
	}
	traffic.Settle(m)
	mail := m.Sh(`stat -c '%U:%G %a' /var/qmail/queue/todo/*; tr '\0' '|' </var/qmail/queue/todo/*; echo; cat /var/qmail/queue/mess/*/*`)
	for _, want := range []string{
		`^qmailq:qmail 644\n`,
		`(?m)^u7811\|p` + qp[1] + `\|Fa@b\.example\|Tsomeone@elsewhere\.example\|$`,
		`(?m)^Received: \(qmail ` + qp[1] + ` invoked from network\); `,
		`(?m)^Received: from unknown \(HELO [^)]+\) \(127\.0\.0\.1\)\n  by mail\.example\.org with SMTP; `,
		`(?m)^Subject: walk$`,
	} {
		if !regexp.MustCompile(want).MatchString(mail) {
			t.Errorf("no %s in\n%s", want, mail)
		}
	}

	// everybody else may not, and the rule that was there still holds
	if out, _ := m.Try(`swaks --server 127.0.0.1 --local-interface 127.0.0.3 --from a@b.example --to someone@elsewhere.example`); !strings.Contains(out, "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)") {
		t.Errorf("no relay client was told: %s", out)
	}
	if out, code := m.Try(`swaks --server 127.0.0.1 --local-interface 127.0.0.2 --quit-after CONNECT`); code == 0 {
		t.Errorf("a denied client was served: %s", out)
	}
	m.Await(soon, `grep 'tcpserver: deny [0-9]* mail.example.org:127.0.0.1:25 :127.0.0.2::' /service/smtpd/log/main/current`)

	// tuning, and the way out
	before := m.Sh(`svstat /service/smtpd`)
	m.Sh(`cd /service/smtpd && echo 100 >env/CONCURRENCY && svc -t /service/smtpd`)
	m.Await(soon, `grep 'tcpserver: status: 0/100' /service/smtpd/log/main/current`)
	if after := m.Sh(`svstat /service/smtpd`); pids.FindString(before) == pids.FindString(after) {
		t.Errorf("svc -t did not restart it: %s", after)
	}
	m.Sh(`rm /service/smtpd; cd /var/qmail/service/smtpd; svc -dx . log`)
	m.Await(soon, `! svok /var/qmail/service/smtpd && ! svok /var/qmail/service/smtpd/log`)
}

// TestOriginalDirectory runs a directory as the original qmail-conf made it,
// stock memory limit and all, and then another program in place of our
// qmail-smtpd, which gets the limit.
func TestOriginalDirectory(t *testing.T) {
	m := classicMachine(t)
	m.Sh(`
umask 022
mkdir -p /var/qmail/service/smtpd && cd /var/qmail/service/smtpd
chmod 3755 .
mkdir -p env log/env log/main && chown qmaill log/main
echo 250000 >env/DATALIMIT; echo 0 >env/IP; echo mail.example.org >env/LOCALNAME; echo 25 >env/PORT
for f in BACKLOG CONCURRENCY REMOTEINFO REMOTENAME; do : >env/$f; done
for f in MAXFILESIZE MAXLOGFILES PROCESSOR; do : >log/env/$f; done
: >tcp
`)
	m.WriteFile("/var/qmail/service/smtpd/run", `#!/bin/sh
exec 2>&1
exec envdir ./env sh -c '
case "$REMOTENAME" in h) H="";; p) H="p";; *) H="H";; esac
case "$REMOTEINFO" in r) R="";; [0-9]*) R="t$REMOTEINFO";; *) R="R";; esac
exec envuidgid qmaild softlimit ${DATALIMIT:+"-d$DATALIMIT"} /usr/local/bin/tcpserver -vDU"$H$R" \
  ${LOCALNAME:+"-l$LOCALNAME"} ${BACKLOG:+"-b$BACKLOG"} ${CONCURRENCY:+"-c$CONCURRENCY"} \
  -xtcp.cdb -- "${IP-0}" "${PORT-25}" /var/qmail/bin/qmail-smtpd'
`, 0o755)
	m.WriteFile("/var/qmail/service/smtpd/log/run", `#!/bin/sh
exec setuidgid qmaill envdir ./env sh -c '
exec multilog t ${MAXFILESIZE:+"s$MAXFILESIZE"} ${MAXLOGFILES:+"n$MAXLOGFILES"} ${PROCESSOR:+"!$PROCESSOR"} ./main'
`, 0o755)
	m.Sh(`cd /var/qmail/service/smtpd; tcprules tcp.cdb tcp.tmp <tcp; ln -s $PWD /service`)
	m.Await(soon, `swaks --server 127.0.0.1 --to you@example.org`)
	m.Await(soon, `grep 'qmail-smtpd: .* accepted ' /service/smtpd/log/main/current`)

	m.Sh(`
rm /var/qmail/bin/qmail-smtpd
printf '#!/bin/sh\nread line\nulimit -d\nid -un\n' >/var/qmail/bin/qmail-smtpd
chmod 755 /var/qmail/bin/qmail-smtpd
svc -t /service/smtpd
`)
	m.Await(soon, `exec 3<>/dev/tcp/127.0.0.1/25; echo go >&3; test "$(cat <&3)" = "$(printf '244\nqmaild')"`)
}

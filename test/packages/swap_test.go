package packages

import (
	_ "embed"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

const (
	// classic is where a machine has the packages of daemontools,
	// daemontools-run and ucspi-tcp.
	classic = "/packages/classic"

	apt = "apt-get -q -y -o Acquire::Retries=0 install"

	libexec = "/usr/libexec/qmail-smtpd"
)

//go:embed testdata/clients.py
var clientsScript string

// TestSwap replaces Debian's daemontools and ucspi-tcp by svcompat under
// running services, clients and scripts, goes back, and once more forth.
func TestSwap(t *testing.T) {
	t.Parallel()
	m := bootClassic(t)
	tree := processesOf(m)
	check := func(what string) {
		t.Helper()
		more(m)
		if got := unserved(m); got != "" {
			t.Errorf("%s: clients were not served:\n%s", what, got)
		}
		if got := unexpected(m); got != "" {
			t.Errorf("%s: scripts noticed:\n%s", what, got)
		}
		if diff := cmp.Diff(tree, processesOf(m)); diff != "" {
			t.Errorf("%s: other processes:\n%s", what, diff)
		}
	}
	check("before")

	// dpkg puts the new programs over the old ones, which are never missing.
	m.Sh("dpkg -i /packages/deb/svcompat_*.deb >&2")
	checkInstalled(t, m, "daemontools-run svcompat ")
	check("installed")

	// Another multilog: no client notices.
	m.Sh("svc -t /etc/service/echo/log")
	awaitFrom(m, libexec, "echo/log")
	tree = processesOf(m)
	check("multilog")

	// Another tcpserver: the original had at most one client that it had not
	// yet begun to serve. A download that began before goes on.
	m.Sh("svc -t /etc/service/echo /etc/service/web")
	awaitFrom(m, libexec, "echo", "web")
	tree = processesOf(m)
	if got := unserved(m); strings.Count(got, " lost ") > 1 {
		t.Errorf("svc -t lost connections: %s", got)
	}
	check("tcpserver")
	m.Sh("wc -l </root/download >/root/mark")
	m.Await(soon, "[ $(wc -l </root/download) -gt $(cat /root/mark) ]")

	// Another svscan and supervise: Debian's unit takes the services with it,
	// as ever.
	stopClients(m)
	m.Sh("systemctl restart daemontools-run")
	awaitFrom(m, libexec, "echo", "web", "echo/log")
	m.Sh("for pid in $(cat " + group + "); do case $(cat /proc/$pid/comm) in svscan|supervise|readproctitle) exe=$(readlink /proc/$pid/exe); [ ${exe%/*} = " + libexec + " ] || exit 1;; esac; done")
	startClients(m)
	unexpected(m)
	tree = processesOf(m)
	check("tree")

	// Back. For the seconds in which apt has removed one and not yet installed
	// the other there are no programs for scripts.
	m.Sh(`
mkdir -p /srv/tick/log
printf '#!/bin/sh\nwhile echo tick; do sleep 0.05; done\n' >/srv/tick/run
printf '#!/bin/sh\nexec multilog ./main\n' >/srv/tick/log/run
chmod +x /srv/tick/run /srv/tick/log/run
ln -s /srv/tick /service`)
	m.Await(soon, "systemctl is-active svc-tick svc-tick-log && grep -q tick /srv/tick/log/main/current")
	units := "systemctl show -P MainPID svc-tick svc-tick-log"
	before := m.Sh(units)
	m.Sh(apt + " " + classic + "/daemontools_* " + classic + "/ucspi-tcp_* >&2")
	checkInstalled(t, m, "daemontools daemontools-run ucspi-tcp ")
	unexpected(m)
	check("back")
	if got := m.Sh(units); got != before {
		t.Errorf("back: the units of a service have processes %q, had %q", got, before)
	}
	m.Sh("wc -l </srv/tick/log/main/current >/root/mark")
	m.Await(soon, "[ $(wc -l </srv/tick/log/main/current) -gt $(cat /root/mark) ]")
	m.Sh("svc -t /etc/service/echo/log")
	awaitFrom(m, "/usr/bin", "echo/log")
	tree = processesOf(m)
	check("the original multilog")

	m.Sh(apt + " /packages/deb/svcompat_* >&2")
	checkInstalled(t, m, "daemontools-run svcompat ")
	unexpected(m)
	check("forth")
	if got := m.Sh("dpkg -V svcompat; ls -d /usr/share/doc/daemontools /usr/share/doc/ucspi-tcp 2>/dev/null || true"); got != "" {
		t.Errorf("what was replaced left %s", got)
	}
	m.Await(soon, "svstat /service/tick | grep ': up (pid'")

	stopClients(m)
	checkServed(t, m)
	checkCompression(m)
}

// bootClassic boots a machine on which Debian's daemontools, daemontools-run
// and ucspi-tcp run a service with a log, the example of ucspi-tcp, which
// shows a log, and a service that starts again and again. Clients and the
// scripts of an administrator are going all the time.
func bootClassic(t *testing.T) *machine.Machine {
	t.Helper()
	m := boot(t, debs)
	m.CopyDir(filepath.Join(programs.Originals(t), "../../deb"), classic)
	m.CopyDir(filepath.Join(programs.Supervisors(t), "deb"), "/packages/supervisors")
	m.CopyDir(filepath.Join(programs.Originals(t), "../share/doc/ucspi-tcp/contrib"), "/usr/local/bin")
	m.Sh("chmod 755 /usr/local/bin/httptaild; cp /packages/supervisors/daemontools-run_* " + classic + "; " + apt + " " + classic + "/*.deb >&2")
	for name, script := range map[string]string{
		"/etc/echo/run": `exec 2>&1
exec envdir ./env softlimit -m 100000000 tcpserver -vRHl0 -x tcp.cdb 127.0.0.1 7007 ./session`,
		"/etc/echo/session": `read -r id
echo "generation ${GENERATION?} served $id" >&2
echo "served $id"`,
		"/etc/echo/log/run": `exec setuidgid nobody multilog t s16000000 n100 '-*' '+* generation *' ./main '+*' ./all`,
		"/srv/web/run":      `exec tcpserver -RHl0 127.0.0.1 8008 httptaild /etc/echo/log/main/current`,
		"/srv/again/run":    `exec setlock lock envuidgid nobody pgrphack sleep 3`,
		"/root/status":      `while :; do for s in /etc/service/*; do if svok $s; then svstat $s; else echo "$s: gone"; fi; done; sleep 0.1; done`,
		"/root/rules": `cd /etc/echo
while n=$((n + 1)); do
  printf '127.:allow,GENERATION="%d"\n:deny\n' $n | tcprules tcp.cdb tcp.tmp
  TCPREMOTEIP=127.0.0.1 tcprulescheck tcp.cdb
  sleep 0.3
done`,
		"/root/log":     `while :; do tai64nlocal </etc/echo/log/main/current | tail -n 1; sleep 0.2; done`,
		"/root/signals": `while :; do svc -c /etc/service/echo /etc/service/echo/log; svc -h /etc/service/none; sleep 0.5; done`,
	} {
		m.Sh("mkdir -p " + filepath.Dir(name))
		m.WriteFile(name, "#!/bin/sh\n"+script+"\n", 0o755)
	}
	m.WriteFile("/root/clients.py", clientsScript, 0o644)
	m.Sh(`
mkdir /etc/echo/env /etc/echo/log/main /etc/echo/log/all
chown nobody /etc/echo/log/main /etc/echo/log/all
echo 1 >/etc/echo/env/VARIABLE
cd /etc/echo; echo ':allow,GENERATION="0"' | tcprules tcp.cdb tcp.tmp
update-service --add /etc/echo >&2
update-service --add /srv/web >&2
ln -s /srv/again /etc/service`)
	awaitFrom(m, "/usr/bin", "echo", "echo/log", "web")
	// httptaild tells how long the log is before it prints it: nothing may come
	// in between.
	startClients(m)
	stopClients(m)
	m.Sh("systemd-run -q --unit=download sh -c 'curl -sN http://127.0.0.1:8008/ >/root/download'")
	m.Await(soon, "grep -q served /root/download && pgrep -fx 'tail -n0 -f /etc/echo/log/main/current'")
	startClients(m)
	for _, script := range strings.Fields(scripts) {
		m.Sh("systemd-run -q --unit=" + script + " sh -c '/root/" + script + " >/root/" + script + ".said 2>&1'")
	}
	for _, script := range strings.Fields(scripts) {
		m.Await(soon, "test -s /root/"+script+".said")
	}
	return m
}

// scripts are those of an administrator.
const scripts = "status rules log signals"

// expectedLine is what they say while all is well. A service may be seen
// between its end and its next start.
var expectedLine = regexp.MustCompile(`^(/etc/service/(again|echo|web): (up \(pid \d+\) \d+ seconds|down \d+ seconds, normally up(, want up)?)` +
	`|rule 127\.:|set environment variable GENERATION=\d+|allow connection` +
	`|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9} generation \d+ served \d+` +
	`|svc: warning: unable to chdir to /etc/service/none: file does not exist)$`)

// since returns the lines that came into files of /root since it was called
// for them last.
func since(m *machine.Machine, files string) []string {
	out := m.Sh(`cd /root
for f in ` + files + `; do
  seen=$(cat $f.seen 2>/dev/null || echo 0)
  n=$(wc -l <$f)
  tail -n +$((seen + 1)) $f | head -n $((n - seen))
  echo $n >$f.seen
done`)
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
}

// unexpected returns what the scripts have said since the last call that they
// do not say while all is well.
func unexpected(m *machine.Machine) string {
	var out strings.Builder
	for _, line := range since(m, strings.ReplaceAll(scripts+" ", " ", ".said ")) {
		if line != "" && !expectedLine.MatchString(line) {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// unserved returns which clients since the last call were not served.
func unserved(m *machine.Machine) string {
	var out strings.Builder
	for _, line := range since(m, "clients") {
		if line != "" && !strings.HasSuffix(line, " ok") {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

func startClients(m *machine.Machine) {
	m.Sh("touch /root/clients; systemd-run -q --collect --unit=clients /usr/bin/python3 /root/clients.py 7007 /root/clients")
	more(m)
}

// stopClients returns when the log has the last client.
func stopClients(m *machine.Machine) {
	m.Sh("systemctl stop clients")
	m.Await(soon, `grep -q " served $(sed -n 's/ ok$//p' /root/clients | tail -n 1)$" /etc/echo/log/main/current`)
}

// more waits for twenty more clients, and the scripts that go on meanwhile.
func more(m *machine.Machine) {
	m.Sh("wc -l </root/clients >/root/mark")
	m.Await(soon, "[ $(wc -l </root/clients) -ge $(($(cat /root/mark) + 20)) ]")
}

// group lists the processes of Debian's unit.
const group = "/sys/fs/cgroup/system.slice/daemontools-run.service/cgroup.procs"

// processesOf lists those that supervise, serve or log in Debian's unit.
func processesOf(m *machine.Machine) string {
	return m.Sh("for pid in $(cat " + group + "); do echo $pid $(cat /proc/$pid/comm 2>/dev/null); done | grep -E ' (svscan|svscanboot|supervise|tcpserver|multilog|readproctitle)$' | sort -n")
}

// awaitFrom waits until services run programs from a directory.
func awaitFrom(m *machine.Machine, dir string, services ...string) {
	m.Await(soon, `for s in `+strings.Join(services, " ")+`; do
  pid=$(svstat /etc/service/$s | sed -n 's/.*: up (pid \([0-9]*\)).*/\1/p')
  exe=$(readlink /proc/$pid/exe)
  echo $s $pid $exe
  case $exe in `+dir+`/tcpserver|`+dir+`/multilog) ;; *) exit 1;; esac
done`)
}

// checkInstalled checks which of the packages are installed, and that those
// have all that they need.
func checkInstalled(t *testing.T, m *machine.Machine, want string) {
	t.Helper()
	if got := m.Sh("dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' daemontools daemontools-run svcompat ucspi-tcp 2>/dev/null | sed -n 's/ installed$//p' | tr '\n' ' '; apt-get check >/dev/null"); got != want {
		t.Errorf("there are %q, want %q", got, want)
	}
}

// checkServed checks that the log has each client that was served, once, in
// order.
func checkServed(t *testing.T, m *machine.Machine) {
	t.Helper()
	served := m.Sh("sed -n 's/ ok$//p' /root/clients")
	logged := m.Sh("cd /etc/echo/log/main; cat $(ls @* 2>/dev/null) current | sed -n 's/^@[0-9a-f]* generation [0-9]* served //p'")
	if diff := cmp.Diff(strings.Fields(served), strings.Fields(logged)); diff != "" {
		t.Errorf("served (-) and logged (+):\n%s", diff)
	}
}

// checkCompression has the sandboxed multilog of qmail-smtpd compress its
// finished logs.
func checkCompression(m *machine.Machine) {
	m.Sh("dpkg -i /packages/deb/qmail-smtpd_* >&2")
	checkRunning(m)
	m.Sh(`
cd /service/smtpd/log
sed -i 's/multilog t/multilog t Z/' run
echo 4096 >env/MAXFILESIZE
svc -t .`)
	m.Await(soon, `
read -r greeting </dev/tcp/127.0.0.1/25
cd /service/smtpd/log/main
for f in @*.s.gz; do gzip -dc $f | grep -q 'tcpserver: status: ' && [ $(stat -c %a $f) = 744 ] && exit; done
exit 1`)
}

package literate

// An entry says how the blocks of a document that begin with first, and stand
// under heading unless that is empty, differ from those that are executed in
// the source tree and succeed.
type entry struct {
	document, heading, first string

	skip    string   // why they are not executed
	without []string // lines that are not executed
	classic bool     // executed on the machine without systemd
	in      string   // working directory
	before  string   // a script that is run before
	as      string   // the command that executes /tmp/block, or reads /tmp/text
	during  string   // for what does not end: ended when this script succeeds
	exit    int      // exit status
	prints  string   // a pattern of what is printed
	after   string   // a script that has to succeed soon
}

// Scripts of the table.
const (
	// common is what an administrator of qmail has on any machine, and
	// functions for the scripts below.
	common = `
cat >/etc/tcp.smtp <<EOT
127.:allow,RELAYCLIENT=""
:allow
EOT
cat >/tmp/functions <<'EOT'
current=/service/smtpd/log/main/current
# mail TO ...: a client sends a mail
mail() { swaks --silent 2 --server 127.0.0.1 --from sender@client.example --to "$@"; }
# line PORT: the first line that a server sends
line() {
  exec 3<>/dev/tcp/127.0.0.1/$1 || return
  timeout 5 head -n 1 <&3
}
# log PATTERN: wait until the log of the SMTP service has a line
log() {
  for i in $(seq 100); do grep -q "$1" $current && return; sleep 0.1; done
  tail $current
  return 1
}
# service DIR: a service directory whose service sleeps
service() {
  mkdir -p $1
  printf '#!/bin/sh\nexec sleep 100000\n' >$1/run
  chmod 755 $1/run
}
# old NAME: a service under the original svscan, in /etc/service
old() {
  rm -rf /etc/service
  mkdir /etc/service
  service /var/sv/$1
  ln -s /var/sv/$1 /etc/service
  printf '[Service]\nEnvironment=PATH=/opt/classic:/usr/bin:/bin\nExecStart=/opt/classic/svscan /etc/service\nKillMode=process\n' >/etc/systemd/system/old-$1.service
  systemctl daemon-reload
  systemctl start old-$1
  svwait -u 20 /var/sv/$1
}
EOT
`
	functions = ". /tmp/functions\n"
	mailed    = functions + "mail user@mail.example.org"

	stopSMTP  = functions + "systemctl stop qmail-smtpd.socket qmail-smtpd.service\n"
	startSMTP = functions + "systemctl start qmail-smtpd.socket; line 25 | grep ^220"

	// oldSMTP is a service as Life with qmail has it, with the port free and
	// the service directory of the package as it was installed.
	oldSMTP = stopSMTP + `rm -f /service/smtpd
svc -dx /var/qmail/service/smtpd /var/qmail/service/smtpd/log
while svok /var/qmail/service/smtpd || svok /var/qmail/service/smtpd/log; do sleep 0.1; done
rm -rf /var/qmail/service/smtpd
/usr/libexec/qmail-smtpd/qmail-smtpd-setup fresh
mkdir -p /var/qmail/supervise/qmail-smtpd
cat >/var/qmail/supervise/qmail-smtpd/run <<'EOT'
#!/bin/sh
QMAILDUID=$(id -u qmaild)
NOFILESGID=$(id -g qmaild)
exec /usr/local/bin/softlimit -m 2000000 \
  /usr/local/bin/tcpserver -v -R -l mail.example.org -x /etc/tcp.smtp.cdb -c 20 \
  -u "$QMAILDUID" -g "$NOFILESGID" 0 smtp /var/qmail/bin/qmail-smtpd 2>&1
EOT
chmod 755 /var/qmail/supervise/qmail-smtpd/run
`

	// scratch is a directory with what the man pages have in theirs.
	scratch = functions + `rm -rf /tmp/x
mkdir -p /tmp/x/main /tmp/x/env
cd /tmp/x
chmod 755 . main
printf '#!/bin/sh\necho hello\n' >serve
cp serve backup
chmod 755 serve backup
echo 127.0.0.1 >env/IP
echo 2601 >env/PORT
printf '[2001:db8::]/32:deny\n:allow\n' >tcp
tcprules tcp.cdb tcp.tmp <tcp
printf 'Subject: example\n\nhello\n' >message
`
	// made is a service directory of qmail-smtpd-conf that is not in service.
	made = "qmail-smtpd-conf qmaild qmaill /var/qmail/service/smtpd\nmake -s -C /var/qmail/service/smtpd\n"

	// editor stands in for that of the administrator, on a terminal.
	writeEditor = `printf '#!/bin/sh\nprintf "[Service]\\nMemoryMax=500M\\n" >"$1"\n' >/root/editor; chmod 755 /root/editor` + "\n"
	editor      = "SYSTEMD_EDITOR=/root/editor script -qec 'bash /tmp/block' /dev/null"

	rules   = "tcprules /tmp/x/rules.cdb /tmp/x/rules.tmp </tmp/text"
	tooLong = "takes many minutes"
)

var table = []entry{
	{document: "README.md", first: "make deb\n", without: []string{"make deb"}, after: functions + `
svstat /service/smtpd /service/smtpd/log | grep -Ec '^/service/smtpd(/log)?: up \(pid [0-9]+\) [0-9]+ seconds$' | grep -x 2
mail user@mail.example.org
log 'tcpserver: status: 0/40'`},
	{document: "README.md", first: "make run", skip: "test/endtoend does the first, and the second is this"},
	{document: "README.md", first: "svstat /service/smtpd", before: "svwait -u 15 /service/smtpd /service/smtpd/log",
		during: "grep 'tcpserver: status: 0/40' /tmp/out", prints: `^/service/smtpd: up \(pid`},
	{document: "docs/PACKAGES.md", first: "qmail-smtpd-preflight: port 25 is held", skip: "is printed; test/packages sees that"},

	{document: "docs/QMAIL-CONF.md", first: "svwait", before: functions + "log 'tcpserver: status: 0/40'", prints: `(?s)smtpd: up \(pid.*log: up \(pid.*tcpserver: status: 0/40`},
	{document: "docs/QMAIL-CONF.md", first: "cd /var/qmail/service/smtpd\nTCPREMOTEIP", prints: "set environment variable RELAYCLIENT="},
	{document: "docs/QMAIL-CONF.md", first: "echo 100", after: functions + "log 'tcpserver: status: 0/100'"},
	{document: "docs/QMAIL-CONF.md", first: "systemctl set-property", prints: "MemoryMax=524288000"},
	{document: "docs/QMAIL-CONF.md", first: "echo 127.0.0.1", after: functions + "ss -Hltn sport = :25 | grep -v ' 127.0.0.1:25 ' && exit 1\nline 25 | grep ^220"},
	{document: "docs/QMAIL-CONF.md", first: "svc -d", after: "svstat /service/smtpd | grep 'down.*normally up'"},
	{document: "docs/QMAIL-CONF.md", first: "svc -u", after: mailed},
	{document: "docs/QMAIL-CONF.md", first: "cd /service/smtpd\nrm", after: "! svok /var/qmail/service/smtpd; ! svok /var/qmail/service/smtpd/log"},
	{document: "docs/QMAIL-CONF.md", first: "systemctl disable", after: "test $(systemctl is-active qmail-smtpd.socket) = inactive; systemctl -q enable --now qmail-smtpd.socket"},
	{document: "docs/QMAIL-CONF.md", first: "qmail-smtpd-conf qmaild qmaill /var/qmail/service/submission", after: functions + "line 587 | grep ^220"},

	{document: "docs/TROUBLESHOOTING.md", first: "systemctl is-active", before: stopSMTP, prints: `:25\b`, after: startSMTP},
	{document: "docs/TROUBLESHOOTING.md", first: "qmail-smtpd-preflight", exit: 1, prints: `port 25 is held by python3 .*standin`, after: "systemctl stop standin\n" + startSMTP,
		before: stopSMTP + `systemd-run -q --unit=standin python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 25)); s.accept()'
until ss -ltn | grep -q 127.0.0.1:25; do sleep 0.1; done`},
	{document: "docs/TROUBLESHOOTING.md", first: "cd /service/smtpd\nmake", after: mailed,
		before: functions + "rm /service/smtpd/tcp.cdb; line 25; log 'tcpserver: warning: dropping connection, unable to read tcp.cdb: file does not exist'"},
	{document: "docs/TROUBLESHOOTING.md", first: "echo example.net", after: functions + "mail user@example.net"},
	{document: "docs/TROUBLESHOOTING.md", first: "hostname", after: mailed,
		before: functions + "rm /var/qmail/control/me; line 25 | grep '421 unable to read controls (#4.3.0)'; log 'qmail-smtpd: warning: unable to read /var/qmail/control/me: file does not exist'"},
	{document: "docs/TROUBLESHOOTING.md", first: "tail -n 20 /service/qmail-queue", after: mailed,
		before: functions + "svc -d /service/qmail-queue; svwait -d 10 /service/qmail-queue; swaks --server 127.0.0.1 --to user@mail.example.org | grep '451 qq trouble making network connection (#4.3.0)'"},
	{document: "docs/TROUBLESHOOTING.md", first: "df", prints: "journal: +on"},
	{document: "docs/TROUBLESHOOTING.md", first: "cd /service/smtpd\nsed", after: `python3 -c '
import socket
s = socket.create_connection(("127.0.0.1", 25))
f = s.makefile("rb")
f.readline()
for words in b"HELO a\n", b"MAIL FROM:<a@client.example>\n", b"RCPT TO:<user@mail.example.org>\n", b"DATA\n", b"hello\n.\n":
    s.sendall(words)
    reply = f.readline()
assert reply.startswith(b"250 "), reply'`},
	{document: "docs/TROUBLESHOOTING.md", first: "systemctl edit", before: writeEditor, as: editor, after: "systemctl show -p MemoryMax qmail-smtpd.service | grep =524288000"},
	{document: "docs/TROUBLESHOOTING.md", first: "systemctl start svscan.service", before: "systemctl stop svscan; svstat /service/smtpd | grep 'supervise not running'", after: "svstat /service/smtpd | grep ': up'"},
	{document: "docs/TROUBLESHOOTING.md", first: "svscan-generator", before: functions + "service /etc/sv/tick; chown nobody /etc/sv/tick/run; ln -s /etc/sv/tick /service", prints: "# refused.*/service/tick"},
	{document: "docs/TROUBLESHOOTING.md", first: "chown", after: "rm -f /service/tick; svc -dx /etc/sv/tick; ! svok /etc/sv/tick; rm -r /etc/sv/tick"},
	{document: "docs/TROUBLESHOOTING.md", first: "echo h", after: "until [ $(readlink /proc/$(systemctl show -P MainPID qmail-smtpd)/ns/net) = $(readlink /proc/1/ns/net) ]; do sleep 0.1; done"},
	{document: "docs/TROUBLESHOOTING.md", first: "systemctl enable", after: mailed},

	{document: "docs/MIGRATION.md", first: "svcompat-migrate", before: functions + "old first", prints: "(?s)1 to move; nothing has been changed.*moved to svc-first.service.*undo"},
	{document: "docs/MIGRATION.md", first: "qmail-smtpd-conf --import", before: oldSMTP, prints: "nothing has been changed", after: mailed},
	{document: "docs/MIGRATION.md", first: "apt-get remove", before: `mkdir -p /tmp/package/DEBIAN
printf 'Package: daemontools-run\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: stands in\n' >/tmp/package/DEBIAN/control
dpkg-deb -b /tmp/package /tmp/package.deb >/dev/null
dpkg -i /tmp/package.deb >/dev/null
echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/90yes`},
	{document: "ARCHITECTURE.md", skip: "is a drawing"},
	{document: "docs/BENCHMARKS.md", skip: tooLong},

	{document: "docs/man/envdir.8", in: "/tmp/x", before: scratch, during: functions + "line 2601 | grep hello"},
	{document: "docs/man/fixcrio.1", before: `printf '#!/bin/sh\nread x; echo "you said $x"\n' >/usr/local/bin/fingerd; chmod 755 /usr/local/bin/fingerd`,
		during: "exec 3<>/dev/tcp/127.0.0.1/79; echo hi >&3; grep 'you said hi' <&3"},
	{document: "docs/man/mconnect.1", as: "echo quit | bash /tmp/block", prints: "(?s)^220 mail.example.org.*221 mail.example.org"},
	{document: "docs/man/multilog.8", first: "multilog t", in: "/tmp/x", before: scratch, as: "echo tcpserver: status: 1/40 | bash /tmp/block",
		after: "grep 'tcpserver: status: 1/40' /tmp/x/status; grep 1/40 /tmp/x/main/current"},
	{document: "docs/man/multilog.8", first: "multilog T", in: "/tmp/x", before: scratch, as: "echo hello | bash /tmp/block", after: "grep '^20.* hello$' /tmp/x/main/current"},
	{document: "docs/man/qmail-control.5", after: functions + "mail user@host.example.org"},
	{document: "docs/man/qmail-queue-conf.8", classic: true, after: "svstat /service/queue | grep ': up'"},
	{document: "docs/man/qmail-queue.8", in: "/tmp/x", before: scratch},
	{document: "docs/man/qmail-smtpd-conf.8", first: "qmail-smtpd-conf --import", before: oldSMTP, prints: "nothing has been changed", after: mailed},
	{document: "docs/man/qmail-smtpd-conf.8", classic: true, after: "svstat /service/smtpd | grep ': up'"},
	{document: "docs/man/qmail-smtpd-preflight.8", exit: 1, prints: "port 25 is held by .*qmail-smtpd.socket"},
	{document: "docs/man/qmail-smtpd.8", skip: "is a setting of fail2ban"},
	{document: "docs/man/rblsmtpd.1", first: "rblsmtpd", as: `printf 'quit\r\n' | TCPREMOTEIP=127.0.0.1 bash /tmp/block`, prints: "(?s)^220 .*221 "},
	{document: "docs/man/rblsmtpd.1", first: "192", before: scratch, as: rules},
	{document: "docs/man/readproctitle.8", first: "readproctitle", skip: "is what ps shows"},
	{document: "docs/man/recordio.1", before: stopSMTP, during: functions + "line 25 | grep ^220; grep '220 ' /tmp/out", after: startSMTP},
	{document: "docs/man/service-directory.5", first: "mkdir", after: "grep tick /service/tick/log/main/current"},
	{document: "docs/man/service-directory.5", first: "cd", after: "! svok /etc/sv/tick; ! svok /etc/sv/tick/log"},
	{document: "docs/man/setlock.8", in: "/tmp/x", before: scratch, prints: "hello"},
	{document: "docs/man/setuidgid.8", in: "/tmp/x", before: scratch + "chown qmaill main\n", as: "echo hello | bash /tmp/block", after: "grep hello /tmp/x/main/current"},
	{document: "docs/man/softlimit.8", in: "/tmp/x", before: scratch, as: "DATALIMIT=250000 IP=127.0.0.1 PORT=2602 bash /tmp/block", during: functions + "line 2602 | grep hello"},
	{document: "docs/man/svcompat-migrate.8", before: functions + "old second", prints: "(?s)1 to move; nothing has been changed.*moved to svc-second.service"},
	{document: "docs/man/svscan-generator.8", first: "svscan-generator", before: functions + "service /etc/sv/loose; chown nobody /etc/sv/loose/run; ln -s /etc/sv/loose /service",
		exit: 1, prints: "# refused.*/service/loose", after: "rm -f /service/loose"},
	{document: "docs/man/svscan-generator.8", first: "systemctl edit", before: writeEditor + functions + "service /etc/sv/ntp; ln -s /etc/sv/ntp /service; svwait -u 15 /service/ntp",
		as: editor, after: "systemctl show -p MemoryMax svc-ntp.service | grep =524288000"},
	{document: "docs/man/svscan.8", first: "ln", classic: true, before: made, after: "svstat /service/smtpd | grep ': up'"},
	{document: "docs/man/svscan.8", first: "cd", classic: true, after: "! svok /var/qmail/service/smtpd; ! svok /var/qmail/service/smtpd/log"},
	{document: "docs/man/svstat.8", first: "svstat /service", prints: `(?s)smtpd: up \(pid.*/service/smtpd\t\d+\t\d+\n`},
	{document: "docs/man/svwait.8", first: "ln", classic: true, before: made},
	{document: "docs/man/tai64nlocal.8", during: "grep 'tcpserver: ' /tmp/out"},
	{document: "docs/man/tcpclient.1", prints: "^220 mail.example.org"},
	{document: "docs/man/tcprules.1", first: "tcprules", in: "/tmp/x", before: scratch},
	{document: "docs/man/tcprules.1", before: scratch, as: rules},
	{document: "docs/man/tcprulescheck.1", in: "/tmp/x", before: scratch, prints: "(?s)allow connection.*deny connection"},
	{document: "docs/man/tcpserver.1", first: "tcpserver -vDUHR", in: "/tmp/x", before: stopSMTP + scratch,
		during: functions + "line 25 | grep ^220", after: startSMTP},
	{document: "docs/man/tcpserver.1", first: "tcpserver -v 127", during: functions + "line 2525 | grep ."},
}

package servicedir

import (
	"path/filepath"

	"qmail-smtpd/units"
)

// SMTPD describes a service directory of the SMTP service.
type SMTPD struct {
	Dir       string // absolute; must not exist
	Account   string // of tcpserver, usually qmaild; not looked up, as in qmail-conf
	LogUser   string // of multilog, usually qmaill
	LogUID    int
	IP        string // address to listen on; "0" is every address
	LocalName string // first line of control/me
	Home      string // qmail's home, usually /var/qmail
	Programs  string // directory of tcpserver and tcprules
}

// Make makes the service directory. An error is a *StepError; what was made
// before it stays.
func (s SMTPD) Make() error {
	m := newMaker(s.Dir)
	m.log(s.LogUser, s.LogUID)
	m.folder("log/systemd", -1)
	m.file("log/systemd/service.conf", 0o644, -1, units.LogConf(s.LogUser))
	m.folder("env", -1)
	for _, v := range []struct{ name, content string }{
		{"DATALIMIT", "250000\n"},
		{"BACKLOG", ""},
		{"CONCURRENCY", ""},
		{"IP", s.IP + "\n"},
		{"LOCALNAME", s.LocalName + "\n"},
		{"PORT", "25\n"},
		{"REMOTEINFO", ""},
		{"REMOTENAME", ""},
	} {
		m.file("env/"+v.name, 0o644, -1, v.content)
	}
	m.home(s.Home)
	m.file("Makefile", 0o644, -1, s.makefile())
	m.file("tcp", 0o644, -1, "")
	m.file("add-relayclient", 0o755, -1, addRelayClient)
	m.folder("systemd", -1)
	m.file("systemd/unit", 0o644, -1, "qmail-"+filepath.Base(s.Dir)+"\n")
	m.file("systemd/listen", 0o644, -1, "$IP:$PORT smtp\n")
	m.file("systemd/service.conf", 0o644, -1, units.SMTPDConf(s.Account))
	m.file("systemd/socket.conf", 0o644, -1, socketConf)
	m.file("run", 0o755, -1, s.run())
	return m.done()
}

// run is the script that supervise or systemd starts. It execs at every
// step, so that the process it becomes is tcpserver itself: systemd hands
// sockets to one process only.
func (s SMTPD) run() string {
	return `#!/bin/sh
exec 2>&1 \
envdir ./env \
sh -c '
  case "$REMOTENAME" in
    h) H= ;;
    p) H=p ;;
    *) H=H ;;
  esac
  case "$REMOTEINFO" in
    r) R= ;;
    [0-9]*) R="t$REMOTEINFO" ;;
    *) R=R ;;
  esac
  exec \
  envuidgid ` + s.Account + ` \
  softlimit ${DATALIMIT:+"-d$DATALIMIT"} \
  ` + s.Programs + `/tcpserver \
    -vDU"$H$R" \
    ${LOCALNAME:+"-l$LOCALNAME"} \
    ${BACKLOG:+"-b$BACKLOG"} \
    ${CONCURRENCY:+"-c$CONCURRENCY"} \
    -xtcp.cdb \
    -- "${IP:-0}" "${PORT:-25}" \
    ` + s.Home + `/bin/qmail-smtpd
'
`
}

func (s SMTPD) makefile() string {
	return `SHELL=/bin/sh

tcp.cdb: tcp
	` + s.Programs + `/tcprules tcp.cdb tcp.tmp < tcp
`
}

const addRelayClient = `#!/bin/sh
# usage: ./add-relayclient address...
# Appends rules that let clients at these addresses relay; then type: make
[ $# -gt 0 ] || exit 0
umask 022
cp tcp tcp.new || exit 111
for address do
  printf '%s:allow,RELAYCLIENT=""\n' "$address" >>tcp.new || exit 111
done
mv tcp.new tcp || exit 111
`

package servicedir

import (
	"path/filepath"
	"strings"

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

	// What run has beyond that; the makers leave it empty.
	Limits  []string // options of softlimit
	Options []string // options of tcpserver
	Smtpd   []string // the filters and the program; empty: bin/qmail-smtpd of Home
}

// Make makes the service directory. An error is a *StepError; what was made
// before it stays.
func (s SMTPD) Make() error { return makeDir(s.Dir, s.entries()) }

func (s SMTPD) entries() []entry {
	entries := append(logEntries(s.LogUser, s.LogUID),
		folder("env"),
		file("env/DATALIMIT", 0o644, "250000\n"),
		file("env/BACKLOG", 0o644, ""),
		file("env/CONCURRENCY", 0o644, ""),
		file("env/IP", 0o644, s.IP+"\n"),
		file("env/LOCALNAME", 0o644, s.LocalName+"\n"),
		file("env/PORT", 0o644, "25\n"),
		file("env/REMOTEINFO", 0o644, ""),
		file("env/REMOTENAME", 0o644, ""),
	)
	entries = append(entries, homeEntries(s.Home)...)
	return append(entries,
		file("Makefile", 0o644, s.makefile()),
		file("tcp", 0o644, ""),
		file("add-relayclient", 0o755, addRelayClient),
		folder("systemd"),
		file("systemd/unit", 0o644, "qmail-"+filepath.Base(s.Dir)+"\n"),
		file("systemd/listen", 0o644, "$IP:$PORT smtp\n"),
		file("systemd/service.conf", 0o644, units.SMTPDConf(s.Account)),
		file("systemd/socket.conf", 0o644, socketConf),
		file("run", 0o755, s.run()),
	)
}

// run is the script that supervise or systemd starts. It execs at every
// step, so that the process it becomes is tcpserver itself: systemd hands
// sockets to one process only.
func (s SMTPD) run() string {
	smtpd := s.Smtpd
	if len(smtpd) == 0 {
		smtpd = []string{s.Home + "/bin/qmail-smtpd"}
	}
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
  softlimit ${DATALIMIT:+"-d$DATALIMIT"}` + after(" ", s.Limits) + ` \
  ` + s.Programs + `/tcpserver \
    -vDU"$H$R" \
    ${LOCALNAME:+"-l$LOCALNAME"} \
    ${BACKLOG:+"-b$BACKLOG"} \
    ${CONCURRENCY:+"-c$CONCURRENCY"} \
    -xtcp.cdb` + after(" \\\n    ", s.Options) + ` \
    -- "${IP:-0}" "${PORT:-25}"` + after(" \\\n    ", smtpd) + `
'
`
}

// after returns words for a script inside single quotes, the first after
// between.
func after(between string, words []string) string {
	var b strings.Builder
	for _, word := range words {
		b.WriteString(between)
		between = " "
		if !plain(word) {
			word = strings.NewReplacer("$", `\$`, "`", "\\`", `"`, `\"`, `\`, `\\`).Replace(word)
			word = `"` + strings.ReplaceAll(word, "'", `'\''`) + `"`
		}
		b.WriteString(word)
	}
	return b.String()
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

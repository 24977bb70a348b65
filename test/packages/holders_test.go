package packages

import (
	"regexp"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

// Servers of Debian that take port 25 when they are installed or, the last
// two, when they are told to; and what the preflight says of each, with N for
// a process id, and no ::1, which localhost is on some machines only.
var portHolders = []struct{ pkg, configure, line string }{
	{"exim4-daemon-light", "",
		"exim4 (pid N, exim4.service, package exim4-daemon-light) at 127.0.0.1; to free it: systemctl disable exim4.service; systemctl stop exim4.service"},
	{"postfix", "",
		"master (pid N, postfix.service, package postfix) at 0.0.0.0 and ::; to free it: systemctl disable --now postfix.service"},
	{"opensmtpd", "",
		"smtpd (pid N, opensmtpd.service, package opensmtpd) at 127.0.0.1; to free it: systemctl disable --now opensmtpd.service"},
	{"sendmail-bin", "",
		"sendmail-mta (pid N, sendmail.service, package sendmail-bin) at 127.0.0.1; to free it: systemctl disable sendmail.service; systemctl stop sendmail.service"},
	{"openbsd-inetd", `
echo 'smtp stream tcp nowait nobody /bin/cat cat' >>/etc/inetd.conf
systemctl enable inetd
systemctl restart inetd`,
		"inetd (pid N, inetd.service, package openbsd-inetd) at 0.0.0.0 and ::; it is configured in /etc/inetd.conf; to free it: " +
			"sed -i -e 's/^smtp[[:space:]]/#&/' /etc/inetd.conf; systemctl reload inetd.service"},
	{"xinetd", `
printf 'service smtp\n{\n socket_type = stream\n protocol = tcp\n wait = no\n user = nobody\n server = /bin/cat\n}\n' >/etc/xinetd.d/mail
systemctl restart xinetd`,
		"xinetd (pid N, xinetd.service, package xinetd) at ::; it is configured in /etc/xinetd.d/mail; to free it: " +
			"mv /etc/xinetd.d/mail /etc/xinetd.d/mail.off; systemctl reload xinetd.service"},
}

// TestPortHolders installs one server after the other, has the preflight say
// who has port 25, executes the commands that it prints, and puts our socket
// unit on the port.
func TestPortHolders(t *testing.T) {
	t.Parallel()
	m := boot(t, debs)
	m.CopyDir(programs.Holders(t), "/packages/holders")
	do(m, deb.install, debs)
	checkRunning(m)
	pid := regexp.MustCompile(`pid \d+`)
	for _, holder := range portHolders {
		m.Sh("systemctl disable --now qmail-smtpd.socket; systemctl stop qmail-smtpd.service")
		m.Sh("qmail-smtpd-preflight")
		m.Sh("DEBIAN_FRONTEND=noninteractive dpkg --no-triggers -i /packages/holders/" + holder.pkg + "/*.deb >&2" + holder.configure)
		last := ":25 "
		if strings.Contains(holder.line, "and ::;") {
			last = "[::]:25 "
		}
		m.Await(soon, "ss -ltn | grep -F '"+last+"'")
		out, code := m.Try("qmail-smtpd-preflight")
		line, _ := strings.CutPrefix(strings.Replace(pid.ReplaceAllString(out, "pid N"), "127.0.0.1 and ::1;", "127.0.0.1;", 1), "qmail-smtpd-preflight: port 25 is held by ")
		if code != 1 || line != holder.line+"\n" {
			t.Errorf("%s: %d %q, want %q", holder.pkg, code, out, holder.line)
		}
		_, commands, _ := strings.Cut(out, "; to free it: ")
		m.Sh(commands)
		m.Await(soon, "qmail-smtpd-preflight")
		m.Sh("systemctl enable --now qmail-smtpd.socket")
		checkRunning(m)
		send(m, holder.pkg)
		m.Sh("DEBIAN_FRONTEND=noninteractive dpkg --no-triggers -P $(for deb in /packages/holders/" + holder.pkg + "/*.deb; do dpkg-deb -f $deb Package; done) >&2")
	}
}

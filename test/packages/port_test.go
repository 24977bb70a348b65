package packages

import (
	"regexp"
	"strings"
	"testing"
)

// TestPortTaken installs where another server has port 25, frees the port by
// the commands that the installation prints, and purges what was never
// edited.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	m := boot(t, debs)
	m.WriteFile("/etc/systemd/system/standin.service", `[Service]
ExecStart=python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 25)); s.accept()'
[Install]
WantedBy=multi-user.target
`, 0o644)
	m.Sh("systemctl -q enable --now standin.service")
	m.Await(soon, "ss -ltn | grep -q 127.0.0.1:25")
	pid := property(m, "standin.service", "MainPID")
	python := strings.TrimSpace(m.Sh("dpkg -S $(readlink -f $(command -v python3)) | cut -d: -f1"))
	before := m.Sh(listFiles)
	out := strings.ReplaceAll(do(m, "apt-get -q -y install", debs), "\r", "")
	for _, line := range []string{
		"qmail-smtpd-preflight: port 25 is held by python3 (pid " + pid + ", standin.service, package " + python + ") at 127.0.0.1; to free it: systemctl disable --now standin.service\n",
		"qmail-smtpd: when the port is free: systemctl enable --now qmail-smtpd.socket\n",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("the installation said %q, want %q", out, line)
		}
	}
	check := `
test $(systemctl is-enabled qmail-smtpd.socket) = disabled
test $(systemctl is-active qmail-smtpd.socket) = inactive
systemctl is-active standin.service qmail-queue.socket >&2
test -L /service/smtpd`
	m.Sh(check)
	do(m, deb.reinstall, debs)
	m.Sh(check)

	for _, command := range regexp.MustCompile(`free(?: it)?: (systemctl .*)`).FindAllStringSubmatch(out, -1) {
		m.Sh(command[1])
	}
	checkRunning(m)
	send(m, "freed")

	// a socket unit: systemd holds the port
	m.Sh("systemd-run -q --unit=held --socket-property=ListenStream=2500 cat")
	if out, code := m.Try("qmail-smtpd-preflight 2500"); code != 1 || out != "qmail-smtpd-preflight: port 2500 is held by systemd (pid 1, held.socket) at ::; to free it: systemctl stop held.socket held.service\n" {
		t.Errorf("socket unit: %d %q", code, out)
	}

	m.Sh("systemctl stop qmail-queue.service qmail-smtpd.service; find /var/qmail/queue/mess /var/qmail/queue/intd /var/qmail/queue/todo -type f -delete")
	m.Sh("dpkg -P qmail-smtpd svcompat qmail-smtpd-doc >&2")
	checkLeft(t, m, before, `< /etc/systemd/system/multi-user.target.wants/standin.service
`)
}

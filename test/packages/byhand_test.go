package packages

import (
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

// TestByHand installs where the original commands were once installed from
// their sources, come first in everybody's PATH, and are what runs /service.
func TestByHand(t *testing.T) {
	t.Parallel()
	m := bootOn(t, "/", debs)
	m.CopyDir(programs.Originals(t), "/usr/local/bin")
	m.Sh("ln -s /usr/local/bin /command; mkdir /service; PATH=/command:$PATH setsid svscan /service </dev/null >/dev/null 2>&1 &")
	m.Await(soon, "test $(readlink /proc/$(pgrep -x svscan)/cwd) = /service")
	out := do(m, deb.install, debs)
	checkRunning(m)
	if strings.Count(out, "qmail-smtpd: an svscan that is no unit has /service: ") != 2 {
		t.Error(out)
	}
	m.Sh("ls -A /service | grep . && exit 1; pgrep -x supervise && exit 1; pkill -x -o svscan; ln -s /var/qmail/service/smtpd /service; systemctl restart svscan")
	m.Sh("/command/svc -t /service/smtpd /service/smtpd/log")
	m.Await(soon, "/command/svstat /service/smtpd /service/smtpd/log | grep -c ': up (pid' | grep -x 2")
	m.Sh("swaks --server 127.0.0.1 --to you@mail.example.org")
}

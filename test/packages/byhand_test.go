package packages

import (
	"testing"

	"qmail-smtpd/test/programs"
)

// TestByHand installs where the original commands were once installed from
// their sources, and come first in everybody's PATH.
func TestByHand(t *testing.T) {
	t.Parallel()
	m := bootOn(t, "/", debs)
	m.CopyDir(programs.Originals(t), "/usr/local/bin")
	m.Sh("ln -s /usr/local/bin /command")
	do(m, deb.install, debs)
	checkRunning(m)
	m.Sh("/command/svc -t /service/smtpd /service/smtpd/log")
	m.Await(soon, "/command/svstat /service/smtpd /service/smtpd/log | grep -c ': up (pid' | grep -x 2")
	m.Sh("swaks --server 127.0.0.1 --to you@mail.example.org")
}

package packages

import (
	_ "embed"
	"flag"
	"testing"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/traffic"
)

var all = flag.Bool("all", false, "upgrade the deb under load too, as TestZeroLoss does among other troubles")

//go:embed testdata/base.spec
var baseSpec string

// addBase has rpm know of what the packages need and the machine has.
func addBase(m *machine.Machine) {
	m.WriteFile("/root/base.spec", baseSpec, 0o644)
	m.Sh("rpmbuild -bb --define '_rpmdir /root/base' /root/base.spec >&2; rpm -i /root/base/noarch/*.rpm")
}

// dnf is the kind of those who have RPM packages in a repository.
var dnf = kind{
	install: "from-repository install", reinstall: "from-repository reinstall", upgrade: "from-repository upgrade",
	downgrade: "from-repository downgrade", first: rpms, later: rpmsLater,
}

// addRepositories makes the command from-repository: the action of dnf that
// is its first argument, with the repository that the files are in.
func addRepositories(m *machine.Machine, files ...packages) {
	addBase(m)
	for _, p := range files {
		m.Sh("createrepo_c -q $(dirname '" + p.inside + "')")
	}
	m.WriteFile("/usr/local/bin/from-repository", `#!/bin/sh
exec dnf -q -y --releasever=1 --setopt=reposdir=/nowhere --nogpgcheck \
  --repofrompath="local,file://$(dirname "$2")" "$1" qmail-smtpd svcompat qmail-smtpd-doc
`, 0o755)
}

// TestUpgrade upgrades under load, and goes back: no client is refused a
// connection, no message and no line of the log is lost.
func TestUpgrade(t *testing.T) {
	if *all {
		t.Run("deb", func(t *testing.T) {
			t.Parallel()
			m := bootOn(t, programs.Debian13(t), debs, debsLater)
			upgrade(t, m, deb)
		})
	}
	t.Run("rpm", func(t *testing.T) {
		t.Parallel()
		m := boot(t, rpms, rpmsLater)
		addRepositories(m, rpms, rpmsLater)
		upgrade(t, m, dnf)
	})
}

func upgrade(t *testing.T, m *machine.Machine, k kind) {
	do(m, k.install, k.first)
	checkRunning(m)
	m.Sh(`echo example.org >>/var/qmail/control/rcpthosts
cd /service/smtpd/log; echo 16000000 >env/MAXFILESIZE; svc -t .`)
	tr := traffic.Start(t, m, 20)
	tr.More(100)
	for _, step := range []struct {
		command string
		p       packages
	}{{k.upgrade, k.later}, {k.downgrade, k.first}} {
		pid := property(m, "qmail-smtpd.service", "MainPID")
		out := do(m, step.command, step.p)
		if property(m, "qmail-smtpd.service", "MainPID") == pid {
			t.Errorf("%s did not restart the service: %s", step.command, out)
		}
		checkRunning(m)
		tr.More(100)
	}
	tr.Finish()
	if refusals := tr.Refusals(); len(refusals) > 0 {
		t.Errorf("nobody listened: %q", refusals)
	}
	tr.CheckQueue()
	tr.CheckLog("/service/smtpd/log/main", 0)
}

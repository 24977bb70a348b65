// Package packages tests the packages that make deb and make rpm build: what
// is in them, and what they do to machines on which they are installed,
// upgraded and removed.
package packages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"qmail-smtpd/test/machine"
)

// soon is for what takes a few seconds at most on a machine at rest.
const soon = 30 * time.Second

// builds is the directory of all packages that are built here.
var builds string

func TestMain(m *testing.M) {
	var err error
	if builds, err = os.MkdirTemp("", "packages-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(builds)
	os.Exit(code)
}

// The packages, by make deb and make rpm as anybody would make them, once
// more under another locale, and with a later version; and the tarball.
var (
	debs         = build("deb", "deb")
	rpms         = build("rpm", "rpm")
	tarball      = build("tarball", "tarball")
	debsAgain    = build("deb", "deb-again", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8")
	rpmsAgain    = build("rpm", "rpm-again", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8")
	tarballAgain = build("tarball", "tarball-again", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8")
	debsLater    = build("deb", "deb-later", "VERSION=99.0", "DPKG_DEB_COMPRESSOR_TYPE=gzip", "DPKG_DEB_COMPRESSOR_LEVEL=1")
	rpmsLater    = build("rpm", "rpm-later", "VERSION=99.0")
)

// packages are those of one build.
type packages struct {
	inside string // a pattern that matches them on a machine
	count  int    // how many there are
	make   func() (dir string, err error)
}

// build describes packages of a kind, made when they are first needed.
func build(kind, name string, env ...string) packages {
	count := 3
	if kind == "tarball" {
		count = 1
	}
	return packages{"/packages/" + name + "/*", count, sync.OnceValues(func() (string, error) {
		dir := filepath.Join(builds, name)
		cmd := exec.Command("make", "-s", kind)
		cmd.Dir = "../.."
		cmd.Env = append(append(os.Environ(), "DIST="+dir), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("make %s: %w\n%s", kind, err, out)
		}
		return dir, nil
	})}
}

// files lists the packages.
func (p packages) files(t testing.TB) []string {
	t.Helper()
	dir, err := p.make()
	if err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(dir + "/*")
	if err != nil || len(list) != p.count {
		t.Fatalf("%s holds %q, %v; want %d files", dir, list, err, p.count)
	}
	return list
}

// copyTo copies the packages to a machine.
func (p packages) copyTo(t testing.TB, m *machine.Machine) {
	t.Helper()
	m.CopyDir(filepath.Dir(p.files(t)[0]), filepath.Dir(p.inside))
}

// boot starts a machine called mail.example.org, on which packages start what
// they install, and copies packages to it.
func boot(t testing.TB, all ...packages) *machine.Machine {
	t.Helper()
	return bootOn(t, "/", all...)
}

// bootOn is boot with the root file system that stands in a directory.
func bootOn(t testing.TB, root string, all ...packages) *machine.Machine {
	t.Helper()
	m := machine.BootOn(t, root)
	for _, p := range all {
		p.copyTo(t, m)
	}
	m.Sh(`
rm -f /usr/sbin/policy-rc.d /var/lib/man-db/auto-update
hostname mail
echo 127.0.1.1 mail.example.org mail >>/etc/hosts
rm -rf /var/qmail /service
`)
	return m
}

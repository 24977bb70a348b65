package units

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// trustedDir is a directory to which only root can write.
func trustedDir(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// checkLines compares lines with those wanted, in which TOP is the directory
// top.
func checkLines(t *testing.T, top string, got []string, want ...string) {
	t.Helper()
	var wants []string
	for _, line := range want {
		if line != "" {
			wants = append(wants, strings.ReplaceAll(line, "TOP", top))
		}
	}
	if diff := cmp.Diff(wants, got); diff != "" {
		t.Error(diff)
	}
}

// shortScan is Scan in short: "NAME BASE DIR" of each service, with what is
// special about it, and the refusals.
func shortScan(t *testing.T, top string, held []Held, look Lookup) (services, refused []string) {
	t.Helper()
	all, no, err := Scan(top+"/service", held, look)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		line := fmt.Sprintf("%s %s %s", s.Name, s.Base, s.Dir)
		if s.Gone {
			line += " gone"
		}
		services = append(services, line)
	}
	for _, r := range no {
		refused = append(refused, r.Error())
	}
	return services, refused
}

// TestSurprises has everything in a scan directory that can be there. Nothing
// makes the scan wait.
func TestSurprises(t *testing.T) {
	top := trustedDir(t)
	makeDir(t, top, map[string]string{
		"service/good/run": "", "service/.hidden/run": "", "service/file": "",
		"service/new\nline/run": "", "service/a space/run": "", "service/-dash/run": "", "service/\xff/run": "",
		"service/empty/":                                 "",
		"service/logfile/run":                            "",
		"service/logfile/log":                            "a file",
		"service/envfile/env":                            "a file",
		"service/sysfile/run":                            "",
		"service/rundir/run/":                            "",
		"service/envdir/env/IP/":                         "",
		"service/fifo/env/":                              "",
		"service/device/env/":                            "",
		"service/big/systemd/service.conf":               strings.Repeat("#\n", 40000),
		"service/sysfile/systemd":                        "a file",
		"service/twice/run":                              "",
		"service/" + strings.Repeat("long", 60) + "/run": "",
		"secret/run":                                     "",
	})
	for link, target := range map[string]string{
		"loop": "loop", "dangling": "/nonexistent/x", "tofile": "file/", "zz-again": "twice", "relative": "../secret", "dot": ".",
	} {
		if err := os.Symlink(target, top+"/service/"+link); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		unix.Mkfifo(top+"/service/fifo/env/IP", 0o600),
		unix.Mkfifo(top+"/service/pipe", 0o600),
		os.Symlink("/dev/zero", top+"/service/device/env/PORT"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	services, refused := shortScan(t, top, nil, nil)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	checkLines(t, top, services,
		`-dash svc--dash TOP/service/-dash`,
		`a space svc-a\x20space TOP/service/a space`,
		`dot svc-dot TOP/service`,
		`empty svc-empty TOP/service/empty`,
		`envfile svc-envfile TOP/service/envfile`,
		`good svc-good TOP/service/good`,
		`logfile svc-logfile TOP/service/logfile`,
		"new\nline svc-new\\x0aline TOP/service/new\nline",
		`relative svc-relative TOP/secret`,
		`rundir svc-rundir TOP/service/rundir`,
		`sysfile svc-sysfile TOP/service/sysfile`,
		`twice svc-twice TOP/service/twice`,
		"\xff svc-\\xff TOP/service/\xff",
	)
	slices.Sort(refused)
	checkLines(t, top, refused,
		"TOP/service/big/systemd/service.conf: longer than 64 KiB",
		"TOP/service/dangling: file does not exist",
		"TOP/service/device/env/PORT: writable by others",
		"TOP/service/envdir/env/IP: not a regular file",
		"TOP/service/fifo/env/IP: not a regular file",
		"TOP/service/"+strings.Repeat("long", 60)+": name too long",
		"TOP/service/loop: symbolic link loop",
	)
}

// TestNoScanDirectory scans what is no directory.
func TestNoScanDirectory(t *testing.T) {
	top := trustedDir(t)
	makeDir(t, top, map[string]string{"file": "", "held/run": ""})
	os.Symlink("nowhere", top+"/dangling")
	os.Symlink("loop", top+"/loop")
	held := []Held{heldOf(t, top+"/held", "svc-held", "held")}
	for name, want := range map[string]string{
		"missing": "file does not exist", "dangling": "file does not exist", "loop": "symbolic link loop", "file": "not a directory",
	} {
		services, refused, err := Scan(top+"/"+name, held, nil)
		if errors.Is(err, fs.ErrNotExist) != strings.Contains(want, "exist") {
			t.Errorf("%s: %#v", name, err)
		}
		if err == nil || err.Error() != top+"/"+name+": "+want {
			t.Errorf("%s: %v", name, err)
		}
		if len(services) != 1 || len(refused) != 0 || !services[0].Gone {
			t.Errorf("%s: %v %v", name, services, refused)
		}
	}
}

func heldOf(t *testing.T, dir, base, name string) Held {
	t.Helper()
	n, err := lstat(dir)
	if err != nil {
		t.Fatal(err)
	}
	return Held{base, name, dir, n.dev, n.ino}
}

// TestHeld has directories that svscan holds: renamed, gone, and in the way
// of others.
func TestHeld(t *testing.T) {
	top := trustedDir(t)
	makeDir(t, top, map[string]string{
		"var/renamed/run": "", "var/gone/run": "", "var/gone/systemd/unit": "other\n", "var/taken/run": "", "var/deleted/run": "",
		"service/taken/run": "", "service/after/run": "", "service/after/systemd/unit": "svc-gone\n", "var/link/run": "",
	})
	held := []Held{
		heldOf(t, top+"/var/renamed", "svc-first", "first"),
		heldOf(t, top+"/var/gone", "svc-gone", "gone"),
		heldOf(t, top+"/var/taken", "svc-taken", "taken"),
		heldOf(t, top+"/var/deleted", "svc-deleted", "deleted"),
		{"svc-remade", "remade", top + "/var/link", 1, 2},
	}
	if err := os.RemoveAll(top + "/var/deleted"); err != nil {
		t.Fatal(err)
	}
	os.Symlink(top+"/var/renamed", top+"/service/second")
	services, refused := shortScan(t, top, held, nil)
	checkLines(t, top, services,
		"first svc-first TOP/var/renamed",
		"gone svc-gone TOP/var/gone gone",
		"taken svc-taken TOP/var/taken gone",
	)
	checkLines(t, top, refused,
		"TOP/service/after: svc-gone.service is of TOP/var/gone",
		"TOP/service/taken: svc-taken.service is of TOP/var/taken",
	)
}

// TestCollisions has directories that want units of the same names.
func TestCollisions(t *testing.T) {
	top := trustedDir(t)
	makeDir(t, top, map[string]string{
		"service/a/systemd/unit": "same\n", "service/b/systemd/unit": "same\n",
		"service/c/systemd/unit": "x\n", "service/c/systemd/listen": "25 smtp\n26 y\n",
		"service/d/systemd/unit": "x-y\n", "service/d/systemd/listen": "27\n",
		"service/e/log/run": "", "service/e/systemd/listen": "28 smtp\n29 log\n",
		"service/f/log/run": "", "service/f-log/run": "", "service/f-log/log/run": "",
	})
	services, refused := shortScan(t, top, nil, nil)
	checkLines(t, top, services,
		"a same TOP/service/a", "c x TOP/service/c", "f svc-f TOP/service/f", `f-log svc-f\x2dlog TOP/service/f-log`)
	checkLines(t, top, refused,
		"TOP/service/e/systemd/listen: svc-e-log.socket is another unit of the service",
		"TOP/service/b: same.service is of TOP/service/a",
		"TOP/service/d: x-y.socket is of TOP/service/c",
	)
}

// TestUnitsOutside has unit files that are there already.
func TestUnitsOutside(t *testing.T) {
	top := trustedDir(t)
	makeDir(t, top, map[string]string{
		"service/a/systemd/unit": "dbus\n", "service/b/systemd/unit": "mine\n", "service/b/log/run": "",
		"service/c/systemd/unit": "masked\n", "service/d/systemd/unit": "socketed\n", "service/d/systemd/listen": "25\n",
		"service/e/systemd/unit": "linked\n", "service/f/systemd/unit": "logged\n", "service/f/log/run": "",
		"service/g/systemd/unit": "stolen\n", "service/g/systemd/listen": "25\n",
		"service/h%h/systemd/unit": "percent\n",
		"etc/dbus.service":         "[Service]\nExecStart=/usr/bin/dbus-daemon\n",
		"lib/mine.service":         "[Service]\nWorkingDirectory=" + top + "/service/b\n",
		"lib/mine-log.service":     "[Service]\nWorkingDirectory=" + top + "/service/b/log\n",
		"lib/mine-log.socket":      "[Socket]\nListenFIFO=/run/svcompat/mine.log\n",
		"etc/mine.service":         "[Service]\nWorkingDirectory=/\nWorkingDirectory=" + top + "/var/../service/b/\n",
		"etc/masked.service":       "",
		"etc/socketed.socket":      "[Unit]\nSourcePath=" + top + "/service/d/systemd/listen\n",
		"lib/linked.service":       "[Service]\nWorkingDirectory=" + top + "/alias/e\n",
		"lib/logged-log.socket":    "[Socket]\nListenFIFO=/run/x\n",
		"lib/stolen.service":       "[Service]\nWorkingDirectory=" + top + "/service/g\n",
		"lib/stolen.socket":        "[Socket]\nService=other.service\n",
		"lib/percent.service":      "[Service]\nWorkingDirectory=" + top + "/service/h%%h\n",
		"var/":                     "",
	})
	os.Symlink("service", top+"/alias")
	look := LookupIn(top+"/etc", top+"/missing", top+"/lib")
	services, refused := shortScan(t, top, nil, look)
	checkLines(t, top, services,
		"b mine TOP/service/b", "c masked TOP/service/c", "d socketed TOP/service/d", "e linked TOP/service/e", "h%h percent TOP/service/h%h")
	checkLines(t, top, refused,
		"TOP/service/a: dbus.service is of something else: TOP/etc/dbus.service",
		"TOP/service/f: logged-log.socket is of something else: TOP/lib/logged-log.socket",
		"TOP/service/g: stolen.socket is of something else: TOP/lib/stolen.socket",
	)
}

// TestLookup finds files as systemd does: masked ones, links, and links that
// lead nowhere.
func TestLookup(t *testing.T) {
	top := trustedDir(t)
	makeDir(t, top, map[string]string{"1/a.service": "one", "2/a.service": "two", "2/b.service": "two", "2/c.socket": "two", "2/d.service/": "", "2/e.txt": ""})
	os.Symlink("/nonexistent", top+"/1/b.service")
	os.Symlink("/dev/null", top+"/1/c.socket")
	look := LookupIn(top+"/1", top+"/2")
	for unit, want := range map[string]UnitFile{
		"a.service": {top + "/1/a.service", "one"},
		"b.service": {top + "/2/b.service", "two"},
		"c.socket":  {top + "/1/c.socket", ""},
		"d.service": {top + "/2/d.service", ""},
		"e.txt":     {},
		"x.service": {},
	} {
		file, found := look(unit)
		if file != want || found != (want.Path != "") {
			t.Errorf("%s: %v %v", unit, file, found)
		}
	}
}

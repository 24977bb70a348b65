package units

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// other is a user that is not root, of no account.
const other = 54321

// TestTrust spoils one thing of a scan directory with one service in each
// case. In the wants, DIR is the service directory.
func TestTrust(t *testing.T) {
	chown := func(path string) func(string) error {
		return func(top string) error { return os.Lchown(filepath.Join(top, path), other, 0) }
	}
	chmod := func(path string, mode uint32) func(string) error {
		return func(top string) error { return unix.Chmod(filepath.Join(top, path), mode) }
	}
	group := func(path string, mode uint32, gid int) func(string) error {
		return func(top string) error {
			path := filepath.Join(top, path)
			if err := os.Chown(path, 0, gid); err != nil {
				return err
			}
			return unix.Chmod(path, mode)
		}
	}
	move := func(path, to string) func(string) error {
		return func(top string) error {
			if err := os.Rename(filepath.Join(top, path), filepath.Join(top, to)); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(top, to), filepath.Join(top, path))
		}
	}
	all := func(steps ...func(string) error) func(string) error {
		return func(top string) error {
			for _, step := range steps {
				if err := step(top); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for _, c := range []struct {
		what  string
		spoil func(top string) error
		want  string // with TOP; empty: no refusal
	}{
		{"nothing", all(), ""},

		{"classic modes", all(chmod("var/x", 0o3755), chmod("var/x/log", 0o2755), chmod("var/x/env", 0o2755),
			chmod("var/x/log/env", 0o2755), chmod("var/x/supervise", 0o700), chown("var/x/log/main"), chown("var/x/log/status")), ""},
		{"sticky directory", chmod("var/x", 0o1755), ""},
		{"setgid of a group", group("var/x", 0o2755, 7), ""},
		{"writable by group root", all(group("var/x", 0o775, 0), group("var/x/run", 0o775, 0), chmod("var", 0o775)), ""},
		{"what is not looked at", all(chmod("var/x/supervise", 0o777), chmod("var/x/down", 0o666), chmod("var/x/log/main", 0o777), chown("var/x/data")), ""},
		{"sticky parent", chmod("var", 0o1777), ""},
		{"sticky scan directory", chmod("service", 0o1777), ""},

		{"directory of another", chown("var/x"), "TOP/service/x: owned by uid 54321"},
		{"directory of others", chmod("var/x", 0o757), "TOP/service/x: writable by others"},
		{"sticky directory of others", chmod("var/x", 0o1777), "TOP/service/x: writable by others"},
		{"directory of a group", group("var/x", 0o775, 7), "TOP/service/x: writable by group 7"},
		{"entry of another", chown("service/x"), "TOP/service/x: owned by uid 54321"},
		{"parent of another", chown("var"), "TOP/service/x: TOP/var: owned by uid 54321"},
		{"parent of others", chmod("var", 0o777), "TOP/service/x: TOP/var: writable by others"},
		{"scan directory of others", chmod("service", 0o777), "TOP/service: writable by others"},
		{"scan directory of another", chown("service"), "TOP/service: owned by uid 54321"},
		{"run of another", chown("var/x/run"), "TOP/service/x/run: owned by uid 54321"},
		{"run of others", chmod("var/x/run", 0o757), "TOP/service/x/run: writable by others"},
		{"run of a group", group("var/x/run", 0o775, 7), "TOP/service/x/run: writable by group 7"},
		{"log of others", chmod("var/x/log", 0o777), "TOP/service/x/log: writable by others"},
		{"log of another", chown("var/x/log"), "TOP/service/x/log: owned by uid 54321"},
		{"log/run of another", chown("var/x/log/run"), "TOP/service/x/log/run: owned by uid 54321"},
		{"env of others", chmod("var/x/env", 0o777), "TOP/service/x/env: writable by others"},
		{"any variable", chown("var/x/env/ANY"), "TOP/service/x/env/ANY: owned by uid 54321"},
		{"a variable of the log", chmod("var/x/log/env/ANY", 0o666), "TOP/service/x/log/env/ANY: writable by others"},
		{"systemd of others", chmod("var/x/systemd", 0o777), "TOP/service/x/systemd: writable by others"},
		{"systemd/listen", chown("var/x/systemd/listen"), "TOP/service/x/systemd/listen: owned by uid 54321"},
		{"log/systemd", chown("var/x/log/systemd"), "TOP/service/x/log/systemd: owned by uid 54321"},
		{"log/systemd/service.conf", chmod("var/x/log/systemd/service.conf", 0o666), "TOP/service/x/log/systemd/service.conf: writable by others"},
		{"finish", chmod("var/x/finish", 0o777), "TOP/service/x/finish: writable by others"},
		{"down-signal", chown("var/x/down-signal"), "TOP/service/x/down-signal: owned by uid 54321"},

		{"run elsewhere", move("var/x/run", "home/run"), ""},
		{"run elsewhere of another", all(move("var/x/run", "home/run"), chown("home/run")), "TOP/service/x/run: owned by uid 54321"},
		{"run in a home", all(move("var/x/run", "home/run"), chown("home")), "TOP/service/x/run: TOP/home: owned by uid 54321"},
		{"log in a home", all(move("var/x/log", "home/log"), chmod("home", 0o777)), "TOP/service/x/log: TOP/home: writable by others"},
		{"run to come in a sticky directory", all(chmod("home", 0o1777), func(top string) error {
			os.Remove(top + "/var/x/run")
			return os.Symlink(top+"/home/run", top+"/var/x/run")
		}), "TOP/service/x/run: TOP/home: writable by others"},
		{"link of another on the way", all(move("var", "home/var"), chown("var")), "TOP/service/x: TOP/var: owned by uid 54321"},
	} {
		t.Run(c.what, func(t *testing.T) {
			top := trustedDir(t)
			makeDir(t, top, map[string]string{
				"service/": "", "home/": "",
				"var/x/run": "", "var/x/finish": "", "var/x/down-signal": "TERM\n", "var/x/down": "",
				"var/x/data": "", "var/x/supervise/": "",
				"var/x/env/ANY": "", "var/x/systemd/listen": "", "var/x/systemd/service.conf": "",
				"var/x/log/run": "", "var/x/log/main/": "", "var/x/log/status": "", "var/x/log/env/ANY": "",
				"var/x/log/systemd/service.conf": "",
			})
			if err := os.Symlink(top+"/var/x", top+"/service/x"); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(top); err != nil {
				t.Fatal(err)
			}
			services, refused, err := Scan(top+"/service", nil, nil)
			var got []string
			for _, r := range refused {
				got = append(got, r.Error())
			}
			if err != nil {
				got = append(got, err.Error())
			}
			checkLines(t, top, got, c.want)
			if made := len(services) == 1; made != (c.want == "") {
				t.Errorf("%d services", len(services))
			}
		})
	}
}

// TestAccessList has a user write by an access list, which shows in the bits
// of the group alone.
func TestAccessList(t *testing.T) {
	top := trustedDir(t)
	makeDir(t, top, map[string]string{"service/x/run": ""})
	run := top + "/service/x/run"
	// version 2; the owner rw, user 54321 rw, the group r, the mask rw, others r
	list := []byte("\x02\x00\x00\x00" +
		"\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x06\x00\x31\xd4\x00\x00" + "\x04\x00\x04\x00\xff\xff\xff\xff" +
		"\x10\x00\x06\x00\xff\xff\xff\xff" + "\x20\x00\x04\x00\xff\xff\xff\xff")
	if err := unix.Setxattr(run, "system.posix_acl_access", list, 0); err != nil {
		t.Fatal(err)
	}
	_, refused, err := Scan(top+"/service", nil, nil)
	if err != nil || len(refused) != 1 {
		t.Fatal(refused, err)
	}
	checkLines(t, top, []string{refused[0].Error()}, "TOP/service/x/run: writable by an access list")
}

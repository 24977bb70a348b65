package packages

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/test/programs"
)

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// TestReproducible builds the same packages twice, in two folders, each of
// which is made for one build.
func TestReproducible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, second packages }{{debs, debsAgain}, {rpms, rpmsAgain}, {tarball, tarballAgain}} {
		second := c.second.files(t)
		for i, path := range c.first.files(t) {
			first, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			again, err := os.ReadFile(second[i])
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, again) {
				t.Errorf("%s has other bytes in a second build", filepath.Base(path))
			}
		}
	}
}

// TestTarball builds what distributors get, where there is no network and
// where no module has ever been fetched.
func TestTarball(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, "tar", "-C", dir, "--strip-components=1", "-xzf", tarball.files(t)[0])
	cmd := exec.Command("unshare", "--net", "make", "-s", "build")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=vendor", "GOPROXY=off", "GOMODCACHE="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	if out := run(t, dir+"/bin/qmail-smtpd", "--list-commands"); !strings.Contains(out, "qmail-smtpd\n") {
		t.Errorf("the program that was built has the commands %q", out)
	}
	if out := run(t, dir+"/packaging/licenses"); strings.Count(out, ", LICENSE\n\n") != 4 {
		t.Errorf("there are not four licences: %s", out)
	}
}

// TestLint holds the packages against the rules of the distributions: no
// remark of any kind but those that an override gives a reason for.
func TestLint(t *testing.T) {
	t.Parallel()
	if out := run(t, "lintian", append([]string{"--allow-root", "--pedantic", "-I", "-E"}, debs.files(t)...)...); out != "" {
		t.Errorf("lintian: %s", out)
	}
	rpm := programs.Root(t) + "/packaging/rpm/"
	if out := run(t, "rpmlint", append([]string{"-c", rpm + "rpmlint.toml", rpm + "qmail-smtpd.spec"}, rpms.files(t)...)...); !strings.Contains(out, " 3 packages and 1 specfiles checked; 0 errors, 0 warnings,") {
		t.Errorf("rpmlint: %s", out)
	}
}

// unpack puts what is in packages below a new directory.
func unpack(t *testing.T, files []string) string {
	t.Helper()
	dir := t.TempDir()
	if strings.HasSuffix(files[0], ".rpm") {
		run(t, "rpm", append([]string{"--root", dir, "--nodeps", "--noscripts", "--install"}, files...)...)
		return dir
	}
	for _, deb := range files {
		run(t, "dpkg-deb", "-x", deb, dir)
	}
	return dir
}

// tree lists the files and links below root with modes and targets.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		line := info.Mode().String() + " " + name
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line = name + " -> " + target
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestContents holds what the packages install against what the source tree
// has: each command, man page and unit, and nothing with privileges.
func TestContents(t *testing.T) {
	t.Parallel()
	root := programs.Root(t)
	var want []string
	bins, err := os.ReadDir(programs.Ours(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range bins {
		if target, err := os.Readlink(filepath.Join(root, "bin", entry.Name())); err == nil {
			want = append(want, "usr/bin/"+entry.Name()+" -> ../libexec/qmail-smtpd/"+target)
			continue
		}
		want = append(want, "-rwxr-xr-x usr/libexec/qmail-smtpd/"+entry.Name())
		if entry.Name() != "svcompat" { // which is no command
			want = append(want, "usr/bin/"+entry.Name()+" -> ../libexec/qmail-smtpd/"+entry.Name())
		}
	}
	for _, pattern := range []string{"docs/man/*.[1-8]", "units/system/*"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatal(pattern, err)
		}
		for _, path := range paths {
			name := filepath.Base(path)
			if strings.HasPrefix(pattern, "docs") {
				page := "usr/share/man/man" + name[len(name)-1:] + "/" + name + ".gz"
				if target, err := os.Readlink(path); err == nil {
					want = append(want, page+" -> "+target+".gz")
				} else {
					want = append(want, "-rw-r--r-- "+page)
				}
			} else {
				want = append(want, "-rw-r--r-- usr/lib/systemd/system/"+name)
			}
		}
	}
	want = append(want,
		"-rwxr-xr-x usr/libexec/qmail-smtpd/qmail-smtpd-setup",
		"usr/lib/systemd/system-generators/svscan-generator -> ../../../libexec/qmail-smtpd/svscan",
		"-rw-r--r-- usr/lib/systemd/system-preset/80-qmail-smtpd.preset",
		"-rw-r--r-- usr/lib/systemd/system-preset/80-svcompat.preset",
		"-rw-r--r-- usr/lib/sysusers.d/qmail-smtpd.conf",
		"-rw-r--r-- usr/lib/tmpfiles.d/qmail-smtpd.conf",
		"-rw-r--r-- usr/lib/tmpfiles.d/svcompat.conf",
		"-rw-r--r-- etc/fail2ban/filter.d/qmail-smtpd.conf",
		"-rw-r--r-- usr/share/bash-completion/completions/qmail-queue",
		"-rw-r--r-- usr/share/bash-completion/completions/qmail-smtpd-conf",
		"-rw-r--r-- usr/share/bash-completion/completions/svc",
		"-rw-r--r-- usr/share/zsh/site-functions/_qmail-queue",
		"-rw-r--r-- usr/share/zsh/site-functions/_qmail-smtpd-conf",
		"-rw-r--r-- usr/share/zsh/site-functions/_svcompat",
	)
	for _, name := range completed(t) {
		if name != "svc" && !strings.HasPrefix(name, "qmail-") {
			want = append(want, "usr/share/bash-completion/completions/"+name+" -> svc")
		}
	}
	slices.Sort(want)
	for kind, p := range map[string]packages{"deb": debs, "rpm": rpms} {
		got := slices.DeleteFunc(tree(t, unpack(t, p.files(t))), func(line string) bool {
			for _, own := range []string{" usr/share/doc/", " usr/share/licenses/", " usr/share/lintian/", " root/.rpmdb/", " var/lib/rpm/"} {
				if strings.Contains(line, own) {
					return true
				}
			}
			return false
		})
		for i, line := range got {
			got[i] = strings.Replace(line, "/zsh/vendor-completions/", "/zsh/site-functions/", 1) // as Debian has it
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}

package generator

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/units"
)

// serviceDir makes a service directory that is empty but for run.
func serviceDir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"/run", nil, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"a"}, {"a", "b"}, {"a", "b", "c", "d"}, {"--print", "a", "b"}, {"-x"}} {
		stdout, stderr, code := run(t, args...)
		if code != 100 || stdout != "" || !strings.HasSuffix(stderr, "svscan-generator: usage: svscan-generator [ --print [ dir ] | normal early late ]\n") {
			t.Errorf("%q: %d %q %q", args, code, stdout, stderr)
		}
	}
}

// TestPrint shows what a scan directory becomes, and what it does not.
func TestPrint(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	serviceDir(t, dir+"/a")
	stdout, stderr, code := run(t, "--print", dir)
	s, err := units.Read(dir+"/a", "a")
	if err != nil {
		t.Fatal(err)
	}
	want := "# /run/systemd/generator.late/svc-a.service\n" + units.Render(s)["svc-a.service"] +
		"\n# /run/systemd/generator.late/multi-user.target.wants/svc-a.service -> ../svc-a.service\n"
	if diff := cmp.Diff(want, stdout); diff != "" || stderr != "" || code != 0 {
		t.Errorf("%s %q %d", diff, stderr, code)
	}

	os.WriteFile(dir+"/a/max-death-tally", nil, 0o644)
	serviceDir(t, dir+"/b\nc")
	os.Chmod(dir+"/b\nc/run", 0o777)
	stdout, stderr, code = run(t, "--print", dir)
	want += "# ignored: " + dir + "/a/max-death-tally: not understood\n# refused: " + dir + "/b\\x0ac/run: writable by others\n"
	if diff := cmp.Diff(want, stdout); diff != "" || stderr != "" || code != 1 {
		t.Errorf("%s %q %d", diff, stderr, code)
	}

	stdout, stderr, code = run(t, "--print", dir+"/missing")
	if stdout != "" || stderr != "svscan-generator: fatal: "+dir+"/missing: file does not exist\n" || code != 111 {
		t.Errorf("%q %q %d", stdout, stderr, code)
	}
}

// TestWrite makes files and links, and goes on after one that is there.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/taken.service", []byte("of another"), 0o644)
	err := write(dir, map[string]string{"taken.service": "ours", "b.service": "text", "b.service.d/05-svcompat.conf": "more"},
		map[string]string{"x.target.wants/b.service": "../b.service"})
	if err == nil || !strings.Contains(err.Error(), "taken.service: file already exists") {
		t.Error(err)
	}
	for name, want := range map[string]string{"taken.service": "of another", "b.service": "text", "b.service.d/05-svcompat.conf": "more", "x.target.wants/b.service": "text"} {
		if text, err := os.ReadFile(dir + "/" + name); string(text) != want || err != nil {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	if err := write("/nonexistent\x00", map[string]string{"a": ""}, nil); err == nil {
		t.Error("no error")
	}
}

// TestAsGenerator calls it as systemd does; this machine has no scan
// directory that it trusts, or has one: it never fails either way.
func TestAsGenerator(t *testing.T) {
	dir := t.TempDir()
	if _, _, code := run(t, dir+"/normal", dir+"/early", dir+"/late"); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestImports holds that svscan-generator can use neither network nor D-Bus.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		if path == "net" || strings.Contains(path, "dbus") || strings.Contains(path, "go-systemd") {
			t.Errorf("it imports %s", path)
		}
	}
}

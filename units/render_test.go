package units

import (
	"flag"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// makeDir makes a service directory of files: path → content; a name that
// ends in "/" is a directory.
func makeDir(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRender holds what each directory is rendered to against the file of
// its name in testdata.
func TestRender(t *testing.T) {
	for _, c := range []struct {
		golden, name string
		files        map[string]string
	}{
		{"plain", "ntp", map[string]string{"run": ""}},
		{"logged", "my app-log", map[string]string{"run": "", "log/run": "", "down": ""}},
		{"smtpd", "smtpd", map[string]string{
			"run": "", "log/run": "",
			"env/IP": "0\n", "env/PORT": "25\n", "env/BACKLOG": "",
			"systemd/unit":             "qmail-smtpd\n",
			"systemd/listen":           "$IP:$PORT smtp\n",
			"systemd/service.conf":     "[Service]\nUser=qmaild\n",
			"systemd/socket.conf":      "# nothing\n",
			"log/systemd/service.conf": "[Service]\nUser=qmaill\n",
		}},
		{"addresses", "two", map[string]string{
			"run": "", "env/BACKLOG": "50\n",
			"systemd/listen": "# comment\n127.0.0.1:2525 smtp\n\n[::1]:2525 smtp\n465 smtps\n/run/two.socket local\n",
		}},
	} {
		dir := filepath.Join(t.TempDir(), "dir")
		makeDir(t, dir, c.files)
		s, err := Read(dir, c.name)
		if err != nil {
			t.Errorf("%s: %v", c.golden, err)
			continue
		}
		s.Dir = "/var/qmail/service/" + c.name
		got := joined(Render(s))
		golden := filepath.Join("testdata", c.golden+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: %s", c.golden, diff)
		}
	}
}

// joined writes a file map as one text, in the order of names.
func joined(files map[string]string) string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString("-- " + name + " --\n" + files[name])
	}
	return b.String()
}

func TestBadDirectories(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"systemd/unit", "../x\n", "/systemd/unit: not the base name of a unit: ../x"},
		{"systemd/unit", "x-log\n", "/systemd/unit: a base name must not end in -log: x-log"},
		{"systemd/unit", "a b\n", "/systemd/unit: not the base name of a unit: a b"},
		{"systemd/listen", "25 smtp too\n", "/systemd/listen: too many words: 25 smtp too"},
		{"systemd/listen", "host.example:25\n", "/systemd/listen: not an address: host.example"},
		{"systemd/listen", "0:70000\n", "/systemd/listen: not a port number: 70000"},
		{"systemd/listen", "0:\n", "/systemd/listen: not a port number: "},
		{"systemd/listen", "$NO:25\n", "/systemd/listen: variable NO is not set"},
		{"systemd/listen", "25 a:b\n", "/systemd/listen: not a descriptor name: a:b"},
	} {
		dir := t.TempDir()
		makeDir(t, dir, map[string]string{c.file: c.content})
		_, err := Read(dir, "x")
		if err == nil || err.Error() != dir+c.want {
			t.Errorf("%s %q: got %v, want %s", c.file, c.content, err, c.want)
		}
	}
}

func TestDefaultBase(t *testing.T) {
	for name, want := range map[string]string{
		"ntp":     "svc-ntp",
		"a-b":     "svc-a-b",
		"x-log":   `svc-x\x2dlog`,
		"my app":  `svc-my\x20app`,
		".hidden": `svc-\x2ehidden`,
		"a\nb":    `svc-a\x0ab`,
		"a@b":     `svc-a\x40b`,
		`a\b`:     `svc-a\x5cb`,
	} {
		if got := DefaultBase(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

func FuzzParseListen(f *testing.F) {
	f.Add("$IP:$PORT smtp\n", "0")
	f.Add("[::1]:25\n/run/x y\n", "1.2.3.4")
	f.Fuzz(func(t *testing.T, text, ip string) {
		listen, err := ParseListen(text, map[string]string{"IP": ip})
		if err != nil {
			return
		}
		for _, l := range listen {
			if strings.ContainsAny(l.Address+l.Name, "\n ") || l.Address == "" {
				t.Errorf("%q", l)
			}
		}
	})
}

package units

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// makeDir makes a service directory of files: path → content; a name that
// ends in "/" is a directory.
func makeDir(t testing.TB, dir string, files map[string]string) {
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
		{"extras", "all", map[string]string{
			"run": "", "finish": "", "timeout-kill": "1500\n", "down-signal": "int\n", "notification-fd": "3\n", "max-death-tally": "5\n",
			"log/run": "", "log/down": "", "log/finish": "", "log/timeout-kill": "0", "log/down-signal": "9", "log/check": "",
		}},
		{"odd", "o'd\n100%", map[string]string{
			"run": "", "finish": "", "log/run": "", "log/notification-fd": "4\n",
			"systemd/listen": "/run/o%d\n25 smtp\n",
		}},
		{"lookups", "rbl", map[string]string{
			"run":                  "exec tcpserver 0 25 rblsmtpd qmail-smtpd\n",
			"systemd/service.conf": "[Service]\nPrivateNetwork=yes",
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
		got := joined(GenerateOne(s, nil))
		for _, ignored := range slices.Concat(s.Ignored, s.LogExtras.Ignored) {
			got += "ignored: " + ignored + "\n"
		}
		checkGolden(t, c.golden, got)
	}
}

// checkGolden compares a text with the file of its name in testdata.
func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	golden := filepath.Join("testdata", name+".golden")
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
		t.Errorf("%s: %s", name, diff)
	}
}

// joined writes files and links as one text, in the order of names.
func joined(files, links map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b.WriteString("-- " + name + " --\n" + files[name])
	}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		b.WriteString(name + " -> " + links[name] + "\n")
	}
	return b.String()
}

func TestBadDirectories(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"systemd/unit", strings.Repeat("x", 201), "/systemd/unit: name too long"},
		{"systemd/listen", "25 smtp\n26 " + strings.Repeat("n", 250) + "\n", ": name too long"},
		{"env/BACKLOG", "many\n", "/env/BACKLOG: not a number: many"},
		{"systemd/unit", "../x\n", "/systemd/unit: not the base name of a unit: ../x"},
		{"systemd/unit", "x-log\n", "/systemd/unit: a base name must not end in -log: x-log"},
		{"systemd/unit", "a b\n", "/systemd/unit: not the base name of a unit: a b"},
		{"systemd/listen", "25 smtp too\n", "/systemd/listen: too many words: 25 smtp too"},
		{"systemd/listen", "host.example:25\n", "/systemd/listen: not an address: host.example"},
		{"systemd/listen", "0:70000\n", "/systemd/listen: not a port number: 70000"},
		{"systemd/listen", "0:\n", "/systemd/listen: not a port number: "},
		{"systemd/listen", "$NO:25\n", "/systemd/listen: variable NO is not set"},
		{"systemd/listen", "/run/\x01\n", `/systemd/listen: not the path of a socket: /run/\x01`},
		{"systemd/listen", "/run/x\\\n", `/systemd/listen: not the path of a socket: /run/x\`},
		{"systemd/listen", "/" + strings.Repeat("p", 107) + "\n", "/systemd/listen: not the path of a socket: /" + strings.Repeat("p", 107)},
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

// TestExtras reads the files of other supervisors, good and bad.
func TestExtras(t *testing.T) {
	for _, c := range []struct {
		file, content string
		want          Extras
	}{
		{"timeout-kill", "3000\n", Extras{TimeoutKill: "3000ms"}},
		{"timeout-kill", "0", Extras{TimeoutKill: "infinity"}},
		{"timeout-kill", "soon\n", Extras{Ignored: []string{"timeout-kill: not a number of milliseconds"}}},
		{"timeout-kill", "", Extras{Ignored: []string{"timeout-kill: not a number of milliseconds"}}},
		{"timeout-kill", "99999999999\n", Extras{Ignored: []string{"timeout-kill: not a number of milliseconds"}}},
		{"down-signal", "SIGINT\n", Extras{DownSignal: "SIGINT"}},
		{"down-signal", " quit \nrest\n", Extras{DownSignal: "SIGQUIT"}},
		{"down-signal", "1\n", Extras{DownSignal: "SIGHUP"}},
		{"down-signal", "0\n", Extras{Ignored: []string{"down-signal: not a signal"}}},
		{"down-signal", "200\n", Extras{Ignored: []string{"down-signal: not a signal"}}},
		{"down-signal", "INT\x00\n", Extras{Ignored: []string{"down-signal: not a signal"}}},
		{"notification-fd", "3\n", Extras{NotificationFD: 3}},
		{"notification-fd", "2\n", Extras{Ignored: []string{"notification-fd: not a descriptor from 3 to 1023"}}},
		{"notification-fd", "x\n", Extras{Ignored: []string{"notification-fd: not a descriptor from 3 to 1023"}}},
		{"finish", "", Extras{Finish: true}},
		{"finish/", "", Extras{}},
		{"control/", "", Extras{Ignored: []string{"control: not understood"}}},
		{"env/check", "", Extras{}},
	} {
		dir := t.TempDir()
		makeDir(t, dir, map[string]string{c.file: c.content})
		s, err := Read(dir, "x")
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
		}
		if diff := cmp.Diff(c.want, s.Extras); diff != "" {
			t.Errorf("%s %q: %s", c.file, c.content, diff)
		}
	}
}

// FuzzRender makes a directory of arbitrary texts: whatever they are, no line
// of a unit ends or begins where it should not.
func FuzzRender(f *testing.F) {
	f.Add("x", "25 smtp\n", "TERM\n", "0", "3\n", "10")
	f.Add("o'd\n%", "$IP:$PORT a\n[::1]:26 b\n/run/%\\x b\n", "9", "5", "x", "")
	f.Add("\xff\\", "/a;b\n", "SIGKILL", "", "", "4096\n")
	f.Fuzz(func(t *testing.T, name, listen, signal, kill, fd, backlog string) {
		if name == "" || strings.ContainsAny(name, "/\x00") || len(name) > 200 || name == "." || name == ".." {
			return
		}
		dir := filepath.Join(t.TempDir(), name)
		makeDir(t, dir, map[string]string{
			"run": "", "log/run": "", "finish": "", "systemd/listen": listen, "down-signal": signal,
			"timeout-kill": kill, "log/notification-fd": fd, "env/BACKLOG": backlog,
		})
		s, err := Read(dir, name)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		files, links := GenerateOne(s, nil)
		if want := 2*2 + len(s.SocketUnits()) - 1; len(files) != want || len(links) != want {
			t.Errorf("%d files, %d links", len(files), len(links))
		}
		for unit, text := range files {
			for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
				key, _, set := strings.Cut(line, "=")
				isSection := line == "[Unit]" || line == "[Socket]" || line == "[Service]" || line == "[Install]"
				if !utf8.ValidString(line) || line != "" && !isSection && (!set || strings.Trim(key, letters) != "") || strings.HasSuffix(line, `\`) {
					t.Errorf("%s: %q", unit, line)
				}
			}
		}
	})
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func FuzzParseListen(f *testing.F) {
	f.Add("$IP:$PORT smtp\n", "0")
	f.Add("[::1]:25\n/run/x y\n", "1.2.3.4")
	f.Add("$IP", "/run/x y")
	f.Add("$IP", "/run/x ")
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

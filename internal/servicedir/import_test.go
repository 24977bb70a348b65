package servicedir

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/runscript"
	testprograms "qmail-smtpd/test/programs"
)

var update = flag.Bool("update", false, "write what is seen into testdata/import")

// sections reads a file of testdata/import: names between dashes, each before
// its content.
func sections(t testing.TB, path string) (names []string, content map[string]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content = map[string]string{}
	name := ""
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --\n") {
			name = line[3 : len(line)-4]
			names = append(names, name)
			continue
		}
		content[name] += line
	}
	return names, content
}

// standIn is a machine with these files, and with accounts of a qmail.
func standIn(files map[string]string) system {
	accounts := map[string]string{"qmaild": "7791", "qmaill": "7792", "vpopmail": "89", "nobody": "65534"}
	gids := map[string]string{"qmaild": "2108", "qmaill": "2108", "vpopmail": "89", "nobody": "65534"}
	read := func(path string) (string, error) {
		text, ok := files[path]
		if !ok {
			return "", unix.ENOENT
		}
		return text, nil
	}
	return system{
		System: runscript.System{
			ReadFile: read,
			Exists:   func(path, kind string) bool { _, ok := files[path]; return ok },
			Account: func(name string) (uid, gid string, ok bool) {
				uid, ok = accounts[name]
				return uid, gids[name], ok
			},
			Hostname: func() string { return "toaster" },
		},
		ReadDir: func(path string) (names []string) {
			for name := range files {
				if filepath.Dir(name) == path {
					names = append(names, filepath.Base(name))
				}
			}
			sort.Strings(names)
			return names
		},
		Newer: func(path, than string) bool { return strings.HasPrefix(path, "/etc/tcprules.d") },
		AccountOf: func(uid string) (name, gid string, ok bool) {
			for name, is := range accounts {
				if is == uid {
					return name, gids[name], true
				}
			}
			return "", "", false
		},
		Ours: func(path string) bool { return files[path] == "ours\n" },
	}
}

// TestImport reads services of several kinds, and compares what is told, what
// is in env/, and how run ends, with what stands beside them.
func TestImport(t *testing.T) {
	paths, err := filepath.Glob("testdata/import/*")
	if err != nil || len(paths) < 5 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		names, files := sections(t, path)
		run := ""
		if strings.HasSuffix(names[0], "/run") {
			run = names[0]
		}
		im := newImporter(standIn(files), "/var/qmail", "/usr/bin", "/smtpd")
		if why := im.read(run, ""); why != "" {
			t.Errorf("%s: %s", path, why)
			continue
		}
		p, err := im.plan()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		var env []string
		got := map[string]string{"report": im.report(run, p)}
		for _, e := range p.all {
			if name, ok := strings.CutPrefix(e.name, "env/"); ok {
				env = append(env, name+"="+strings.TrimSuffix(e.content, "\n"))
			}
			if e.name == "run" {
				_, command, _ := strings.Cut(e.content, "  exec \\\n")
				got["command"] = strings.TrimSuffix(command, "'\n")
			}
			if e.name == "tcp" && e.content != im.rules {
				t.Errorf("%s: tcp is %q", path, e.content)
			}
		}
		sort.Strings(env)
		got["environment"] = strings.Join(env, "\n") + "\n"
		for _, name := range []string{"report", "environment", "command"} {
			if diff := cmp.Diff(files[name], got[name]); diff != "" && !*update {
				t.Errorf("%s: %s:\n%s", path, name, diff)
			}
			files[name] = got[name]
		}
		if *update {
			var b strings.Builder
			for _, name := range names {
				fmt.Fprintf(&b, "-- %s --\n%s", name, files[name])
			}
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWordsOfRun has run start a tcpserver that prints its arguments: words
// come through whatever is in them.
func TestWordsOfRun(t *testing.T) {
	dir := t.TempDir()
	words := []string{"rblsmtpd", `-ra.example:"See" $x ` + "`y`" + ` \z`, "it's", "", "plain"}
	s := SMTPD{Account: "root", Home: "/var/qmail", Programs: dir, Limits: []string{"-o99"}, Options: []string{"-BHello there"}, Smtpd: words}
	for name, content := range map[string]string{
		"tcpserver": "#!/bin/sh\nulimit -n\nprintf '%s\\n' \"$@\"\n",
		"run":       s.run(),
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/env", 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("./run")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + testprograms.Ours(t) + ":/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	want := "99\n-vDUHR\n-xtcp.cdb\n-BHello there\n--\n0\n25\n" + strings.Join(words, "\n") + "\n"
	if err != nil || string(out) != want {
		t.Errorf("%v\n%q, want\n%q", err, out, want)
	}
}

// TestImportInto imports into a directory that is there, again and again, while
// an administrator edits it and the old service changes.
func TestImportInto(t *testing.T) {
	top := t.TempDir()
	dir := top + "/smtpd"
	files := map[string]string{
		"/old/run":                     "export A=1 B=2\nexec tcpserver -vHR -c 7 -b 9 -x /etc/tcp.smtp.cdb 0 smtp fixcrio qmail-smtpd\n",
		"/etc/tcp.smtp":                ":allow\n",
		"/var/qmail/control/me":        "mail.example.org\n",
		"/var/qmail/control/rcpthosts": "example.org\n",
		"/var/qmail/bin/qmail-smtpd":   "ours\n",
	}
	bin := testprograms.Ours(t)
	plain := SMTPD{Dir: dir, Account: "qmaild", LogUser: "qmaill", IP: "0", LocalName: "mail.example.org", Home: "/var/qmail", Programs: bin}
	if err := plain.Make(); err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		content, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			return "none"
		}
		return string(content)
	}
	step := func(writes, removes, kept string) {
		t.Helper()
		im := newImporter(standIn(files), "/var/qmail", bin, dir)
		if why := im.read("/old/run", ""); why != "" {
			t.Fatal(why)
		}
		p, err := im.plan()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.names(), " "); got != writes {
			t.Errorf("writes %q, want %q", got, writes)
		}
		if got := strings.Join(p.removes, " "); got != removes {
			t.Errorf("removes %q, want %q", got, removes)
		}
		if got := strings.Join(p.kept, ";"); got != kept {
			t.Errorf("keeps %q, want %q", got, kept)
		}
		if err := p.apply(); err != nil {
			t.Fatal(err)
		}
	}
	write("env/BACKLOG", "50\n")
	backlog := `env/BACKLOG as it is, since somebody has edited it: it is "50", and would be "9"`
	step("env/DATALIMIT env/CONCURRENCY tcp run env/A env/B", "", backlog)
	if got := read("env/CONCURRENCY") + read("tcp") + read("env/A") + read("env/BACKLOG") + read("env/PORT"); got != "7\n:allow\n1\n50\n25\n" {
		t.Errorf("%q", got)
	}
	if !strings.Contains(read("run"), bin+"/fixcrio /var/qmail/bin/qmail-smtpd") || len(read("tcp.cdb")) < 2048 {
		t.Error(read("run"))
	}
	if info, err := os.Stat(dir + "/run"); err != nil || info.Mode() != 0o755 {
		t.Errorf("run: %v, %v", info, err)
	}
	step("", "", backlog)

	// The old service changes.
	cdb := read("tcp.cdb")
	files["/etc/tcp.smtp"] = "10.:deny\n:allow\n"
	files["/old/run"] = "export B=3\nexec tcpserver -vHR -x /etc/tcp.smtp.cdb 0 smtp qmail-smtpd\n"
	step("env/CONCURRENCY tcp run env/B", "env/A", "")
	if read("env/A") != "none" || read("env/CONCURRENCY") != "" || read("tcp.cdb") == cdb || read("run") != plain.run() {
		t.Errorf("%q %q", read("env/A"), read("run"))
	}

	// What was imported is edited.
	write("tcp", "10.:deny\n11.:deny\n:allow\n")
	write("env/B", "4\n")
	files["/etc/tcp.smtp"] = ":deny\n"
	edited := `tcp as it is, since somebody has edited it;env/B as it is, since somebody has edited it: it is "4", and would be "3"`
	step("", "", edited)
	step("", "", edited)

	// The rules are gone: they stay here.
	delete(files, "/etc/tcp.smtp")
	write("env/B", "3\n")
	step("", "", "")
	if got := read("tcp"); got != "10.:deny\n11.:deny\n:allow\n" {
		t.Errorf("%q", got)
	}
}

// Scripts that nothing can be imported of.
func TestNoImport(t *testing.T) {
	for script, want := range map[string]string{
		"":                                "/old/run does not come to a tcpserver",
		"if a; then exec tcpserver; fi":   "/old/run does not come to a tcpserver: line 1 of run: not known whether it holds: if",
		"exec tcpserver 0 25 qmail-qmqpd": "/old/run has tcpserver run something else than qmail-smtpd",
		"exec tcpserver 0":                "/old/run has tcpserver run something else than qmail-smtpd",
	} {
		im := newImporter(standIn(map[string]string{"/old/run": script}), "/var/qmail", "/usr/bin", "/smtpd")
		if why := im.read("/old/run", ""); why != want {
			t.Errorf("%q: %q, want %q", script, why, want)
		}
	}
}

// FuzzImport imports any run script.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"lwq", "toaster", "chain"} {
		names, files := sections(f, "testdata/import/"+name)
		f.Add(files[names[0]])
	}
	f.Add("exec env =x A tcpserver 0 25 qmail-smtpd\n")
	f.Add("exec softlimit -d tcpserver -c -x -- -t rblsmtpd -r qmail-smtpd\n")
	f.Add("exec tcpserver -b9z x 0 25 rblsmtpd -S 5 -ra 'b c' recordio x qmail-smtpd y\n")
	files := map[string]string{"/etc/tcp.smtp": ":allow\n", "/var/qmail/control/me": "m\n"}
	f.Fuzz(func(t *testing.T, script string) {
		files["/old/run"], files["/old/log/run"] = script, strings.ReplaceAll(script, "tcpserver", "multilog")
		im := newImporter(standIn(files), "/var/qmail", "/usr/bin", "/smtpd")
		if why := im.read("/old/run", ""); why != "" {
			return
		}
		p, err := im.plan()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.all {
			value, isEnv := strings.CutPrefix(e.name, "env/")
			if isEnv && (strings.Count(e.content, "\n") > 1 || strings.ContainsAny(value, "/\n")) {
				t.Errorf("%q: %q", e.name, e.content)
			}
		}
		if report := im.report("/old/run", p); strings.ContainsAny(report, "\x00\x1b\r") {
			t.Errorf("%q", report)
		}
	})
}

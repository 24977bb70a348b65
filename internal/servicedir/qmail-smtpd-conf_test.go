package servicedir_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/test/programs"
)

// conf runs a maker with a qmail home in home.
func conf(t *testing.T, home string, args ...string) (stderr string, code int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs.Ours(t), args[0]), args[1:]...)
	cmd.Env = append(os.Environ(), "QMAILHOME="+home)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(out.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// newHome makes a qmail home with control/me.
func newHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "control/me"), []byte("mail.example.org \t\nsecond\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return home
}

// tree lists what is below dir with mode, owner, and the content of small
// data files.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&b, "%05o %d %s", st.Mode&0o7777, st.Uid, name)
		if in := filepath.Base(filepath.Dir(path)); (in == "env" || name == "tcp" || name == "systemd/unit" || name == "systemd/listen") && !entry.IsDir() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", content)
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTreeOfSMTPD(t *testing.T) {
	home := newHome(t)
	dir := filepath.Join(home, "smtpd")
	if stderr, code := conf(t, home, "qmail-smtpd-conf", "qmaild", "nobody", dir, "127.0.0.1"); stderr != "" || code != 0 {
		t.Fatalf("%d %s", code, stderr)
	}
	want := `03755 0 .
00644 0 Makefile
00755 0 add-relayclient
02755 0 env
00644 0 env/BACKLOG ""
00644 0 env/CONCURRENCY ""
00644 0 env/DATALIMIT "250000\n"
00644 0 env/IP "127.0.0.1\n"
00644 0 env/LOCALNAME "mail.example.org\n"
00644 0 env/PORT "25\n"
00644 0 env/QMAILHOME "` + home + `\n"
00644 0 env/REMOTEINFO ""
00644 0 env/REMOTENAME ""
02755 0 log
02755 0 log/env
00644 0 log/env/MAXFILESIZE ""
00644 0 log/env/MAXLOGFILES ""
00644 0 log/env/PROCESSOR ""
02755 65534 log/main
00755 0 log/run
00644 65534 log/status
02755 0 log/systemd
00644 0 log/systemd/service.conf
00755 0 run
02755 0 systemd
00644 0 systemd/listen "$IP:$PORT smtp\n"
00644 0 systemd/service.conf
00644 0 systemd/socket.conf
00644 0 systemd/unit "qmail-smtpd\n"
00644 0 tcp ""
`
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestMessagesOfSMTPDConf(t *testing.T) {
	home := newHome(t)
	bare := t.TempDir()
	for _, c := range []struct {
		name   string
		home   string
		args   []string
		stderr string
		code   int
	}{
		{"no arguments", home, nil, "qmail-smtpd-conf: usage: qmail-smtpd-conf acct logacct /smtpd [ ip ]", 100},
		{"too few", home, []string{"qmaild", "nobody"}, "qmail-smtpd-conf: usage: qmail-smtpd-conf acct logacct /smtpd [ ip ]", 100},
		{"relative", home, []string{"qmaild", "nobody", "smtpd"}, "qmail-smtpd-conf: usage: qmail-smtpd-conf acct logacct /smtpd [ ip ]", 100},
		{"log account", home, []string{"qmaild", "no-such-account", home + "/x"}, "qmail-smtpd-conf: fatal: unknown account no-such-account", 111},
		{"no control/me", bare, []string{"qmaild", "nobody", bare + "/x"}, "qmail-smtpd-conf: fatal: unable to read " + bare + "/control/me: file does not exist", 111},
		{"exists", home, []string{"qmaild", "nobody", home + "/control"}, "qmail-smtpd-conf: fatal: unable to create " + home + "/control: file already exists", 111},
		{"no parent", home, []string{"qmaild", "nobody", home + "/no/smtpd"}, "qmail-smtpd-conf: fatal: unable to create " + home + "/no/smtpd: file does not exist", 111},
		{"special characters", home, []string{"qma;ild", "nobody", home + "/x"}, `qmail-smtpd-conf: fatal: unable to use "qma;ild" in a run script: special characters`, 100},
		{"unknown option", home, []string{"--import", "--aply", home + "/x"}, "qmail-smtpd-conf: usage: qmail-smtpd-conf --import[=old] [ --apply ] [ --rules=file ] [ /smtpd ]", 100},
		{"no import", home, []string{"--apply", home + "/x"}, "qmail-smtpd-conf: usage: qmail-smtpd-conf --import[=old] [ --apply ] [ --rules=file ] [ /smtpd ]", 100},
		{"relative import", home, []string{"--import", "x"}, "qmail-smtpd-conf: usage: qmail-smtpd-conf --import[=old] [ --apply ] [ --rules=file ] [ /smtpd ]", 100},
		{"two directories", home, []string{"--import", "--", home + "/x", home + "/y"}, "qmail-smtpd-conf: usage: qmail-smtpd-conf --import[=old] [ --apply ] [ --rules=file ] [ /smtpd ]", 100},
		{"import of nothing", home, []string{"--import=" + home + "/none", home + "/x"}, "qmail-smtpd-conf: fatal: unable to read " + home + "/none: file does not exist", 111},
		{"import without run", home, []string{"--import=" + home, "--apply", home + "/x"}, "qmail-smtpd-conf: fatal: unable to read " + home + "/run: file does not exist", 100},
		{"import of no tcpserver", home, []string{"--apply", "--import=" + home + "/control/me", home + "/x"}, "qmail-smtpd-conf: fatal: " + home + "/control/me does not come to a tcpserver: line 2 of run: not understood: second", 100},
	} {
		stderr, code := conf(t, c.home, append([]string{"qmail-smtpd-conf"}, c.args...)...)
		if stderr != c.stderr+"\n" || code != c.code {
			t.Errorf("%s: got %d %q, want %d %q", c.name, code, stderr, c.code, c.stderr)
		}
	}
	for _, dir := range []string{home + "/x", bare + "/x"} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s was made all the same", dir)
		}
	}
}

// TestArgumentsOfTCPServer runs the run script with a tcpserver that prints
// its arguments, for the settings whose effect qmail-conf documents.
func TestArgumentsOfTCPServer(t *testing.T) {
	home := newHome(t)
	dir := filepath.Join(home, "smtpd")
	if stderr, code := conf(t, home, "qmail-smtpd-conf", "root", "nobody", dir); code != 0 {
		t.Fatal(stderr)
	}
	bin := programs.Ours(t)
	run, err := os.ReadFile(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	stand := filepath.Join(home, "show")
	if err := os.WriteFile(stand, []byte("#!/bin/sh\necho \"$*\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll(string(run), bin+"/tcpserver", stand)
	if script == string(run) {
		t.Fatalf("run does not name %s/tcpserver:\n%s", bin, run)
	}
	smtpd := home + "/bin/qmail-smtpd"
	for _, c := range []struct {
		env  map[string]string // nil: remove all
		want string
	}{
		{map[string]string{}, "-vDUHR -lmail.example.org -xtcp.cdb -- 0 25 " + smtpd},
		{map[string]string{"REMOTENAME": "h\n", "REMOTEINFO": "r\n"}, "-vDU -lmail.example.org -xtcp.cdb -- 0 25 " + smtpd},
		{map[string]string{"REMOTENAME": "p\n", "REMOTEINFO": "15\n", "CONCURRENCY": "100\n", "BACKLOG": "50\n"}, "-vDUpt15 -lmail.example.org -b50 -c100 -xtcp.cdb -- 0 25 " + smtpd},
		{map[string]string{"LOCALNAME": "", "IP": "", "PORT": "", "DATALIMIT": "", "REMOTENAME": "X\n", "REMOTEINFO": "X\n"}, "-vDUHR -xtcp.cdb -- 0 25 " + smtpd},
		{map[string]string{"CONCURRENCY": "\n"}, "-vDUHR -lmail.example.org -xtcp.cdb -- 0 25 " + smtpd},
		{nil, "-vDUHR -xtcp.cdb -- 0 25 " + smtpd},
	} {
		env := filepath.Join(home, "smtpd/env")
		if err := os.RemoveAll(env); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(env, 0o755); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		if c.env != nil {
			files = map[string]string{"DATALIMIT": "250000\n", "BACKLOG": "", "CONCURRENCY": "", "IP": "0\n",
				"LOCALNAME": "mail.example.org\n", "PORT": "25\n", "REMOTEINFO": "", "REMOTENAME": ""}
		}
		for name, content := range c.env {
			files[name] = content
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(env, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != c.want+"\n" {
			t.Errorf("%v: got %q, %v; want %q", c.env, out, err, c.want)
		}
	}
}

func TestAddRelayClient(t *testing.T) {
	home := newHome(t)
	dir := filepath.Join(home, "smtpd")
	if stderr, code := conf(t, home, "qmail-smtpd-conf", "root", "nobody", dir); code != 0 {
		t.Fatal(stderr)
	}
	sh := func(script string) string {
		t.Helper()
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=/usr/bin:/bin"} // without what a make above us says
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %s%v", script, out, err)
		}
		return string(out)
	}
	sh("echo '10.:deny' >tcp; ./add-relayclient; ./add-relayclient 127.0.0.1 192.168.1.")
	want := "10.:deny\n127.0.0.1:allow,RELAYCLIENT=\"\"\n192.168.1.:allow,RELAYCLIENT=\"\"\n"
	if got := sh("cat tcp"); got != want {
		t.Errorf("tcp is %q, want %q", got, want)
	}
	bin := programs.Ours(t)
	if got, want := sh("make"), bin+"/tcprules tcp.cdb tcp.tmp < tcp\n"; got != want {
		t.Errorf("make printed %q, want %q", got, want)
	}
	if got, want := sh("make"), "make: 'tcp.cdb' is up to date.\n"; got != want {
		t.Errorf("make printed %q, want %q", got, want)
	}
}

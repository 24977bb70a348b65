package svcompat

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/tai64"
	"qmail-smtpd/test/supervision"
)

// hostile is what a client may get into a log: sequences that clear the
// screen, set the title, and their like in eight bits and in UTF-8.
const hostile = "\x1b[2J\x1b]0;x\x07\x9b31m\xc2\x9b1m\r\x08\x00é\u202e\x7f"

// writeLog writes a log file of a log service, as multilog makes them.
func writeLog(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// scanDirectory makes a scan directory of services in many states.
func scanDirectory(t *testing.T, at time.Time) string {
	t.Helper()
	dir := t.TempDir()
	stateFiles(t, dir+"/smtpd", Status{Since: at, PID: 4711, Want: WantUp})
	stateFiles(t, dir+"/smtpd/log", Status{Since: at, PID: 4712, Want: WantUp})
	writeLog(t, dir+"/smtpd/log/main/current", "first\n"+tai64.Label(at)+" tcpserver: "+hostile+"\n")
	stateFiles(t, dir+"/dns", Status{Since: at, PID: 4713, Want: WantDown, Paused: true})
	writeLog(t, dir+"/dns/down", "")
	stateFiles(t, dir+"/web", Status{Since: at, Want: WantUp})
	stateFiles(t, dir+"/off", Status{Since: at, Want: WantDown})
	writeLog(t, dir+"/off/down", "")
	stateFiles(t, dir+"/broken", Status{})
	writeLog(t, dir+"/broken/supervise/status", "short")
	writeLog(t, dir+"/new/run", "")
	writeLog(t, dir+"/.hidden/run", "")
	writeLog(t, dir+"/file", "")
	stateFiles(t, dir+"/\x1b[1mbold", Status{Since: at, PID: 1, Want: WantUp})
	for _, ago := range []time.Duration{time.Minute, time.Second} {
		if err := RecordStart(dir+"/smtpd", time.Now().Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSvls(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	dir := scanDirectory(t, at)
	const since = "2026-03-01 12:00:00"
	want := strings.Join([]string{
		`NAME         STATE                                  PID  SINCE                RESTARTS  LAST LOG LINE`,
		`\x1b[1mbold  up                                       1  2026-03-01 12:00:00         -`,
		`broken       unknown                                  -  -                           -  unable to read supervise/status: bad format`,
		`dns          up, normally down, paused, want down  4713  2026-03-01 12:00:00         -`,
		`new          unsupervised                             -  -                           -  unable to open supervise/ok: file does not exist`,
		`off          down                                     -  2026-03-01 12:00:00         -`,
		`smtpd        up                                    4711  2026-03-01 12:00:00         1  ` +
			`2026-03-01 12:00:00 tcpserver: \x1b[2J\x1b]0;x\x07\x9b31m\xc2\x9b1m\x0d\x08\x00\xc3\xa9\xe2\x80\xae\x7f`,
		`smtpd/log    up                                    4712  2026-03-01 12:00:00         -`,
		`web          down, normally up, want up               -  2026-03-01 12:00:00         -`,
	}, "\n") + "\n"
	if got := supervision.Run(t, "", ours+"/svls", "-d", dir); got.Stdout != want || got.Stderr != "" || got.Exit != 0 {
		t.Errorf("got %+v\nwant\n%s", got, want)
	}
	for _, c := range []struct {
		args string
		want result
	}{
		{"web off", result{Stdout: "NAME  STATE                       PID  SINCE                RESTARTS  LAST LOG LINE\n" +
			"web   down, normally up, want up    -  " + since + "         -\n" +
			"off   down                          -  " + since + "         -\n"}},
		{"none", result{Stdout: "NAME  STATE    PID  SINCE  RESTARTS  LAST LOG LINE\n" +
			"none  unknown    -  -             -  unable to chdir: file does not exist\n"}},
		{"-d none", result{Stderr: "svls: fatal: unable to read directory none: file does not exist\n", Exit: 111}},
		{"-d", result{Stderr: "svls: option requires an argument -- d\nsvls: usage: svls [ -d scandir | dir ... ]\n", Exit: 100}},
		{"-d . web", result{Stderr: "svls: usage: svls [ -d scandir | dir ... ]\n", Exit: 100}},
		{"-x", result{Stderr: "svls: illegal option -- x\nsvls: usage: svls [ -d scandir | dir ... ]\n", Exit: 100}},
	} {
		if got := supervision.Run(t, dir, append([]string{ours + "/svls"}, strings.Fields(c.args)...)...); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.args, got, c.want)
		}
	}
}

// onTerminal runs svls on a terminal of so many columns and returns what it
// shows there.
func onTerminal(t *testing.T, columns uint16, env []string, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(ours+"/svls", args...)
	cmd.Env = append([]string{"TZ=" + os.Getenv("TZ")}, env...)
	cmd.Stdout = slave
	err = cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	io.Copy(&shown, master) // ends with EIO
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(shown.String(), "\r\n", "\n")
}

func TestSvlsTerminal(t *testing.T) {
	t.Parallel()
	dir := scanDirectory(t, time.Now())
	plain := supervision.Run(t, "", ours+"/svls", "-d", dir).Stdout
	cut := func(columns int) string {
		var lines []string
		for _, line := range strings.Split(plain, "\n") {
			lines = append(lines, line[:min(columns, len(line))])
		}
		return strings.Join(lines, "\n")
	}
	coloured := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "")
	for _, columns := range []uint16{0, 1, 13, 15, 80, 1000} {
		want := cut(int(columns))
		if columns == 0 { // the terminal does not know
			want = plain
		}
		for _, env := range [][]string{{"NO_COLOR=1", "TERM=xterm"}, {"TERM=dumb"}, nil} {
			if got := onTerminal(t, columns, env, "-d", dir); got != want {
				t.Errorf("%d columns, %q:\n%q, want\n%q", columns, env, got, want)
			}
		}
		got := onTerminal(t, columns, []string{"TERM=xterm"}, "-d", dir)
		if coloured.Replace(got) != want {
			t.Errorf("%d columns, colours:\n%q, want\n%q", columns, got, want)
		}
		if n := strings.Count(got, "\x1b["); n != 2*strings.Count(got, "\x1b[0m") || n == 0 && columns > 20 {
			t.Errorf("%d columns: colours do not end:\n%q", columns, got)
		}
	}
	got := onTerminal(t, 200, []string{"TERM=xterm"}, "-d", dir)
	for _, want := range []string{
		"\x1b[32mup\x1b[0m ", "\x1b[33mup, normally down, paused, want down\x1b[0m ", "\x1b[31mdown, normally up, want up\x1b[0m ",
		"\x1b[31munknown\x1b[0m ", "\noff          down ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%q", want, got)
		}
	}
}

func TestLastLine(t *testing.T) {
	long := strings.Repeat("x", maxLastLine)
	for _, c := range []struct{ content, want string }{
		{"", ""},
		{"\n", ""},
		{"one\n", "one"},
		{"one\ntwo\n", "two"},
		{"one\ntwo", "two"},
		{"one\n\n", ""},
		{"one\n" + long + "\n", long[1:]},
		{long + "\nlast\n", "last"},
	} {
		log := t.TempDir()
		writeLog(t, log+"/main/current", c.content)
		writeLog(t, log+"/other/current", "other\n")
		if got := lastLine(log); got != c.want {
			t.Errorf("%.20q: %.20q, want %.20q", c.content, got, c.want)
		}
	}

	// Without main/ the newest counts, and what is no log does not.
	log := t.TempDir()
	for name, age := range map[string]time.Duration{"a": time.Hour, "b": time.Minute, "c": 2 * time.Hour} {
		file := log + "/" + name + "/current"
		writeLog(t, file, name+"\n")
		if err := os.Chtimes(file, time.Now(), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if got := lastLine(log); got != "b" {
		t.Errorf("of three logs: %q", got)
	}
	for name, place := range map[string]func(string) error{
		"fifo": func(file string) error { return unix.Mkfifo(file, 0o644) },
		"link": func(file string) error { return os.Symlink("/etc/passwd", file) },
		"dir":  func(file string) error { return os.Mkdir(file, 0o755) },
	} {
		log := t.TempDir()
		if err := os.Mkdir(log+"/main", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := place(log + "/main/current"); err != nil {
			t.Fatal(err)
		}
		if got := lastLine(log); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestLocalLine(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	label := tai64.Label(at)
	for line, want := range map[string]string{
		label + " x":                  "2026-03-01 12:00:00 x",
		label:                         "2026-03-01 12:00:00",
		label[:24]:                    label[:24],
		label[:24] + "g x":            label[:24] + "g x",
		"x" + label:                   "x" + label,
		"@ffffffffffffffffffffffff x": "@ffffffffffffffffffffffff x",
		"":                            "",
	} {
		if got := localLine(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// Whatever stands in a log, what is shown is printable ASCII.
func FuzzLogLine(f *testing.F) {
	f.Add("@400000006b05282f2941f93c " + hostile)
	f.Add("@ffffffffffffffff2941f93c")
	f.Fuzz(func(t *testing.T, line string) {
		for _, c := range []byte(visible(localLine(line))) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q shows %#x", line, c)
			}
		}
	})
}

package svscan

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/units"
)

// runScript makes a directory, of any name, with an executable file in it.
func runScript(t *testing.T, name, script string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "o'd\n%41")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// the shell writes it: a descriptor of this process may be in a fork
	write := exec.Command("sh", "-c", `printf %s "$1" >"$0" && chmod 755 "$0"`, dir+"/"+name, script)
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	return dir
}

// TestSvscanRunDirectory executes ./run in a directory for which a unit file
// has no words.
func TestSvscanRunDirectory(t *testing.T) {
	dir := runScript(t, "run", "#!/bin/sh\npwd\necho \"$0\"\n")
	cmd := exec.Command(ours+"/.svscan-run", "-d", units.EncodeWord(dir))
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != dir+"\n./run\n" {
		t.Errorf("%q %v", out, err)
	}
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"-d", units.EncodeWord(dir + "/no")}, "svscan-run: fatal: unable to chdir to " + units.Printable(dir) + "/no: file does not exist\n", 111},
		{[]string{"-d", "%x"}, "svscan-run: fatal: unable to read %x: invalid URL escape \"%x\"\n", 100},
		{[]string{"-n", "2"}, "svscan-run: usage: svscan-run [ -d dir ] [ -n fd ]\n", 100},
		{nil, "svscan-run: fatal: unable to start run: file does not exist\n", 111},
	} {
		cmd := exec.Command(ours+"/.svscan-run", c.args...)
		cmd.Dir = t.TempDir()
		out, _ := cmd.CombinedOutput()
		if string(out) != c.want || cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("%q: %q %d", c.args, out, cmd.ProcessState.ExitCode())
		}
	}
}

// TestSvscanRunNotifies has ./run say that it is ready on a descriptor; the
// service manager, here the test, hears of it when the newline comes.
func TestSvscanRunNotifies(t *testing.T) {
	dir := runScript(t, "run", "#!/bin/bash\nread line\nprintf 'some text' >&5\nread line\necho >&5\nexec 5>&-\nread line\n")
	address := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	// the process that waits is a sister of ./run; env stands for systemd and is the mother
	cmd := exec.Command("sh", "-c", `"$0" -d "$1" -n 5; echo ended`, ours+"/.svscan-run", units.EncodeWord(dir))
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+address)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	message := func(limit time.Duration) string {
		manager.SetReadDeadline(time.Now().Add(limit))
		buf := make([]byte, 512)
		n, _, _, _, err := manager.ReadMsgUnix(buf, make([]byte, 512))
		if err != nil {
			return err.Error()
		}
		return string(buf[:n])
	}
	stdin.Write([]byte("\n"))
	if early := message(300 * time.Millisecond); !strings.Contains(early, "timeout") {
		t.Errorf("before the newline: %q", early)
	}
	stdin.Write([]byte("\n"))
	if got := message(30 * time.Second); got != "READY=1" {
		t.Errorf("got %q", got)
	}
	if got := message(30 * time.Second); got != "BARRIER=1" {
		t.Errorf("got %q", got)
	}
	stdin.Write([]byte("\n"))
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestSvscanRunSockets refuses a descriptor that is a socket of the service.
func TestSvscanRunSockets(t *testing.T) {
	dir := runScript(t, "run", "#!/bin/sh\n")
	cmd := exec.Command(ours+"/.svscan-run", "-d", units.EncodeWord(dir), "-n", "3")
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd.ExtraFiles = []*os.File{null}
	out, _ := cmd.CombinedOutput()
	const want = "svscan-run: fatal: descriptor 3 of notification-fd is one of the service's sockets\n"
	if string(out) != want || cmd.ProcessState.ExitCode() != 100 {
		t.Errorf("%q %d", out, cmd.ProcessState.ExitCode())
	}
}

// TestSvscanFinish hands ./finish what s6 hands it.
func TestSvscanFinish(t *testing.T) {
	dir := runScript(t, "finish", "#!/bin/sh\necho \"$@\"\n")
	for _, c := range []struct{ how, status, want string }{
		{"exited", "0", "0 0"},
		{"exited", "111", "111 0"},
		{"killed", "TERM", "256 15"},
		{"dumped", "SEGV", "256 11"},
		{"killed", "RTMIN+3", "256 37"},
		{"", "", "256 0"},
	} {
		cmd := exec.Command(ours+"/.svscan-finish", "-d", units.EncodeWord(dir), units.EncodeWord("my app/log"))
		cmd.Env = append(os.Environ(), "EXIT_CODE="+c.how, "EXIT_STATUS="+c.status)
		out, err := cmd.CombinedOutput()
		if string(out) != c.want+" my app/log\n" || err != nil {
			t.Errorf("%s %s: %q %v", c.how, c.status, out, err)
		}
	}
	cmd := exec.Command(ours+"/.svscan-finish", "a", "b")
	if out, _ := cmd.CombinedOutput(); string(out) != "svscan-finish: usage: svscan-finish [ -d dir ] service\n" {
		t.Errorf("%q", out)
	}
}

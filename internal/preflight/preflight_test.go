package preflight_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/test/programs"
)

func preflight(t *testing.T, args ...string) (stderr string, code int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs.Ours(t), "qmail-smtpd-preflight"), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(out.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// port is that of a listening socket, as a word of a command line.
func port(listener net.Listener) string {
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		stderr string
	}{
		{[]string{"25", "26"}, "qmail-smtpd-preflight: usage: qmail-smtpd-preflight [ port ]\n"},
		{[]string{"smtp"}, "qmail-smtpd-preflight: fatal: not a port number: smtp\n"},
		{[]string{"0"}, "qmail-smtpd-preflight: fatal: not a port number: 0\n"},
		{[]string{"65536"}, "qmail-smtpd-preflight: fatal: not a port number: 65536\n"},
	} {
		if stderr, code := preflight(t, c.args...); stderr != c.stderr || code != 100 {
			t.Errorf("%q: %d %q, want %q", c.args, code, stderr, c.stderr)
		}
	}
}

// TestHeldByHand listens in this process, on each family of addresses, and
// then no more.
func TestHeldByHand(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		stderr, code := preflight(t, port(listener))
		prefix := fmt.Sprintf("qmail-smtpd-preflight: port %s is held by preflight.test (pid %d", port(listener), os.Getpid())
		if code != 1 || !strings.HasPrefix(stderr, prefix) || !strings.Contains(stderr, "; to free it: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d %q, want %q", address, code, stderr, prefix)
		}
		listener.Close()
		if stderr, code := preflight(t, port(listener)); code != 0 || stderr != "" {
			t.Errorf("%s: closed, %d %q", address, code, stderr)
		}
	}
}

// TestConnection: a connection whose end has the port does not hold it.
func TestConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	served, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	listener.Close()
	if stderr, code := preflight(t, port(listener)); code != 0 || stderr != "" {
		t.Errorf("%d %q", code, stderr)
	}
}

// TestHeldUnderSupervise runs the original tcpserver under the original
// supervise and svscan, and frees the port by the commands that are printed.
func TestHeldUnderSupervise(t *testing.T) {
	originals := programs.Originals(t)
	for _, scanned := range []bool{false, true} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		top, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		dir, scan := top+"/smtp", top+"/scan"
		for path, program := range map[string]string{
			dir + "/run":     "tcpserver -HRl0 127.0.0.1 " + port(listener) + " cat",
			dir + "/log/run": "multilog -*",
		} {
			os.MkdirAll(filepath.Dir(path), 0o755)
			if err := os.WriteFile(path, []byte("#!/bin/sh\nexec "+originals+"/"+program+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{"supervise", dir}
		commands := "touch " + dir + "/down; svc -d " + dir
		if scanned {
			if err := os.Mkdir(scan, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(dir, scan+"/smtp"); err != nil {
				t.Fatal(err)
			}
			args = []string{"svscan", scan}
			commands = "rm " + scan + "/smtp; svc -dx " + dir + " " + dir + "/log"
		}
		keeper := exec.Command(filepath.Join(originals, args[0]), args[1])
		keeper.Env = []string{"PATH=" + originals + ":/usr/bin:/bin"}
		if err := keeper.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			keeper.Process.Kill()
			keeper.Wait()
			exec.Command(originals+"/svc", "-dx", dir, dir+"/log").Run()
		})
		var stderr string
		await(t, "tcpserver does not start", func() bool {
			var code int
			stderr, code = preflight(t, port(listener))
			return code == 1
		})
		if want := ", service directory " + dir + ") at 127.0.0.1; svcompat-migrate can move it to systemd as it is; to free it: " + commands + "\n"; !strings.HasSuffix(stderr, want) || !strings.Contains(stderr, "held by tcpserver (pid ") {
			t.Errorf("%q, want %q", stderr, want)
		}
		free := exec.Command("sh", "-ec", commands)
		free.Env = keeper.Env
		if out, err := free.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", commands, err, out)
		}
		await(t, "the port is not free", func() bool {
			_, code := preflight(t, port(listener))
			return code == 0
		})
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

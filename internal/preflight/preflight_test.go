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
// supervise.
func TestHeldUnderSupervise(t *testing.T) {
	originals := programs.Originals(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run := "#!/bin/sh\nexec " + originals + "/tcpserver -HRl0 127.0.0.1 " + port(listener) + " cat\n"
	if err := os.WriteFile(dir+"/run", []byte(run), 0o755); err != nil {
		t.Fatal(err)
	}
	supervise := exec.Command(originals+"/supervise", dir)
	if err := supervise.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command(originals+"/svc", "-dx", dir).Run()
		supervise.Wait()
	})
	var stderr string
	code := 0
	for deadline := time.Now().Add(20 * time.Second); code == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("tcpserver did not start")
		}
		stderr, code = preflight(t, port(listener))
	}
	if want := ", service directory " + dir + "); to free it: touch " + dir + "/down; svc -d " + dir + "\n"; !strings.HasSuffix(stderr, want) || !strings.Contains(stderr, "held by tcpserver (pid ") {
		t.Errorf("%q, want %q", stderr, want)
	}
}

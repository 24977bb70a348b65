package machine

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/test/programs"
)

func TestMachineIsSeparate(t *testing.T) {
	m := Start(t)
	m.Sh("echo spoilt >/etc/machine-test; hostname | grep -qx machine; test $(ps -e | wc -l) -lt 10")
	if _, err := os.Stat("/etc/machine-test"); err == nil {
		t.Fatal("a file made inside is seen outside")
	}
	m.WriteFile("/tmp/x", "a b\n", 0o640)
	if out := m.Sh("stat -c %a /tmp/x; cat /tmp/x"); out != "640\na b\n" {
		t.Fatalf("got %q", out)
	}
	if out, code := m.Try("echo no; exit 7"); out != "no\n" || code != 7 {
		t.Fatalf("got %q, %d", out, code)
	}
}

func TestBoot(t *testing.T) {
	for root, version := range map[string]string{"/": "", programs.Debian13(t): "systemd 257"} {
		m := BootOn(t, root)
		m.Sh("test $(cat /proc/1/comm) = systemd; systemctl list-units --failed >&2; systemd-run --wait -q true")
		if out := m.Sh("systemctl --version"); !strings.HasPrefix(out, version) {
			t.Errorf("%s has %s", root, out)
		}
	}
}

// TestHang has a script that does not end: the test that runs it does, and
// tells what the machine was doing.
func TestHang(t *testing.T) {
	failed := &failing{T: t}
	done := make(chan bool)
	go func() {
		defer close(done)
		m := Start(failed)
		m.limit = time.Second
		m.Sh("echo begun; sleep 1000.25 & sleep 1000.5")
	}()
	<-done
	for _, want := range []string{"hangs: echo begun; sleep", "\nbegun\n", "_ sleep 1000.25", "_ sleep 1000.5"} {
		if !strings.Contains(failed.said, want) {
			t.Errorf("no %q in %q", want, failed.said)
		}
	}
}

// failing is a test that may fail.
type failing struct {
	*testing.T
	said string
}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

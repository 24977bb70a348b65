package machine

import (
	"os"
	"testing"
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
	m := Boot(t)
	m.Sh("test $(cat /proc/1/comm) = systemd; systemctl list-units --failed >&2; systemd-run --wait -q true")
}

package smtp

import (
	"os/exec"
	"strings"
	"testing"
)

// The session must stay free of sockets, processes and the system's services.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range strings.Fields(string(out)) {
		ours := strings.HasPrefix(name, "qmail-smtpd/") && name != "qmail-smtpd/internal/smtp"
		if ours || name == "net" || strings.HasPrefix(name, "net/") || name == "os/exec" || strings.Contains(name, "systemd") || strings.Contains(name, "dbus") {
			t.Errorf("depends on %s", name)
		}
	}
}

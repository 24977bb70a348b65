package qmailsmtpd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

// TestAddressesBehindSandbox runs a session with address literals where
// looking at interfaces is forbidden, as by RestrictAddressFamilies=.
func TestAddressesBehindSandbox(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"me", "rcpthosts"} {
		if err := os.WriteFile(filepath.Join(home, "control", name), []byte("mail.example.org\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=socket", "-e", "inject=socket:error=EAFNOSUPPORT",
		filepath.Join(programs.Ours(t), "qmail-smtpd"))
	cmd.Env = []string{"QMAILHOME=" + home, "TCPLOCALIP=192.0.2.1"}
	cmd.Stdin = strings.NewReader("mail from:<a@[203.0.113.5]>\r\nrcpt to:<b@[127.0.0.1]>\r\nrcpt to:<b@[192.0.2.1]>\r\nrcpt to:<b@[203.0.113.5]>\r\nquit\r\n")
	out, err := cmd.Output()
	want := "220 mail.example.org ESMTP\r\n250 ok\r\n250 ok\r\n250 ok\r\n" +
		"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n221 mail.example.org\r\n"
	if err != nil || string(out) != want {
		t.Errorf("got %q, %v", out, err)
	}
}

package qmailsmtpd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/queue"
	"qmail-smtpd/test/programs"
)

// The whole way, by our tcpserver: a session in its process, and the message
// in the queue on disk.
func TestIntoTheQueue(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, nil, map[string]*string{"QMAILQUEUE": nil}, nil)
	if err := queue.Create(tr.home, queue.Owners{Queue: os.Getuid(), Send: os.Getuid(), Remote: os.Getuid(), Group: os.Getgid()}); err != nil {
		t.Fatal(err)
	}
	bin := programs.Ours(t)
	cmd := exec.Command(filepath.Join(bin, "tcpserver"), "-v1HRl0", "127.0.0.1", "0", filepath.Join(bin, "qmail-smtpd"))
	cmd.Env = command.Setenv(os.Environ(), "QMAILHOME", tr.home)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(conn, "EHLO dude\r\nMAIL FROM:<a@b.org>\r\nRCPT TO:<me@example.org>\r\nDATA\r\nSubject: t\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
	out, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	replies := regexp.MustCompile(`^220 mail\.example\.org ESMTP\r\n250-mail\.example\.org\r\n250-PIPELINING\r\n250 8BITMIME\r\n` +
		`250 ok\r\n250 ok\r\n354 go ahead\r\n250 ok \d+ qp (\d+)\r\n221 mail\.example\.org\r\n$`)
	match := replies.FindStringSubmatch(string(out))
	if match == nil {
		t.Fatalf("replies %q", out)
	}
	messages, err := filepath.Glob(tr.home + "/queue/mess/*/*")
	if err != nil || len(messages) != 1 {
		t.Fatalf("messages %v, %v", messages, err)
	}
	text, err := os.ReadFile(messages[0])
	if err != nil {
		t.Fatal(err)
	}
	stored := regexp.MustCompile(`^Received: \(qmail ` + match[1] + ` invoked [a-z0-9 ]+\); \d+ [A-Z][a-z]+ \d{4} [\d:]{8} -0000\n` +
		`Received: from unknown \(HELO dude\) \(127\.0\.0\.1\)\n  by 0 with SMTP; \d+ [A-Z][a-z]+ \d{4} [\d:]{8} -0000\n` +
		`Subject: t\n\n\.dot\n$`)
	if !stored.Match(text) {
		t.Errorf("message %q", text)
	}
	accepted := regexp.MustCompile(`^qmail-smtpd: (\d+) accepted ip=127\.0\.0\.1 helo=dude from=a@b\.org to=me@example\.org rcpts=1 bytes=17 qp=` + match[1] + `$`)
	end := regexp.MustCompile(`^tcpserver: end (\d+) status 0$`)
	var id string
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if match := accepted.FindStringSubmatch(lines.Text()); match != nil {
			id = match[1]
		}
		if match := end.FindStringSubmatch(lines.Text()); match != nil {
			if match[1] != id {
				t.Errorf("connection %s ended, the message was accepted on %q", match[1], id)
			}
			return
		}
	}
	t.Error(fmt.Errorf("no end of the session in the log: %v", lines.Err()))
}

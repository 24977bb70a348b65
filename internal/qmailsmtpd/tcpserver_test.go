package qmailsmtpd

import (
	"bufio"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

var sessionEnd = regexp.MustCompile(`^tcpserver: end \d+ status (\d+)$`)

// The program under the C tcpserver: replies, queue and the status that
// tcpserver logs.
func TestVectorsUnderTcpserver(t *testing.T) {
	tcpserver := filepath.Join(programs.Originals(t), "tcpserver")
	program := filepath.Join(programs.Ours(t), "qmail-smtpd")
	for _, v := range vectors(t) {
		if !strings.Contains("SCNP", v.Name[:1]) && !strings.HasPrefix(v.Name, "X9") {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t, v.Control, v.Env, v.Rec)
			args := []string{"-v1HRl0", "127.0.0.1", "0", "env", "-i"}
			args = append(append(args, tr.env...), program)
			cmd := exec.Command(tcpserver, args...)
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
			t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
			port, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(port))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			out, err := readLine(conn)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(out, "220 ") {
				go func() {
					io.WriteString(conn, v.In)
					conn.(*net.TCPConn).CloseWrite()
				}()
			}
			rest, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			out += string(rest)
			status := -1
			for lines := bufio.NewScanner(stderr); lines.Scan(); {
				if match := sessionEnd.FindStringSubmatch(lines.Text()); match != nil {
					status, _ = strconv.Atoi(match[1])
					break
				}
			}
			queued := tr.queued(t)
			v.check(t, normalise(out, queued), status/256, queued)
		})
	}
}

package tcpclient

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMconnect compares what goes out and what is printed, alone and with
// either half of another make.
func TestMconnect(t *testing.T) {
	t.Parallel()
	programs := both(t)
	for _, input := range []string{"quit\n", "helo\r\n\n\nx\ry quit\n", strings.Repeat("0123456789\n", 3000) + "quit\n"} {
		s := serve(t, "", "220 a\r\nb\nc\rd\r\r\n\x00\xff", "quit\r\n", "221\r\nend")
		for _, line := range [][]string{
			{programs["original"] + "/tcpclient", "-RHl0", s.ip, s.port, programs["original"] + "/mconnect-io"},
			{programs["original"] + "/tcpclient", "-RHl0", s.ip, s.port, ours + "/mconnect-io"},
			{ours + "/tcpclient", "-RHl0", s.ip, s.port, programs["original"] + "/mconnect-io", "arguments", "do not matter"},
			{ours + "/mconnect", s.ip, s.port},
			{ours + "/mconnect", s.ip, s.port, "more"},
		} {
			got := run(t, nil, input, line...)
			if want := "220 a\r\nb\nc\rd\r\r\n\x00\xff221\r\nend[0]"; got != want {
				t.Errorf("%q: printed %q, want %q", line, got, want)
			}
			if diff := cmp.Diff(strings.ReplaceAll(input, "\n", "\r\n"), s.hear(t)); diff != "" {
				t.Errorf("%q: expected -, sent +:\n%s", line, diff)
			}
		}
	}
}

// TestMconnectEnds compares when mconnect ends: with the server, whatever its
// input and output do.
func TestMconnectEnds(t *testing.T) {
	t.Parallel()
	s := serve(t, "", "", "quit\r\n", "bye\r\n")
	const full = `{ echo quit; cat; } | "$@" >/dev/full; echo $?`
	const broken = `{ { sleep 0.1; echo quit; } | "$@"; echo $? >&2; } | true`
	for which, line := range map[string][]string{
		"original": {both(t)["original"] + "/tcpclient", "-RHl0", s.ip, s.port, both(t)["original"] + "/mconnect-io"},
		"ours":     {ours + "/mconnect", s.ip, s.port},
	} {
		if got := run(t, environment, "", append([]string{"sh", "-c", full, "sh"}, line...)...); got != "0\n[0]" {
			t.Errorf("%s with full output: %s", which, got)
		}
		if got := run(t, environment, "", append([]string{"sh", "-c", broken, "sh"}, line...)...); got != "0\n[0]" {
			t.Errorf("%s with closed output: %s", which, got)
		}
		cmd := exec.Command(line[0], line[1:]...)
		input, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		io.WriteString(input, "quit\n") // and the input stays open
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: %v", which, err)
			}
		case <-time.After(patience):
			cmd.Process.Kill()
			t.Errorf("%s does not end with the server", which)
		}
	}
}

// TestUnconnected compares what is said where there is no server.
func TestUnconnected(t *testing.T) {
	t.Parallel()
	const refused = "tcpclient: unable to connect to 127.0.0.1 port 1: connection refused\n"
	for name, want := range map[string]string{
		"tcpcat 127.0.0.1 1":        refused + "[111]",
		"mconnect 127.0.0.1 1":      refused + "[111]",
		"http@ 127.0.0.1 / 1":       refused + "[0]",
		"mconnect 127.0.0.1 nosuch": "tcpclient: fatal: unable to figure out port number for nosuch\n[111]",
		"mconnect 1.2":              "tcpclient: fatal: no IP address for 1.2\n[111]",
		"who@ 1.2":                  "tcpclient: fatal: no IP address for 1.2\n[0]",
	} {
		line := strings.Fields(name)
		if got := run(t, environment, "", append([]string{ours + "/" + line[0]}, line[1:]...)...); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestTCPCat shows that bytes are not changed, and what failures give.
func TestTCPCat(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for c := range 256 {
		fmt.Fprintf(&all, "%c\r\n", c)
		all.WriteByte(byte(c))
	}
	text := strings.Repeat(all.String(), 200)
	s := serve(t, "", text, "", "")
	if got := run(t, nil, "", ours+"/tcpcat", s.ip, s.port); got != text+"[0]" {
		t.Errorf("%d bytes of %d", len(got)-3, len(text))
	}
	if got, want := run(t, environment, "", "sh", "-c", `"$@" >/dev/full`, "sh", ours+"/tcpcat", s.ip, s.port),
		"tcpcat: fatal: unable to write output: out of disk space\n[1]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

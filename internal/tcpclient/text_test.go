package tcpclient

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

// answers are what a server may send.
var answers = []string{
	"",
	"\n",
	"plain\r\ntext\r\n",
	"no end\r\n\r\nof line",
	"a\rb\r\r\nc\n\r\n\x00\x01\t\x1b[2J\x7f\x80\x9f\xa0\xff caf\xc3\xa9\r",
	"HTTP/1.0 200 OK\r\nA: b\r\n\r\nbody\r\n\r\n\r\nmore\r\nrest",
	"HTTP/1.0 200 OK\n\nbody\r\rx\n\n",
	"\r\n\r\n\r\n",
	"\nall of it\n\r\r\n \n",
}

// TestFixedPorts compares, in a network of its own, what the commands for
// services on fixed ports send and print.
func TestFixedPorts(t *testing.T) {
	t.Parallel()
	m := machine.Start(t)
	m.CopyDir(programs.Originals(t), "/usr/bin") // where the classic scripts look
	copyOurs(t, m)
	dir := t.TempDir()
	for i, answer := range answers {
		if err := os.WriteFile(dir+"/"+string(rune('a'+i)), []byte(answer), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.CopyDir(dir, "/tmp/answers")
	m.Sh(`cd /tmp
serve() { port=$1; shift; tcpserver -1RHl0 0 $port "$@" >/tmp/port.$port 2>/dev/null & }
serve 11 cat answer
serve 13 cat answer
serve 17 cat answer
serve 25 sh -c 'cat answer; sed -u q >asked'
serve 79 sh -c 'sed -u q >asked; cat answer'
serve 80 sh -c 'sed -u "/^\r*\$/q" >asked; cat answer'
serve 8080 sh -c 'sed -u "/^\r*\$/q" >asked; cat answer'
for port in 11 13 17 25 79 80 8080; do until [ -s port.$port ]; do sleep 0.01; done; done`)
	m.WriteFile("/tmp/crlf", "quit\r\nx\n", 0o644)
	m.WriteFile("/tmp/every", `who@
http@
`, 0o644)
	m.WriteFile("/tmp/once", `who@ 127.0.0.1 ignored
who@ ''
who@ 1.2
date@
date@ 127.0.0.1
finger@
finger@ 127.0.0.1 joe
finger@ 127.0.0.1 'joe doe' ignored
finger@ 0 ''
http@ 127.0.0.1 page
http@ 0 'a/b?c=d e'
http@ 127.0.0.1 index.html 8080
http@ 127.0.0.1 '' 8080
http@ 127.0.0.1 / nosuch
http@ 127.0.0.1 / 1
tcpcat
tcpcat 127.0.0.1 13
tcpcat 127.0.0.1 1
mconnect <crlf
mconnect 127.0.0.1 25 <crlf
mconnect 127.0.0.1 1 </dev/null
`, 0o644)
	const loop = `cd /tmp; PATH=$BIN:$PATH
try() { echo "$line: $1"; cp $1 answer; : >asked; code=0; eval "$line" 2>&1 || code=$?; echo "[$code]"; cat asked; }
while IFS= read -r line; do for answer in answers/*; do try $answer; done; done <every
while IFS= read -r line; do try answers/e; done <once`
	original := m.Sh("BIN=/usr/bin; " + loop)
	got := m.Sh("BIN=/opt/ours; " + loop)
	if !strings.Contains(original, "GET /a/b?c=d e HTTP/1.0\r\nHost: 0:80\r\n\r\n") || !strings.Contains(original, "M-^?") {
		t.Errorf("the original did not do what it should:\n%s", original)
	}
	if diff := cmp.Diff(strings.SplitAfter(original, "\n"), strings.SplitAfter(got, "\n")); diff != "" {
		t.Errorf("original -, ours +:\n%s", diff)
	}
	// A shell's echo changes backslashes, ours does not.
	m.Sh(`cd /tmp; cp answers/a answer; /opt/ours/finger@ 0 'a\tb\c'; [ "$(cat asked)" = "$(printf 'a\\tb\\c\r')" ]`)
}

// copyOurs puts our commands into the machine, in /opt/ours.
func copyOurs(t *testing.T, m *machine.Machine) {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	var names []string
	for name := range commands {
		names = append(names, name)
	}
	install := m.Command("sh", "-euc", `mkdir -p /opt/ours; cd /opt/ours
cat >test-binary; chmod 755 test-binary
for name in "$@"; do ln -s test-binary "$name"; done`)
	install.Args = append(append(install.Args, "sh"), names...)
	install.Stdin = self
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%s%v", out, err)
	}
}

// TestVisible compares all bytes with cat -v.
func TestVisible(t *testing.T) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	cat := exec.Command("cat", "-v")
	cat.Stdin = bytes.NewReader(all)
	want, err := cat.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := appendVisible(nil, all); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzPageBody checks that a response gives the same in pieces as in one, and
// that it gives the lines after the first empty one that are not empty.
func FuzzPageBody(f *testing.F) {
	for _, answer := range answers {
		f.Add([]byte(answer), 3, 9)
	}
	f.Fuzz(func(t *testing.T, response []byte, a, b int) {
		_, body, found := bytes.Cut(response, []byte("\n\n"))
		if rest, ok := bytes.CutPrefix(response, []byte("\n")); ok {
			body, found = rest, true
		}
		var want []byte
		if found {
			for _, line := range bytes.Split(body, []byte("\n")) {
				if len(line) > 0 {
					want = append(append(want, line...), '\n')
				}
			}
		}
		if a < 0 || b < a || b > len(response) {
			a, b = 0, len(response)
		}
		var page pageBody
		got := page.edit(nil, response[:a], false)
		got = page.edit(got, response[a:b], false)
		got = page.edit(got, response[b:], true)
		if !bytes.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// FuzzDottedAddresses checks that what is taken for addresses has no letters
// and as many numbers as it should.
func FuzzDottedAddresses(f *testing.F) {
	for _, host := range []string{"", "127.0.0.1", "[1.2.3.4]", "1.2.3.4.5.6.7.8", "256.1.1", "a.b", "::1", "...."} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		list, ok := dottedAddresses(host)
		if ok != (strings.Trim(host, "0123456789.[]") == "") {
			t.Errorf("%q: %v", host, ok)
		}
		if want := (strings.Count(host, ".") + 1) / 4; ok && len(list) != want {
			t.Errorf("%q: %v, want %d addresses", host, list, want)
		}
	})
}

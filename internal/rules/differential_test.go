package rules

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qmail-smtpd/internal/cdb"
	"qmail-smtpd/internal/command"
)

var pieces = []string{
	"1", "2", "10", "127", "255", "256", "300", "0", "007", "18446744073709551617", "99999999999999999999999",
	".", ".", ".", "-", "-", "=", "@", ":", ":", "#", " ", "\t", "\r", "\x00", "\xff",
	"1.2.3.4", "10.0.0.1-9", "joe@1.2.3.4", "=host.example.org", "=.org", "::1", "a", "x y",
	":allow", ":deny", ":allow", "allow", "deny", "Allow",
	",", "A=", ",A=\"v\"", ",RELAYCLIENT=\"\"", ",B=/x y/", ",=..", ",C=\"", ",D=aba", ",E= 1 ", ",F=\x00v\x00",
}

// randomLine makes a line of rules that may make sense.
func randomLine(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	var b strings.Builder
	switch r.IntN(8) {
	case 0: // anything
		for range r.IntN(12) {
			b.WriteString(pick(pieces...))
		}
		return b.String()
	case 1, 2: // a range
		fmt.Fprintf(&b, "%s%d%s%s%s", pick("", "", "1.", "1.2.", "x", "="), r.IntN(300), pick("-", "-", "-", "- ", "x-"),
			pick("7", "255", "300", "", "5x", "5\x00x"), pick("", ".", ".4", "-6", ".1-2"))
	case 3:
		if r.IntN(10) == 0 { // longer than every buffer
			b.WriteString(strings.Repeat("9", 60_000+r.IntN(100_000)))
		}
		fallthrough
	default:
		for range 1 + r.IntN(4) {
			b.WriteString(pick(pieces...))
		}
	}
	b.WriteString(pick(":allow", ":deny"))
	for range r.IntN(4) {
		b.WriteString(pick(",A=\"v\"", ",B=/x y/", ",RELAYCLIENT=\"\"", ",F=\x00v\x00", ",G=\",\"", ",H"+pick("=", "", "==x")+pick(pieces...)))
	}
	if r.IntN(4) == 0 {
		b.WriteString(pick(" ", "\t ", pick(pieces...)))
	}
	return b.String()
}

// bothTCPRules gives text to both tcprules and fails the test where they
// differ.
func bothTCPRules(t *testing.T, commands [2]string, text string, exit int) {
	t.Helper()
	var results [2]result
	var made [2][]byte
	for i, command := range commands {
		dir := t.TempDir()
		results[i] = run(t, dir, text, nil, command, "cdb", "tmp")
		if results[i].exit == 0 {
			made[i] = read(t, filepath.Join(dir, "cdb"))
		}
	}
	if results[0] != results[1] || results[0].exit != exit || !bytes.Equal(made[0], made[1]) {
		t.Fatalf("%.2000q\noriginal: %.500q, %d bytes\nours:     %.500q, %d bytes",
			text, results[0], len(made[0]), results[1], len(made[1]))
	}
}

func TestTCPRulesAsTheOriginal(t *testing.T) {
	r := random(t)
	commands := both(t, "tcprules")
	good, bad := "", 0
	for range 2000 {
		line := randomLine(r)
		err := Compile(strings.NewReader(line), func(key, data []byte) error { return nil })
		var syntax *SyntaxError
		switch {
		case err == nil:
			good += line + "\n"
		case !errors.As(err, &syntax):
			t.Fatal(err)
		case bad < 100:
			// One wrong line ends it, so that each has a run of its own.
			bad++
			bothTCPRules(t, commands, "1.2.3.4:allow\n"+line+"\n5.6.7.8:deny\n", command.ExitUsage)
		}
	}
	if bad < 100 || strings.Count(good, "\n") < 400 {
		t.Errorf("%d wrong lines and %d others", bad, strings.Count(good, "\n"))
	}
	bothTCPRules(t, commands, good, 0)
	bothTCPRules(t, commands, strings.TrimRight(good, "\n")+"\nlast:deny", 0)
	bothTCPRules(t, commands, "last:deny,X=", command.ExitUsage)
}

// keys are those that randomPeer asks for, and some beside them.
var keys = []string{
	"", "=", "1.2.3.4", "1.2.3.", "1.2.", "1.", "1", "1.2.3", ".", "..", "=h.b.org", "=.b.org", "=.org", "=b.org", "=.",
	"joe@1.2.3.4", "joe@=h.b.org", "@1.2.3.4", "@=h.b.org", "@", "@=", "joe@", "joe@=", "h.b.org", "=H.b.org", "1.2.3.4.", "2001:db8::1",
}

// randomPeer returns the same client as a Peer and as the environment of a
// command.
func randomPeer(r *rand.Rand) (p Peer, env []string) {
	pick := func(name string, from ...string) (string, bool) {
		i := r.IntN(len(from) + 2)
		if i >= len(from) {
			return "", false
		}
		env = append(env, name+"="+from[i])
		return from[i], true
	}
	var known bool
	p.IP, known = pick("TCPREMOTEIP", "1.2.3.4", "1.2.3.4", "1.2.3.5", "1.2.9.9", "1.9.9.9", "9.9.9.9", "", "..", "1.2.3.", "2001:db8::1")
	if !known {
		p.IP = "0.0.0.0"
	}
	p.Host, p.HostKnown = pick("TCPREMOTEHOST", "h.b.org", "h.b.org", "x.b.org", "x.org", "x", "", ".", "h.b.org.", "H.b.org")
	p.Info, p.InfoKnown = pick("TCPREMOTEINFO", "joe", "joe", "", "x@y", "=")
	return p, env
}

// randomCDB writes a cdb with some of keys, and data such as tcprules makes
// and such as it does not, and returns its bytes.
func randomCDB(t *testing.T, r *rand.Rand, path string) []byte {
	w, err := cdb.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	data := []string{"D\x00", "+A=1\x00", "+B=\x00", "+A=2=3\x00", "+C\x00", "+\x00", "+=x\x00", "\x00", "X=1\x00", "Dx\x00", "d\x00", "+CUT=1", "D"}
	for range r.IntN(8) {
		var value string
		for range r.IntN(4) {
			value += data[r.IntN(len(data))]
		}
		if err := w.Add([]byte(keys[r.IntN(len(keys))]), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

// bothExplain asks both about a random client, ours sometimes as a command
// and mostly in this process. It returns what the original answered.
func bothExplain(t *testing.T, r *rand.Rand, commands [2]string, path string) result {
	t.Helper()
	p, env := randomPeer(r)
	original := run(t, "", "", env, commands[0], path)
	if original.exit == -1 {
		return original // a crash
	}
	var ours result
	if r.IntN(10) == 0 {
		ours = run(t, "", "", env, commands[1], path)
	} else if text, err := describe(path, p); err == nil {
		ours.stdout = text
	} else {
		ours.stderr = "tcprulescheck: fatal: unable to read " + path + ": " + command.ErrText(err) + "\n"
		ours.exit = command.ExitTemporary
	}
	if original != ours && !(ours.exit == command.ExitTemporary && corruptForPrefixes(t, path, p.IP)) {
		t.Fatalf("%q\n%q\noriginal: %q\nours:     %q", env, read(t, path), original, ours)
	}
	return original
}

// corruptForPrefixes tells whether a prefix of ip, for which the original does
// not look, is where a file is corrupt.
func corruptForPrefixes(t *testing.T, path, ip string) bool {
	t.Helper()
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	db := cdb.NewReader(read(t, path))
	keys := []string{prefixesKey}
	for length := range addr.BitLen() + 1 {
		keys = append(keys, netip.PrefixFrom(addr, length).Masked().String())
	}
	return slices.ContainsFunc(keys, func(key string) bool {
		_, _, err := db.Find([]byte(key))
		return err != nil
	})
}

func TestTCPRulesCheckAsTheOriginal(t *testing.T) {
	r := random(t)
	commands := both(t, "tcprulescheck")
	path := filepath.Join(t.TempDir(), "cdb")
	rules := 0
	for range 200 {
		randomCDB(t, r, path)
		if strings.HasPrefix(bothExplain(t, r, commands, path).stdout, "rule ") {
			rules++
		}
	}
	if rules < 30 {
		t.Errorf("only %d of 200 clients found a rule", rules)
	}
}

func TestCorruptFilesAsTheOriginal(t *testing.T) {
	r := random(t)
	commands := both(t, "tcprulescheck")
	path := filepath.Join(t.TempDir(), "cdb")
	corrupt, crashes := 0, 0
	for range 200 {
		data := randomCDB(t, r, path)
		for range r.IntN(200) { // most of a file is header that one look-up does not touch
			data[r.IntN(len(data))] = byte([]int{0, 1, 8, 255, r.IntN(256)}[r.IntN(5)])
		}
		if r.IntN(4) == 0 {
			data = data[:r.IntN(len(data))]
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		switch bothExplain(t, r, commands, path).exit {
		case -1:
			crashes++
		case command.ExitTemporary:
			corrupt++
		}
	}
	if corrupt < 20 {
		t.Errorf("only %d of 200 files were recognised as corrupt", corrupt)
	}
	t.Logf("%d corrupt, %d crashes of the original", corrupt, crashes)
}

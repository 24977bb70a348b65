package rules

import (
	"bytes"
	"path/filepath"
	"testing"

	"qmail-smtpd/internal/cdb"
)

const elevenSteps = `xyz@86.75.30.9:allow
xyz@=one.two.three:allow
86.75.30.9:allow
=one.two.three:allow
86.75.30.:allow
86.75.:allow
86.:allow
=.two.three:allow
=.three:allow
=:allow
:allow
`

func TestLadder(t *testing.T) {
	all := filepath.Join(t.TempDir(), "all")
	compile(t, all, elevenSteps)
	some := filepath.Join(t.TempDir(), "some")
	compile(t, some, "1.2.3.:deny\n=abuser.edu:deny\n=.cs.abuser.edu:deny\n@1.2.3.9:deny\n1.2:deny\n1.2.3.7:allow\n1.2.3.7:deny\n"+
		`127.:allow,RELAYCLIENT="",RBLSMTPD="",B=/a b/`+"\n"+`9.:deny,A="1"`+"\n")
	known := func(ip, host, info string) Peer { return Peer{ip, host, host != "", info, info != ""} }
	for _, test := range []struct {
		path string
		p    Peer
		want string
	}{
		{all, known("86.75.30.9", "one.two.three", "xyz"), "rule xyz@86.75.30.9:\n"},
		{all, known("86.75.30.10", "one.two.three", "xyz"), "rule xyz@=one.two.three:\n"},
		{all, known("86.75.30.9", "one.two.three", "abc"), "rule 86.75.30.9:\n"},
		{all, known("86.75.30.10", "one.two.three", "abc"), "rule =one.two.three:\n"},
		{all, known("86.75.30.10", "four.two.three", ""), "rule 86.75.30.:\n"},
		{all, known("86.75.31.10", "four.two.three", ""), "rule 86.75.:\n"},
		{all, known("86.76.31.10", "four.two.three", ""), "rule 86.:\n"},
		{all, known("96.85.20.10", "four.two.three", ""), "rule =.two.three:\n"},
		{all, known("96.85.20.10", "four.three", ""), "rule =.three:\n"},
		{all, known("96.85.20.10", "four", ""), "rule =:\n"},
		{all, Peer{IP: "96.85.20.10", HostKnown: true}, "rule =:\n"},
		{all, known("96.85.20.10", "", ""), "rule :\n"},
		{some, known("1.2.4.4", "", ""), "default:\n"},
		{some, known("5.5.5.5", "cs.abuser.edu", ""), "default:\n"},
		{some, known("5.5.5.5", "Abuser.edu", ""), "default:\n"},
		{some, known("5.5.5.5", "abuser.edu", ""), "rule =abuser.edu:\ndeny connection\n"},
		{some, known("5.5.5.5", "x.cs.abuser.edu", ""), "rule =.cs.abuser.edu:\ndeny connection\n"},
		{some, Peer{IP: "1.2.3.9", InfoKnown: true}, "rule @1.2.3.9:\ndeny connection\n"},
		{some, known("1.2.3.9", "", ""), "rule 1.2.3.:\ndeny connection\n"},
		{some, known("1.2.3.7", "", ""), "rule 1.2.3.7:\n"},
		{some, known("2001:db8::1", "", ""), "default:\n"},
		{some, known("9.9.9.9", "", ""), "rule 9.:\ndeny connection\n"},
		{some, known("127.0.0.1", "", ""), "rule 127.:\nset environment variable RELAYCLIENT=\n" +
			"set environment variable RBLSMTPD=\nset environment variable B=a b\nallow connection\n"},
	} {
		want := test.want
		if got, err := describe(test.path, test.p); got != want && got != want+"allow connection\n" || err != nil {
			t.Errorf("%+v: %q, %v", test.p, got, err)
		}
	}
}

// All the 256 pairs of the header are the same here, so that the fuzzer finds
// the ones that matter.
func FuzzMatch(f *testing.F) {
	seed := compile(f, filepath.Join(f.TempDir(), "cdb"), "1.:deny,A=\"1\"")
	for i := 0; i < 2048; i += 8 {
		if pair := seed[i : i+8]; pair[4] != 0 {
			f.Add(pair, seed[2048:], "1.2.3.4", "one.two.three", true, "xyz", true)
		}
	}
	f.Fuzz(func(t *testing.T, pair, body []byte, ip, host string, hostKnown bool, info string, infoKnown bool) {
		var m match
		db := cdb.NewReader(append(bytes.Repeat(pair, 256), body...))
		if err := m.find(db, Peer{ip, host, hostKnown, info, infoKnown}); err != nil && m.found {
			t.Fatal("found, and an error")
		}
		length := 0
		m.apply(func(setting []byte, _ bool) { length += len(setting) + 2 })
		if length > len(m.data) {
			t.Fatalf("%d bytes of settings in %d of data", length, len(m.data))
		}
	})
}

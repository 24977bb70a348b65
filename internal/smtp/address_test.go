package smtp

import (
	"bytes"
	"testing"
)

func TestParseAddress(t *testing.T) {
	tests := []struct{ argument, want string }{
		{`from:<a@b.org>`, `a@b.org`},
		{`from: <a@b.org> SIZE=9`, `a@b.org`},
		{`<a@b.org>`, `a@b.org`},
		{`from:a@b.org`, `a@b.org`},
		{`from:  a@b.org SIZE=9`, `a@b.org`},
		{`xyz:<a@b.org>`, `a@b.org`},
		{`from:(c) <a@b.org>`, `a@b.org`},
		{`from:<a@b.org`, `a@b.org`},
		{`from:<@r1,@r2:a@b.org>`, `a@b.org`},
		{`from:@r1:a@b.org`, `a@b.org`},
		{`from:<@r1> x:y`, `y`},
		{``, ``},
		{`from:`, ``},
		{`from:<>`, ``},
		{`from:<`, ``},
		{`a@b.org`, ``},
		{`from:<@r1.test>`, ``},
		{`from:a@b.org>`, `a@b.org>`},
		{`from:<"a b"@b.org>`, `a b@b.org`},
		{`from:<"a>b"@b.org>`, `a>b@b.org`},
		{`from:<a\>b@b.org>`, `a>b@b.org`},
		{`from:<"a\"b"@b.org>`, `a"b@b.org`},
		{`from:"q<r"@b.org`, `r@b.org`},
		{`from:"a b"@c.org d`, `a b@c.org`},
		{`from:<a@b@c.org>`, `a@b@c.org`},
		{`from:<"unterminated@b.org>`, `unterminated@b.org>`},
		{`from:<trailing\`, `trailing`},
	}
	for _, test := range tests {
		if got := parseAddress([]byte(test.argument)); string(got) != test.want {
			t.Errorf("%s: %q, want %q", test.argument, got, test.want)
		}
	}
}

func TestParseLiteral(t *testing.T) {
	tests := []struct {
		address string
		ip      [4]byte
		ok      bool
	}{
		{"a@[127.0.0.1]", [4]byte{127, 0, 0, 1}, true},
		{"a@b@[1.2.3.4]", [4]byte{1, 2, 3, 4}, true},
		{"@[1.2.3.4]", [4]byte{1, 2, 3, 4}, true},
		{"a@[383.0.0.1]", [4]byte{127, 0, 0, 1}, true},
		{"a@[127.0.0.01]", [4]byte{127, 0, 0, 1}, true},
		{"a@[99999999999999999999999.0.0.1]", [4]byte{0xff, 0, 0, 1}, true},
		{"[1.2.3.4]", [4]byte{}, false},
		{"a@[1.2.3.4]x", [4]byte{}, false},
		{"a@[1.2.3.4", [4]byte{}, false},
		{"a@[1.2.3]", [4]byte{}, false},
		{"a@[1.2.3.]", [4]byte{}, false},
		{"a@[.2.3.4]", [4]byte{}, false},
		{"a@[1.2.3.4.5]", [4]byte{}, false},
		{"a@[IPv6:::1]", [4]byte{}, false},
		{"a@1.2.3.4", [4]byte{}, false},
		{"a@", [4]byte{}, false},
		{"", [4]byte{}, false},
	}
	for _, test := range tests {
		ip, start, ok := parseLiteral([]byte(test.address))
		if ok != test.ok || ok && (ip != test.ip || test.address[start] != '[') {
			t.Errorf("%s: %v at %d, %v; want %v, %v", test.address, ip, start, ok, test.ip, test.ok)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{`from:<@r:"a\"b"@[127.0.0.1]> SIZE=1`, `to:a@b c`, `<`, `"\`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, argument []byte) {
		before := bytes.Clone(argument)
		address := parseAddress(argument)
		if !bytes.Equal(argument, before) {
			t.Fatal("the argument was changed")
		}
		if len(address) > len(argument) {
			t.Fatalf("%q is longer than its argument", address)
		}
		if _, start, ok := parseLiteral(address); ok && (start == 0 || address[start] != '[' || address[len(address)-1] != ']') {
			t.Fatalf("%q has no literal at %d", address, start)
		}
	})
}

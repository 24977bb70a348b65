package rules

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"qmail-smtpd/internal/cdb"
	"qmail-smtpd/internal/command"
)

// ipv6Lines are rules here and mistakes for the original.
var ipv6Lines = []string{
	"[2001:db8::1]:deny", "[2001:DB8:0::0001]:deny", "[::]:deny", "[::]/0:deny", "[2001:db8::]/32:deny", "[::1]/128:deny",
	"joe@[2001:db8::1]:deny", "@[2001:db8::1]:deny", `[2001:db8::1]:allow,A="[x]:deny"`, "[64:ff9b::1.2.3.4]:deny",
}

func TestIPv6Records(t *testing.T) {
	var got []string
	for _, line := range ipv6Lines {
		made, err := records(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		got = append(got, strings.Join(made, " "))
	}
	want := []string{
		"2001:db8::1>D\x00", "2001:db8::1>D\x00", "::>D\x00", "::/0>D\x00 ::/>\x00", "2001:db8::/32>D\x00 ::/>\x20", "::1/128>D\x00 ::/>\x80",
		"joe@2001:db8::1>D\x00", "@2001:db8::1>D\x00", "2001:db8::1>+A=[x]:deny\x00", "64:ff9b::102:304>D\x00",
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	made, err := records("[::]/8:deny\n[2001:db8::]/48:deny\n[2001:db8::]/8:deny\n")
	if err == nil {
		t.Errorf("an address with bits beyond its prefix: %q", made)
	}
	made, err = records("[::]/8:deny\n[2001:db8::]/48:deny\n[1::]/48:deny\n:allow\n")
	if fmt.Sprintf("%q", made) != `["::/8>D\x00" "2001:db8::/48>D\x00" "1::/48>D\x00" ">" "::/>0\b"]` || err != nil {
		t.Errorf("several prefixes: %q, %v", made, err)
	}
}

// What only looks like a rule for IPv6 is what it always was: a mistake, or
// a key as it was typed.
func TestBracketsAsTheOriginal(t *testing.T) {
	commands := both(t, "tcprules")
	for _, line := range []string{
		"[2001:db8::1:deny", "2001:db8::1]:deny", "[2001:db8::1]", "[2001:db8::1]deny", "[2001:db8::1] :deny", "[2001:db8::1]32:deny",
		"[2001:db8::1]/:deny", "[2001:db8::1]/129:deny", "[2001:db8::1]/032:deny", "[2001:db8::1]/32:deny", "[fe80::1%eth0]:deny",
		"[::ffff:1.2.3.4]:deny", "joe[::1]:deny", "joe@[2001:db8::]/32:deny", "[:::]:deny", "[::1]:", "[::1]:foo", "::/:deny",
	} {
		bothTCPRules(t, commands, line+"\n", command.ExitUsage)
	}
	bothTCPRules(t, commands, "[1.2.3.4]:deny\n[]:deny\n[x]/32:allow\n[2001:allow\n10.0.0.0/8:deny\n10.0.0.1/8:deny\n[/]:deny\n", 0)
	// Extensions are mistakes for the original.
	for _, line := range append(ipv6Lines, ":include file") {
		dir := t.TempDir()
		if got := run(t, dir, line+"\n", nil, commands[0], "cdb", "tmp"); got.exit != command.ExitUsage {
			t.Errorf("%s: the original takes it: %q", line, got)
		}
	}
}

func TestPrefixes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tcp.cdb")
	compile(t, path, "10.0.0.0/8:allow\n10.1.0.0/16:allow\n10.2.:allow\n10.2.0.0/16:deny\n10.2.128.0/17:allow\n10.2.128.0/32:allow\n"+
		"10.2.128.1:allow\n10.3.3.0/24:allow\n10.3.3.3/24:deny\n10.3.3.:allow\n128.0.0.0/1:allow\n=host.test:allow\n=.test:allow\n0.0.0.0/0:allow\n"+
		"[2001:db8::]/32:allow\n[2001:db8:1::]/48:allow\n[2001:db8:1::1]:allow\n[2001:db8:1::2]/128:allow\njoe@[2001:db8:1::1]:allow\n[8000::]/1:allow\n")
	for _, test := range []struct {
		p    Peer
		want string
	}{
		{Peer{IP: "10.9.9.9"}, "10.0.0.0/8"},
		{Peer{IP: "10.1.9.9"}, "10.1.0.0/16"},
		{Peer{IP: "10.2.9.9"}, "10.2."},
		{Peer{IP: "10.2.128.9"}, "10.2.128.0/17"},
		{Peer{IP: "10.2.128.0"}, "10.2.128.0/32"},
		{Peer{IP: "10.2.128.1"}, "10.2.128.1"},
		{Peer{IP: "10.3.3.3"}, "10.3.3."},
		{Peer{IP: "200.1.2.3"}, "128.0.0.0/1"},
		{Peer{IP: "9.9.9.9"}, "0.0.0.0/0"},
		{Peer{IP: "9.9.9.9", Host: "x.test", HostKnown: true}, "0.0.0.0/0"},
		{Peer{IP: "9.9.9.9", Host: "host.test", HostKnown: true}, "=host.test"},
		{Peer{IP: "2001:db8::1"}, "2001:db8::/32"},
		{Peer{IP: "2001:db8:1::3"}, "2001:db8:1::/48"},
		{Peer{IP: "2001:db8:1::1"}, "2001:db8:1::1"},
		{Peer{IP: "2001:db8:1::2"}, "2001:db8:1::2/128"},
		{Peer{IP: "2001:db8:1::1", Info: "joe", InfoKnown: true}, "joe@2001:db8:1::1"},
		{Peer{IP: "ff02::1"}, "8000::/1"},
		{Peer{IP: "2001:db9::1", Host: "x.test", HostKnown: true}, "=.test"},
		{Peer{IP: "2001:db9::1"}, ""},
		{Peer{IP: "10.1.2"}, ""},
		{Peer{IP: "10.01.2.3"}, ""},
	} {
		want := "rule " + test.want + ":\nallow connection\n"
		if test.want == "" {
			want = "default:\nallow connection\n"
		}
		if got, err := describe(path, test.p); got != want || err != nil {
			t.Errorf("%+v: %q, %v; want %q", test.p, got, err, want)
		}
	}
}

// TestPrefixesAsNetip compares the look-up among many prefixes with a search
// through all of them.
func TestPrefixesAsNetip(t *testing.T) {
	r := random(t)
	address := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.Uint32()), byte(r.Uint32())})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, byte(r.IntN(2)), byte(r.Uint32()), 15: byte(r.Uint32())})
	}
	var prefixes []netip.Prefix
	var text strings.Builder
	for range 300 {
		addr := address()
		prefix := netip.PrefixFrom(addr, r.IntN(addr.BitLen()+1)).Masked()
		prefixes = append(prefixes, prefix)
		if addr.Is4() {
			fmt.Fprintf(&text, "%v:deny\n", prefix)
		} else {
			fmt.Fprintf(&text, "[%v]/%d:deny\n", prefix.Addr(), prefix.Bits())
		}
	}
	db := cdb.NewReader(compile(t, filepath.Join(t.TempDir(), "cdb"), text.String()))
	for range 2000 {
		addr := address()
		var want netip.Prefix
		for _, prefix := range prefixes {
			if prefix.Contains(addr) && (!want.IsValid() || prefix.Bits() > want.Bits()) {
				want = prefix
			}
		}
		var m match
		if err := m.find(db, Peer{IP: addr.String()}); err != nil || m.found != want.IsValid() || m.found && string(m.key) != want.String() {
			t.Fatalf("%v: %q, %v, %v; want %v", addr, m.key, m.found, err, want)
		}
	}
}

// cdbInMemory makes a cdb whose 256 tables are one.
func cdbInMemory(records [][2]string) []byte {
	size := 2*len(records) + 1
	slots := make([][2]uint32, size)
	position := uint32(2048)
	var body []byte
	for _, r := range records {
		hash := uint32(5381)
		for _, c := range []byte(r[0]) {
			hash = hash*33 ^ uint32(c)
		}
		at := hash / 256 % uint32(size)
		for slots[at][1] != 0 {
			at = (at + 1) % uint32(size)
		}
		slots[at] = [2]uint32{hash, position + uint32(len(body))}
		body = binary.LittleEndian.AppendUint32(body, uint32(len(r[0])))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(r[1])))
		body = append(body, r[0]+r[1]...)
	}
	var data []byte
	for range 256 {
		data = binary.LittleEndian.AppendUint32(data, position+uint32(len(body)))
		data = binary.LittleEndian.AppendUint32(data, uint32(size))
	}
	data = append(data, body...)
	for _, slot := range slots {
		data = binary.LittleEndian.AppendUint32(data, slot[0])
		data = binary.LittleEndian.AppendUint32(data, slot[1])
	}
	return data
}

// FuzzPrefixes gives the look-up of IPv6 a list of lengths that no compiler
// wrote.
func FuzzPrefixes(f *testing.F) {
	f.Add([]byte{128, 64, 32, 0}, "2001:db8::1")
	f.Add([]byte{0, 32, 255, 32}, "::")
	f.Add([]byte{255, 129, 128}, "fe80::1%eth0")
	f.Add([]byte{64}, "::1")
	f.Add([]byte{'D'}, prefixesKey)
	f.Fuzz(func(t *testing.T, lengths []byte, ip string) {
		if len(lengths) > 300 {
			return
		}
		records := [][2]string{{prefixesKey, string(lengths)}}
		for _, length := range lengths {
			records = append(records, [2]string{fmt.Sprintf("::/%d", length), "D\x00"})
		}
		var m match
		if err := m.find(cdb.NewReader(cdbInMemory(records)), Peer{IP: ip}); err != nil {
			t.Fatal(err)
		}
		if prefix, err := netip.ParsePrefix(string(m.key)); m.found && (err != nil || prefix != prefix.Masked()) {
			t.Fatalf("%q found %q", ip, m.key)
		}
		if ip == "::1" && len(lengths) == 1 && m.found != (lengths[0] < 128) {
			t.Fatalf("%q found %v by the length %v", ip, m.found, lengths)
		}
	})
}

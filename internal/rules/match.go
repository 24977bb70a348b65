package rules

import (
	"bytes"
	"net/netip"
	"strings"

	"qmail-smtpd/internal/cdb"
)

// A Peer is what rules are chosen by.
type Peer struct {
	IP        string // as in TCPREMOTEIP
	Host      string // as in TCPREMOTEHOST
	HostKnown bool   // whether that is set; "" is a name too
	Info      string // as in TCPREMOTEINFO
	InfoKnown bool   // whether that is set; "" is an answer too
}

// A match is the rule that a look-up found. It owns its bytes, so that it
// outlives the file's content that it was found in, and is used again for
// the next look-up to spare the allocation.
type match struct {
	key   []byte // of the rule
	data  []byte // its instruction, as it is in the cdb
	found bool
}

// find looks for the keys of p from the most to the least specific.
func (m *match) find(db cdb.Reader, p Peer) error {
	m.found = false
	if p.InfoKnown {
		if done, err := m.try(db, p.Info, "@", p.IP); done {
			return err
		}
		if p.HostKnown {
			if done, err := m.try(db, p.Info, "@=", p.Host); done {
				return err
			}
		}
	}
	if done, err := m.try(db, p.IP); done {
		return err
	}
	if p.HostKnown {
		if done, err := m.try(db, "=", p.Host); done {
			return err
		}
	}
	if done, err := m.network(db, p.IP); done {
		return err
	}
	if p.HostKnown {
		for start := range len(p.Host) {
			if p.Host[start] != '.' {
				continue
			}
			if done, err := m.try(db, "=", p.Host[start:]); done {
				return err
			}
		}
		if done, err := m.try(db, "="); done {
			return err
		}
	}
	_, err := m.try(db)
	return err
}

// network looks for the networks of an address, the smallest first: the
// address cut after each of its dots, and its prefixes.
func (m *match) network(db cdb.Reader, ip string) (done bool, err error) {
	addr, _ := netip.ParseAddr(ip)
	if addr.Is4() {
		return m.networkIPv4(db, addr, ip)
	}
	for end := strings.LastIndexByte(ip, '.'); end >= 0; end = strings.LastIndexByte(ip[:end], '.') {
		if done, err := m.try(db, ip[:end+1]); done {
			return true, err
		}
	}
	if addr.Is6() {
		return m.networkIPv6(db, addr)
	}
	return false, nil
}

// networkIPv4 asks for each prefix: 1.2.3. is one of 24 bits, and comes
// before 1.2.3.0/24.
func (m *match) networkIPv4(db cdb.Reader, addr netip.Addr, ip string) (done bool, err error) {
	for length, end := 32, len(ip); length >= 0; length-- {
		if length == 24 || length == 16 || length == 8 {
			end = strings.LastIndexByte(ip[:end], '.')
			if done, err := m.try(db, ip[:end+1]); done {
				return true, err
			}
		}
		if done, err := m.prefix(db, addr, length); done {
			return true, err
		}
	}
	return false, nil
}

// networkIPv6 looks for the prefixes of the lengths that the file has.
func (m *match) networkIPv6(db cdb.Reader, addr netip.Addr) (done bool, err error) {
	lengths, _, err := db.Find([]byte(prefixesKey))
	if err != nil {
		return true, err
	}
	before := addr.BitLen() + 1
	for _, length := range lengths {
		if int(length) >= before {
			break // no file of ours
		}
		before = int(length)
		if done, err := m.prefix(db, addr, before); done {
			return true, err
		}
	}
	return false, nil
}

// prefix looks for the prefix of addr that has so many bits.
func (m *match) prefix(db cdb.Reader, addr netip.Addr, length int) (done bool, err error) {
	prefix, err := addr.Prefix(length)
	if err != nil {
		return false, nil
	}
	m.key = prefix.AppendTo(m.key[:0])
	return m.look(db)
}

// try looks for the key that consists of parts.
func (m *match) try(db cdb.Reader, parts ...string) (done bool, err error) {
	m.key = m.key[:0]
	for _, part := range parts {
		m.key = append(m.key, part...)
	}
	return m.look(db)
}

// look looks for m.key. The search is done when that is there, or when the
// file cannot be read.
func (m *match) look(db cdb.Reader) (done bool, err error) {
	data, found, err := db.Find(m.key)
	found = found && string(m.key) != prefixesKey // of no rule
	if found {
		m.data = append(m.data[:0], data...)
		m.found = true
	}
	return found || err != nil, err
}

// apply calls each, if that is not nil, for the variables that the rule sets,
// in the form NAME=VALUE, and tells whether it denies. The data are chunks
// that end in a NUL: "D" denies, "+NAME=VALUE" sets a variable, and any other
// first letter is left to later versions of the format. Where denied, a "D"
// came before the variable, and the classic look-up does not see it.
func (m *match) apply(each func(setting []byte, denied bool)) (deny bool) {
	if !m.found {
		return false
	}
	for data := m.data; ; {
		end := bytes.IndexByte(data, 0)
		if end < 0 {
			return deny
		}
		if end > 0 {
			switch data[0] {
			case 'D':
				deny = true
			case '+':
				if each != nil {
					each(data[1:end], deny)
				}
			}
		}
		data = data[end+1:]
	}
}

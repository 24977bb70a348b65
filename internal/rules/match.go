package rules

import (
	"bytes"
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
	for end := strings.LastIndexByte(p.IP, '.'); end >= 0; end = strings.LastIndexByte(p.IP[:end], '.') {
		if done, err := m.try(db, p.IP[:end+1]); done {
			return err
		}
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

// try looks for the key that consists of parts. The search is done when the
// key is there, or when the file cannot be read.
func (m *match) try(db cdb.Reader, parts ...string) (done bool, err error) {
	m.key = m.key[:0]
	for _, part := range parts {
		m.key = append(m.key, part...)
	}
	data, found, err := db.Find(m.key)
	if found {
		m.data = append(m.data[:0], data...)
		m.found = true
	}
	return found || err != nil, err
}

// apply calls each, if that is not nil, for the variables that the rule sets,
// in the form NAME=VALUE, and tells whether it denies, which ends it. The data
// are chunks that end in a NUL: "D" denies, "+NAME=VALUE" sets a variable,
// and any other first letter is left to later versions of the format.
func (m *match) apply(each func(setting []byte)) (deny bool) {
	if !m.found {
		return false
	}
	data := m.data
	for {
		end := bytes.IndexByte(data, 0)
		if end < 0 {
			return false
		}
		if end > 0 {
			switch data[0] {
			case 'D':
				return true
			case '+':
				if each != nil {
					each(data[1:end])
				}
			}
		}
		data = data[end+1:]
	}
}

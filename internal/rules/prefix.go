package rules

import (
	"bytes"
	"net/netip"
	"slices"
)

// prefixesKey is the key of the record that tells which lengths the IPv6
// prefixes of a cdb have: one byte each, the longest first. The keys of IPv6
// rules have a colon in them, as this one has, which no key of the classic
// compiler can have.
const prefixesKey = "::/"

// prefixLengths are the lengths of the IPv6 prefixes that a text has.
type prefixLengths [129]bool

func (p *prefixLengths) data() (data []byte) {
	for length, is := range slices.Backward(p[:]) {
		if is {
			data = append(data, byte(length))
		}
	}
	return data
}

// cutIPv6 understands a line for an IPv6 address, [ADDRESS]:INSTRUCTION,
// INFO@[ADDRESS]:INSTRUCTION, or [ADDRESS]/LENGTH:INSTRUCTION, and makes the
// key of it, with the address as in TCPREMOTEIP. Such a line is a mistake for
// the classic compiler, whose address ends at the first colon.
func (c *compiler) cutIPv6(line []byte) (instruction []byte, ok bool) {
	open := bytes.LastIndexByte(line[:bytes.IndexByte(line, ':')], '[')
	if open < 0 {
		return nil, false
	}
	info := line[:open]
	inner, rest, ok := bytes.Cut(line[open+1:], []byte{']'})
	length, instruction, ok2 := bytes.Cut(rest, []byte{':'})
	if !ok || !ok2 || len(info) > 0 && info[len(info)-1] != '@' {
		return nil, false
	}
	addr, err := netip.ParseAddr(string(inner))
	if err != nil || addr.Is4() || addr.Is4In6() || addr.Zone() != "" {
		return nil, false
	}
	if len(length) == 0 {
		c.key = addr.AppendTo(append(c.key[:0], info...))
		return instruction, true
	}
	prefix, err := netip.ParsePrefix(addr.String() + string(length))
	if err != nil || prefix != prefix.Masked() || len(info) > 0 {
		return nil, false
	}
	c.prefixes[prefix.Bits()] = true
	c.key = prefix.AppendTo(c.key[:0])
	return instruction, true
}

// isDeadPrefix tells whether address looks like an IPv4 prefix, but is not
// written as the look-up would ask for it. The classic compiler takes it as
// it is, so it is no mistake.
func isDeadPrefix(address []byte) bool {
	if bytes.IndexByte(address, '/') < 0 {
		return false
	}
	prefix, err := netip.ParsePrefix(string(address))
	return err != nil || prefix.Masked().String() != string(address)
}

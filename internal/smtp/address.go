package smtp

import "bytes"

// maxAddress is the length of the longest address that MAIL and RCPT take.
const maxAddress = 899

// parseAddress returns the address in the argument of MAIL or RCPT. It
// understands what qmail understands, which is nearly everything; there is
// no argument that is wrong.
func parseAddress(argument []byte) []byte {
	terminator := byte('>')
	if at := bytes.IndexByte(argument, '<'); at >= 0 {
		argument = argument[at+1:]
	} else {
		terminator = ' '
		_, argument, _ = bytes.Cut(argument, []byte(":"))
		argument = bytes.TrimLeft(argument, " ")
	}
	if len(argument) > 0 && argument[0] == '@' {
		_, argument, _ = bytes.Cut(argument, []byte(":"))
	}
	address := make([]byte, 0, min(len(argument), maxAddress+1))
	quoted := false
	for i := 0; i < len(argument); i++ {
		b := argument[i]
		switch {
		case b == '\\':
			i++
			if i == len(argument) {
				return address
			}
			b = argument[i]
		case b == '"':
			quoted = !quoted
			continue
		case b == terminator && !quoted:
			return address
		}
		address = append(address, b)
	}
	return address
}

// parseLiteral returns the IPv4 address of an address literal, "[1.2.3.4]",
// that stands after the last "@" of address, and where the literal begins.
// Numbers are taken modulo 256.
func parseLiteral(address []byte) (ip [4]byte, start int, ok bool) {
	start = bytes.LastIndexByte(address, '@') + 1
	if start == 0 {
		return ip, 0, false
	}
	rest := address[start:]
	for i := range ip {
		separator := byte('.')
		if i == 0 {
			separator = '['
		}
		if len(rest) == 0 || rest[0] != separator {
			return ip, 0, false
		}
		digits := 0
		rest = rest[1:]
		for ; digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9'; digits++ {
			ip[i] = ip[i]*10 + rest[digits] - '0'
		}
		if digits == 0 {
			return ip, 0, false
		}
		rest = rest[digits:]
	}
	return ip, start, string(rest) == "]"
}

package units

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// maxSocketPath is the longest path of a socket that the kernel takes.
const maxSocketPath = 107

// ParseListen reads the text of systemd/listen: an address a line, optionally
// followed by a descriptor name. $NAME stands for a variable of env; IP is 0
// and PORT is 25 where they are not set. The IP 0 is every address. Empty
// lines and lines that begin with "#" are passed over.
func ParseListen(text string, env map[string]string) ([]Listen, error) {
	var listen []Listen
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) > 2 {
			return nil, fmt.Errorf("too many words: %s", line)
		}
		address, err := expand(fields[0], env)
		if err != nil {
			return nil, err
		}
		if address, err = streamAddress(address); err != nil {
			return nil, err
		}
		l := Listen{Address: address}
		if len(fields) == 2 {
			l.Name = fields[1]
			if !validName(l.Name) {
				return nil, fmt.Errorf("not a descriptor name: %s", l.Name)
			}
		}
		listen = append(listen, l)
	}
	return listen, nil
}

// expand replaces each $NAME in word.
func expand(word string, env map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(word, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		end := 0
		for end < len(after) && (after[end] == '_' || after[end] >= 'A' && after[end] <= 'Z' || after[end] >= '0' && after[end] <= '9') {
			end++
		}
		name := after[:end]
		value := env[name]
		if value == "" {
			switch name {
			case "IP":
				value = "0"
			case "PORT":
				value = "25"
			default:
				return "", fmt.Errorf("variable %s is not set", name)
			}
		}
		b.WriteString(value)
		word = after[end:]
	}
}

// streamAddress turns what administrators of tcpserver write into what
// ListenStream= takes: a path, a port, or a numeric address and a port.
func streamAddress(word string) (string, error) {
	if strings.HasPrefix(word, "/") {
		if Printable(word) != word || strings.ContainsFunc(word, unicode.IsSpace) || strings.HasSuffix(word, `\`) || len(word) > maxSocketPath {
			return "", fmt.Errorf("not the path of a socket: %s", word)
		}
		return word, nil
	}
	colon := strings.LastIndexByte(word, ':')
	host, port := "", word
	if colon >= 0 {
		host, port = word[:colon], word[colon+1:]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("not a port number: %s", port)
	}
	if host == "" || host == "0" {
		return port, nil
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if err != nil || ip.Zone() != "" {
		return "", fmt.Errorf("not an address: %s", host)
	}
	return netip.AddrPortFrom(ip, uint16(n)).String(), nil
}

func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 255
}

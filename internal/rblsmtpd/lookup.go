package rblsmtpd

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// An answer is what a list says of a client.
type answer struct {
	listed bool
	text   string // why; of lists of the unwanted
	failed bool   // the list could not be asked
}

// ask looks ip up in all lists at the same time. The answers come in the
// order of the lists, each in a channel of its own. What is still open when
// ctx is done has failed.
func ask(ctx context.Context, resolver *net.Resolver, lists []list, ip string) []<-chan answer {
	answers := make([]<-chan answer, len(lists))
	for i, list := range lists {
		c := make(chan answer, 1)
		answers[i] = c
		go func() { c <- list.ask(ctx, resolver, ip) }()
	}
	return answers
}

// ask looks ip up: a list of the unwanted has a text for it (a TXT record),
// any other list an address (A).
func (l list) ask(ctx context.Context, resolver *net.Resolver, ip string) answer {
	name, ok := queryName(ip, l.base)
	if !ok {
		return answer{failed: true}
	}
	if l.anti {
		found, err := resolver.LookupNetIP(ctx, "ip4", name)
		return answer{listed: len(found) > 0, failed: failed(err)}
	}
	found, err := resolver.LookupTXT(ctx, name)
	text := strings.Join(found, "")
	return answer{listed: text != "", text: text, failed: failed(err)}
}

// failed tells whether err leaves open what the list says.
func failed(err error) bool {
	var dns *net.DNSError
	return err != nil && !(errors.As(err, &dns) && dns.IsNotFound)
}

// queryName is the name under which a list has its entry for ip: the parts of
// the address, or the hexadecimal digits of an IPv6 address (RFC 5782), last
// one first, before base. It is false where the domain name system has no
// room for that name.
func queryName(ip, base string) (_ string, ok bool) {
	labels := parts(ip)
	if addr, err := netip.ParseAddr(ip); err == nil && addr.Is6() {
		labels = strings.Split(addr.WithZone("").StringExpanded(), "")
		labels = slices.DeleteFunc(labels, func(digit string) bool { return digit == ":" })
	}
	slices.Reverse(labels)
	labels = append(labels, parts(base)...)
	for _, label := range labels {
		if len(label) > 63 {
			return "", false
		}
	}
	name := strings.Join(labels, ".") + "."
	return name, len(name) <= 254
}

// parts are what the dots of text separate, without what is empty.
func parts(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '.' })
}

package multilog

import (
	"os"
	"strings"
	"time"
)

// localZone returns the zone of local times: what TZ names, be it a zone file
// or a POSIX rule such as "CET-1CEST,M3.5.0,M10.5.0/3", else /etc/localtime.
func localZone() *time.Location {
	name := strings.TrimPrefix(os.Getenv("TZ"), ":")
	if name == "" || name[0] == '/' {
		return time.Local
	}
	if _, err := time.LoadLocation(name); err == nil {
		return time.Local
	}
	zone, err := time.LoadLocationFromTZData("Local", ruleZone(name))
	if err != nil {
		return time.UTC
	}
	return zone
}

// ruleZone returns a zone file (RFC 8536) of version 2 that holds nothing but
// a POSIX rule. Where the rule is none, the zone is UTC.
func ruleZone(rule string) []byte {
	const block = "TZif2" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + // no leap seconds or transitions
		"\x00\x00\x00\x01" + "\x00\x00\x00\x04" + // one type, four bytes of names
		"\x00\x00\x00\x00\x00\x00" + "UTC\x00"
	return []byte(block + block + "\n" + rule + "\n")
}

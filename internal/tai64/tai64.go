// Package tai64 makes and reads TAI64N labels and timestamps.
//
// The offset to Unix time is a constant 10 seconds, without a table of leap
// seconds, as in daemontools.
package tai64

import (
	"encoding/binary"
	"time"
)

// offset is what TAI64 adds to a count of Unix seconds.
const offset = 1<<62 + 10

// LabelSize is the length of a label in bytes: "@" and 24 hexadecimal digits.
const LabelSize = 25

// Size is the length of a binary timestamp in bytes.
const Size = 12

const hexDigits = "0123456789abcdef"

// AppendLabel appends the label of t to b. As in the classic programs, the
// nanoseconds are those of the microsecond that t is in, plus 500.
func AppendLabel(b []byte, t time.Time) []byte {
	var packed [Size]byte
	Put(packed[:], t)
	b = append(b, '@')
	for _, c := range packed {
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return b
}

// Label returns the label of t.
func Label(t time.Time) string {
	return string(AppendLabel(make([]byte, 0, LabelSize), t))
}

// Put writes the 12 bytes of t into b: 8 of seconds and 4 of nanoseconds,
// big-endian, with the nanoseconds rounded as AppendLabel does.
func Put(b []byte, t time.Time) {
	binary.BigEndian.PutUint64(b, uint64(t.Unix())+offset)
	binary.BigEndian.PutUint32(b[8:], uint32(t.Nanosecond()/1000*1000+500))
}

// Time returns the time that the 12 bytes of b stand for. Seconds before
// TAI64's epoch of 1970 and the like are taken as they are, wrapping.
func Time(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(b)-offset), int64(binary.BigEndian.Uint32(b[8:])))
}

// ScanLabel reads the label that text begins with, as tai64nlocal does: "@"
// and any number of lower-case hexadecimal digits, of which the last 24 count,
// the missing ones being zeros on the left. It returns the Unix time, whose
// nanoseconds may be out of range, and the length of the label; 0 where text
// does not begin with "@".
func ScanLabel(text []byte) (seconds int64, nanoseconds uint32, length int) {
	if len(text) == 0 || text[0] != '@' {
		return 0, 0, 0
	}
	var high uint64
	for length = 1; length < len(text); length++ {
		var digit uint32
		switch c := text[length]; {
		case c >= '0' && c <= '9':
			digit = uint32(c - '0')
		case c >= 'a' && c <= 'f':
			digit = uint32(c - 'a' + 10)
		default:
			return int64(high - offset), nanoseconds, length
		}
		high = high<<4 | uint64(nanoseconds>>28)
		nanoseconds = nanoseconds<<4 | digit
	}
	return int64(high - offset), nanoseconds, length
}

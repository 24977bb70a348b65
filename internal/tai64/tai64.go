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

package svcompat

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"qmail-smtpd/internal/tai64"
)

// StatusSize is the length of supervise/status in bytes. daemontools-encore
// writes more; what follows is not read.
const StatusSize = 18

// ErrBadFormat says that a status is shorter than StatusSize.
var ErrBadFormat = errors.New("bad format")

// Want is what was asked of a service.
type Want byte

const (
	WantUp   Want = 'u'
	WantDown Want = 'd'
	WantOnce Want = 0 // run once, or no opinion: not restarted when it ends
)

// Status is the content of supervise/status.
type Status struct {
	Since  time.Time // the last start or end of the process
	PID    uint32    // of the process, 0 when it is down
	Paused bool      // counts only while PID is not 0
	Want   Want
}

// Bytes returns s as supervise/status holds it: 12 bytes of TAI64N, the pid
// in little-endian order, paused, want.
func (s Status) Bytes() [StatusSize]byte {
	var b [StatusSize]byte
	tai64.Put(b[:], s.Since)
	binary.LittleEndian.PutUint32(b[12:], s.PID)
	if s.Paused && s.PID != 0 {
		b[16] = 1
	}
	b[17] = byte(s.Want)
	return b
}

// ParseStatus reads the content of supervise/status. Nanoseconds that are
// none are taken as 0. The only error is ErrBadFormat.
func ParseStatus(b []byte) (Status, error) {
	if len(b) < StatusSize {
		return Status{}, ErrBadFormat
	}
	stamp := [tai64.Size]byte(b)
	if binary.BigEndian.Uint32(stamp[8:]) >= 1e9 {
		clear(stamp[8:])
	}
	return Status{
		Since:  tai64.Time(stamp[:]),
		PID:    binary.LittleEndian.Uint32(b[12:]),
		Paused: b[16] != 0,
		Want:   Want(b[17]),
	}, nil
}

// AppendText appends s to b in the words of svstat, as it is at now.
// normallyUp says that the service directory has no file down.
func (s Status) AppendText(b []byte, now time.Time, normallyUp bool) []byte {
	up := s.PID != 0
	if up {
		b = append(b, "up (pid "...)
		b = strconv.AppendUint(b, uint64(s.PID), 10)
		b = append(b, ") "...)
	} else {
		b = append(b, "down "...)
	}
	b = strconv.AppendUint(b, s.age(now), 10)
	b = append(b, " seconds"...)
	switch {
	case up && !normallyUp:
		b = append(b, ", normally down"...)
	case !up && normallyUp:
		b = append(b, ", normally up"...)
	}
	if up && s.Paused {
		b = append(b, ", paused"...)
	}
	switch {
	case !up && s.Want == WantUp:
		b = append(b, ", want up"...)
	case up && s.Want == WantDown:
		b = append(b, ", want down"...)
	}
	return b
}

// age is how many seconds ago the state changed, 0 where that is to come. The
// difference goes through a float64, as in the classic, whose rounding shows
// for times far off.
func (s Status) age(now time.Time) uint64 {
	from, to := taiSeconds(s.Since), taiSeconds(now)
	if to < from {
		return 0
	}
	return uint64(float64(to - from))
}

func taiSeconds(t time.Time) uint64 {
	var b [tai64.Size]byte
	tai64.Put(b[:], t)
	return binary.BigEndian.Uint64(b[:])
}

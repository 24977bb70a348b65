package multilog

import (
	"bytes"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/tai64"
)

// TAI64NLocal is the command tai64nlocal: it copies standard input to
// standard output with the label at the start of each line replaced by the
// local time. It returns 0 at the end of the input, and command.ExitTemporary
// when it cannot read or write.
func TAI64NLocal(args []string) int {
	in := make([]byte, bufferSize)
	var out []byte
	held := 0 // bytes at the start of in that wait for more input
	local := localizer{lineStart: true, zone: localZone()}
	for {
		n, err := os.Stdin.Read(in[held:])
		if n > 0 {
			var rest []byte
			out, rest = local.appendLines(out[:0], in[:held+n])
			if len(rest) == len(in) { // no label has so many digits
				out, rest = append(out, rest...), nil
				local.lineStart = false
			}
			if len(out) > 0 {
				if _, err := os.Stdout.Write(out); err != nil {
					return command.Fatal("tai64nlocal", "unable to write output", err)
				}
			}
			held = copy(in, rest)
		}
		if err == io.EOF {
			return 0 // as in the classic program, a label that the input ends in is dropped
		}
		if err != nil {
			return command.Fatal("tai64nlocal", "unable to read input", err)
		}
	}
}

// localizer replaces labels by local times.
type localizer struct {
	zone      *time.Location
	lineStart bool

	second int64  // what text stands for
	text   []byte // the time to the second, with the dot; empty: none yet
}

// appendLines appends data with its labels replaced to out. It leaves a label
// that data ends in, and that may go on, as rest.
func (l *localizer) appendLines(out, data []byte) (_, rest []byte) {
	for len(data) > 0 {
		if l.lineStart {
			seconds, nanoseconds, length := tai64.ScanLabel(data)
			if length == len(data) {
				return out, data
			}
			if length > 0 {
				var ok bool
				if out, ok = l.appendTime(out, seconds, nanoseconds); ok {
					data = data[length:]
					l.lineStart = false
					continue
				}
			}
		}
		end := bytes.IndexByte(data, '\n') + 1
		l.lineStart = end > 0
		if !l.lineStart {
			end = len(data)
		}
		out = append(out, data[:end]...)
		data = data[end:]
	}
	return out, nil
}

// appendStamp appends what appendTime makes of the label of t.
func (l *localizer) appendStamp(out []byte, t time.Time) []byte {
	out, _ = l.appendTime(out, t.Unix(), uint32(t.Nanosecond()/1000*1000+500))
	return out
}

// appendTime appends "YYYY-MM-DD HH:MM:SS.nnnnnnnnn". It is not ok where the
// year is beyond what localtime(3) takes: that is no label but something else.
func (l *localizer) appendTime(out []byte, seconds int64, nanoseconds uint32) (_ []byte, ok bool) {
	if len(l.text) == 0 || seconds != l.second {
		t := time.Unix(seconds, 0).In(l.zone)
		year, month, day := t.Date()
		if year < math.MinInt32+1900 || year > math.MaxInt32 {
			return out, false
		}
		hour, minute, second := t.Clock()
		// The classic program takes the year for unsigned.
		l.text = strconv.AppendUint(l.text[:0], uint64(year), 10)
		l.text = append2(append(l.text, '-'), int(month))
		l.text = append2(append(l.text, '-'), day)
		l.text = append2(append(l.text, ' '), hour)
		l.text = append2(append(l.text, ':'), minute)
		l.text = append2(append(l.text, ':'), second)
		l.text = append(l.text, '.')
		l.second = seconds
	}
	out = append(out, l.text...)
	for unit := uint32(100000000); unit > nanoseconds && unit > 1; unit /= 10 {
		out = append(out, '0')
	}
	return strconv.AppendUint(out, uint64(nanoseconds), 10), true
}

func append2(b []byte, n int) []byte {
	return append(b, byte('0'+n/10), byte('0'+n%10))
}

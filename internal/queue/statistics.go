package queue

import (
	"fmt"
	"slices"
	"time"
)

// statistics are what a journal tells about itself. They are under its mutex.
type statistics struct {
	accepted  uint64 // messages made durable
	moved     uint64 // messages laid out in the queue
	recovered uint64 // messages found at the start
	stuck     bool   // the mover does not get on

	syncs     uint64
	durations [1024]time.Duration // of the last syncs

	lastError string
	lastTime  time.Time // of lastError
	lastLine  time.Time // when an error was logged last
}

// repeatTime is after what time the same error is logged again.
const repeatTime = time.Minute

// failed notes an error, and tells whether it is to be logged.
func (s *statistics) failed(what string, err error) bool {
	text, now := what+": "+err.Error(), time.Now()
	logIt := text != s.lastError || now.Sub(s.lastLine) >= repeatTime
	s.lastError, s.lastTime = text, now
	if logIt {
		s.lastLine = now
	}
	return logIt
}

func (s *statistics) synced(took time.Duration) {
	s.durations[s.syncs%uint64(len(s.durations))] = took
	s.syncs++
}

// appendStatus appends the lines that qmail-queue --status prints.
func (j *journal) appendStatus(b []byte) []byte {
	off := j.switchedOff()
	j.mu.Lock()
	defer j.mu.Unlock()
	s := &j.statistics
	state := "on"
	switch {
	case off:
		state = "off, by control/queuejournal"
	case j.lock == nil:
		state = "not open"
	}
	bytes, oldest := 0, time.Duration(0)
	for _, p := range j.pending {
		bytes += p.size
		oldest = max(oldest, time.Since(p.since))
	}
	b = fmt.Appendf(b, "journal: %s\n", state)
	b = fmt.Appendf(b, "segments: %d of %d bytes\n", len(j.segments), j.size)
	b = fmt.Appendf(b, "waiting: %d messages, %d bytes\n", len(j.pending), bytes)
	b = fmt.Appendf(b, "oldest: %.3f seconds\n", oldest.Seconds())
	b = fmt.Appendf(b, "since start: %d accepted, %d found, %d moved, %d syncs\n", s.accepted, s.recovered, s.moved, s.syncs)
	if s.syncs > 0 {
		last := slices.Clone(s.durations[:min(s.syncs, uint64(len(s.durations)))])
		slices.Sort(last)
		at := func(percent int) float64 {
			return float64(last[(len(last)-1)*percent/100].Microseconds()) / 1000
		}
		b = fmt.Appendf(b, "sync of the last %d: 50%% %.3f ms, 90%% %.3f ms, 99%% %.3f ms, longest %.3f ms\n",
			len(last), at(50), at(90), at(99), at(100))
	}
	if s.lastError == "" {
		return append(b, "last error: none\n"...)
	}
	return fmt.Appendf(b, "last error: %s %s\n", s.lastTime.UTC().Format("2006-01-02 15:04:05"), s.lastError)
}

package manager

import (
	"strings"
	"time"
)

// A State is what systemd says of a unit.
type State struct {
	Load   string // "loaded", "not-found", "masked", "bad-setting", "error", …
	Active string // "active", "reloading", "inactive", "failed", "activating", "deactivating"
	Sub    string // "running", "auto-restart", "dead", …
	Job    bool   // something is yet to be done to it

	Tried time.Time // its last start, though a condition may have prevented it; zero: never

	// Of services:
	MainPID uint32    // 0: there is no main process
	Started time.Time // start of the last main process; zero: never
	Ended   time.Time // its end; zero: it runs, or there was none
	Down    time.Time // when the unit last became inactive; zero: never
}

func isService(unit string) bool { return strings.HasSuffix(unit, ".service") }

// set takes over a property of the unit.
func (s *State) set(name string, value any) {
	switch name {
	case "LoadState":
		s.Load, _ = value.(string)
	case "ActiveState":
		s.Active, _ = value.(string)
	case "SubState":
		s.Sub, _ = value.(string)
	case "Job":
		job, _ := value.([]any)
		s.Job = len(job) > 0 && job[0] != uint32(0)
	case "MainPID":
		s.MainPID, _ = value.(uint32)
	case "ExecMainStartTimestamp":
		s.Started = stamp(value)
	case "ExecMainExitTimestamp":
		s.Ended = stamp(value)
	case "InactiveEnterTimestamp":
		s.Down = stamp(value)
	case "ConditionTimestamp":
		s.Tried = stamp(value)
	}
}

// stamp reads a time in microseconds since 1970, where 0 is none.
func stamp(value any) time.Time {
	usec, _ := value.(uint64)
	if usec == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(usec))
}

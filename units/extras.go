package units

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Extras are what other supervisors than daemontools read in a service
// directory, with the meaning that s6 gives to it.
type Extras struct {
	Finish         bool     // a file finish is there, to run when ./run has ended
	TimeoutKill    string   // from timeout-kill, as TimeoutStopSec= takes it; empty: not given
	DownSignal     string   // from down-signal, as KillSignal= takes it; empty: not given
	NotificationFD int      // from notification-fd: where ./run says that it is ready; 0: not given
	Ignored        []string // what is there and has no effect: "FILE: REASON"
}

// foreign are names that other supervisors know and we do not: s6 and s6-rc,
// runit, daemontools-encore, perp.
var foreign = []string{
	"lock-fd", "timeout-finish", "max-death-tally", "reload-signal", "flag-newpidns", "nosetsid", "instance",
	"type", "dependencies", "dependencies.d", "producer-for", "consumer-for", "pipeline-name", "timeout-up",
	"timeout-down", "up", "contents", "contents.d", "bundle",
	"check", "control",
	"start", "stop", "notify",
	"rc.main", "rc.log", "flag.once", "flag.down",
}

// readExtras reads the extras of the directory f, and checks its run.
func readExtras(f *folder) (e Extras, err error) {
	if _, err := f.look("run"); err != nil {
		return e, err
	}
	finish, err := f.look("finish")
	if err != nil {
		return e, err
	}
	e.Finish = finish != nil && finish.kind() == unix.S_IFREG
	for _, extra := range []struct {
		name  string
		parse func(*Extras, string) string
	}{
		{"timeout-kill", (*Extras).parseTimeoutKill},
		{"down-signal", (*Extras).parseDownSignal},
		{"notification-fd", (*Extras).parseNotificationFD},
	} {
		if f.find(extra.name) == nil {
			continue
		}
		text, err := f.text(extra.name)
		if err != nil {
			return e, err
		}
		line, _, _ := strings.Cut(text, "\n")
		if wrong := extra.parse(&e, strings.TrimSpace(line)); wrong != "" {
			e.ignore(f, extra.name, wrong)
		}
	}
	for _, file := range f.files {
		if slices.Contains(foreign, file.name) {
			e.ignore(f, file.name, "not understood")
		}
	}
	slices.Sort(e.Ignored)
	return e, nil
}

func (e *Extras) ignore(f *folder, name, reason string) {
	e.Ignored = append(e.Ignored, f.below+name+": "+reason)
}

// parseTimeoutKill reads milliseconds; 0 is for ever.
func (e *Extras) parseTimeoutKill(word string) (wrong string) {
	n, err := strconv.ParseUint(word, 10, 32)
	switch {
	case err != nil:
		return "not a number of milliseconds"
	case n == 0:
		e.TimeoutKill = "infinity"
	default:
		e.TimeoutKill = strconv.FormatUint(n, 10) + "ms"
	}
	return ""
}

// parseDownSignal reads the name of a signal, with or without SIG, or its
// number.
func (e *Extras) parseDownSignal(word string) (wrong string) {
	if n, err := strconv.ParseUint(word, 10, 8); err == nil {
		word = unix.SignalName(unix.Signal(n))
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(word), "SIG")
	if unix.SignalNum(name) == 0 {
		return "not a signal"
	}
	e.DownSignal = name
	return ""
}

// parseNotificationFD reads a descriptor beyond the standard ones.
func (e *Extras) parseNotificationFD(word string) (wrong string) {
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil || n < 3 || n > 1023 {
		return "not a descriptor from 3 to 1023"
	}
	e.NotificationFD = int(n)
	return ""
}

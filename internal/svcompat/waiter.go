package svcompat

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// A waiter waits until all its service directories have reached a goal. It
// sleeps until inotify tells of a new status, or of a supervise that has come
// or gone.
type waiter struct {
	goal     string // the option letter of svwait
	notify   int
	services []*awaited
	watched  map[int32][]*awaited // by watch
	missing  int                  // how many have not reached the goal
	reader   stateReader
}

// An awaited is one service directory of a waiter.
type awaited struct {
	dir     string
	state   serviceState
	before  uint32 // the pid at the start
	reached bool
	blind   bool // nothing tells when its supervise/ appears
}

const (
	superviseEvents = unix.IN_MOVED_TO | unix.IN_OPEN | unix.IN_CLOSE_NOWRITE | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	directoryEvents = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ONLYDIR
)

// newWaiter takes a first look at dirs. As in its other methods, what and why
// tell what failed.
func newWaiter(goal string, dirs []string) (w *waiter, what string, why error) {
	w = &waiter{goal: goal, watched: map[int32][]*awaited{}, missing: len(dirs)}
	if w.notify, why = unix.InotifyInit1(unix.IN_CLOEXEC); why != nil {
		return nil, "unable to watch files", why
	}
	for _, dir := range dirs {
		a := &awaited{dir: dir, before: w.reader.read(dir).PID}
		w.services = append(w.services, a)
		if what, why = w.watchAndLook(a); what != "" {
			return nil, what, why
		}
	}
	return w, "", nil
}

// wait waits until the goal is reached, which leaves no service missing, or
// until end.
func (w *waiter) wait(end time.Time) (what string, why error) {
	for w.missing > 0 {
		left := max(time.Until(end), 0)
		if w.isBlind() {
			left = min(left, time.Second)
		}
		milliseconds := min((left+time.Millisecond-1)/time.Millisecond, math.MaxInt32)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.notify), Events: unix.POLLIN}}, int(milliseconds))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return "unable to watch files", err
		case n > 0:
			what, why = w.readEvents()
		case left == 0:
			return "", nil
		default:
			what, why = w.findBlind()
		}
		if what != "" {
			return what, why
		}
	}
	return "", nil
}

// watchAndLook begins to watch a service directory, and looks at it.
func (w *waiter) watchAndLook(a *awaited) (what string, why error) {
	watch, err := unix.InotifyAddWatch(w.notify, a.dir+"/supervise", superviseEvents)
	if err == unix.ENOENT {
		if parent, err := unix.InotifyAddWatch(w.notify, a.dir, directoryEvents); err == nil {
			w.add(parent, a)
		}
		watch, err = unix.InotifyAddWatch(w.notify, a.dir+"/supervise", superviseEvents)
	}
	a.blind = err == unix.ENOENT && isLink(a.dir+"/supervise")
	if err == nil {
		w.add(watch, a)
	}
	if what, why = w.look(a); what != "" {
		return what, why
	}
	if err != nil && err != unix.ENOENT {
		return "unable to watch " + a.dir + "/supervise", err
	}
	return "", nil
}

func (w *waiter) add(watch int, a *awaited) {
	if known := w.watched[int32(watch)]; !slices.Contains(known, a) {
		w.watched[int32(watch)] = append(known, a)
	}
}

// look sees whether a service has reached the goal. Only what will not go
// away by waiting is a failure.
func (w *waiter) look(a *awaited) (what string, why error) {
	a.state = w.reader.read(a.dir)
	w.reader.flush()
	switch {
	case a.state.failed == "unable to chdir":
		return "unable to chdir to " + a.dir, a.state.why
	case a.state.failed != "" && a.state.why != unix.ENOENT:
		return a.dir + ": " + a.state.failed, a.state.why
	}
	reached := false
	switch w.goal {
	case "u":
		reached = a.state.isUp()
	case "d": // where supervise has gone after the service, its last word counts
		reached = a.state.PID == 0 && !a.state.Since.IsZero()
	case "r":
		reached = a.state.isUp() && a.state.PID != a.before
	}
	if reached != a.reached {
		a.reached = reached
		if reached {
			w.missing--
		} else {
			w.missing++
		}
	}
	return "", nil
}

// readEvents looks at the services that inotify tells of.
func (w *waiter) readEvents() (what string, why error) {
	var buffer [16 * (unix.SizeofInotifyEvent + unix.NAME_MAX + 1)]byte
	n, err := unix.Read(w.notify, buffer[:])
	if err == unix.EINTR {
		return "", nil
	}
	if err != nil {
		return "unable to watch files", err
	}
	for b := buffer[:n]; len(b) >= unix.SizeofInotifyEvent && what == ""; {
		watch := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		name, _, _ := bytes.Cut(b[unix.SizeofInotifyEvent:end], []byte{0})
		what, why = w.heard(watch, mask, string(name))
		b = b[end:]
	}
	return what, why
}

// heard follows one event.
func (w *waiter) heard(watch int32, mask uint32, name string) (what string, why error) {
	services := w.watched[watch]
	if mask&unix.IN_Q_OVERFLOW != 0 {
		services = w.services
	}
	if mask&unix.IN_IGNORED != 0 {
		delete(w.watched, watch)
	}
	for _, a := range services {
		switch {
		case mask&(unix.IN_IGNORED|unix.IN_MOVE_SELF|unix.IN_Q_OVERFLOW) != 0, name == "supervise":
			what, why = w.watchAndLook(a)
		case name == "status" && mask&unix.IN_MOVED_TO != 0,
			name == "ok" && mask&unix.IN_CLOSE_NOWRITE != 0,
			name == "ok" && mask&unix.IN_OPEN != 0 && !a.state.supervised: // else it may be ourselves
			what, why = w.look(a)
		}
		if what != "" {
			break
		}
	}
	return what, why
}

func (w *waiter) isBlind() bool {
	return slices.ContainsFunc(w.services, func(a *awaited) bool { return a.blind })
}

// findBlind looks again where nothing tells.
func (w *waiter) findBlind() (what string, why error) {
	for _, a := range w.services {
		if a.blind && what == "" {
			what, why = w.watchAndLook(a)
		}
	}
	return what, why
}

// explain says of each service that has not reached the goal how it is.
func (w *waiter) explain(program string, seconds uint64) {
	goal := map[string]string{"u": "up", "d": "down", "r": "restarted"}[w.goal]
	for _, a := range w.services {
		if !a.reached {
			text := a.state.appendText(nil, time.Now())
			command.Fatal(program, a.dir+": not "+goal+" after "+strconv.FormatUint(seconds, 10)+" seconds: "+string(text), nil)
		}
	}
}

func isLink(path string) bool {
	var info unix.Stat_t
	return unix.Lstat(path, &info) == nil && info.Mode&unix.S_IFMT == unix.S_IFLNK
}

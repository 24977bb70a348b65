package multilog

import (
	"time"

	"golang.org/x/sys/unix"
)

// logAge watches for how long a log directory has had lines in current. There
// is no timer while there are none.
type logAge struct {
	due   time.Time // when the log is too old; only while current has lines
	timer *time.Timer
	wake  func() // to be called when it is due; nil: not yet known
}

// resume goes on with a log that an earlier process began, which a file system
// that knows tells; else it began now.
func (a *logAge) resume(d *logDir) {
	if d.age == 0 {
		return
	}
	since := time.Now()
	var info unix.Statx_t
	err := unix.Statx(d.current, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &info)
	if err == nil && info.Mask&unix.STATX_BTIME != 0 {
		since = time.Unix(info.Btime.Sec, int64(info.Btime.Nsec))
	}
	a.due = since.Add(d.age)
}

// begin says that the first line is in the log.
func (a *logAge) begin(d *logDir) {
	if d.age == 0 {
		return
	}
	a.due = time.Now().Add(d.age)
	a.set()
}

// set sets the timer.
func (a *logAge) set() {
	switch {
	case a.wake == nil:
	case a.timer == nil:
		a.timer = time.AfterFunc(time.Until(a.due), a.wake)
	default:
		a.timer.Reset(time.Until(a.due))
	}
}

// watchAge calls wake, from now on, whenever isOld becomes true.
func (d *logDir) watchAge(wake func()) {
	if d.age == 0 {
		return
	}
	d.watch.wake = wake
	if d.used > 0 {
		d.watch.set()
	}
}

// isOld tells whether the log in current has to be ended because of its age.
func (d *logDir) isOld() bool {
	return d.age > 0 && d.used > 0 && !time.Now().Before(d.watch.due)
}

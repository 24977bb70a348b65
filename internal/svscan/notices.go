package svscan

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// What is to be noticed in the scan directory, and in directories of
// settings.
const (
	inScanDir  = unix.IN_ONLYDIR | unix.IN_CREATE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_ATTRIB
	inSettings = inScanDir | unix.IN_CLOSE_WRITE
)

// notices are changes of directories, by inotify. Without them, which is what
// a nil pointer is, the look every five seconds finds out.
type notices struct {
	file *os.File
}

// startNotices begins to pass on notices to b.
func (b *bridge) startNotices() *notices {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		b.complain("inotify", "unable to watch directories", err)
		return nil
	}
	n := &notices{os.NewFile(uintptr(fd), "inotify")}
	go func() {
		buffer := make([]byte, 16<<10)
		for {
			if _, err := n.file.Read(buffer); err != nil {
				return
			}
			b.events <- func() {
				b.noticed = true
				b.soon.notice()
			}
		}
	}()
	return n
}

// watch begins to watch a directory, once for all names of it. What is not
// there is not watched.
func (n *notices) watch(dir string, mask uint32) {
	if n != nil {
		unix.InotifyAddWatch(int(n.fd()), dir, mask)
	}
}

// fd is the descriptor of n, which stays pollable, as it would not after Fd.
func (n *notices) fd() (fd uintptr) {
	conn, err := n.file.SyscallConn()
	if err == nil {
		conn.Control(func(f uintptr) { fd = f })
	}
	return fd
}

const (
	quietTime  = 100 * time.Millisecond
	quietLimit = time.Second
)

// A soon is the timer of the look that comes when notices have ceased for
// quietTime, but no later than quietLimit.
type soon struct {
	timer *time.Timer
	since time.Time // zero: it does not run
}

func newSoon() soon {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return soon{timer: timer}
}

func (s *soon) notice() {
	now := time.Now()
	if s.since.IsZero() {
		s.since = now
	}
	s.timer.Reset(min(quietTime, max(0, quietLimit-now.Sub(s.since))))
}

// within has a look come after wait, where none is to come sooner.
func (s *soon) within(wait time.Duration) {
	if s.since.IsZero() {
		s.since = time.Now()
		s.timer.Reset(wait)
	}
}

func (s *soon) done() {
	s.since = time.Time{}
	s.timer.Stop()
}

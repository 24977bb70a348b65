package queue

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lifetime is how long a submission may take at most.
	lifetime = 24 * time.Hour

	// leftoverAge is how old a file of an unfinished submission must be to be
	// taken for dead. It exceeds the lifetime.
	leftoverAge = 36 * time.Hour
)

// clear removes what submissions left behind that did not come to an end: the
// files in pid/, and messages that are neither in todo/ nor in qmail-send's
// info/, all by their access time, as qmail-clean does it. A message whose
// state cannot be seen (qmail-send's directories are closed to qmailq) stays,
// unless its envelope in intd/ shows that it never came to todo/. Where a
// qmail-send runs, the work is left to it: files may go while we look.
func (d *Disk) clear(now time.Time) {
	if d.delivered() {
		return
	}
	dead := now.Add(-leftoverAge)
	queue := d.home + "/queue"
	for _, name := range names(queue + "/pid") {
		path := queue + "/pid/" + name
		if accessedBefore(path, dead) {
			os.Remove(path)
		}
	}
	for i := uint64(0); i < d.currentLayout().split; i++ {
		for _, name := range names(queue + "/mess/" + strconv.FormatUint(i, 10)) {
			n, err := strconv.ParseUint(name, 10, 64)
			if err != nil || strconv.FormatUint(n, 10) != name {
				continue
			}
			if path := d.messagePath(n); accessedBefore(path, dead) && d.unfinished(n) {
				os.Remove(d.envelopePath("intd", n))
				os.Remove(path)
			}
		}
	}
}

// delivered tells whether a qmail-send is at work: it holds the trigger open.
func (d *Disk) delivered() bool {
	fd, err := unix.Open(d.home+"/queue/lock/trigger", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// unfinished tells whether the message n was certainly never queued. One that
// is handed over loses its entry in intd/ first, then that in todo/, and has
// one in info/ by then.
func (d *Disk) unfinished(n uint64) bool {
	if !absent(d.envelopePath("todo", n)) {
		return false
	}
	if _, err := os.Lstat(d.envelopePath("intd", n)); err == nil {
		return true
	}
	return absent(d.infoPath(n))
}

// absent tells whether there is certainly nothing at path.
func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func accessedBefore(path string, limit time.Time) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	accessed := info.Sys().(*syscall.Stat_t).Atim
	return time.Unix(accessed.Unix()).Before(limit)
}

// names lists a directory; nothing where it cannot be read.
func names(directory string) []string {
	dir, err := os.Open(directory)
	if err != nil {
		return nil
	}
	defer dir.Close()
	list, _ := dir.Readdirnames(-1)
	return list
}

package svcompat

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/tai64"
)

// A supervise/starts that outgrows maxStarts records is cut to the newest
// keepStarts, which are more than a service can have in an hour.
const (
	maxStarts  = 8192
	keepStarts = 4096
)

// RecordStart notes in supervise/starts of the service directory dir that its
// process was started at when: a record is the 12 bytes of TAI64N. It is for
// whoever holds the supervise directory. Supervision does not depend on the
// file, so the error is there to be ignored.
func RecordStart(dir string, when time.Time) error {
	path := dir + "/supervise/starts"
	fd, info, err := openRegular(path, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	size := whole(info.Size)
	var record [tai64.Size]byte
	tai64.Put(record[:], when)
	if size < maxStarts*tai64.Size {
		return pwriteAll(fd, record[:], size)
	}
	kept := make([]byte, (keepStarts-1)*tai64.Size, keepStarts*tai64.Size)
	if _, err := unix.Pread(fd, kept, size-int64(len(kept))); err != nil {
		return err
	}
	return replaceStarts(path, append(kept, record[:]...))
}

// replaceStarts puts content in the place of the file path at once.
func replaceStarts(path string, content []byte) error {
	fd, _, err := openRegular(path+".new", unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC)
	if err != nil {
		return err
	}
	err = pwriteAll(fd, content, 0)
	unix.Close(fd)
	if err != nil {
		return err
	}
	return unix.Rename(path+".new", path)
}

// Restarts counts how often the process of the service directory dir was
// started after since, without its first start ever and the first one since
// the machine was booted. Where there is no record the error is ENOENT.
func Restarts(dir string, since time.Time) (int, error) {
	fd, info, err := openRegular(dir+"/supervise/starts", unix.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	size := whole(info.Size)
	records := make([]byte, min(size, maxStarts*tai64.Size))
	n, err := unix.Pread(fd, records, size-int64(len(records)))
	if err != nil {
		return 0, err
	}
	return countRestarts(records[:n], since, bootTime()), nil
}

// countRestarts counts the records after since that follow another one, both
// made since the machine was booted.
func countRestarts(records []byte, since, booted time.Time) int {
	count := 0
	from, boot := taiSeconds(since), taiSeconds(booted)
	for before := uint64(0); len(records) >= tai64.Size; records = records[tai64.Size:] {
		at := binary.BigEndian.Uint64(records)
		if at >= from && before >= boot {
			count++
		}
		before = at
	}
	return count
}

// whole is a size without the part of a record that a full disk may have left
// at the end.
func whole(size int64) int64 { return size - size%tai64.Size }

func bootTime() time.Time {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(up.Nano()))
}

func pwriteAll(fd int, b []byte, at int64) error {
	n, err := unix.Pwrite(fd, b, at)
	if err == nil && n < len(b) {
		err = unix.ENOSPC
	}
	return err
}

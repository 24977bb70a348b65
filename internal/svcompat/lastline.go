package svcompat

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/tai64"
)

// maxLastLine is how many bytes at the end of a log are searched for its last
// line.
const maxLastLine = 8192

// lastLine returns the last line that the log service in the directory log
// wrote: that of main/current, else of the */current that was written to
// last. Without any it is empty. Of a very long line it is the end.
func lastLine(log string) string {
	line, _, ok := tailLine(log + "/main/current")
	if ok {
		return line
	}
	names, _ := readDirNames(log)
	var newest int64
	for _, name := range names {
		if found, written, ok := tailLine(log + "/" + name + "/current"); ok && written > newest {
			line, newest = found, written
		}
	}
	return line
}

// tailLine returns the last line of a file and when it was written to, in
// nanoseconds of Unix time.
func tailLine(path string) (line string, written int64, ok bool) {
	fd, info, err := openRegular(path, unix.O_RDONLY)
	if err != nil {
		return "", 0, false
	}
	defer unix.Close(fd)
	tail := make([]byte, min(info.Size, maxLastLine))
	n, err := unix.Pread(fd, tail, info.Size-int64(len(tail)))
	if err != nil {
		return "", 0, false
	}
	tail = bytes.TrimSuffix(tail[:n], []byte{'\n'})
	return string(tail[bytes.LastIndexByte(tail, '\n')+1:]), info.Mtim.Nano(), true
}

// localLine returns a line with the TAI64N label that it may begin with as
// local time.
func localLine(line string) string {
	if len(line) < tai64.LabelSize {
		return line
	}
	seconds, nanoseconds, length := tai64.ScanLabel([]byte(line[:tai64.LabelSize]))
	if length != tai64.LabelSize {
		return line
	}
	at := time.Unix(seconds, int64(nanoseconds))
	if year := at.Year(); year < 0 || year > 9999 {
		return line
	}
	return localTime(at) + line[length:]
}

package svscan

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// An entry is a name in a directory.
type entry struct {
	name string
	ino  uint64
}

// Offsets in what getdents64(2) returns.
const (
	direntLength = 16
	direntName   = 19
)

// readEntries reads a directory, without names that begin with a dot; together
// with an error, what comes before it.
func readEntries(dir string) ([]entry, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var entries []entry
	buffer := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(fd, buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return entries, err
		}
		for rest := buffer[:n]; len(rest) > direntName; {
			length := int(binary.NativeEndian.Uint16(rest[direntLength:]))
			name, _, _ := bytes.Cut(rest[direntName:length], []byte{0})
			if name[0] != '.' {
				entries = append(entries, entry{string(name), binary.NativeEndian.Uint64(rest)})
			}
			rest = rest[length:]
		}
	}
}

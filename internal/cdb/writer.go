package cdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// ErrTooLarge is the error for a cdb that would pass 4 GiB. It wraps ENOMEM,
// whose classic text is "out of memory", because the classic writer says so.
var ErrTooLarge = fmt.Errorf("cdb larger than 4 GiB: %w", unix.ENOMEM)

const (
	writeSize = 64 << 10 // bytes to gather for one write
	chunkSize = 16 << 10 // entries to allocate at once
)

// A Writer writes a new cdb: Create, any number of Add, Close, and then
// Replace where it is to take the place of an older one. Records go to the
// file as they come, and only 8 bytes of each stay in memory. It is not safe
// for concurrent use.
type Writer struct {
	file     *os.File
	buffer   []byte    // to be written next
	position uint64    // in the file, after buffer
	entries  [][]entry // of all records, in their order
	count    [256]int  // of the entries, by hash table
	err      error     // the first error; after it nothing is written
}

// An entry is what a hash table holds of a record; position 0 is an empty
// slot.
type entry struct {
	hash     uint32
	position uint32
}

// Create makes the file name, of mode 0644 less the umask, or empties it. It
// stays where it is until it is replaced elsewhere, also after an error.
func Create(name string) (*Writer, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: file, buffer: make([]byte, 0, writeSize), position: headerSize}
	_, w.err = file.Seek(headerSize, io.SeekStart)
	return w, nil
}

// Add writes one record. A key may be added any number of times; the value
// that Find finds is the first. The error is ErrTooLarge, or one of the
// system; it may be that of an earlier record.
func (w *Writer) Add(key, value []byte) error {
	size := 8 + uint64(len(key)) + uint64(len(value))
	if w.err == nil && w.position+size > math.MaxUint32 {
		w.err = ErrTooLarge
	}
	if w.err != nil {
		return w.err
	}
	w.enter(entry{hash(key), uint32(w.position)})
	w.position += size
	w.appendPair(uint32(len(key)), uint32(len(value)))
	w.buffer = append(w.buffer, key...)
	w.buffer = append(w.buffer, value...)
	w.flush(writeSize)
	return w.err
}

func (w *Writer) enter(e entry) {
	last := len(w.entries) - 1
	if last < 0 || len(w.entries[last]) == chunkSize {
		w.entries = append(w.entries, make([]entry, 0, chunkSize))
		last++
	}
	w.entries[last] = append(w.entries[last], e)
	w.count[e.hash%256]++
}

func (w *Writer) appendPair(a, b uint32) {
	w.buffer = binary.LittleEndian.AppendUint32(w.buffer, a)
	w.buffer = binary.LittleEndian.AppendUint32(w.buffer, b)
}

// flush writes the buffer if it holds at least so many bytes.
func (w *Writer) flush(atLeast int) {
	if w.err == nil && len(w.buffer) >= atLeast {
		_, w.err = w.file.Write(w.buffer)
		w.buffer = w.buffer[:0]
	}
}

// Close completes the file, brings it to disk and closes it. It returns the
// first error, be it one of Add; the file is of no use then, nor is one that
// was never closed.
func (w *Writer) Close() error {
	if w.err == nil {
		w.err = w.finish()
	}
	if err := w.file.Close(); w.err == nil {
		w.err = err
	}
	return w.err
}

func (w *Writer) finish() error {
	header := make([]byte, 0, headerSize)
	var slots []entry
	for _, entries := range w.tables() {
		size := 2 * len(entries)
		header = binary.LittleEndian.AppendUint32(header, uint32(w.position))
		header = binary.LittleEndian.AppendUint32(header, uint32(size))
		if w.position += 8 * uint64(size); w.position > math.MaxUint32 {
			return ErrTooLarge
		}
		slots = fill(slots, entries)
		for _, e := range slots {
			w.appendPair(e.hash, e.position)
		}
		if w.flush(writeSize); w.err != nil {
			return w.err
		}
	}
	if w.flush(1); w.err != nil {
		return w.err
	}
	if _, err := w.file.WriteAt(header, 0); err != nil {
		return err
	}
	return w.file.Sync()
}

// tables deals the entries out to the 256 hash tables, in their order.
func (w *Writer) tables() (tables [256][]entry) {
	total := 0
	for _, n := range w.count {
		total += n
	}
	all := make([]entry, total)
	for i, n := range w.count {
		tables[i], all = all[:0:n], all[n:]
	}
	for _, chunk := range w.entries {
		for _, e := range chunk {
			table := &tables[e.hash%256]
			*table = append(*table, e)
		}
	}
	return tables
}

// fill makes slots, whose memory it uses again, the hash table of entries:
// twice as many slots, searched from a place that the hash gives.
func fill(slots, entries []entry) []entry {
	size := 2 * len(entries)
	slots = slices.Grow(slots[:0], size)[:size]
	clear(slots)
	for _, e := range entries {
		at := e.hash / 256 % uint32(size)
		for slots[at].position != 0 {
			if at++; at == uint32(size) {
				at = 0
			}
		}
		slots[at] = e
	}
	return slots
}

// Replace gives the file tmp the name path, in place of the file that has it,
// and brings the directory to disk.
func Replace(tmp, path string) error {
	// os.Rename has errors of its own for a path that is a directory.
	if err := unix.Rename(tmp, path); err != nil {
		return &os.LinkError{Op: "rename", Old: tmp, New: path, Err: err}
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil // one may write in a directory and not read it
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"strconv"
	"time"
)

// A segment of the journal is a file of fixed size that is filled from its
// beginning and never written twice in the same block, so that what is durable
// in it is not touched again. Its first block is the header: the magic text,
// the segment's sequence number, which is also its name, and a salt.
//
// Each write begins at a block and holds records, one behind the other, and
// zeros up to the next block. A record is a CRC-32C of all that follows, seeded
// with the salt, since the file may have been another segment before; the
// length of what it carries, 4 bytes; its kind, 1 byte, and three zeros; and
// what it carries. Numbers are big-endian. The segment ends at the first block
// that does not begin with a record, and after the first broken record.
const (
	blockSize    = 4096
	segmentMagic = "qmail-queue journal 1\n"
	recordHead   = 12
)

// The kinds of records.
const (
	// messageRecord carries the length of the message's text, 4 bytes, the
	// text, and the envelope as todo/ is to hold it.
	messageRecord = 1 + iota
	// movedRecord says of messages how far they came: for each its position,
	// the number under which it was laid out in the queue, 8 bytes, and the Unix
	// time, 8 bytes. The number 0 says that it came to todo/.
	movedRecord
	// voidRecord names positions from which on a segment is void: those who
	// submitted what stands there were told that it failed.
	voidRecord
)

// A position is where a record stands.
type position struct {
	sequence uint64
	offset   uint64
}

const (
	positionSize = 16
	movedSize    = positionSize + 16
)

func (p position) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, p.sequence)
	return binary.BigEndian.AppendUint64(b, p.offset)
}

// appendMoved appends what a movedRecord says of the message at p.
func (p position) appendMoved(b []byte, number uint64, when time.Time) []byte {
	b = binary.BigEndian.AppendUint64(p.appendTo(b), number)
	return binary.BigEndian.AppendUint64(b, uint64(when.Unix()))
}

func readMoved(b []byte) (p position, number uint64, when time.Time) {
	b = b[:movedSize]
	return readPosition(b), binary.BigEndian.Uint64(b[positionSize:]), time.Unix(int64(binary.BigEndian.Uint64(b[positionSize+8:])), 0)
}

func readPosition(b []byte) position {
	return position{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// A record is one that was read.
type record struct {
	kind   byte
	offset int // in the segment, of its head
	size   int // with its head
	data   []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segmentSeed is what the checksums of a segment begin with.
func segmentSeed(salt []byte) uint32 { return crc32.Update(0, castagnoli, salt) }

// saltSize is the length of a salt in bytes.
const saltSize = 8

// segmentHeader returns the first block of a segment.
func segmentHeader(sequence uint64, salt []byte) []byte {
	b := append(make([]byte, 0, blockSize), segmentMagic...)
	b = binary.BigEndian.AppendUint64(b, sequence)
	b = append(b, salt...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:blockSize]
}

// readSegmentHeader returns the seed of the segment sequence, or false where b
// begins with no header of it.
func readSegmentHeader(b []byte, sequence uint64) (seed uint32, ok bool) {
	const saltAt, sumAt = len(segmentMagic) + 8, len(segmentMagic) + 8 + saltSize
	if len(b) < sumAt+4 || string(b[:len(segmentMagic)]) != segmentMagic ||
		binary.BigEndian.Uint64(b[len(segmentMagic):]) != sequence ||
		binary.BigEndian.Uint32(b[sumAt:]) != crc32.Checksum(b[:sumAt], castagnoli) {
		return 0, false
	}
	return segmentSeed(b[saltAt:sumAt]), true
}

// appendRecordHead appends the head of a record that is to carry size bytes.
// seal completes it.
func appendRecordHead(b []byte, kind byte, size int) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	return append(b, kind, 0, 0, 0)
}

// recordSize is the size of the record, with its head, that b begins with.
func recordSize(b []byte) int { return recordHead + int(binary.BigEndian.Uint32(b[4:])) }

func recordKind(b []byte) byte { return b[8] }

// sealRecord writes the checksum of a whole record.
func sealRecord(b []byte, seed uint32) {
	binary.BigEndian.PutUint32(b, crc32.Update(seed, castagnoli, b[4:]))
}

var errDamaged = errors.New("damaged record")

// readRecord reads the record that b begins with. It returns false where there
// is none or a broken one.
func readRecord(b []byte, seed uint32) (r record, ok bool) {
	if len(b) < recordHead {
		return r, false
	}
	size := uint64(binary.BigEndian.Uint32(b[4:])) + recordHead
	if size > uint64(len(b)) {
		return r, false
	}
	r = record{kind: b[8], size: int(size), data: b[recordHead:size]}
	return r, r.kind != 0 && binary.BigEndian.Uint32(b) == crc32.Update(seed, castagnoli, b[4:size])
}

// readSegment returns the records of the segment sequence, whose bytes are b,
// and the seed of their checksums. It returns none where b is not that segment.
func readSegment(b []byte, sequence uint64) (records []record, seed uint32) {
	seed, ok := readSegmentHeader(b, sequence)
	if !ok {
		return nil, 0
	}
	for at := blockSize; at < len(b); {
		r, ok := readRecord(b[at:], seed)
		if ok {
			r.offset = at
			records = append(records, r)
			at += r.size
			continue
		}
		next := min(roundUp(at), len(b))
		if next == at || len(bytes.Trim(b[at:next], "\x00")) > 0 {
			break
		}
		at = next
	}
	return records, seed
}

// splitMessage returns the text of the message in a messageRecord, and the
// envelope.
func splitMessage(data []byte) (text, envelope []byte, err error) {
	if len(data) < 4 {
		return nil, nil, errDamaged
	}
	length := binary.BigEndian.Uint32(data)
	if data = data[4:]; uint64(length) > uint64(len(data)) {
		return nil, nil, errDamaged
	}
	return data[:length], data[length:], nil
}

func roundUp(n int) int { return (n + blockSize - 1) &^ (blockSize - 1) }

// segmentName is the name of a segment's file.
func segmentName(sequence uint64) string {
	const digits = "0000000000000000"
	name := strconv.FormatUint(sequence, 16)
	return digits[len(name):] + name
}

// parseSegmentName tells which segment has the name, if any.
func parseSegmentName(name string) (sequence uint64, ok bool) {
	sequence, err := strconv.ParseUint(name, 16, 64)
	return sequence, err == nil && segmentName(sequence) == name
}

// zeroFile makes a file of size zeros and makes it durable, its name not.
func zeroFile(path string, size int) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		file.Close()
		if err != nil {
			os.Remove(path)
		}
	}()
	zeros := make([]byte, min(size, 1<<20))
	for left := size; left > 0; left -= len(zeros) {
		zeros = zeros[:min(left, len(zeros))]
		if _, err := file.Write(zeros); err != nil {
			return err
		}
	}
	return file.Sync()
}

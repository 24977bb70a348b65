// Package cdb reads and writes constant databases: files that map byte
// strings onto byte strings and are only ever replaced as a whole.
//
// The files are those of the classic cdb programs, byte for byte, with their
// limit of 4 GiB. The package knows nothing of what is stored in them.
package cdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// ErrCorrupt is the error for data that is no cdb or was cut short. It wraps
// EPROTO, whose classic text is "protocol error".
var ErrCorrupt = fmt.Errorf("corrupt cdb: %w", unix.EPROTO)

const headerSize = 2048 // 256 pairs of table position and number of slots

// A Reader looks up keys in the bytes of a cdb. It trusts nothing in them:
// whatever they are, a look-up ends, and with an error where they make no
// sense. It is a small value, to be copied, and safe for concurrent use.
type Reader struct {
	data []byte
}

// NewReader returns a Reader of data, which it keeps and does not change.
func NewReader(data []byte) Reader {
	return Reader{data}
}

// Find returns the first value of key; it is a part of the reader's data.
// The error is ErrCorrupt.
func (r Reader) Find(key []byte) (value []byte, found bool, err error) {
	s := r.search(key)
	return s.next()
}

// Values returns all the values of key, in the order in which they were
// added; they are parts of the reader's data. An error, ErrCorrupt, comes
// last.
func (r Reader) Values(key []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s := r.search(key)
		for {
			value, found, err := s.next()
			if !found && err == nil || !yield(value, err) || err != nil {
				return
			}
		}
	}
}

// A search is the way of one key through its hash table.
type search struct {
	data  []byte
	key   []byte
	hash  uint32
	table uint32 // position of the hash table
	slots uint32 // number of its slots
	slot  uint32 // the one to look at next
	tried uint32 // number of slots looked at
}

func (r Reader) search(key []byte) search {
	return search{data: r.data, key: key, hash: hash(key)}
}

// next finds the next record of the key. Positions wrap at 32 bits, as they
// do in the classic readers, so that corrupt files read the same.
func (s *search) next() (value []byte, found bool, err error) {
	if s.tried == 0 {
		var ok bool
		if s.table, s.slots, ok = pair(s.data, s.hash%256*8); !ok {
			return nil, false, ErrCorrupt
		}
		if s.slots != 0 {
			s.slot = s.hash / 256 % s.slots
		}
	}
	for s.tried < s.slots {
		h, position, ok := pair(s.data, s.table+s.slot*8)
		if !ok {
			return nil, false, ErrCorrupt
		}
		if position == 0 {
			return nil, false, nil
		}
		s.tried++
		if s.slot++; s.slot == s.slots {
			s.slot = 0
		}
		if h != s.hash {
			continue
		}
		keyLen, valueLen, ok := pair(s.data, position)
		if !ok {
			return nil, false, ErrCorrupt
		}
		if uint64(keyLen) != uint64(len(s.key)) {
			continue
		}
		key, ok := section(s.data, position+8, keyLen)
		if !ok {
			return nil, false, ErrCorrupt
		}
		if !bytes.Equal(key, s.key) {
			continue
		}
		if value, ok = section(s.data, position+8+keyLen, valueLen); !ok {
			return nil, false, ErrCorrupt
		}
		return value, true, nil
	}
	return nil, false, nil
}

// pair reads the two numbers at position.
func pair(data []byte, position uint32) (a, b uint32, ok bool) {
	p, ok := section(data, position, 8)
	if !ok {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:]), true
}

func section(data []byte, position, length uint32) ([]byte, bool) {
	from, to := uint64(position), uint64(position)+uint64(length)
	if to > uint64(len(data)) {
		return nil, false
	}
	return data[from:to:to], true
}

// hash is the hash function of the format.
func hash(key []byte) uint32 {
	h := uint32(5381)
	for _, c := range key {
		h = h*33 ^ uint32(c)
	}
	return h
}

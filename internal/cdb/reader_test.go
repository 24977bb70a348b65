package cdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"
)

// A file that is cut short gives the right value, or an error, or (where the
// header has it) nothing; never a wrong value.
func TestCutShort(t *testing.T) {
	whole := write(t, filepath.Join(t.TempDir(), "x"), record{"a", "1"}, record{"b", "2"}, record{"a", "3"})
	for n := range whole {
		value, found, err := NewReader(whole[:n]).Find([]byte("a"))
		if err == nil || found || !errors.Is(err, ErrCorrupt) {
			// All of it but the tables after the one of the key may be gone.
			if n < headerSize || err != nil || string(value) != "1" {
				t.Errorf("cut at %d: %q, %v, %v", n, value, found, err)
			}
		}
	}
}

func TestHostile(t *testing.T) {
	key := []byte("a")
	h := hash(key)
	header := func(table, slots uint32, size int) []byte {
		data := make([]byte, size)
		binary.LittleEndian.PutUint32(data[h%256*8:], table)
		binary.LittleEndian.PutUint32(data[h%256*8+4:], slots)
		return data
	}
	full := header(headerSize, 8, headerSize+64)
	for i := headerSize; i < len(full); i += 8 {
		binary.LittleEndian.PutUint32(full[i:], h)
		binary.LittleEndian.PutUint32(full[i+4:], headerSize) // a record whose key has another length
	}
	past := header(headerSize, 1, headerSize+8)
	binary.LittleEndian.PutUint32(past[headerSize:], h)
	binary.LittleEndian.PutUint32(past[headerSize+4:], 0xfffffff9)
	for _, test := range []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, ErrCorrupt},
		{"all zero", make([]byte, headerSize), nil},
		{"table past the end", header(headerSize, 2, headerSize), ErrCorrupt},
		{"table at the end of 4 GiB", header(0xfffffff9, 1, headerSize), ErrCorrupt},
		{"very many slots", header(0, 0xffffffff, headerSize), ErrCorrupt},
		{"no empty slot", full, nil},
		{"record past the end", past, ErrCorrupt},
	} {
		if _, found, err := NewReader(test.data).Find(key); found || err != test.want {
			t.Errorf("%s: %v, %v", test.name, found, err)
		}
	}
}

// All the 256 pairs of the header are the same here, so that the fuzzer finds
// the ones that matter.
func FuzzReader(f *testing.F) {
	seed := write(f, filepath.Join(f.TempDir(), "x"), record{"a", "1"}, record{"a", "2"})
	pair := seed[hash([]byte("a"))%256*8:][:8]
	f.Add(pair, seed[headerSize:], []byte("a"))
	f.Fuzz(func(t *testing.T, pair, body, key []byte) {
		data := append(bytes.Repeat(pair, 256), body...)
		db := NewReader(data)
		first, found, err := db.Find(key)
		if found && err != nil {
			t.Fatalf("found and %v", err)
		}
		n := 0
		for value, valueErr := range db.Values(key) {
			if n == 0 && (string(value) != string(first) || valueErr != err) {
				t.Fatalf("the first value is %q, %v, and Find gives %q, %v", value, valueErr, first, err)
			}
			if n++; n > len(data)/8+1 {
				t.Fatal("more values than slots")
			}
		}
		if (n > 0) != (found || err != nil) {
			t.Fatalf("%d values; Find: %v, %v", n, found, err)
		}
	})
}

package cdb

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

type record struct{ key, value string }

// write makes the cdb path of records and returns its bytes.
func write(t testing.TB, path string, records ...record) []byte {
	t.Helper()
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Add([]byte(r.key), []byte(r.value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEmptyTablesPointAtTheEnd(t *testing.T) {
	got := write(t, filepath.Join(t.TempDir(), "x.cdb"))
	want := bytes.Repeat([]byte{0, 8, 0, 0, 0, 0, 0, 0}, 256)
	if !bytes.Equal(got, want) {
		t.Errorf("a cdb without records is %d bytes, and not the 256 pairs (2048, 0)", len(got))
	}
}

func TestRoundTrip(t *testing.T) {
	// More records than a chunk holds, more bytes than a buffer, a value
	// larger than that, and every key twice.
	var records []record
	want := map[string][]string{}
	for i := range chunkSize + 1000 {
		r := record{fmt.Sprint("key", i%(chunkSize/2+500)), fmt.Sprint("value", i)}
		records = append(records, r)
	}
	records = append(records, record{"", ""}, record{"large", string(make([]byte, 3*writeSize))})
	for _, r := range records {
		want[r.key] = append(want[r.key], r.value)
	}
	db := NewReader(write(t, filepath.Join(t.TempDir(), "x.cdb"), records...))
	for key, values := range want {
		first, found, err := db.Find([]byte(key))
		if !found || err != nil || string(first) != values[0] {
			t.Fatalf("Find(%q) = %.20q, %v, %v", key, first, found, err)
		}
		n := 0
		for value, err := range db.Values([]byte(key)) {
			if err != nil || n == len(values) || string(value) != values[n] {
				t.Fatalf("value %d of %q is %.20q, %v", n, key, value, err)
			}
			n++
		}
		if n != len(values) {
			t.Fatalf("%q has %d values, not %d", key, n, len(values))
		}
	}
	if _, found, err := db.Find([]byte("no such key")); found || err != nil {
		t.Errorf("a key that was not added: %v, %v", found, err)
	}
}

func TestTooLarge(t *testing.T) {
	for _, test := range []struct {
		name     string
		position uint64
		add      error
		close    error
	}{
		{"room for record and table", math.MaxUint32 - 8 - 4 - 16, nil, nil},
		{"no room for the table", math.MaxUint32 - 8 - 4 - 15, nil, ErrTooLarge},
		{"no room for the record", math.MaxUint32 - 8 - 3, ErrTooLarge, ErrTooLarge},
	} {
		w, err := Create(filepath.Join(t.TempDir(), "x"))
		if err != nil {
			t.Fatal(err)
		}
		w.position = test.position
		if err := w.Add([]byte("key"), []byte("v")); err != test.add {
			t.Errorf("%s: Add: %v", test.name, err)
		}
		if err := w.Close(); err != test.close {
			t.Errorf("%s: Close: %v", test.name, err)
		}
	}
	if text := command.ErrText(ErrTooLarge); text != "out of memory" {
		t.Errorf("its classic text is %q", text)
	}
}

func TestWriterErrors(t *testing.T) {
	if _, err := Create(filepath.Join(t.TempDir(), "no", "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create in a missing directory: %v", err)
	}
	w, err := Create("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add([]byte("key"), make([]byte, writeSize)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Add to a full device: %v", err)
	}
	if err := w.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Close after it: %v", err)
	}
	if w, err = Create("/dev/full"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Close on a full device: %v", err)
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	tmp, path := filepath.Join(dir, "tmp"), filepath.Join(dir, "cdb")
	write(t, path)
	want := write(t, tmp, record{"a", "b"})
	if err := Replace(tmp, path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("not replaced: %v", err)
	}
	if err := Replace(tmp, path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the new file: %v", err)
	}
}

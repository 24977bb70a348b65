package cdb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// get looks up "key" in f.
func get(f *File) (string, error) {
	var value string
	err := f.View(func(db Reader) error {
		v, _, err := db.Find([]byte("key"))
		value = string(v)
		return err
	})
	if err != nil {
		return "", err
	}
	return value, nil
}

func TestFileFollowsEdits(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "tcp.cdb"), filepath.Join(dir, "other")
	f := NewFile(path)
	expect := func(when, want string, wantErr error) {
		t.Helper()
		for range 2 {
			if value, err := get(f); value != want || !errors.Is(err, wantErr) {
				t.Errorf("%s: %q, %v", when, value, err)
			}
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect("missing", "", fs.ErrNotExist)
	write(t, path, record{"key", "1"})
	expect("made", "1", nil)
	two := write(t, other, record{"key", "2"})
	do(Replace(other, path))
	expect("replaced", "2", nil)
	longer := write(t, other, record{"key", "longer"})
	do(os.WriteFile(path, longer, 0o644))
	expect("rewritten in place", "longer", nil)
	do(os.WriteFile(path, two, 0o644))
	expect("rewritten in place with less", "2", nil)
	do(os.Truncate(path, 2060))
	expect("cut short", "", ErrCorrupt)
	do(os.Truncate(path, 0))
	expect("emptied", "", unix.EINVAL)
	do(os.Remove(path))
	expect("removed", "", fs.ErrNotExist)
	do(os.Mkdir(path, 0o755))
	expect("a directory", "", unix.EISDIR)
	do(os.Remove(path))
	do(os.Symlink("other", path))
	expect("a link", "longer", nil)
	write(t, path, record{"key", "3"})
	expect("rewritten through a link", "3", nil)
	do(os.Truncate(path, 1<<32))
	expect("larger than any cdb", "", ErrCorrupt)
}

// The file shrinks while it is being looked at.
func TestFileCutUnderView(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tcp.cdb")
	first := write(t, path, record{"key", "first"})
	second := write(t, filepath.Join(dir, "other"), record{"key", "the second"})
	for _, test := range []struct {
		name   string
		change func() error
		want   string
		err    error
	}{
		{"truncated", func() error { return os.Truncate(path, 0) }, "", unix.EINVAL},
		{"cut inside a page", func() error { return os.Truncate(path, 100) }, "", ErrCorrupt},
		{"rewritten", func() error { return os.WriteFile(path, second, 0o644) }, "the second", nil},
	} {
		if err := os.WriteFile(path, first, 0o644); err != nil {
			t.Fatal(err)
		}
		f := NewFile(path)
		if value, err := get(f); value != "first" || err != nil {
			t.Fatalf("before: %q, %v", value, err)
		}
		var got string
		changed := false
		err := f.View(func(db Reader) error {
			if !changed {
				changed = true
				if err := test.change(); err != nil {
					t.Fatal(err)
				}
			}
			value, _, err := db.Find([]byte("key"))
			got = string(value)
			return err
		})
		if err == nil && got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

// Only a fault in the mapped file is an error; a defect of the caller is not
// hidden, and blocks nobody.
func TestFilePassesPanicsOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tcp.cdb")
	write(t, path, record{"key", "1"})
	f := NewFile(path)
	func() {
		defer func() {
			if got := recover(); got != "a defect" {
				t.Errorf("recovered %v", got)
			}
		}()
		f.View(func(Reader) error { panic("a defect") })
	}()
	write(t, path, record{"key", "22"})
	if value, err := get(f); value != "22" || err != nil {
		t.Errorf("afterwards: %q, %v", value, err)
	}
}

func TestViewAllocatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tcp.cdb")
	write(t, path, record{"key", "1"})
	f := NewFile(path)
	key, n := []byte("key"), 0
	allocations := testing.AllocsPerRun(100, func() {
		err := f.View(func(db Reader) error {
			value, _, err := db.Find(key)
			n += len(value)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 || n == 0 {
		t.Errorf("%v allocations, %d bytes found", allocations, n)
	}
}

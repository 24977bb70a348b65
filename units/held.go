package units

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// HeldDir is where svscan records the directories that it holds.
const HeldDir = RuntimeDir + "/held"

// A Held is a service directory that svscan holds. It keeps the units that
// it got first, whatever becomes of its entry in the scan directory.
type Held struct {
	Base string // of its units
	Name string // of the entry that it was first seen as
	Dir  string // absolute path, without links
	Dev  uint64 // identity of the directory
	Ino  uint64
}

// ReadHeld reads the records in the directory dir, in the order of their
// bases. A dir that does not exist has none; what is no whole record is
// passed over.
func ReadHeld(dir string) ([]Held, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var held []Held
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		n, err := lstat(path)
		if err != nil {
			continue
		}
		text, err := readRegular(path, n)
		if err != nil {
			continue
		}
		if h, err := parseHeld(text); err == nil && h.Base == entry.Name() {
			held = append(held, h)
		}
	}
	return held, err
}

// Write makes the record of h in the directory dir, which it makes where it
// is missing, in place of an earlier one. Readers see the old one or the new.
func (h Held) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temporary := filepath.Join(dir, "."+h.Base+".new")
	if err := os.WriteFile(temporary, []byte(h.text()), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(dir, h.Base))
}

// Remove removes the record of h from dir; that there is none is no error.
func (h Held) Remove(dir string) error {
	err := os.Remove(filepath.Join(dir, h.Base))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// text is a line "key value" for each field, strings quoted.
func (h Held) text() string {
	return fmt.Sprintf("base %q\nname %q\ndir %q\ndev %d\nino %d\n", h.Base, h.Name, h.Dir, h.Dev, h.Ino)
}

func parseHeld(text string) (h Held, err error) {
	lines := strings.Split(text, "\n")
	next := func(key string) string {
		value, ok := strings.CutPrefix(lines[0], key+" ")
		if !ok && err == nil {
			err = errors.New("no " + key)
		}
		if len(lines) > 1 {
			lines = lines[1:]
		}
		return value
	}
	word := func(key string) string {
		value, wrong := strconv.Unquote(next(key))
		if err == nil {
			err = wrong
		}
		return value
	}
	number := func(key string) uint64 {
		value, wrong := strconv.ParseUint(next(key), 10, 64)
		if err == nil {
			err = wrong
		}
		return value
	}
	h = Held{Base: word("base"), Name: word("name"), Dir: word("dir"), Dev: number("dev"), Ino: number("ino")}
	if err == nil {
		err = validBase(h.Base)
	}
	if err == nil && (h.Name == "" || !strings.HasPrefix(h.Dir, "/")) {
		err = errors.New("no directory")
	}
	return h, err
}

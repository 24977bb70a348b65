package units

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// A Refusal says why an entry of the scan directory makes no units.
type Refusal struct {
	Name    string // of the entry
	Path    string // of what is wrong, below the scan directory where it is
	Reason  string
	Missing bool // the entry leads to nothing, so far
}

// Error is one line, whatever is in the names.
func (r Refusal) Error() string {
	return Printable(r.Path) + ": " + Printable(r.Reason)
}

// Is tells errors.Is that a Refusal is fs.ErrNotExist where nothing is there.
func (r Refusal) Is(target error) bool { return r.Missing && target == fs.ErrNotExist }

// An atError is an error about a file of a service directory.
type atError struct {
	file string // relative to the directory
	err  error
}

func (e *atError) Error() string { return e.file + ": " + e.err.Error() }
func (e *atError) Unwrap() error { return e.err }

func at(file string, err error) error { return &atError{file, err} }

// refusal makes a Refusal of what is wrong with the entry name, of which
// messages call the directory shown.
func refusal(name, shown string, err error) Refusal {
	r := Refusal{Name: name, Path: shown}
	var file *atError
	if errors.As(err, &file) {
		r.Path, err = shown+"/"+file.file, file.err
	} else {
		r.Missing = errors.Is(err, unix.ENOENT)
	}
	r.Reason = errText(err)
	return r
}

package rules

import (
	"bytes"
	"sync"

	"qmail-smtpd/internal/cdb"
)

// A File is a named cdb of rules, such as tcp.cdb. Edits act on the next
// Lookup. It is safe for concurrent use.
type File struct {
	cdb     *cdb.File
	scratch sync.Pool // of *match
}

// NewFile returns the File of a name. Whether there is such a file shows at
// each Lookup.
func NewFile(path string) *File {
	return &File{cdb: cdb.NewFile(path)}
}

// Forget makes the next Lookup open the file anew even where it seems
// unchanged.
func (f *File) Forget() { f.cdb.Forget() }

// Lookup finds the rule for p. It calls each, if that is not nil, for every
// variable that the rule sets, in the order of the rule, also of a rule that
// denies; name and value are valid only during that call. Where no rule
// matches, p is allowed.
//
// The error tells why the rules cannot be read: errors.Is(err,
// fs.ErrNotExist) where there is no file, any other error of the system, or
// cdb.ErrCorrupt. Nothing is known about p then, and each was not called.
func (f *File) Lookup(p Peer, each func(name, value []byte)) (deny bool, err error) {
	m, _ := f.scratch.Get().(*match)
	if m == nil {
		m = new(match)
	}
	defer f.scratch.Put(m)
	err = f.cdb.View(func(db cdb.Reader) error {
		return m.find(db, p)
	})
	if err != nil {
		return false, err
	}
	if each == nil {
		return m.apply(nil), nil
	}
	deny = m.apply(func(setting []byte, _ bool) {
		if name, value, ok := bytes.Cut(setting, []byte{'='}); ok {
			each(name, value)
		}
	})
	return deny, nil
}

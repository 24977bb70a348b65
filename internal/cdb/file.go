package cdb

import (
	"math"
	"os"
	"runtime/debug"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A File is a named cdb that is opened anew when it has changed, so that an
// edit acts on the next View; an unchanged file costs a View one stat. It is
// safe for concurrent use.
//
// The file is mapped, not copied. One that is rewritten in place, instead of
// being replaced, gives what an incomplete file gives until it is complete;
// the signal that the kernel sends for a mapped page that is gone does not end
// the process.
type File struct {
	path  string
	cpath []byte // path and a NUL

	mu     sync.RWMutex // read-locked while mapped is in use
	mapped []byte
	known  identity // of what is mapped
}

// NewFile returns the File of a name. Whether there is such a file shows at
// each View.
func NewFile(path string) *File {
	return &File{path: path, cpath: append([]byte(path), 0)}
}

// View calls look with a Reader of the present content and returns what it
// returned. It may call look several times; only the last time counts, and
// the others may have met an older or a half-written content. What look finds
// is not to be used after it has returned, only copies of it.
//
// Where there is no content, the error is one of the system: ENOENT for a
// missing file, EINVAL for an empty one.
func (f *File) View(look func(Reader) error) error {
	for range 100 {
		known, result := f.view(look)
		// The check comes last: it holds for the time of the look as well.
		now, err := identify(f.cpath)
		if err != nil {
			return &os.PathError{Op: "stat", Path: f.path, Err: err}
		}
		if now == known {
			return result
		}
		if err := f.open(now); err != nil {
			return err
		}
	}
	return &os.PathError{Op: "read", Path: f.path, Err: unix.EAGAIN} // never at rest
}

// view calls look with what is mapped. A fault there is ErrCorrupt.
func (f *File) view(look func(Reader) error) (known identity, err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if failure := recover(); failure != nil {
			if !faultIn(f.mapped, failure) {
				panic(failure)
			}
			known, err = f.known, ErrCorrupt
		}
	}()
	return f.known, look(NewReader(f.mapped))
}

// Forget makes the next View open the file anew even where it seems
// unchanged. It disturbs no View that is under way.
func (f *File) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = identity{}
}

func faultIn(mapped []byte, failure any) bool {
	fault, ok := failure.(interface{ Addr() uintptr })
	return ok && fault.Addr()-uintptr(unsafe.Pointer(unsafe.SliceData(mapped))) < uintptr(len(mapped))
}

// open maps the file that now identifies, unless that is done.
func (f *File) open(now identity) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == now {
		return nil
	}
	file, err := os.OpenFile(f.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	mapped, err := mapFile(file)
	if err != nil {
		return &os.PathError{Op: "map", Path: f.path, Err: err}
	}
	if f.mapped != nil {
		unix.Munmap(f.mapped)
	}
	f.mapped, f.known = mapped, now
	return nil
}

func mapFile(file *os.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, unix.EISDIR
	}
	if info.Size() > math.MaxUint32 {
		return nil, ErrCorrupt
	}
	return unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
}

package units

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// maxFile is more than any file that units depend on holds.
const maxFile = 64 << 10

// A folder is a directory with the names in it. What is read from it is
// trusted; errors are about files relative to the service directory.
type folder struct {
	trust trust
	dir   string // path without links
	below string // path relative to the service directory, "" or with a slash at its end
	files []file
}

// A file is a name in a folder. Where it leads nowhere, real is empty.
type file struct {
	name   string
	looked bool // what follows is known
	real   string
	node
}

func (t trust) open(dir, below string) (*folder, error) {
	names, err := readNames(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{t, dir, below, make([]file, len(names))}
	for i, name := range names {
		f.files[i].name = name
	}
	return f, nil
}

// readNames returns the names in a directory in its own order.
func readNames(dir string) (names []string, err error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var buf [8192]byte
	for {
		n, err := unix.ReadDirent(fd, buf[:])
		if err != nil || n == 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// find returns the file of a name; nil: there is none.
func (f *folder) find(name string) *file {
	for i := range f.files {
		if f.files[i].name == name {
			return &f.files[i]
		}
	}
	return nil
}

// at makes an error one about a file of the folder.
func (f *folder) at(name string, err error) error { return at(f.below+name, err) }

// look finds out what the name is; nil: it is not there, or leads nowhere.
func (f *folder) look(name string) (*file, error) {
	is := f.find(name)
	if is == nil {
		return nil, nil
	}
	if !is.looked {
		real, n, err := f.trust.inside(f.dir + "/" + name)
		if errors.Is(err, unix.ENOENT) {
			real, err = "", nil
		}
		if err != nil {
			return nil, f.at(name, err)
		}
		is.real, is.node, is.looked = real, n, true
	}
	if is.real == "" {
		return nil, nil
	}
	return is, nil
}

// exists tells whether stat finds the name.
func (f *folder) exists(name string) bool {
	var info unix.Stat_t
	return f.find(name) != nil && unix.Stat(f.dir+"/"+name, &info) == nil
}

// folder opens a directory of the folder; nil: there is none of the name.
func (f *folder) folder(name string) (*folder, error) {
	is, err := f.look(name)
	if err != nil || is == nil || is.kind() != unix.S_IFDIR {
		return nil, err
	}
	below, err := f.trust.open(is.real, f.below+name+"/")
	if err != nil {
		return nil, f.at(name, err)
	}
	return below, nil
}

// text reads a file of the folder, which is empty where there is none.
func (f *folder) text(name string) (string, error) {
	is, err := f.look(name)
	if err != nil || is == nil {
		return "", err
	}
	text, err := readRegular(is.real, is.node)
	if err != nil {
		return "", f.at(name, err)
	}
	return text, nil
}

// readRegular reads a file, of which n was seen. It never waits, as for the
// other end of a FIFO.
func readRegular(path string, n node) (string, error) {
	if n.kind() != unix.S_IFREG {
		return "", errors.New("not a regular file")
	}
	if n.size == 0 {
		return "", nil
	}
	if n.size > maxFile {
		return "", errors.New("longer than 64 KiB")
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	content := make([]byte, n.size)
	for length := 0; length < len(content); {
		got, err := unix.Read(fd, content[length:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return "", err
		case got == 0:
			return string(content[:length]), nil
		default:
			length += got
		}
	}
	return string(content), nil
}

// variable reads a file of env/ as envdir does; an empty file is a variable
// that is not set.
func (f *folder) variable(name string) (value string, set bool, err error) {
	content, err := f.text(name)
	if err != nil || content == "" {
		return "", false, err
	}
	line, _, _ := strings.Cut(content, "\n")
	return strings.ReplaceAll(strings.TrimRight(line, " \t"), "\x00", "\n"), true, nil
}

// trusted checks all that is in the folder.
func (f *folder) trusted() error {
	for _, is := range f.files {
		if _, err := f.look(is.name); err != nil {
			return err
		}
	}
	return nil
}

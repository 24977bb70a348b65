package units

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// maxLinks is how many links one path may go through, as the kernel counts.
const maxLinks = 40

// A node is what stat tells of a file.
type node struct {
	dev, ino uint64
	mode     uint32
	uid, gid uint32
	size     int64
}

func (n node) kind() uint32 { return n.mode & unix.S_IFMT }

func lstat(path string) (node, error) {
	var info unix.Stat_t
	if err := unix.Lstat(path, &info); err != nil {
		return node{}, err
	}
	return node{info.Dev, info.Ino, info.Mode, info.Uid, info.Gid, info.Size}, nil
}

// A trust finds out whether only root can decide what is at a path: whether
// root owns it, and each directory and link on the way to it, and nobody else
// may write there. In a directory on the way with the sticky bit others may
// write, since they can neither replace nor remove what is root's. It
// remembers the directories on the way: path, without links → what it is.
type trust map[string]node

// A distrust says what is wrong with a path.
type distrust struct {
	path   string // of what is wrong; empty: of what was asked for
	reason string
}

func (e *distrust) Error() string {
	if e.path == "" {
		return e.reason
	}
	return e.path + ": " + e.reason
}

// walk follows an absolute path and returns it without links, with what is
// there. Where others than root can change the way, or what is there, the
// error is a *distrust; what the system refuses is an errno.
func (t trust) walk(path string) (real string, n node, err error) {
	real, n, err = t.follow(path)
	if err == nil {
		if others := writers(real, n); others != "" {
			err = &distrust{reason: others}
		}
	}
	return real, n, err
}

// walkOn is walk for a directory that is on the way to others.
func (t trust) walkOn(path string) (real string, n node, err error) {
	real, n, err = t.follow(path)
	if err == nil {
		n, err = t.remember(real, n)
	}
	return real, n, err
}

// follow is walk as far as the way is concerned.
func (t trust) follow(asked string) (real string, n node, err error) {
	real, links := "/", 0
	if n, err = t.pass("/"); err != nil {
		return "", n, err
	}
	rest := asked
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		switch name {
		case "", ".":
			continue
		case "..":
			real = path.Dir(real)
			n = t[real]
			continue
		}
		if n.kind() != unix.S_IFDIR {
			return "", n, unix.ENOTDIR
		}
		next := real + "/" + name
		if real == "/" {
			next = "/" + name
		}
		last := strings.Trim(rest, "/") == ""
		found, err := t.step(next, n, last)
		if err != nil {
			var d *distrust
			if errors.As(err, &d) && d.path == next && (last || next == asked) {
				d.path = ""
			}
			return "", n, err
		}
		if found.kind() != unix.S_IFLNK {
			real, n = next, found
			continue
		}
		if links++; links > maxLinks {
			return "", n, unix.ELOOP
		}
		target, err := readlink(next)
		if err != nil {
			return "", n, err
		}
		if strings.HasPrefix(target, "/") {
			real, n = "/", t["/"]
		}
		rest = target + "/" + rest
	}
	return real, n, nil
}

// inside is walk for a path whose directory is trusted and has no links.
func (t trust) inside(path string) (real string, n node, err error) {
	if n, err = lstat(path); err != nil {
		return "", n, err
	}
	if n.uid != 0 || n.kind() == unix.S_IFLNK {
		return t.walk(path)
	}
	if others := writers(path, n); others != "" {
		return "", n, &distrust{reason: others}
	}
	return path, n, nil
}

// step looks at one component of a path in the directory parent.
func (t trust) step(next string, parent node, last bool) (node, error) {
	if n, ok := t[next]; ok {
		return n, nil
	}
	n, err := lstat(next)
	if err == unix.ENOENT {
		if others := writers(path.Dir(next), parent); others != "" {
			return n, &distrust{path.Dir(next), others}
		}
	}
	if err != nil {
		return n, err
	}
	if n.uid != 0 {
		return n, &distrust{next, fmt.Sprintf("owned by uid %d", n.uid)}
	}
	if last || n.kind() != unix.S_IFDIR {
		return n, nil
	}
	return t.remember(next, n)
}

// pass is step for the root directory.
func (t trust) pass(dir string) (node, error) {
	if n, ok := t[dir]; ok {
		return n, nil
	}
	n, err := lstat(dir)
	if err != nil {
		return n, err
	}
	if n.uid != 0 {
		return n, &distrust{dir, fmt.Sprintf("owned by uid %d", n.uid)}
	}
	return t.remember(dir, n)
}

// remember takes a directory on the way.
func (t trust) remember(dir string, n node) (node, error) {
	if n.mode&unix.S_ISVTX == 0 {
		if others := writers(dir, n); others != "" {
			return n, &distrust{dir, others}
		}
	}
	t[dir] = n
	return n, nil
}

// writers says who besides root may write to what n is, at path; empty:
// nobody.
func writers(path string, n node) string {
	switch {
	case n.kind() == unix.S_IFLNK:
		return ""
	case n.mode&0o002 != 0:
		return "writable by others"
	case n.mode&0o020 == 0:
		return ""
	case n.gid != 0:
		return fmt.Sprintf("writable by group %d", n.gid)
	}
	// with an access list, the bits of the group are its mask
	if size, err := unix.Getxattr(path, "system.posix_acl_access", nil); err == nil && size > 0 {
		return "writable by an access list"
	}
	return ""
}

func readlink(path string) (string, error) {
	var target [unix.PathMax]byte
	n, err := unix.Readlink(path, target[:])
	if err == nil && n == 0 {
		err = unix.ENOENT
	}
	return string(target[:max(n, 0)]), err
}

// errText is the text of err with the classic words for its errno.
func errText(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return command.ErrText(errno)
	}
	return err.Error()
}

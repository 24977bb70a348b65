package command

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Search calls try with each path under which the classic programs look for
// the program name: the name itself where it has a slash, else the name in
// each element of PATH (an empty element is the current directory, no PATH
// is /bin:/usr/bin). A path that does not exist, or that may not be used, is
// passed over; it ends with the first success or other error, and otherwise
// returns the error that explains best why nothing ran.
func Search(name string, try func(path string) error) error {
	if strings.Contains(name, "/") {
		return try(name)
	}
	list, ok := os.LookupEnv("PATH")
	if !ok {
		list = "/bin:/usr/bin"
	}
	var remembered error = unix.ENOENT
	for _, dir := range strings.Split(list, ":") {
		if dir == "" {
			dir = "."
		}
		err := try(dir + "/" + name)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.ENOENT):
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EISDIR):
			remembered = err
		default:
			return err
		}
	}
	return remembered
}

// Find returns the path of the program that Search would find first: one
// that is a file and may be executed.
func Find(name string) (string, error) {
	var found string
	err := Search(name, func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.IsDir() {
			return unix.EACCES // what execve says
		}
		if err := unix.Access(path, unix.X_OK); err != nil {
			return err
		}
		found = path
		return nil
	})
	return found, err
}

// Exec replaces this process by the program args[0], found as Search finds
// it. It returns only when that failed. Limits that softlimit handed on (see
// HandLimits) stay handed on where the program is one of ours, and are set
// where it is not.
func Exec(args, env []string) error {
	return ExecAs(args[0], args, env)
}

// ExecAs is Exec for a program that is called by another name, args[0], than
// that under which it is found.
func ExecAs(program string, args, env []string) error {
	return Search(program, func(path string) error {
		if limits := HandedLimits(env); limits != nil && !Ours(path) {
			if err := unix.Access(path, unix.X_OK); err != nil {
				return err
			}
			return execUnder(limits, path, args, WithoutLimits(env))
		}
		return unix.Exec(path, args, env)
	})
}

// ChangeEnv returns env with changes made to it in order, in a new slice: a
// change "NAME=value" sets the variable NAME, one without "=" removes it. As
// in the classic programs, what is set comes last, and the last entry takes
// the place of one that is removed.
func ChangeEnv(env []string, changes ...string) []string {
	out := append(make([]string, 0, len(env)+len(changes)), env...)
	for _, change := range changes {
		name, _, set := strings.Cut(change, "=")
		for i := 0; i < len(out); {
			if key, _, ok := strings.Cut(out[i], "="); !ok || key != name {
				i++
				continue
			}
			out[i] = out[len(out)-1]
			out = out[:len(out)-1]
		}
		if set {
			out = append(out, change)
		}
	}
	return out
}

// Setenv returns env with the variable name set to value, in a new slice.
func Setenv(env []string, name, value string) []string {
	return ChangeEnv(env, name+"="+value)
}

// Unsetenv returns env without the variable name, in a new slice.
func Unsetenv(env []string, name string) []string {
	return ChangeEnv(env, name)
}

// binaries are the names of our multi-call binaries, which stand together in
// one directory.
var binaries = []string{"tcpserver", "multilog", "svcompat", "svscan", "qmail-queue", "qmail-smtpd-conf"}

// Ours tells whether the program at path is one of this package's binaries:
// the one that is running, or one beside it.
func Ours(path string) bool {
	self, err := filepath.EvalSymlinks("/proc/self/exe")
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	if real == self {
		return true
	}
	return filepath.Dir(real) == filepath.Dir(self) &&
		slices.Contains(binaries, filepath.Base(real)) && slices.Contains(binaries, filepath.Base(self))
}

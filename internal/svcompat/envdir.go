package svcompat

import (
	"bytes"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Envdir runs a program in an environment that is changed as the files of a
// directory say.
func Envdir(args []string) int {
	const name = "envdir"
	if len(args) < 3 {
		command.Usage(name, "envdir dir child")
		return command.ExitTemporary
	}
	here, err := openHere()
	if err != nil {
		return command.Fatal(name, "unable to switch to current directory", err)
	}
	dir := args[1]
	if err := unix.Chdir(dir); err != nil {
		return command.Fatal(name, "unable to switch to directory "+dir, err)
	}
	files, err := readDirNames(".")
	if err != nil {
		return command.Fatal(name, "unable to read directory "+dir, err)
	}
	var changes []string
	for _, file := range files {
		if strings.HasPrefix(file, ".") {
			continue
		}
		content, err := readFile(file)
		if err != nil && err != unix.ENOENT {
			return command.Fatal(name, "unable to read "+dir+"/"+file, err)
		}
		changes = append(changes, envChange(file, content))
	}
	if err := unix.Fchdir(here); err != nil {
		return command.Fatal(name, "unable to switch to starting directory", err)
	}
	err = command.Exec(args[2:], command.ChangeEnv(os.Environ(), changes...))
	return command.Fatal(name, "unable to run "+args[2], err)
}

// envChange returns the change, in the form of command.ChangeEnv, that the
// file name with this content asks for: an empty file removes the variable,
// any other sets it to the first line without the blanks at its end, and with
// newlines for null bytes.
func envChange(name string, content []byte) string {
	if len(content) == 0 {
		return name
	}
	line, _, _ := bytes.Cut(content, []byte("\n"))
	line = bytes.TrimRight(line, " \t")
	return name + "=" + string(bytes.ReplaceAll(line, []byte{0}, []byte("\n")))
}

// readFile reads a whole file; it never waits for the writer of a FIFO.
func readFile(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var content []byte
	var buffer [1024]byte
	for {
		n, err := unix.Read(fd, buffer[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return content, err
		}
		content = append(content, buffer[:n]...)
	}
}

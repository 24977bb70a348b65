package svscan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// bootPath is the PATH of everything that svscanboot starts.
const bootPath = "/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin"

// bootScanDirs are where the services may be: upstream's place, and Debian's.
var bootScanDirs = []string{"/service", "/etc/service"}

// Svscanboot ends what an earlier run may have left in the scan directory, and
// runs svscan there, with its messages in the title of a readproctitle, until
// both have ended. It reads and prints nothing itself.
func Svscanboot(args []string) int {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return command.ExitTemporary
	}
	for fd := range 3 {
		unix.Dup2(null, fd)
	}
	os.Setenv("PATH", bootPath)

	dir, services := bootScanDir()
	if len(services) > 0 {
		logs, _ := filepath.Glob(dir + "/[^.]*/log")
		line := slices.Concat([]string{"svc", "-dx"}, services, logs)
		if svc, err := startFound(os.Environ(), os.Stdin, os.Stdout, line...); err == nil {
			svc.Wait()
		}
	}

	out, in, err := os.Pipe()
	if err != nil {
		return command.ExitTemporary
	}
	env := []string{"PATH=" + bootPath}
	svscan, svscanErr := startFound(env, os.Stdin, in, "svscan", dir)
	in.Close()
	title, titleErr := startFound(env, out, os.Stdout, "readproctitle", "service", "errors:", strings.Repeat(".", 400))
	out.Close()
	if svscanErr == nil {
		svscan.Wait()
	}
	if titleErr != nil {
		return command.ExitTemporary
	}
	state, err := title.Wait()
	if err != nil {
		return command.ExitTemporary
	}
	return state.ExitCode()
}

// bootScanDir returns the first of the scan directories that has services,
// and them, or the first of all where there are none.
func bootScanDir() (dir string, services []string) {
	for _, dir := range bootScanDirs {
		services, _ := filepath.Glob(dir + "/[^.]*")
		if len(services) > 0 {
			return dir, services
		}
	}
	return bootScanDirs[0], nil
}

// startFound starts a program that is found by PATH, with one file as its
// standard output and standard error.
func startFound(env []string, stdin, output *os.File, args ...string) (*os.Process, error) {
	program, err := command.Find(args[0])
	if err != nil {
		return nil, err
	}
	return os.StartProcess(program, args, &os.ProcAttr{Env: env, Files: []*os.File{stdin, output, output}})
}

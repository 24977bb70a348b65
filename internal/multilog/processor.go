package multilog

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// process runs the processor on previous until it succeeds, and puts what it
// made in the place of previous and state.
func (d *logDir) process() {
	persist("unable to switch to "+d.path, func() error {
		return unix.Fchdir(d.fd)
	})
	for !d.runProcessor() {
	}
	processed := d.create("processed")
	d.toDisk(processed, "processed")
	persist("unable to set mode of "+d.path+"/processed", func() error {
		return unix.Fchmod(processed, modeComplete)
	})
	unix.Close(processed)
	newstate := d.create("newstate")
	d.toDisk(newstate, "newstate")
	unix.Close(newstate)
	d.remove("previous")
	persist("unable to rename newstate to state in directory "+d.path, func() error {
		return unix.Renameat(d.fd, "newstate", d.fd, "state")
	})
}

// runProcessor runs the processor once, in the working directory, and tells
// whether it succeeded; if not, it has paused.
func (d *logDir) runProcessor() bool {
	process, err := d.startProcessor()
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOMEM):
		pause("unable to fork for processor in "+d.path, err)
		return false
	case err != nil:
		command.Fatal(name, "unable to run "+*d.processor, err)
		pause("processor failed in "+d.path, nil)
		return false
	}
	state, err := process.Wait()
	if err != nil {
		pause("wait failed for processor in "+d.path, err)
		return false
	}
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		pause("processor crashed in "+d.path, errors.New(status.Signal().String()))
	} else if !state.Success() {
		pause("processor failed in "+d.path, nil)
	}
	return state.Success()
}

// startProcessor starts the processor: it reads previous and state
// (descriptors 0 and 4), and writes processed and newstate (1 and 5).
func (d *logDir) startProcessor() (*os.Process, error) {
	const made = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	files := []*os.File{2: os.Stderr, 5: nil}
	for _, f := range []struct {
		fd    int
		name  string
		flags int
	}{
		{0, "previous", os.O_RDONLY},
		{1, "processed", made},
		{4, "state", os.O_RDONLY},
		{5, "newstate", made},
	} {
		file, err := os.OpenFile(f.name, f.flags, 0o644)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		files[f.fd] = file
	}
	return os.StartProcess("/bin/sh", []string{"sh", "-c", *d.processor}, &os.ProcAttr{Files: files})
}

// Package generator is svscan-generator, by which systemd learns of service
// directories: at boot and at each reload it writes the units of all of them.
//
// It runs before anything else does, so it never waits, whatever it finds; it
// uses neither network nor D-Bus, and what goes wrong never fails a boot.
package generator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/units"
)

const name = "svscan-generator"

// scanDir is what svscan.service scans.
const scanDir = "/service"

// SvscanGenerator is the command svscan-generator. systemd calls it with
// three directories, as systemd.generator(7) says, and it writes into the
// last. With --print it shows what it would write for a scan directory, and
// returns 1 where it refuses an entry.
func SvscanGenerator(args []string) int {
	options := command.NewGetopt(args, "")
	options.Long = []string{"print"}
	showing := false
	for {
		option, _, ok := options.Next()
		if !ok {
			break
		}
		if option != "print" {
			return usage()
		}
		showing = true
	}
	rest := options.Rest()
	switch {
	case showing && len(rest) == 0:
		return show(scanDir)
	case showing && len(rest) == 1:
		return show(rest[0])
	case !showing && len(rest) == 3:
		generate(rest[2])
		return 0
	}
	return usage()
}

func usage() int {
	return command.Usage(name, "svscan-generator [ --print [ dir ] | normal early late ]")
}

// generate writes the units of all service directories into late. Whatever
// happens, systemd goes on: what cannot be done is one line in the journal.
func generate(late string) {
	held, err := units.ReadHeld(units.HeldDir)
	if err != nil {
		warn("unable to read " + units.HeldDir + ": " + command.ErrText(err))
	}
	look := units.LookupIn(units.UnitPath()...)
	services, refused, err := units.Scan(scanDir, held, look)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		warn(err.Error())
	}
	for _, r := range refused {
		if !r.Missing { // its file system may not be mounted yet
			warn(r.Error())
		}
	}
	files, links := units.Generate(services, look)
	if err := write(late, files, links); err != nil {
		warn(err.Error())
	}
}

// write makes files and links below dir. It goes on after an error, and
// returns the first.
func write(dir string, files, links map[string]string) error {
	var first error
	made := map[string]bool{}
	inDir := func(name string, make func(path string) error) {
		path := filepath.Join(dir, name)
		var err error
		if parent := filepath.Dir(path); !made[parent] {
			err = os.MkdirAll(parent, 0o755)
			made[parent] = true
		}
		if err == nil {
			err = make(path)
		}
		if err != nil && first == nil {
			first = fmt.Errorf("unable to make %s: %s", path, command.ErrText(err))
		}
	}
	for name, text := range files {
		inDir(name, func(path string) error { return writeFile(path, text) })
	}
	for name, target := range links {
		inDir(name, func(path string) error { return os.Symlink(target, path) })
	}
	return first
}

// writeFile makes a file that no other generator made.
func writeFile(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	n, err := unix.Write(fd, []byte(text))
	if err == nil && n < len(text) {
		err = unix.ENOSPC
	}
	return err
}

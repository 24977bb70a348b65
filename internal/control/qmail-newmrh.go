package control

import (
	"os"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/cdb"
	"qmail-smtpd/internal/command"
)

// NewMRH is the command qmail-newmrh: it makes control/morercpthosts.cdb,
// in qmail's home directory, from control/morercpthosts.
func NewMRH(args []string) int {
	const (
		name   = "qmail-newmrh"
		source = "control/morercpthosts"
		target = "control/morercpthosts.cdb"
		fresh  = "control/morercpthosts.tmp"
	)
	unix.Umask(0o033)
	home := Home()
	if err := os.Chdir(home); err != nil {
		return command.Fatal(name, "unable to chdir to "+home, err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return command.Fatal(name, "unable to read "+source, err)
	}
	w, err := cdb.Create(fresh)
	if err != nil {
		return command.Fatal(name, "unable to write to "+fresh, err)
	}
	for entry := range eachEntry(string(text)) {
		w.Add([]byte(lower(entry)), nil)
	}
	if err := w.Close(); err != nil {
		return command.Fatal(name, "unable to write to "+fresh, err)
	}
	if err := cdb.Replace(fresh, target); err != nil {
		return command.Fatal(name, "unable to move "+fresh+" to "+target, err)
	}
	return 0
}

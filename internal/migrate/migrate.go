package migrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/systemd/manager"
	"qmail-smtpd/units"
)

const name = "svcompat-migrate"

const usage = "svcompat-migrate [ --apply ] [ --undo=file ] [ --wait=seconds ] [ directory ]"

// options are what the command line asks for.
type options struct {
	apply bool
	undo  string        // path of the undo script
	wait  time.Duration // for one service to end, or to come up
	dir   string        // empty: of the scanner that runs
}

// Main looks at a running daemontools, runit or s6 and tells what becomes of
// its services when they move to systemd; with --apply it moves them, one at
// a time. It returns 0, 1 where a service cannot be moved, 100 where there is
// nothing that it could do, or 111.
func Main(args []string) int {
	if len(args) == 2 && args[1] == carryOption {
		return carryMain()
	}
	if len(args) == 3 && args[1] == backOption {
		return backMain(args[2])
	}
	o, ok := parse(args)
	if !ok {
		return command.Usage(name, usage)
	}
	if os.Getuid() != 0 {
		return command.Permanent(name, "must be run by root", nil)
	}
	all, err := processes()
	if err != nil {
		return command.Fatal(name, "unable to read /proc", err)
	}
	look := units.LookupIn(units.UnitPath()...)
	found := scanners(all, look)
	scanner, why := choose(found, o.dir)
	if why != "" {
		return command.Permanent(name, why, nil)
	}
	dir := o.dir
	if scanner != nil {
		dir = scanner.dir
	}
	m, err := manager.Dial()
	if err != nil && o.apply {
		return command.Fatal(name, "unable to connect to systemd", err)
	}
	if err == nil {
		defer m.Close()
		go drop(m.Changes())
	} else {
		m = nil
	}
	t, err := readTree(dir, scanner, all, look)
	if err != nil {
		return command.Fatal(name, "unable to read scan directory", err)
	}
	if len(t.services)+len(t.refused) == 0 {
		return command.Permanent(name, dir+" has no services", nil)
	}
	for _, s := range t.services {
		if !s.held {
			s.compare(m)
		}
	}
	if o.apply {
		return t.apply(m, o, look)
	}
	fmt.Print(t.report())
	fmt.Printf("\n%s; nothing has been changed\n", t.summary())
	if len(t.refused) > 0 {
		return 1
	}
	return 0
}

func parse(args []string) (o options, ok bool) {
	o.wait = time.Minute
	g := command.NewGetopt(args, "")
	g.Long = []string{"apply", "undo=", "wait="}
	words := 0
	for {
		option, argument, more := g.Next()
		if !more {
			break
		}
		words++
		switch option {
		case "apply":
			o.apply = true
		case "undo":
			o.undo = argument
		case "wait":
			n, taken := command.ScanNumber(argument)
			if taken == 0 || taken != len(argument) || n == 0 || n > 86400 {
				return o, false
			}
			o.wait = time.Duration(n) * time.Second
		default:
			return o, false
		}
	}
	rest := g.Rest()
	if unknown := len(args) - 1 - words - len(rest); unknown > 0 && args[1+words] != "--" {
		return o, false
	}
	switch len(rest) {
	case 0:
	case 1:
		if dir, err := filepath.Abs(rest[0]); err == nil {
			o.dir = dir
		}
	default:
		return o, false
	}
	return o, true
}

// choose returns the scanner of the directory dir, or the only one where dir
// is empty; nil where none runs on dir. Otherwise it says why there is none.
func choose(found []scanner, dir string) (s *scanner, why string) {
	var list []string
	for i := range found {
		s := &found[i]
		if dir != "" && sameDir(s.dir, dir) {
			return s, ""
		}
		list = append(list, fmt.Sprintf("%s (%s, pid %d)", s.dir, s.kind.scanner, s.pid))
	}
	switch {
	case dir != "":
		return nil, ""
	case len(found) == 0:
		return nil, "no svscan, runsvdir or s6-svscan is running; name a directory to look at"
	case len(found) > 1:
		return nil, "more than one scan directory is live: " + strings.Join(list, ", ") + ": name one"
	}
	return &found[0], ""
}

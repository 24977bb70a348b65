package migrate

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/units"
)

// ourUnit is the unit of the svscan that services are moved to.
const ourUnit = "svscan.service"

// A kind is a family of programs that keep services.
type kind struct {
	name       string
	scanner    string      // watches a scan directory
	supervisor string      // keeps one service
	word       string      // by which a unit that starts a scanner is known
	end        unix.Signal // ends a scanner and leaves its supervisors running
	unseen     bool        // its supervisors take locks that svscan does not see
}

var (
	daemontools = &kind{name: "daemontools", scanner: "svscan", supervisor: "supervise", word: "svscan", end: unix.SIGTERM}
	runit       = &kind{name: "runit", scanner: "runsvdir", supervisor: "runsv", word: "runsv", end: unix.SIGTERM}
	s6          = &kind{name: "s6", scanner: "s6-svscan", supervisor: "s6-supervise", word: "s6-", end: unix.SIGKILL, unseen: true}
	kinds       = []*kind{daemontools, runit, s6}
)

// A scanner is a running program that watches a scan directory.
type scanner struct {
	process
	*kind
	dir   string  // as its command line names it, absolute
	unit  string  // the systemd unit that starts it; empty: none does
	start process // what is to be started to have it again: itself, or svscanboot
}

// scanners returns the running scanners, in the order of their directories,
// but for the svscan that services are moved to, and what its units execute.
func scanners(all map[int]process, look units.Lookup) []scanner {
	var found []scanner
	for _, p := range all {
		i := slices.IndexFunc(kinds, func(k *kind) bool { return k.scanner == p.name })
		if i < 0 || p.ours() && p.isOfUnits() {
			continue
		}
		s := scanner{process: p, kind: kinds[i], start: p}
		s.dir = s.watches()
		parent := all[p.parent]
		if slices.ContainsFunc(parent.args(), func(arg string) bool { return path.Base(arg) == "svscanboot" }) {
			s.start = parent
		}
		if unit := p.unit(); s.kind.startedBy(unit, look) {
			s.unit = unit
		}
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b scanner) int { return strings.Compare(a.dir, b.dir) })
	return found
}

// watches returns the scan directory. svscan and s6-svscan go there; their
// operand is its usual name.
func (s scanner) watches() string {
	cwd := s.cwd()
	operand := ""
	if args := s.args(); len(args) > 1 {
		for _, arg := range args[1:] {
			if !strings.HasPrefix(arg, "-") {
				operand = arg
				break
			}
		}
	}
	if s.kind == runit {
		if !strings.HasPrefix(operand, "/") {
			operand = path.Join(cwd, operand)
		}
		return path.Clean(operand)
	}
	if strings.HasPrefix(operand, "/") && identify(operand) == s.identity() {
		return path.Clean(operand)
	}
	return cwd
}

// startedBy tells whether a unit is there to start a scanner, and not a
// login or a script that does other things too.
func (k *kind) startedBy(unit string, look units.Lookup) bool {
	if !strings.HasSuffix(unit, ".service") {
		return false
	}
	file, _ := look(unit)
	for _, line := range strings.Split(file.Text, "\n") {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
		if ok && (strings.Contains(command, k.word) || k == runit && strings.Contains(command, "/runit/")) {
			return true
		}
	}
	return false
}

// sameDir tells whether two paths lead to the same directory.
func sameDir(a, b string) bool {
	id := identify(a)
	return id != identity{} && id == identify(b)
}

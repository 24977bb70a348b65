package migrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/systemd/manager"
	"qmail-smtpd/units"
)

// undoScript returns a shell script that undoes the migration. While it runs,
// the entries of the tree have a dot before their names, so that the old
// scanner sees only those that are to come next.
func (g *migration) undoScript() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `#!/bin/sh
# Brings the services of %s back from systemd, one at a time.
set -e
hide() {
  [ -L "$1/.$2" ] || [ -d "$1/.$2" ] || mv "$1/$2" "$1/.$2"
}
`, strings.ReplaceAll(g.dir, "\n", " "))
	if g.inPlace {
		// Both would take up what comes.
		fmt.Fprintf(&b, "systemctl disable --now %s\n", ourUnit)
	}
	for _, s := range g.services {
		fmt.Fprintf(&b, "hide %s %s\n", quote(g.dir), quote(s.Name))
	}
	start, err := g.startScanner()
	if err != nil {
		return "", err
	}
	b.WriteString(start)
	for _, s := range g.services {
		fmt.Fprintf(&b, "%s %s %s\n", name, backOption, quote(s.entry))
	}
	b.WriteString("systemctl daemon-reload\n")
	return b.String(), nil
}

// startScanner returns the lines that start the scanner again, as it was.
func (g *migration) startScanner() (string, error) {
	switch {
	case g.scanner == nil:
		return "# start what watched the directory before\n", nil
	case g.scanner.unit == "":
		start := g.scanner.start
		line := "( cd " + quote(start.cwd()) + " && exec env -i"
		for _, word := range append(start.environ(), "setsid") {
			line += " " + quote(word)
		}
		for _, word := range start.args() {
			line += " " + quote(word)
		}
		return line + " ) </dev/null >/dev/null 2>&1 &\n", nil
	}
	unit := quote(g.scanner.unit)
	_, enabled, err := g.manager.UnitFile(context.Background(), g.scanner.unit)
	if err != nil {
		return "", err
	}
	lines := "systemctl unmask " + unit + "\n"
	if strings.HasPrefix(enabled, "enabled") {
		lines += "systemctl enable " + unit + "\n"
	}
	return lines + "systemctl start " + unit + "\n", nil
}

// quote quotes a word for the shell.
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

const backOption = "--back"

// backLimit is how long a service may take to end, and to be started by a
// scanner that looks every five seconds.
const backLimit = time.Minute

// backMain gives the service with the entry in its old scan directory back,
// where that entry is hidden by a dot. Where that is scanDir, svscan is
// stopped.
func backMain(entry string) int {
	began := time.Now()
	if err := back(entry); err != nil {
		return command.Fatal(name, units.Printable(entry), err)
	}
	fmt.Printf("%s: back, in %.2f seconds\n", units.Printable(entry), time.Since(began).Seconds())
	return 0
}

func back(entry string) error {
	hidden := path.Dir(entry) + "/." + path.Base(entry)
	s, err := readHidden(hidden, path.Base(entry))
	if os.IsNotExist(err) && kept(entry) {
		return nil // it is back
	}
	if err != nil {
		return err
	}
	all, err := processes()
	if err != nil {
		return err
	}
	s.readKeepers(supervisorsByDir(all))
	if target, err := os.Readlink(s.ourEntry()); err == nil && (target == s.Dir || target == entry) {
		os.Remove(s.ourEntry())
	}
	var rest *pipe
	up, logUp := s.main.pid != 0, s.log.pid != 0
	if s.main.process.pid != 0 {
		rest, err = s.release(backLimit)
	} else {
		rest, up, logUp, err = s.stop()
	}
	if err != nil {
		return err
	}
	if rest != nil {
		defer rest.close()
	}
	downs, err := s.keepDown(up, logUp)
	defer func() { s.remove(downs) }()
	if err != nil {
		return err
	}
	if err := os.Rename(hidden, entry); err != nil {
		return err
	}
	if s.Dir, err = realPath(entry); err != nil {
		return err
	}
	return s.givenBack(path.Dir(entry), up, rest)
}

// readHidden reads the service directory whose entry is hidden.
func readHidden(hidden, entry string) (*service, error) {
	dir, err := realPath(hidden)
	if err != nil {
		return nil, err
	}
	read, err := units.Read(dir, entry)
	if err != nil {
		return nil, err
	}
	s := &service{Service: read, entry: hidden}
	id := identify(dir)
	s.Dev, s.Ino = id.dev, id.ino
	held, _ := units.ReadHeld(units.HeldDir)
	for _, h := range held {
		if h.Dev == id.dev && h.Ino == id.ino {
			s.Base, s.Service.Name, s.held = h.Base, h.Name, true
		}
	}
	return s, nil
}

// stop stops the units of the service, its log when that has read all there
// is. It returns the pipe between them where there is more to come, and what
// was up.
func (s *service) stop() (rest *pipe, up, logUp bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*backLimit)
	defer cancel()
	m, err := manager.Dial()
	if err != nil {
		return nil, false, false, err
	}
	defer m.Close()
	go drop(m.Changes())
	states, err := m.Watch(ctx, []string{s.Base + ".service", s.Base + "-log.service"})
	if err != nil {
		return nil, false, false, err
	}
	up, logUp = runs(states[s.Base+".service"]), runs(states[s.Base+"-log.service"])
	for _, unit := range append(s.SocketUnits(), s.Base+".service") {
		if err := m.Stop(unit).Wait(ctx); err != nil {
			return nil, up, logUp, fmt.Errorf("unable to stop %s: %w", unit, err)
		}
	}
	var p pipe
	piped := false
	if s.Log {
		p, piped = openPipe(units.FIFO(s.Base))
		if piped && logUp {
			await(backLimit, p.empty)
		}
		// After the log has ended, systemd would throw away what comes while
		// the socket unit is about to be stopped.
		for _, unit := range []string{s.Base + "-log.socket", s.Base + "-log.service"} {
			if err := m.Stop(unit).Wait(ctx); err != nil {
				return nil, up, logUp, fmt.Errorf("unable to stop %s: %w", unit, err)
			}
		}
	}
	if !s.letGo() {
		return nil, up, logUp, fmt.Errorf("svscan does not let it go within %v", backLimit)
	}
	switch {
	case piped && !await(sessionsAfter, func() bool { return !p.written() && p.empty() }):
		rest = &p
	case piped:
		p.close()
	}
	h := units.Held{Base: s.Base}
	return rest, up, logUp, h.Remove(units.HeldDir)
}

// letGo has svscan let go of the service, if it runs. It does so for what is
// not in its directory any more.
func (s *service) letGo() bool {
	if !slices.ContainsFunc(s.dirs(), kept) {
		return true
	}
	var told time.Time
	return await(backLimit, func() bool {
		s.refuse(&told)
		_, err := os.Stat(units.HeldDir + "/" + s.Base)
		return os.IsNotExist(err) && !slices.ContainsFunc(s.dirs(), kept)
	})
}

// refuse tells svscan, once a second, to let go of what it has of the service.
func (s *service) refuse(told *time.Time) {
	if time.Since(*told) < time.Second {
		return
	}
	*told = time.Now()
	touch(scanDir)
	for _, k := range []keeper{s.main, s.log} {
		if k.dir != "" && k.process.pid == 0 && kept(k.dir) {
			send(k.dir, "dx")
		}
	}
}

// dirs are the service directory and its log.
func (s *service) dirs() []string {
	if s.Log {
		return []string{s.Dir, s.Dir + "/log"}
	}
	return []string{s.Dir}
}

func runs(state manager.State) bool {
	return state.Active == "active" || state.Active == "activating" || state.Active == "reloading"
}

// drop reads changes that nobody wants to know of.
func drop(changes <-chan manager.Change) {
	for range changes {
	}
}

// givenBack waits until an old supervisor has the service, and it is up where
// it should be.
func (s *service) givenBack(scanDir string, up bool, rest *pipe) error {
	if all, err := processes(); err == nil {
		for _, scanner := range scanners(all, func(string) (units.UnitFile, bool) { return units.UnitFile{}, false }) {
			if scanner.kind == s6 && sameDir(scanner.dir, scanDir) {
				exec.Command("s6-svscanctl", "-a", scanDir).Run() // it does not look by itself
			}
		}
	}
	asked := false
	told := time.Now()
	ok := await(backLimit, func() bool {
		all, err := processes()
		if err != nil {
			return false
		}
		s.readKeepers(supervisorsByDir(all))
		if s.main.process.pid == 0 || s.Log && s.log.process.pid == 0 {
			s.refuse(&told) // svscan may have been faster
			return false
		}
		if up && s.Down && !asked {
			asked = send(s.Dir, "u") == nil
		}
		return !up || s.main.pid != 0
	})
	if !ok {
		return fmt.Errorf("it does not come back within %v", backLimit)
	}
	if rest == nil {
		return nil
	}
	var output string
	ok = await(backLimit, func() bool {
		s.main.read()
		output = procFile(s.main.process.pid, "fd/1")
		if s.main.kind == runit {
			output = procFile(s.main.pid, "fd/1")
		}
		return isPipe(output)
	})
	if !ok {
		return errors.New("it has no pipe to carry the rest of its log to")
	}
	return rest.carry(output)
}

package migrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/systemd/manager"
	"qmail-smtpd/units"
)

// A migration is a tree that is being moved.
type migration struct {
	*tree
	manager *manager.Manager
	limit   time.Duration // for one service to end, or to come up
	inPlace bool          // the tree is in scanDir already
}

// apply moves the services of the tree and returns the exit code.
func (t *tree) apply(m *manager.Manager, o options, look units.Lookup) int {
	g := &migration{tree: t, manager: m, limit: o.wait, inPlace: sameDir(t.dir, scanDir)}
	if len(t.refused) > 0 {
		for _, r := range t.refused {
			command.Warning(name, r.Error(), nil)
		}
		return command.Permanent(name, "not all services can be moved: mend that, or take them out of "+t.dir, nil)
	}
	if file, found := look(ourUnit); !found || !strings.Contains(file.Text, "ExecStart=/usr/bin/svscan "+scanDir) {
		return command.Permanent(name, "no "+ourUnit+" of this package: "+file.Path, nil)
	}
	undo := o.undo
	if undo == "" {
		undo = "/var/lib/svcompat/undo-migrate-" + time.Now().Format("2006-01-02-150405") + ".sh"
	}
	script, err := g.undoScript()
	if err == nil {
		err = writeScript(undo, script)
	}
	if err != nil {
		return command.Fatal(name, "unable to write "+undo, err)
	}
	if err := g.prepare(); err != nil {
		os.Remove(undo)
		return command.Fatal(name, err.Error(), nil)
	}
	if err := g.run(); err != nil {
		fmt.Println("undo with: " + undo)
		return command.Fatal(name, err.Error(), nil)
	}
	fmt.Printf("%s: all services are under systemd; undo with: %s\n", t.dir, undo)
	return 0
}

// writeScript writes a script that nobody but root can read: it may carry the
// environment of a process.
func writeScript(file, script string) error {
	if err := os.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = f.WriteString(script)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// run ends the old scanner and moves the services.
func (g *migration) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := g.stopScanner(ctx); err != nil {
		return err
	}
	for _, s := range g.services {
		if s.held {
			continue
		}
		began := time.Now()
		if err := g.move(s); err != nil {
			return fmt.Errorf("%s: %w", units.Printable(s.entry), err)
		}
		fmt.Printf("%s: moved to %s.service in %.2f seconds\n", units.Printable(s.entry), s.Base, time.Since(began).Seconds())
	}
	return nil
}

// prepare makes all ready for the services: svscan, their entries in scanDir,
// and their units. svscan does not take services up before their old
// supervisors let them go, so nothing changes for them. Where it fails,
// entries that it made are gone again.
func (g *migration) prepare() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	made, err := g.link()
	if err == nil {
		err = g.units(ctx)
	}
	if err != nil {
		for _, entry := range made {
			os.Remove(entry)
		}
	}
	return err
}

// link makes the entries of scanDir, where svscan is to find the services, and
// returns their paths.
func (g *migration) link() (made []string, err error) {
	if g.inPlace {
		return nil, nil
	}
	if err := os.MkdirAll(scanDir, 0o755); err != nil {
		return nil, err
	}
	for _, s := range g.services {
		if s.main.process.pid != 0 && s.main.kind.unseen || sameDir(s.ourEntry(), s.Dir) {
			continue // svscan would not wait, or it is there
		}
		if err := s.link(); err != nil {
			return made, err
		}
		made = append(made, s.ourEntry())
	}
	return made, nil
}

// units has systemd read the units of the services, and svscan run.
func (g *migration) units(ctx context.Context) error {
	if err := g.manager.Enable(ctx, ourUnit); err != nil {
		return fmt.Errorf("unable to enable %s: %w", ourUnit, err)
	}
	if err := g.manager.Reload(ctx); err != nil {
		return fmt.Errorf("unable to have systemd read its units: %w", err)
	}
	var names []string
	for _, s := range g.services {
		if sameDir(s.ourEntry(), s.Dir) {
			names = append(names, s.Units()...)
		}
	}
	states, err := g.manager.Watch(ctx, names)
	if err != nil {
		return fmt.Errorf("unable to ask systemd for units: %w", err)
	}
	for _, unit := range names {
		if load := states[unit].Load; load != "loaded" {
			return fmt.Errorf("systemd has no good %s: it is %s; see svscan-generator --print", unit, load)
		}
	}
	if err := g.manager.Start(ourUnit, manager.WithDependencies).Wait(ctx); err != nil {
		return fmt.Errorf("unable to start %s: %w", ourUnit, err)
	}
	return nil
}

func (s *service) link() error {
	if sameDir(s.ourEntry(), s.Dir) {
		return nil
	}
	return os.Symlink(s.Dir, s.ourEntry())
}

// ourEntry is the path of the service in scanDir.
func (s *service) ourEntry() string { return scanDir + "/" + s.Name }

// stopScanner ends the scanner alone, and sees that it does not come back.
func (g *migration) stopScanner(ctx context.Context) error {
	scanner := g.scanner
	if scanner == nil {
		return nil
	}
	process := openPidfd(scanner.pid)
	defer process.close()
	if scanner.unit != "" {
		if err := g.stopUnit(ctx, scanner.unit, scanner.kind); err != nil {
			return fmt.Errorf("unable to stop %s: %w", scanner.unit, err)
		}
	}
	if err := process.signal(scanner.kind.end); err != nil {
		return fmt.Errorf("unable to end %s: %w", scanner.kind.scanner, err)
	}
	if !process.ended(10 * time.Second) {
		return fmt.Errorf("%s does not end: process %d", scanner.kind.scanner, scanner.pid)
	}
	what := fmt.Sprintf("%s %d has ended, its services go on", scanner.kind.scanner, scanner.pid)
	if scanner.unit != "" {
		what += "; " + scanner.unit + " is disabled"
	} else {
		what += "; take out yourself what starts it at boot"
	}
	fmt.Println(g.dir + ": " + what)
	return nil
}

// stopUnit stops the unit of a scanner and nothing else in it, and disables
// it.
func (g *migration) stopUnit(ctx context.Context, unit string, k *kind) error {
	dir := "/run/systemd/system/" + unit + ".d"
	dropIn := dir + "/zz-" + name + ".conf"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text := "[Service]\nRestart=no\nKillMode=process\nSendSIGKILL=no\nExecStop=\nExecStopPost=\nKillSignal=" + unix.SignalName(k.end) + "\n"
	if err := os.WriteFile(dropIn, []byte(text), 0o644); err != nil {
		return err
	}
	err := g.manager.Reload(ctx)
	if err == nil {
		err = g.manager.Stop(unit).Wait(ctx)
	}
	os.Remove(dropIn)
	os.Remove(dir)
	if err != nil {
		return err
	}
	if err := g.manager.Disable(ctx, unit); err != nil {
		return err
	}
	file, _, err := g.manager.UnitFile(ctx, unit)
	if err == nil && !strings.HasPrefix(file, "/etc/") {
		err = g.manager.Mask(ctx, unit)
	}
	if err != nil {
		return err
	}
	return g.manager.Reload(ctx)
}

// move moves one service. It comes up as it was.
func (g *migration) move(s *service) error {
	s.main.read()
	s.log.read()
	supervised := s.main.process.pid != 0
	up := !s.Down
	if supervised {
		up = s.main.pid != 0 && !s.main.once
	}
	logUp := s.Log && !s.LogDown
	if s.log.process.pid != 0 {
		logUp = s.log.pid != 0
	}
	downs, err := s.keepDown(up, logUp)
	defer s.remove(downs)
	if err != nil {
		return err
	}
	rest, err := s.release(g.limit)
	if err != nil {
		return err
	}
	if rest != nil {
		defer rest.close()
		if err := s.carry(rest); err != nil {
			command.Warning(name, "unable to carry the rest of the log of "+s.entry, err)
		}
	}
	if !g.inPlace {
		if err := s.link(); err != nil {
			return err
		}
	}
	return s.taken(g.limit, up, logUp)
}

// keepDown makes files down that keep what is down from being started, and
// returns their names. They are to go when that is over.
func (s *service) keepDown(up, logUp bool) (files []string, err error) {
	if !up && !s.Down {
		files = append(files, "down")
	}
	if s.Log && !logUp && !s.LogDown {
		files = append(files, "log/down")
	}
	for _, file := range files {
		if err := os.WriteFile(s.Dir+"/"+file, nil, 0o644); err != nil {
			return files, err
		}
	}
	return files, nil
}

// remove removes files of the service directory.
func (s *service) remove(files []string) {
	for _, file := range files {
		os.Remove(s.Dir + "/" + file)
	}
}

// carry has the rest of the old log go to the new one.
func (s *service) carry(rest *pipe) error {
	if err := os.MkdirAll(units.RuntimeDir, 0o755); err != nil {
		return err
	}
	fifo := units.FIFO(s.Base)
	if err := unix.Mkfifo(fifo, 0o600); err != nil && err != unix.EEXIST {
		return err
	}
	return rest.carry(fifo)
}

// taken waits until svscan has the service, and it is up where it should be.
func (s *service) taken(limit time.Duration, up, logUp bool) error {
	nudge := time.NewTicker(time.Second)
	defer nudge.Stop()
	touch(s.ourEntry())
	wait := func(dir string, up, normallyUp bool) error {
		asked := time.Now().Add(patience)
		ok := await(limit, func() bool {
			select {
			case <-nudge.C:
				touch(s.ourEntry())
			default:
			}
			if !kept(dir) {
				return false
			}
			if status, ok := readStatus(dir); !up || ok && status.PID != 0 {
				return true
			}
			if !normallyUp || time.Now().After(asked) {
				send(dir, "u")
				normallyUp, asked = true, time.Now().Add(limit)
			}
			return false
		})
		if !ok {
			return fmt.Errorf("%s does not come up within %v: see systemctl status %s", dir, limit, s.Base)
		}
		return nil
	}
	if s.Log {
		if err := wait(s.Dir+"/log", logUp, !s.LogDown); err != nil {
			return err
		}
	}
	return wait(s.Dir, up, !s.Down)
}

// patience is how long svscan has to start a service by itself. It leaves
// those alone that have units of an administrator's.
const patience = 5 * time.Second

// touch gives a file the owner that it has: svscan sees that of the entries
// of its directory, and looks.
func touch(path string) {
	var info unix.Stat_t
	if unix.Lstat(path, &info) == nil {
		unix.Lchown(path, int(info.Uid), int(info.Gid))
	}
}

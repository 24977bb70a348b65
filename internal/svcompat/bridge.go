package svcompat

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/systemd"
	"qmail-smtpd/internal/systemd/manager"
	"qmail-smtpd/units"
)

const (
	reconnectAfter = time.Second
	callLimit      = 20 * time.Second // of one call to systemd, which may stall while it reloads
)

// startedAsUnit tells whether systemd started this process as svscan.service.
func startedAsUnit() bool {
	var info unix.Stat_t
	if os.Getenv("NOTIFY_SOCKET") == "" || unix.Stat("/run/systemd/system", &info) != nil {
		return false
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return false
	}
	for _, line := range bytes.Split(groups, []byte("\n")) {
		if path.Base(string(line)) == "svscan.service" {
			return true
		}
	}
	return false
}

// A bridge is what svscan is beside a scanner where systemd runs: it makes
// service directories that have units look as if supervise kept them. All of
// its state belongs to the goroutine of run.
type bridge struct {
	scanner *scanner
	events  chan func() // to be done by run
	manager *manager.Manager
	retry   <-chan time.Time
	watched map[string]*unitDir // unit → who shows its state
	stored  map[string]*os.File // left by an earlier svscan, not yet claimed
	said    map[string]string   // subject → what was last complained of
}

// scanUnits is svscan with systemd. It does not return.
func scanUnits(s *scanner) {
	b := &bridge{
		scanner: s,
		events:  make(chan func()),
		watched: map[string]*unitDir{},
		stored:  systemd.StoredFiles(),
		said:    map[string]string{},
	}
	s.bridge = b
	s.env = command.ChangeEnv(s.env, "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
		"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID")
	b.connect()
	b.look()
	systemd.Notify(systemd.Ready)
	ticks := time.NewTicker(lookEvery)
	for {
		var changes <-chan manager.Change
		if b.manager != nil {
			changes = b.manager.Changes()
		}
		select {
		case <-ticks.C:
			b.look()
		case event := <-b.events:
			event()
		case change, ok := <-changes:
			if ok {
				b.changed(change)
			} else {
				b.connect()
			}
		case <-b.retry:
			b.connect()
			b.scanner.look()
		}
	}
}

func (b *bridge) look() {
	if b.manager == nil {
		b.connect()
	}
	b.scanner.reap()
	b.scanner.look()
	systemd.Notify(systemd.Alive)
}

// connect connects to systemd, and tries once more soon where a connection
// has just ended; every look tries as well.
func (b *bridge) connect() {
	lost := b.manager != nil
	b.manager, b.retry = nil, nil
	m, err := manager.Dial()
	if err != nil {
		if lost {
			b.retry = time.After(reconnectAfter)
		} else {
			b.complain("systemd", "unable to connect to systemd", err)
		}
		return
	}
	b.content("systemd")
	b.manager = m
	b.refresh()
}

// refresh reads the state of all units.
func (b *bridge) refresh() {
	for _, s := range b.watched {
		if state, ok := b.watch(s); ok {
			s.changed(state)
		}
		s.next()
	}
}

// watch reads the state of the unit of s.
func (b *bridge) watch(s *unitDir) (state manager.State, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	state, err := b.manager.Watch(ctx, s.unit)
	if err != nil {
		b.complain(s.name, "unable to watch "+s.unit, err)
	}
	return state, err == nil
}

func (b *bridge) changed(change manager.Change) {
	if change.Unit == "" {
		b.refresh()
	} else if s := b.watched[change.Unit]; s != nil {
		s.changed(change.State)
	}
}

// meet decides, where the scanner sees a directory for the first time, whether
// systemd has units for it. Where it has none, the directory gets a supervise.
// ok is false where this cannot be told now.
func (b *bridge) meet(name string) (service *bridged, ok bool) {
	dir, err := realPath(name)
	if err != nil {
		b.complain(name, "unable to resolve "+name, err)
		return nil, false
	}
	read, readErr := units.Read(dir, name)
	if readErr != nil {
		b.complain(name, name, readErr)
	}
	if b.manager == nil {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	unit := read.Base + ".service"
	state, err := b.manager.Watch(ctx, unit)
	switch {
	case err != nil:
		b.complain(name, "unable to watch "+unit, err)
		return nil, false
	case state.Load == "not-found":
		if readErr != nil && hasFolder(dir+"/systemd") {
			return nil, false
		}
		return nil, true
	case state.Load == "loaded" && state.Dir != dir:
		b.complain(name, notOf(unit, dir, state.Dir), nil)
		return nil, true
	case b.watched[unit] != nil:
		b.complain(name, notOf(unit, dir, b.watched[unit].dir), nil)
		return nil, false
	}
	if readErr == nil {
		b.content(name)
	}
	return newBridged(b, name, dir, read), true
}

func notOf(unit, dir, owner string) string {
	return "unable to use " + unit + " for " + dir + ": it is of " + owner + "; see systemd/unit in both"
}

func realPath(name string) (string, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

func hasFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// complain warns once of what is wrong with subject, until something else is
// wrong with it or nothing is.
func (b *bridge) complain(subject, what string, err error) {
	text := what
	if err != nil {
		text += ": " + errText(err)
	}
	if b.said[subject] == text {
		return
	}
	b.said[subject] = text
	warn(text, nil)
}

func (b *bridge) content(subject string) { delete(b.said, subject) }

// errText is the whole text of err with the classic words for its errno.
func errText(err error) string {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Path + ": " + command.ErrText(err)
	}
	var errno unix.Errno
	if e := errors.Unwrap(err); e == nil && errors.As(err, &errno) {
		return command.ErrText(errno)
	}
	return err.Error()
}

// report tells what svscan did by itself.
func report(text string) {
	os.Stderr.WriteString("svscan: status: " + text + "\n")
}

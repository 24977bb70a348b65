package svscan

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/systemd"
	"qmail-smtpd/internal/systemd/manager"
)

const (
	reconnectEvery = 200 * time.Millisecond
	reconnectTries = 50
	callLimit      = 30 * time.Second // of one question to systemd, which may stall while it reloads

	// A file system that was read-only when a process got its mount namespace
	// stays so in there. After readOnlyLimit another svscan has a look.
	readOnlyLimit = 30 * time.Second
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

// A bridge is svscan where systemd runs the services: it makes service
// directories look as if supervise kept them. All of its state belongs to the
// goroutine of run.
type bridge struct {
	dir      string      // the scan directory, absolute
	events   chan func() // to be done by run
	manager  *manager.Manager
	retry    <-chan time.Time // of the connection
	retries  int              // that are left
	services map[identity]*bridged
	units    map[string]*unitDir // service or socket unit → who shows its state
	stored   map[string]*os.File // left by an earlier svscan, not yet claimed
	said     map[string]string   // subject → what was last complained of
	notices  *notices            // nil: there is no inotify
	soon     soon                // the look that a change brings
	arrived  map[identity]arrival
	known    map[string]knownEntry
	reload   reload

	began    time.Time
	looks    uint64
	readOnly bool // a file system was, in the view of this process
	scanned  bool // the directories were read once
	noticed  bool // something has changed in a directory that is watched
}

// scanUnits is svscan with systemd, on the scan directory dir. It returns
// where systemd is to start another one.
func scanUnits(dir string) {
	b := &bridge{
		dir:      dir,
		events:   make(chan func()),
		services: map[identity]*bridged{},
		units:    map[string]*unitDir{},
		stored:   systemd.StoredFiles(),
		said:     map[string]string{},
		soon:     newSoon(),
		began:    time.Now(),
	}
	b.notices = b.startNotices()
	b.removeRuntimeDropIns()
	b.look()
	systemd.Notify(systemd.Ready)
	b.run()
}

func (b *bridge) run() {
	ticks := time.NewTicker(lookEvery)
	for {
		var changes <-chan manager.Change
		if b.manager != nil {
			changes = b.manager.Changes()
		}
		select {
		case <-ticks.C:
			b.look()
			if b.readOnly && startedAsUnit() && time.Since(b.began) >= readOnlyLimit {
				return
			}
			systemd.Notify(systemd.Alive)
		case <-b.soon.timer.C:
			b.look()
		case event := <-b.events:
			event()
		case change, ok := <-changes:
			switch {
			case !ok:
				b.disconnected()
			case change.Unit == "":
				b.reloaded()
			default:
				b.changed(change)
			}
		case <-b.retry:
			b.connect()
		}
	}
}

// connect connects to systemd. Where that fails, every look tries again.
func (b *bridge) connect() {
	b.retry = nil
	m, err := manager.Dial()
	if err == nil {
		b.manager = m
		err = b.rewatch()
	}
	if err != nil {
		if m != nil {
			m.Close()
		}
		b.manager = nil
		if b.retries > 0 {
			b.retries--
			b.retry = time.After(reconnectEvery)
		} else {
			b.complain("systemd", "unable to connect to systemd", err)
		}
		return
	}
	b.retries = 0
	b.content("systemd")
	for _, s := range b.dirs() {
		s.next()
	}
	b.reloaded()
}

// disconnected begins to connect again soon: systemd closes its connections
// when it executes itself anew.
func (b *bridge) disconnected() {
	b.manager = nil
	b.retries = reconnectTries
	b.connect()
}

// rewatch reads the state of all units that were watched before.
func (b *bridge) rewatch() error {
	units := make([]string, 0, len(b.units))
	for unit := range b.units {
		units = append(units, unit)
	}
	states, err := b.watch(units)
	for unit, state := range states {
		b.changed(manager.Change{Unit: unit, State: state})
	}
	return err
}

func (b *bridge) watch(units []string) (map[string]manager.State, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	return b.manager.Watch(ctx, units)
}

func (b *bridge) changed(change manager.Change) {
	s := b.units[change.Unit]
	switch {
	case s == nil:
	case s.unit == change.Unit:
		s.changed(change.State)
	default:
		s.socketStates[change.Unit] = change.State
	}
}

// dirs returns all service directories and logs.
func (b *bridge) dirs() []*unitDir {
	dirs := make([]*unitDir, 0, 2*len(b.services))
	for _, service := range b.services {
		dirs = append(dirs, service.all...)
	}
	return dirs
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

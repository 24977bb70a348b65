package svscan

import (
	"context"
	"time"
)

// A reload is systemd reading its unit files, and svscan-generator's, again.
type reload struct {
	due     bool // something has changed
	running bool
}

// reloadLimit is far beyond what systemd takes for thousands of units.
const reloadLimit = 5 * time.Minute

// reloadIfDue has systemd read its unit files. One reload at a time brings
// all changes that have come by its beginning.
func (b *bridge) reloadIfDue() {
	if !b.reload.due || b.reload.running || b.manager == nil {
		return
	}
	b.reload = reload{running: true}
	for _, service := range b.services {
		service.asked = !service.inSync && service.isHeld()
	}
	m := b.manager
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), reloadLimit)
		defer cancel()
		err := m.Reload(ctx)
		b.events <- func() {
			b.reload.running = false
			if err != nil {
				b.complain("reload", "unable to have systemd read its units", err)
			} else {
				b.content("reload")
			}
			b.reloaded()
		}
	}()
}

// reloaded takes over what systemd has read, whoever asked for it.
func (b *bridge) reloaded() {
	if b.manager == nil || b.reload.running {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	changes, err := b.manager.Refresh(ctx)
	if err != nil {
		b.complain("watch", "unable to watch units", err)
		return
	}
	for _, change := range changes {
		b.changed(change)
	}
	for _, service := range b.services {
		service.inSync = false
	}
	b.compare()
	for _, service := range b.services {
		service.checkUnits()
		service.begin()
		service.finishEdit()
	}
}

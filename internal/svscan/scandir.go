package svscan

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/units"
)

const (
	// A directory that is being copied is left alone until nothing has come
	// into it for settleTime, but no longer than settleLimit.
	settleTime  = 200 * time.Millisecond
	settleLimit = 2 * time.Second

	// A directory that is known is looked at once in so many looks, if nothing
	// tells of a change; in others, at the names in the scan directory alone.
	thoroughEvery = 6
)

// An arrival is a directory that is no service so far.
type arrival struct {
	first   time.Time // when it was seen first
	stamps  stamps    // from before it is read
	settled bool
}

// look looks at the scan directory, and does what is due for each service.
func (b *bridge) look() {
	b.soon.done()
	b.readOnly = false
	if b.manager == nil {
		b.connect()
	}
	if b.manager == nil {
		return
	}
	if b.survey() || !b.scanned {
		b.scan()
	}
	for id, service := range b.services {
		service.visit()
		if service.isOver() {
			service.forget()
			delete(b.services, id)
			b.reload.due = true
		}
	}
	b.noticed = false
	b.reconcile()
}

// survey compares the scan directory with what is known of it, by stat
// alone.
func (b *bridge) survey() (changed bool) {
	b.notices.watch(b.dir, inScanDir)
	entries, err := readEntries(b.dir)
	if err != nil {
		b.complain("scan directory", "unable to read directory", err)
		return false
	}
	b.content("scan directory")
	for _, service := range b.services {
		service.seen = false
	}
	b.looks++
	arrived := map[identity]arrival{}
	known := make(map[string]knownEntry, len(entries))
	for _, entry := range entries {
		name := entry.name
		if k, is := b.known[name]; is && k.ino == entry.ino {
			if service := b.services[k.id]; service != nil && !service.gone && !b.isThorough(service) {
				service.seen = true
				known[name] = k
				continue
			}
		}
		path := b.dir + "/" + name
		var info unix.Stat_t
		if err := unix.Stat(path, &info); err != nil {
			b.complain("stat "+name, "unable to stat "+name, err)
			continue
		}
		b.content("stat " + name)
		if info.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue
		}
		id := identity{info.Dev, info.Ino}
		known[name] = knownEntry{entry.ino, id}
		service := b.services[id]
		switch {
		case service == nil:
			a := b.arrived[id]
			a.look(path, &info)
			arrived[id] = a
			if a.settled {
				changed = true
			} else {
				b.soon.within(settleTime)
			}
		case !service.seen:
			service.seen = true
			changed = service.stamps.update(service.dir, &info) || service.gone || changed
		}
	}
	b.arrived, b.known = arrived, known
	for _, service := range b.services {
		service.gone = !service.seen
	}
	return changed
}

// A knownEntry is an entry of the scan directory as it was at the last look.
type knownEntry struct {
	ino uint64 // its own, which is that of the link where it is one
	id  identity
}

// isThorough tells whether the look at hand is one at all of the service.
func (b *bridge) isThorough(service *bridged) bool {
	return b.noticed || (service.read.Ino+b.looks)%thoroughEvery == 0
}

func (a *arrival) look(path string, info *unix.Stat_t) {
	now := time.Now()
	if a.first.IsZero() {
		a.first = now
	}
	a.stamps.update(path, info)
	quiet := now.Sub(time.Unix(info.Ctim.Unix()))
	a.settled = a.settled || quiet < 0 || quiet >= settleTime || now.Sub(a.first) >= settleLimit
}

// scan reads all service directories, as svscan-generator does.
func (b *bridge) scan() {
	held, err := units.ReadHeld(units.HeldDir)
	if err != nil {
		b.complain("held", "unable to read "+units.HeldDir, err)
	}
	known := map[identity]bool{}
	for _, h := range held {
		known[identity{h.Dev, h.Ino}] = true
	}
	services, refused, _ := units.Scan(b.dir, held, b.lookup())
	b.scanned = true
	wrong := map[string]bool{}
	for _, r := range refused {
		if !r.Missing { // otherwise the survey says so
			wrong["entry "+r.Name] = true
			b.complain("entry "+r.Name, r.Error(), nil)
		}
	}
	for subject := range b.said {
		if strings.HasPrefix(subject, "entry ") && !wrong[subject] {
			b.content(subject)
		}
	}
	for _, read := range services {
		id := identity{read.Dev, read.Ino}
		service := b.services[id]
		if service == nil {
			a, is := b.arrived[id]
			if !read.Gone && !a.settled {
				continue
			}
			service = newBridged(b, read, !known[id])
			service.seen, service.stamps = is, a.stamps
			b.services[id] = service
			delete(b.arrived, id)
		}
		service.take(read)
	}
}

// lookup finds the unit files that are not rendered from service directories.
func (b *bridge) lookup() units.Lookup { return units.LookupIn(units.UnitPath()...) }

// reconcile holds what is not held yet, begins to watch its units, has
// systemd read the units that it does not have, and starts what is to be
// started.
func (b *bridge) reconcile() {
	if b.manager == nil {
		return
	}
	var met []*unitDir
	for _, service := range b.services {
		for _, s := range service.all {
			if s.hold() {
				met = append(met, s)
			}
		}
	}
	b.compare()
	b.adopt(met)
	for _, service := range b.services {
		service.begin()
	}
}

// compare compares the units that directories make with those that systemd
// has, and has it read them where they differ.
func (b *bridge) compare() {
	var look units.Lookup
	for _, service := range b.services {
		if service.inSync || service.deleted || !service.isHeld() {
			continue
		}
		if look == nil {
			look = b.lookup()
		}
		service.compare(look)
		if !service.inSync && !service.asked {
			b.reload.due = true
		}
	}
	b.reloadIfDue()
}

// adopt begins to watch the units of directories that have just been taken
// over, and shows their state.
func (b *bridge) adopt(met []*unitDir) {
	if len(met) == 0 {
		return
	}
	var names []string
	for _, s := range met {
		names = append(append(names, s.unit), s.sockets...)
	}
	states, err := b.watch(names)
	if err != nil {
		b.complain("watch", "unable to watch units", err)
		for _, s := range met {
			s.letGo()
		}
		return
	}
	b.content("watch")
	for _, s := range met {
		b.units[s.unit] = s
		for _, socket := range s.sockets {
			b.units[socket] = s
			s.socketStates[socket] = states[socket]
		}
		s.adopt(states[s.unit])
		if s == s.service.main {
			s.service.givePipe() // the log comes before it
		}
	}
}

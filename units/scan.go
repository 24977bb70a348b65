package units

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// An identity is what makes two names the same directory.
type identity struct{ dev, ino uint64 }

// A scan is a look at all service directories.
type scan struct {
	trust    trust
	held     map[identity]Held
	seen     map[identity]bool
	services []scanned
	refused  []Refusal
}

// A scanned is a service with what decides whether it gets the names of its
// units.
type scanned struct {
	Service
	shown  string // the path that messages name
	held   bool
	refuse string // why it gets none; empty: it does
}

// Scan reads the service directories in the absolute path scanDir as svscan
// sees them, in the order of their names, and those that are held and no more
// there. Two names of one directory are one service, of the first name. A
// directory that is held keeps the base and the name of its record. Of two
// that want a unit of the same name, one that is held gets it, otherwise the
// first; the other is refused. So is one that wants a unit which look finds
// to be of something else; look may be nil.
//
// Where scanDir itself cannot be read, err says so, and the held ones are
// returned.
func Scan(scanDir string, held []Held, look Lookup) (services []Service, refused []Refusal, err error) {
	s := &scan{trust: trust{}, held: map[identity]Held{}, seen: map[identity]bool{}}
	for _, h := range held {
		s.held[identity{h.Dev, h.Ino}] = h
	}
	names, err := s.names(scanDir)
	for _, name := range names {
		if !strings.HasPrefix(name, ".") {
			s.entry(scanDir, name)
		}
	}
	for _, h := range held {
		s.gone(h)
	}
	s.share(look)
	for _, service := range s.services {
		services = append(services, service.Service)
	}
	return services, s.refused, err
}

func (s *scan) names(scanDir string) ([]string, error) {
	real, n, err := s.trust.walkOn(scanDir)
	if err == nil && n.kind() != unix.S_IFDIR {
		err = unix.ENOTDIR
	}
	if err != nil {
		var d *distrust
		if errors.As(err, &d) && d.path == real {
			d.path = ""
		}
		return nil, refusal("", scanDir, err)
	}
	names, err := readNames(real)
	if err != nil {
		err = refusal("", scanDir, err)
	}
	slices.Sort(names)
	return names, err
}

func (s *scan) entry(scanDir, name string) {
	shown := scanDir + "/" + name
	real, n, err := s.trust.follow(shown)
	id := identity{n.dev, n.ino}
	if err == nil {
		if n.kind() != unix.S_IFDIR || s.seen[id] {
			return
		}
		s.seen[id] = true
		if others := writers(real, n); others != "" {
			err = &distrust{reason: others}
		}
	}
	if err != nil {
		s.refuse(refusal(name, shown, err))
		return
	}
	s.add(Service{Name: name, Dir: real, Dev: n.dev, Ino: n.ino}, n, shown)
}

// gone adds a held directory that the scan directory has not, if it is still
// where it was.
func (s *scan) gone(h Held) {
	id := identity{h.Dev, h.Ino}
	if s.seen[id] {
		return
	}
	real, n, err := s.trust.walk(h.Dir)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return
	case err != nil:
		s.refuse(refusal(h.Name, h.Dir, err))
		return
	case id != identity{n.dev, n.ino}:
		return
	}
	s.seen[id] = true
	s.add(Service{Name: h.Name, Dir: real, Dev: n.dev, Ino: n.ino, Gone: true}, n, h.Dir)
}

func (s *scan) add(service Service, n node, shown string) {
	h, held := s.held[identity{n.dev, n.ino}]
	if held {
		service.Name = h.Name
	}
	if err := service.safeRead(s.trust, n, h.Base); err != nil {
		s.refuse(refusal(service.Name, shown, err))
		return
	}
	s.services = append(s.services, scanned{service, shown, held, ""})
}

// safeRead is read for a caller to whom a mistake in it must not cost the
// other directories.
func (s *Service) safeRead(t trust, n node, base string) (err error) {
	defer func() {
		if wrong := recover(); wrong != nil {
			err = fmt.Errorf("internal error: %v", wrong)
		}
	}()
	return s.read(t, n, base)
}

func (s *scan) refuse(r Refusal) { s.refused = append(s.refused, r) }

// share decides who gets which unit.
func (s *scan) share(look Lookup) {
	owners := map[string]string{} // unit → who has it
	for _, held := range []bool{true, false} {
		for i := range s.services {
			service := &s.services[i]
			if service.held != held {
				continue
			}
			if service.refuse = s.wrong(service, owners, look); service.refuse != "" {
				s.refuse(Refusal{Name: service.Name, Path: service.shown, Reason: service.refuse})
				continue
			}
			for _, unit := range service.Units() {
				owners[unit] = service.shown
			}
		}
	}
	s.services = slices.DeleteFunc(s.services, func(service scanned) bool { return service.refuse != "" })
}

// wrong says why the service cannot have its units; empty: it can.
func (s *scan) wrong(service *scanned, owners map[string]string, look Lookup) string {
	for _, unit := range service.Units() {
		if owner, is := owners[unit]; is {
			return unit + " is of " + owner
		}
	}
	if look == nil {
		return ""
	}
	for _, unit := range service.Units() {
		if file, found := look(unit); found && !s.owns(service.Service, unit, file, look) {
			return unit + " is of something else: " + file.Path
		}
	}
	return ""
}

// owns tells whether the unit file of a unit is for the service: it is
// masked, or a service in its directory, or a socket of such a service.
func (s *scan) owns(service Service, unit string, file UnitFile, look Lookup) bool {
	if strings.TrimSpace(file.Text) == "" {
		return true
	}
	stem, isSocket := strings.CutSuffix(unit, ".socket")
	if !isSocket {
		dir := service.Dir
		if unit == service.Base+"-log.service" {
			dir += "/log"
		}
		return s.same(setting(file.Text, "WorkingDirectory"), dir)
	}
	if source := setting(file.Text, "SourcePath"); source != "" {
		main := strings.TrimSuffix(strings.TrimSuffix(source, "/log/run"), "/systemd/listen")
		return s.same(main, service.Dir)
	}
	triggers := setting(file.Text, "Service")
	if triggers == keeper(service.Base) {
		return true
	}
	if triggers == "" {
		triggers = stem + ".service"
	}
	if triggers != service.Base+".service" && triggers != service.Base+"-log.service" {
		return false
	}
	triggered, found := look(triggers)
	return found && triggered.Text != "" && s.owns(service, triggers, triggered, look)
}

// same tells whether a path leads to the directory dir.
func (s *scan) same(path, dir string) bool {
	if path == dir {
		return true
	}
	if !strings.HasPrefix(path, "/") {
		return false
	}
	real, _, err := s.trust.walk(path)
	return err == nil && real == dir
}

// setting returns the last value of a key in the text of a unit, without
// the escapes of specifiers.
func setting(text, key string) (value string) {
	for _, line := range strings.Split(text, "\n") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			value = strings.ReplaceAll(strings.TrimSpace(v), "%%", "%")
		}
	}
	return value
}

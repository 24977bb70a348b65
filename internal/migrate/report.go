package migrate

import (
	"fmt"
	"slices"
	"strings"

	"qmail-smtpd/units"
)

// report says what moving the tree would do.
func (t *tree) report() string {
	var b strings.Builder
	if t.scanner == nil {
		fmt.Fprintf(&b, "%s: no svscan, runsvdir or s6-svscan runs on it\n", t.dir)
	} else {
		fmt.Fprintf(&b, "%s: %s, %s is process %d", t.dir, t.scanner.kind.name, t.scanner.kind.scanner, t.scanner.pid)
		if t.scanner.unit != "" {
			fmt.Fprintf(&b, ", started by %s", t.scanner.unit)
		}
		b.WriteString("\n")
		for _, line := range append(general(t.scanner.kind), t.common()...) {
			fmt.Fprintf(&b, "    %s\n", units.Printable(line))
		}
	}
	for _, s := range t.services {
		b.WriteString(s.report())
	}
	for _, r := range t.missing {
		fmt.Fprintf(&b, "\n%s\n    leads nowhere: passed over\n", units.Printable(r.Path))
	}
	for _, r := range t.refused {
		fmt.Fprintf(&b, "\n%s\n    cannot be moved: %s\n", units.Printable(r.Path), units.Printable(r.Reason))
	}
	return b.String()
}

// common takes away the lines that all services have, and returns them.
func (t *tree) common() (lines []string) {
	if len(t.services) < 2 {
		return nil
	}
	for _, of := range []struct {
		list func(*service) *[]string
		word string
	}{
		{func(s *service) *[]string { return &s.differs }, "differs  "},
		{func(s *service) *[]string { return &s.lost }, "lost     "},
	} {
		for _, line := range slices.Clone(*of.list(t.services[0])) {
			if slices.ContainsFunc(t.services, func(s *service) bool { return !slices.Contains(*of.list(s), line) }) {
				continue
			}
			lines = append(lines, of.word+line)
			for _, s := range t.services {
				list := of.list(s)
				*list = slices.DeleteFunc(*list, func(l string) bool { return l == line })
			}
		}
	}
	return lines
}

// report says what becomes of a service.
func (s *service) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s", units.Printable(s.entry))
	if s.Dir != s.entry {
		fmt.Fprintf(&b, " -> %s", units.Printable(s.Dir))
	}
	b.WriteString("\n")
	if s.held {
		b.WriteString("    is kept by svscan already\n")
		return b.String()
	}
	fmt.Fprintf(&b, "    now      %s\n", s.state())
	fmt.Fprintf(&b, "    becomes  %s\n", strings.Join(s.Units(), ", "))
	for _, line := range s.differs {
		fmt.Fprintf(&b, "    differs  %s\n", units.Printable(line))
	}
	for _, line := range s.lost {
		fmt.Fprintf(&b, "    lost     %s\n", units.Printable(line))
	}
	return b.String()
}

// state says how the service is now.
func (s *service) state() string {
	text := s.main.state(!s.Down)
	if s.Log {
		text += ", log " + s.log.state(!s.LogDown)
	} else {
		text += ", no log"
	}
	return text
}

func (k keeper) state(normallyUp bool) string {
	if k.process.pid == 0 {
		return "not supervised"
	}
	text := "down"
	if k.pid != 0 {
		text = fmt.Sprintf("up (pid %d)", k.pid)
	}
	switch {
	case k.once:
		text += " once"
	case k.paused:
		text += " paused"
	}
	switch {
	case k.pid != 0 && !normallyUp:
		text += ", normally down"
	case k.pid == 0 && normallyUp:
		text += ", normally up"
	}
	return text + " under " + k.supervisor
}

// summary counts.
func (t *tree) summary() string {
	moved := 0
	for _, s := range t.services {
		if s.held {
			moved++
		}
	}
	text := fmt.Sprintf("%d to move", len(t.services)-moved)
	if moved > 0 {
		text += fmt.Sprintf(", %d moved already", moved)
	}
	if n := len(t.refused); n > 0 {
		text += fmt.Sprintf(", %d cannot be moved", n)
	}
	return text
}

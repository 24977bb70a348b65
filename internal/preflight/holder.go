package preflight

import (
	"fmt"
	"slices"
	"strings"
)

// holders returns who holds the port.
func (h host) holders(port uint16) ([]holder, error) {
	sockets, err := h.listening(port)
	if err != nil {
		return nil, err
	}
	owners := h.owners(sockets)
	var all []holder
	for _, s := range sockets {
		for _, found := range h.holdersOf(s, owners[s.inode]) {
			address := s.address.Addr().String()
			i := slices.IndexFunc(all, func(o holder) bool {
				return o.who == found.who && slices.Equal(o.facts, found.facts)
			})
			if i < 0 {
				all = append(all, found)
				i = len(all) - 1
			}
			if !slices.Contains(all[i].addresses, address) {
				all[i].addresses = append(all[i].addresses, address)
			}
		}
	}
	return all, nil
}

// holdersOf returns who has one socket: systemd, or the servers among the
// processes that have it open.
func (h host) holdersOf(s socket, pids []process) []holder {
	if len(pids) == 0 {
		return []holder{{who: "a process of uid " + s.uid + " that cannot be seen from here"}}
	}
	if pids[0] == 1 && h.comm(1) == "systemd" {
		return []holder{h.activated(s, pids[1:])}
	}
	var servers []process
	for _, pid := range pids {
		if h.comm(pid) == "docker-proxy" {
			servers = []process{pid} // dockerd has it open, too
			break
		}
		if server := h.server(pid); !slices.Contains(pids, h.parent(pid)) && !slices.Contains(servers, server) {
			servers = append(servers, server)
		}
	}
	var found []holder
	for _, pid := range servers {
		found = append(found, h.serverAt(s, pid))
	}
	return found
}

// activated describes who has a socket that systemd has too.
func (h host) activated(s socket, pids []process) holder {
	pid := process(1)
	if len(pids) > 0 {
		pid = h.server(pids[0])
	}
	units := h.socketUnits(s.address)
	if len(units) == 0 {
		return h.describe(pid, "a socket unit")
	}
	found := h.describe(pid, units[0])
	found.commands = []string{h.stop(units...)}
	return found
}

// describe names the program of a process, what it belongs to, and its
// package.
func (h host) describe(pid process, belongs string) holder {
	found := holder{who: h.comm(pid), facts: []string{fmt.Sprintf("pid %d", pid)}}
	if found.who == "" {
		found.who = "a process"
	}
	if belongs != "" {
		found.facts = append(found.facts, belongs)
	}
	if pid != 1 {
		if name := h.packageOf(pid); name != "" {
			found.facts = append(found.facts, "package "+name)
		}
	}
	return found
}

// serverAt describes the server with a socket, and finds what frees the port:
// the narrowest that is known.
func (h host) serverAt(s socket, pid process) holder {
	if c, ok := h.containerOf(pid, s.address.Port()); ok {
		found := h.describe(pid, c.what)
		found.hint, found.commands = c.hint, c.commands
		return found
	}
	if dir, ok := h.supervised(pid); ok {
		found := h.describe(pid, "service directory "+dir.path)
		found.hint, found.commands = dir.hint, dir.commands
		return found
	}
	unit := serviceOf(h.read(proc(pid, "cgroup")))
	found := h.describe(pid, unit)
	if file, command := h.superServer(pid, s.address.Port()); command != "" {
		reload := fmt.Sprintf("kill -HUP %d", pid)
		if unit != "" && h.output("systemctl", "show", "--value", "-p", "CanReload", unit) == "yes" {
			reload = "systemctl reload " + unit
		}
		found.hint = "it is configured in " + file
		found.commands = []string{command, reload}
		return found
	}
	if unit != "" {
		found.commands = []string{h.stop(unit)}
		return found
	}
	found.commands = []string{fmt.Sprintf("kill %d", pid)}
	return found
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@%+=:,-") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

package preflight

import (
	"net/netip"
	"slices"
	"strings"
)

// serviceOf finds the service unit in the text of a file /proc/PID/cgroup;
// empty where there is none that could be stopped for the process alone.
func serviceOf(cgroups string) string {
	for _, part := range cgroupOf(cgroups) {
		if strings.HasPrefix(part, "user@") {
			return "" // the services of a user
		}
		if !strings.HasSuffix(part, ".service") {
			continue
		}
		if part == "postfix@-.service" {
			return "postfix.service" // which starts the other
		}
		return part
	}
	return ""
}

// cgroupOf returns the path of the cgroup that systemd knows a process by.
func cgroupOf(cgroups string) []string {
	for _, line := range strings.Split(cgroups, "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) == 3 && (fields[1] == "" || fields[1] == "name=systemd") {
			if parts := strings.Split(fields[2], "/"); len(parts) > 2 {
				return parts
			}
		}
	}
	return nil
}

// stop returns the command that stops units and keeps them from starting
// again, of the first of which the state tells how.
func (h host) stop(units ...string) string {
	all := strings.Join(units, " ")
	state, source := "", ""
	for _, line := range strings.Split(h.output("systemctl", "show", "-p", "UnitFileState", "-p", "SourcePath", units[0]), "\n") {
		if value, ok := strings.CutPrefix(line, "UnitFileState="); ok {
			state = value
		}
		if value, ok := strings.CutPrefix(line, "SourcePath="); ok {
			source = value
		}
	}
	switch {
	case state == "transient":
		return "systemctl stop " + all
	case state == "generated" && strings.HasPrefix(source, "/etc/init.d/"):
		// --now does nothing for scripts of System V in systemd 252
		return "systemctl disable " + all + "; systemctl stop " + all
	case state == "static", state == "generated":
		return "systemctl mask --now " + all
	}
	return "systemctl disable --now " + all
}

// socketUnits returns the socket units that listen on an address, or else on
// its port, each with the service that it starts.
func (h host) socketUnits(address netip.AddrPort) (units []string) {
	var atPort []string
	list := h.output("systemctl", "list-sockets", "--no-legend", "--no-pager", "--full", "--plain")
	for _, line := range strings.Split(list, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasSuffix(fields[1], ".socket") {
			continue
		}
		listens, err := netip.ParseAddrPort(fields[0])
		if err != nil || listens.Port() != address.Port() {
			continue
		}
		found := []string{fields[1]}
		for _, unit := range fields[2:] {
			if strings.HasSuffix(unit, ".service") && !strings.Contains(unit, "@") {
				found = append(found, unit)
			}
		}
		if listens == address {
			return found
		}
		if !slices.Contains(atPort, found[0]) {
			atPort = append(atPort, found...)
		}
	}
	return atPort
}

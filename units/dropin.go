package units

import "strings"

// DropIns returns the drop-ins that units which are not rendered from s, such
// as those that packages ship, need to do what env/ of s says: that of each
// socket unit about addresses and backlog, that of the service unit about the
// network. files are the texts of the unit files, unit → text; the map has the
// same keys, with an empty text where no drop-in is needed.
func DropIns(s Service, files map[string]string) map[string]string {
	rendered := Render(s)
	dropIns := map[string]string{}
	for unit, text := range files {
		dropIns[unit] = ""
		if strings.HasSuffix(unit, ".socket") {
			has, wants := socketSettings(text), socketSettings(rendered[unit])
			if wants != has {
				dropIns[unit] = "[Socket]\nListenStream=\n" + wants
			}
			continue
		}
		if s.NeedsNetwork() && strings.Contains(text, "\nPrivateNetwork=yes\n") {
			dropIns[unit] = "[Service]\nPrivateNetwork=no\n"
		}
	}
	return dropIns
}

// socketSettings returns the lines of a socket unit that env/ can change.
func socketSettings(text string) string {
	var b strings.Builder
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "ListenStream=") || strings.HasPrefix(line, "Backlog=") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// NeedsNetwork tells whether the service looks clients up, by DNS or by the
// ident protocol, as env/REMOTENAME and env/REMOTEINFO say.
func (s Service) NeedsNetwork() bool {
	name, info := s.Env["REMOTENAME"], s.Env["REMOTEINFO"]
	return name == "h" || name == "p" ||
		info == "r" || info != "" && info[0] >= '0' && info[0] <= '9'
}

// SocketUnits returns the names of the socket units of s, without that of its
// log.
func (s Service) SocketUnits() []string {
	var names []string
	for _, socket := range s.sockets() {
		names = append(names, socket.unit+".socket")
	}
	return names
}

package units

import "strings"

// keeper is the instance of pipeUnit that the socket unit of the log pipe of the
// units base activates, in place of the log service. systemd watches a pipe
// while what its socket unit activates is down: it starts that with the next
// line, and once the socket unit is to be stopped, it throws the line away. So
// it activates what is up and does nothing. The services at both ends of the
// pipe are ordered after it, so that at a shutdown it goes after them.
func keeper(base string) string { return "svscan-pipe@" + base + ".service" }

const pipeUnit = `[Unit]
Description=Keeper of the log pipe of %i
Documentation=man:svscan(8)
DefaultDependencies=no
PartOf=%i-log.socket
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
Slice=system.slice
`

// WakesLog tells whether the socket unit of the log pipe of the units base,
// which somebody else made, activates the log service, as all did once.
func WakesLog(base string, look Lookup) bool {
	file, found := look(base + "-log.socket")
	return found && strings.TrimSpace(file.Text) != "" && setting(file.Text, "Service") != keeper(base)
}

package units

import (
	"fmt"
	"path"
	"strings"
)

// RuntimeDir is where the FIFOs between services and their logs are.
const RuntimeDir = "/run/svcompat"

// program is where the package has the commands that only units use.
const program = "/usr/libexec/qmail-smtpd/svscan"

// searchPath is where a run script finds programs, as under svscanboot.
const searchPath = "/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin"

// FIFO is the path of the FIFO that carries the log of the units base.
func FIFO(base string) string {
	return RuntimeDir + "/" + base + ".log"
}

// Render returns the units of s and their drop-ins: file name → text, names
// relative to a directory of units. Drop-ins are named 05-svcompat.conf, so
// that an administrator's win over them.
func Render(s Service) map[string]string {
	files := map[string]string{}
	for _, socket := range s.sockets() {
		files[socket.unit+".socket"] = renderSocket(s, socket)
	}
	files[s.Base+".service"] = renderService(s)
	if s.Log {
		files[s.Base+"-log.socket"] = renderLogSocket(s)
		files[s.Base+"-log.service"] = renderLogService(s)
	}
	for _, unit := range s.Units() {
		conf := s.conf(unit)
		if !strings.HasSuffix(unit, ".socket") {
			conf += environment(s, unit, conf, nil)
		}
		if conf != "" {
			files[unit+".d/05-svcompat.conf"] = conf
		}
	}
	return files
}

// A socketUnit is one socket unit of a service. One unit has one descriptor
// name, so each name of systemd/listen beyond the first has its own.
type socketUnit struct {
	unit      string
	name      string
	addresses []string
}

func (s Service) sockets() []socketUnit {
	var sockets []socketUnit
next:
	for _, l := range s.Listen {
		for i := range sockets {
			if sockets[i].name == l.Name {
				sockets[i].addresses = append(sockets[i].addresses, l.Address)
				continue next
			}
		}
		unit := s.Base
		if len(sockets) > 0 {
			unit += "-" + l.Name
		}
		sockets = append(sockets, socketUnit{unit, l.Name, []string{l.Address}})
	}
	return sockets
}

// Units returns the names of the units of s: its sockets, its service, and the
// two of its log.
func (s Service) Units() []string {
	units := append(s.SocketUnits(), s.Base+".service")
	if s.Log {
		units = append(units, s.Base+"-log.socket", s.Base+"-log.service")
	}
	return units
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

func renderSocket(s Service, socket socketUnit) string {
	var b strings.Builder
	service := s.Base + ".service"
	b.WriteString(heading("Sockets of", s.Dir, s.Dir+"/systemd/listen"))
	fmt.Fprintf(&b, "Wants=%s\nStartLimitIntervalSec=0\n\n[Socket]\n", service)
	if socket.unit != s.Base {
		fmt.Fprintf(&b, "Service=%s\n", service)
	}
	tcp := false
	for _, address := range socket.addresses {
		fmt.Fprintf(&b, "ListenStream=%s\n", escapePath(address))
		tcp = tcp || !strings.HasPrefix(address, "/")
	}
	if socket.name != "" {
		fmt.Fprintf(&b, "FileDescriptorName=%s\n", socket.name)
	}
	backlog := s.Backlog
	if backlog == "" {
		backlog = "4096"
	}
	fmt.Fprintf(&b, "Backlog=%s\n", backlog)
	if tcp {
		b.WriteString("NoDelay=yes\n")
	}
	b.WriteString("TriggerLimitIntervalSec=0\n\n[Install]\nWantedBy=sockets.target\n")
	return b.String()
}

// heading begins a unit made from the directory dir, for source in it.
func heading(what, dir, source string) string {
	text := fmt.Sprintf("[Unit]\nDescription=%s %s\nDocumentation=man:svscan(8)\n", what, escapeText(dir))
	if plain(source) {
		text += "SourcePath=" + escapePath(source) + "\n"
	}
	return text
}

// mounts is what has to be mounted for the directory dir.
func mounts(dir string) string {
	for !plain(dir) {
		dir = path.Dir(dir)
	}
	return "RequiresMountsFor=" + quotePath(dir) + "\n"
}

func renderService(s Service) string {
	var b strings.Builder
	b.WriteString(heading("Service directory", s.Dir, s.Dir+"/run") + mounts(s.Dir))
	log := s.Base + "-log"
	switch {
	case s.LogDown:
		fmt.Fprintf(&b, "Wants=%s.socket\nAfter=%s.socket %s.service %s\n", log, log, log, keeper(s.Base))
	case s.LogExtras.NotificationFD != 0:
		// it may never be ready
		fmt.Fprintf(&b, "Wants=%s.socket %s.service\nAfter=%s.socket %s\n", log, log, log, keeper(s.Base))
	case s.Log:
		fmt.Fprintf(&b, "Wants=%s.socket %s.service\nAfter=%s.socket %s.service %s\n", log, log, log, log, keeper(s.Base))
	}
	fmt.Fprintf(&b, "ConditionPathExists=!%s/%s.once\n", RuntimeDir, s.Base)
	b.WriteString(s.Extras.unitSection())
	b.WriteString("StartLimitIntervalSec=0\n\n[Service]\n")
	b.WriteString(s.Extras.commands(s.Dir, s.Name))
	if sockets := s.SocketUnits(); len(sockets) > 0 {
		// this list, unlike others, has its backslashes taken away
		fmt.Fprintf(&b, "Sockets=%s\n", strings.ReplaceAll(strings.Join(sockets, " "), `\`, `\\`))
	}
	b.WriteString(s.Extras.ending())
	if s.Log {
		fmt.Fprintf(&b, "StandardOutput=file:%s\nStandardError=journal\n", FIFO(s.Base))
	} else {
		b.WriteString("StandardOutput=journal\nStandardError=journal\n")
	}
	b.WriteString("\n[Install]\nWantedBy=multi-user.target\n")
	return b.String()
}

func renderLogSocket(s Service) string {
	var b strings.Builder
	b.WriteString(heading("Log pipe of", s.Dir, s.Dir+"/log/run"))
	fmt.Fprintf(&b, "StartLimitIntervalSec=0\n\n[Socket]\nService=%s\n", keeper(s.Base))
	fmt.Fprintf(&b, "ListenFIFO=%s\nSocketMode=0600\nPipeSize=1M\nTriggerLimitIntervalSec=0\n", FIFO(s.Base))
	b.WriteString("\n[Install]\nWantedBy=sockets.target\n")
	return b.String()
}

func renderLogService(s Service) string {
	var b strings.Builder
	dir := s.Dir + "/log"
	b.WriteString(heading("Log service of", s.Dir, dir+"/run") + mounts(s.Dir))
	b.WriteString(s.LogExtras.unitSection())
	fmt.Fprintf(&b, "After=%s\n", keeper(s.Base))
	// svscan has put it down, whatever wants it
	fmt.Fprintf(&b, "ConditionPathExists=!%s/%s-log.down\n", RuntimeDir, s.Base)
	b.WriteString("StartLimitIntervalSec=0\n\n[Service]\n")
	b.WriteString(s.LogExtras.commands(dir, s.Name+"/log"))
	// without its socket it has no input
	fmt.Fprintf(&b, "Sockets=%s\n", strings.ReplaceAll(s.Base, `\`, `\\`)+"-log.socket")
	// It costs a mount namespace, so it is for confined services alone.
	if plain(dir) && setting(s.LogConf, "ProtectSystem") != "" {
		fmt.Fprintf(&b, "ReadWritePaths=%s\n", quotePath("-"+dir))
	}
	b.WriteString(s.LogExtras.ending())
	b.WriteString("StandardInput=socket\nStandardOutput=journal\nStandardError=journal\n")
	b.WriteString("\n[Install]\nWantedBy=multi-user.target\n")
	return b.String()
}

// unitSection is what the extras add to the section [Unit].
func (e Extras) unitSection() string {
	if e.NotificationFD == 0 {
		return ""
	}
	// The default dependencies would have the boot wait until a service that
	// may never be ready is.
	return "DefaultDependencies=no\nRequires=sysinit.target\nAfter=sysinit.target basic.target\n" +
		"Conflicts=shutdown.target\nBefore=shutdown.target\n"
}

// commands is how ./run in the directory dir starts, and ./finish when it
// has ended.
func (e Extras) commands(dir, name string) string {
	var b strings.Builder
	in := ""
	if !plain(dir) {
		in = " -d " + escapePath(EncodeWord(dir))
	}
	switch {
	case e.NotificationFD != 0:
		fmt.Fprintf(&b, "Type=notify\nNotifyAccess=all\nTimeoutStartSec=infinity\nExecStart=@%s .svscan-run%s -n %d\n", program, in, e.NotificationFD)
	case in != "":
		fmt.Fprintf(&b, "Type=exec\nExecStart=@%s .svscan-run%s\n", program, in)
	default:
		fmt.Fprintf(&b, "Type=exec\nExecStart=@%s ./run\n", quotePath(dir+"/run"))
	}
	if e.Finish {
		fmt.Fprintf(&b, "ExecStopPost=-@%s .svscan-finish%s %s\n", program, in, escapePath(EncodeWord(name)))
	}
	if in == "" {
		fmt.Fprintf(&b, "WorkingDirectory=%s\n", escapePath(dir))
	}
	fmt.Fprintf(&b, "Environment=PATH=%s\n", searchPath)
	return b.String()
}

// ending is how a service is stopped and what follows when it has ended.
func (e Extras) ending() string {
	text := "Restart=always\nRestartSec=1\nKillMode=process\nIgnoreSIGPIPE=no\n"
	if e.DownSignal != "" {
		text += "KillSignal=" + e.DownSignal + "\n"
	}
	if e.TimeoutKill != "" {
		text += "TimeoutStopSec=" + e.TimeoutKill + "\n"
	}
	return text
}

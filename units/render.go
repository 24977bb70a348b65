package units

import (
	"fmt"
	"strings"
)

// RuntimeDir is where the FIFOs between services and their logs are.
const RuntimeDir = "/run/svcompat"

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
	base := s.Base
	for _, socket := range s.sockets() {
		files[socket.unit+".socket"] = renderSocket(s, socket)
		dropIn(files, socket.unit+".socket", s.Socket)
	}
	files[base+".service"] = renderService(s)
	dropIn(files, base+".service", s.Service)
	if s.Log {
		files[base+"-log.socket"] = renderLogSocket(s)
		files[base+"-log.service"] = renderLogService(s)
		dropIn(files, base+"-log.service", s.LogConf)
	}
	return files
}

func dropIn(files map[string]string, unit, text string) {
	if strings.TrimSpace(text) != "" {
		files[unit+".d/05-svcompat.conf"] = text
	}
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

func renderSocket(s Service, socket socketUnit) string {
	var b strings.Builder
	service := s.Base + ".service"
	fmt.Fprintf(&b, "[Unit]\nDescription=Sockets of %s\n", escapePath(s.Dir))
	fmt.Fprintf(&b, "Documentation=man:svscan(8)\nSourcePath=%s\n", escapePath(s.Dir+"/systemd/listen"))
	fmt.Fprintf(&b, "Wants=%s\n\n[Socket]\n", service)
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

func renderService(s Service) string {
	var b strings.Builder
	dir := escapePath(s.Dir)
	fmt.Fprintf(&b, "[Unit]\nDescription=Service directory %s\n", dir)
	fmt.Fprintf(&b, "Documentation=man:svscan(8)\nSourcePath=%s/run\nRequiresMountsFor=%s\n", dir, quotePath(s.Dir))
	if s.Log {
		log := s.Base + "-log"
		fmt.Fprintf(&b, "Wants=%s.socket %s.service\nAfter=%s.socket %s.service\n", log, log, log, log)
	}
	fmt.Fprintf(&b, "ConditionPathExists=!%s/%s.once\n", RuntimeDir, s.Base)
	b.WriteString("StartLimitIntervalSec=0\n\n[Service]\nType=exec\n")
	fmt.Fprintf(&b, "ExecStart=@%s ./run\nWorkingDirectory=%s\n", quoteWord(s.Dir+"/run"), dir)
	fmt.Fprintf(&b, "Environment=PATH=%s\n", searchPath)
	var sockets []string
	for _, socket := range s.sockets() {
		sockets = append(sockets, socket.unit+".socket")
	}
	if len(sockets) > 0 {
		fmt.Fprintf(&b, "Sockets=%s\n", strings.Join(sockets, " "))
	}
	b.WriteString("Restart=always\nRestartSec=1\nKillMode=process\nIgnoreSIGPIPE=no\n")
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
	fmt.Fprintf(&b, "[Unit]\nDescription=Log pipe of %s\n", escapePath(s.Dir))
	fmt.Fprintf(&b, "Documentation=man:svscan(8)\nSourcePath=%s\n\n[Socket]\n", escapePath(s.Dir+"/log/run"))
	fmt.Fprintf(&b, "ListenFIFO=%s\nSocketMode=0600\nPipeSize=1M\nTriggerLimitIntervalSec=0\n", FIFO(s.Base))
	b.WriteString("\n[Install]\nWantedBy=sockets.target\n")
	return b.String()
}

func renderLogService(s Service) string {
	var b strings.Builder
	dir := escapePath(s.Dir + "/log")
	fmt.Fprintf(&b, "[Unit]\nDescription=Log service of %s\n", escapePath(s.Dir))
	fmt.Fprintf(&b, "Documentation=man:svscan(8)\nSourcePath=%s/run\nRequiresMountsFor=%s\n", dir, quotePath(s.Dir))
	b.WriteString("StartLimitIntervalSec=0\n\n[Service]\nType=exec\n")
	fmt.Fprintf(&b, "ExecStart=@%s ./run\nWorkingDirectory=%s\n", quoteWord(s.Dir+"/log/run"), dir)
	fmt.Fprintf(&b, "Environment=PATH=%s\n", searchPath)
	fmt.Fprintf(&b, "ReadWritePaths=%s\n", quotePath("-"+s.Dir+"/log"))
	b.WriteString("Restart=always\nRestartSec=1\nKillMode=process\nIgnoreSIGPIPE=no\n")
	b.WriteString("StandardInput=socket\nStandardOutput=journal\nStandardError=journal\n")
	b.WriteString("\n[Install]\nWantedBy=multi-user.target\n")
	return b.String()
}

package units

import "strings"

// Shipped returns the unit files that the packages ship, for the service
// directories that they make: those of the SMTP service and of the queue
// service, rendered as any other, with the drop-ins of the makers in them,
// and those that all service directories need. File name → text.
func Shipped() map[string]string {
	files := map[string]string{"svscan.service": svscanUnit, "svscan-pipe@.service": pipeUnit}
	for _, s := range []Service{
		{
			Name: "smtpd", Dir: "/var/qmail/service/smtpd", Base: "qmail-smtpd", Log: true,
			Listen:  []Listen{{"25", "smtp"}},
			Service: SMTPDConf("qmaild"), LogConf: LogConf("qmaill"),
		},
		{
			Name: "queue", Dir: "/var/qmail/service/queue", Base: "qmail-queue", Log: true,
			Listen:  []Listen{{"/var/qmail/qmail-queue.socket", ""}},
			Service: QueueConf("qmailq", "/var/qmail"), LogConf: LogConf("qmaill"),
		},
	} {
		for name, text := range merged(Render(s)) {
			files[name] = strings.Replace(text, "Documentation=", "Documentation=man:qmail-smtpd.socket(8) ", 1)
		}
	}
	return files
}

// merged puts the settings of each drop-in, which are of the section
// [Service], into its unit, in place of those that they override.
func merged(files map[string]string) map[string]string {
	out := map[string]string{}
	for name, text := range files {
		if strings.Contains(name, "/") {
			continue
		}
		if settings, ok := strings.CutPrefix(files[name+".d/05-svcompat.conf"], "[Service]\n"); ok {
			for _, line := range strings.Split(settings, "\n") {
				key, _, _ := strings.Cut(line, "=")
				text = without(text, key)
			}
			text = strings.Replace(text, "\n[Install]\n", settings+"\n[Install]\n", 1)
		}
		out[name] = text
	}
	return out
}

// without returns the text of a unit without its settings of key, but for
// ReadWritePaths=, which adds up.
func without(text, key string) string {
	if key == "" || key == "ReadWritePaths" {
		return text
	}
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, key+"=") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// svscanUnit needs nothing but the directories that it watches; /var may be
// mounted late.
const svscanUnit = `[Unit]
Description=Service directories in /service
Documentation=man:svscan.service(8) man:svscan(8)
RequiresMountsFor=/service /var/qmail/service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/svscan /service
Restart=always
RestartSec=1
KillMode=process
FileDescriptorStoreMax=8192
LimitNOFILE=524288
WatchdogSec=60
RuntimeDirectory=svcompat
RuntimeDirectoryPreserve=yes
Environment=PATH=` + searchPath + `
CapabilityBoundingSet=CAP_KILL
NoNewPrivileges=yes
PrivateMounts=yes
ReadOnlyPaths=-/boot -/efi -/usr/bin -/usr/sbin -/usr/lib -/usr/libexec -/usr/share
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
PrivateDevices=yes
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`

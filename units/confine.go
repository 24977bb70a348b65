package units

// The texts below are the systemd/service.conf of the service directories
// that this package makes: what they know about their programs, and how far
// these can be confined.

// notify is for programs that tell when they are ready. It works through any
// number of programs in a run script, as long as each executes the next. Their
// run scripts say 2>&1 where they want standard error in the log.
const notify = `Type=notify
NotifyAccess=main
ExecReload=/bin/kill -HUP $MAINPID
StandardError=inherit
`

// ownPath has our commands before those that were installed by hand: older
// ones neither know that the user is already the one asked for, nor what
// programs in Go need of softlimit.
const ownPath = "/usr/bin:/usr/sbin:/bin:/sbin:/command:/usr/local/bin:/usr/local/sbin"

// sandbox is what no service of ours needs, whatever it does. The error
// number lets a run script try to drop privileges that it does not have.
const sandbox = `Environment=PATH=` + ownPath + `
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
`

// SMTPDConf is for tcpserver with qmail-smtpd, as account. It needs no
// network of its own: PrivateNetwork= does not touch the sockets that systemd
// hands over.
func SMTPDConf(account string) string {
	return "[Service]\nUser=" + account + "\n" + notify + sandbox + "PrivateUsers=yes\n"
}

// LogConf is for multilog, as account.
func LogConf(account string) string {
	return "[Service]\nUser=" + account + "\n" + sandbox + "PrivateUsers=yes\n"
}

// QueueConf is for qmail-queued, as account, with the queue below home. It
// has to tell the users apart that submit, so it sees all of them.
func QueueConf(account, home string) string {
	return "[Service]\nUser=" + account + "\n" + notify + sandbox + "ReadWritePaths=" + quotePath(home+"/queue") + "\n"
}

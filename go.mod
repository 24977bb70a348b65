module qmail-smtpd

go 1.23.0

require (
	github.com/coreos/go-systemd/v22 v22.7.0
	github.com/godbus/dbus/v5 v5.2.2
	github.com/google/go-cmp v0.7.0
	golang.org/x/sys v0.35.0
)

// For tests alone.
require github.com/hanwen/go-fuse/v2 v2.12.1

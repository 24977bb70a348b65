package systemd

import (
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
)

// States of a service, as sd_notify(3) writes them.
const (
	Ready     = daemon.SdNotifyReady
	Stopping  = daemon.SdNotifyStopping
	Reloading = daemon.SdNotifyReloading
)

// Status is the state that shows text in systemctl status.
func Status(text string) string {
	return "STATUS=" + strings.ReplaceAll(text, "\n", " ")
}

// Notify tells the service manager the given states. Where there is no
// service manager it does nothing. It is best effort: an error means that
// the manager did not get them.
func Notify(states ...string) error {
	_, err := daemon.SdNotify(false, strings.Join(states, "\n"))
	return err
}

package systemd

import (
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// States of a service, as sd_notify(3) writes them.
const (
	Ready     = daemon.SdNotifyReady
	Stopping  = daemon.SdNotifyStopping
	Reloading = daemon.SdNotifyReloading
	Alive     = daemon.SdNotifyWatchdog // what WatchdogSec= waits for
)

// ReloadingNow is Reloading with the time of the monotonic clock, which tells
// the manager to which of its requests the reload belongs.
func ReloadingNow() string {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return Reloading + "\nMONOTONIC_USEC=" + strconv.FormatInt(now.Nano()/1000, 10)
}

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

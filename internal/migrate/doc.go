// Package migrate moves the services of a running daemontools, runit or s6 to
// units of systemd, one at a time and without losing a line of their logs,
// and back. It reads what is there before it touches anything. It keeps no
// services itself: supervising is svscan's, rendering units is that of
// package units.
package migrate

// Package svscan is what watches a scan directory: svscan, which has a
// supervise started for each service directory, or has systemd run them and
// makes them look as if supervise kept them; svscanboot, which starts it; and
// the commands that only the units of service directories use.
//
// It is the only package of supervision that talks to systemd. What a
// supervise directory holds is for the package svcompat to know.
package svscan

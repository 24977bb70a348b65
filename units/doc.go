// Package units renders systemd units from service directories.
//
// Reading and rendering are separate: Read and Scan touch the file system,
// Render and Generate are pure functions from what was read to the texts of
// units. The package never writes a unit, talks to systemd or waits for
// anything.
package units

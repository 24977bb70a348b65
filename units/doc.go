// Package units renders systemd units from service directories.
//
// Reading a directory and rendering it are separate: Read touches the file
// system, Render is a pure function from what was read to the texts of units.
// The package imports nothing of this module.
package units

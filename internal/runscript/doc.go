// Package runscript reads the run scripts of service directories, to find out
// what a script becomes in the end: it follows assignments, the files that are
// read, and simple conditions, as a shell does, and executes nothing. What it
// does not understand it says, by line.
package runscript

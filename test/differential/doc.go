// Package differential runs every command of daemontools and ucspi-tcp beside
// its original on random and adversarial cases, and compares all that can be
// observed: both outputs, the exit status, and the files with their modes,
// owners and contents.
//
// The tests run in a network namespace of their own. Flags of the test
// binary: -cases is their number per command, -seed repeats a run.
package differential

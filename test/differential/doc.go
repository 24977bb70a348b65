// Package differential runs every command of daemontools and ucspi-tcp beside
// its original on random and adversarial cases, and compares all that can be
// observed: both outputs, the exit status, and the files with their modes,
// owners and contents.
//
// TestFlags does not choose at random: for each flag of a classic man page it
// shows that the original does other things with it than without, and ours
// the same.
//
// The tests run in a network of their own, with name and ident services of
// their own. Flags of the test binary: -cases is their number per command,
// -seed repeats a run.
package differential

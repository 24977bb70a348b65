// Package command holds what all the commands have in common: the table that
// a multi-call binary answers to, option parsing, number parsing, the form of
// messages, the exit codes, the classic error texts, and the search and
// execution of the next program of a chain.
//
// It follows the conventions of daemontools and ucspi-tcp byte for byte.
// It imports nothing else of this module.
package command

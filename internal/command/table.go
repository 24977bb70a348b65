package command

import (
	"io"
	"os"
	"path"
	"slices"
)

// Main is the body of one command. It gets the command line (args[0] is the
// name it was called by) and returns the exit code.
type Main func(args []string) int

// Table maps the names that a multi-call binary answers to onto their bodies.
// Names that begin with a dot are for units of ours and in no list.
type Table map[string]Main

// Run runs the command that args names and returns its exit code.
//
// The command is the base name of args[0]; where that is no command of the
// table, it is args[1], so that "svcompat svstat DIR" works without a link.
// The single argument --list-commands prints the names of the table.
func (t Table) Run(args []string) int {
	if len(args) == 0 {
		return ExitUsage
	}
	if len(args) == 2 && args[1] == "--list-commands" {
		t.list(os.Stdout)
		return 0
	}
	if body, ok := t[path.Base(args[0])]; ok {
		return body(args)
	}
	if len(args) > 1 {
		if body, ok := t[args[1]]; ok {
			return body(args[1:])
		}
	}
	Usage(Base(args), Base(args)+" command [ arg ... ], where command is one of:")
	t.list(os.Stderr)
	return ExitUsage
}

func (t Table) list(w io.Writer) {
	names := make([]string, 0, len(t))
	for name := range t {
		if name[0] != '.' {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		io.WriteString(w, name+"\n")
	}
}

package command

import (
	"os"
	"strings"
)

// Getopt reads options as the classic programs do: letters may be clustered,
// an argument may be attached to its letter or be the next word, and the
// options end before the first word that is no option, before a lone "-",
// and after a word that begins with "--".
type Getopt struct {
	// Long names the options of two dashes that are known beyond the classic
	// letters, without the dashes; a trailing "=" marks one that takes an
	// argument ("--name=argument"). Any other word that begins with "--"
	// ends the options, as it does in the classic programs.
	Long []string

	name string
	spec string
	args []string
	next int // word to look at next
	pos  int // position inside a cluster; 0: at the start of a word
}

// NewGetopt prepares to read the options of args, whose first word is the
// name of the program. In spec, a letter followed by ":" takes an argument.
func NewGetopt(args []string, spec string) *Getopt {
	return &Getopt{name: Base(args), spec: spec, args: args, next: 1}
}

// Next returns the next option and its argument. The option is the letter,
// or the long name; "?" stands for a wrong option, about which the complaint
// has been printed on standard error; ok is false when no options are left.
func (g *Getopt) Next() (option, argument string, ok bool) {
	if g.next >= len(g.args) {
		return "", "", false
	}
	word := g.args[g.next]
	if g.pos == 0 {
		if len(word) < 2 || word[0] != '-' {
			return "", "", false
		}
		if word[1] == '-' {
			g.next++
			return g.long(word[2:])
		}
		g.pos = 1
	}
	letter := word[g.pos]
	g.pos++
	rest := word[g.pos:]
	if rest == "" {
		g.next++
		g.pos = 0
	}
	at := strings.IndexByte(g.spec, letter)
	if at < 0 || letter == ':' {
		g.complain("illegal option", string(letter))
		return "?", "", true
	}
	if at+1 == len(g.spec) || g.spec[at+1] != ':' {
		return string(letter), "", true
	}
	if rest != "" {
		g.next++
		g.pos = 0
		return string(letter), rest, true
	}
	if g.next >= len(g.args) {
		g.complain("option requires an argument", string(letter))
		return "?", "", true
	}
	argument = g.args[g.next]
	g.next++
	return string(letter), argument, true
}

func (g *Getopt) long(word string) (option, argument string, ok bool) {
	name, argument, given := strings.Cut(word, "=")
	for _, known := range g.Long {
		if takes := strings.HasSuffix(known, "="); strings.TrimSuffix(known, "=") == name && takes == given {
			return name, argument, true
		}
	}
	return "", "", false
}

func (g *Getopt) complain(what, letter string) {
	os.Stderr.WriteString(g.name + ": " + what + " -- " + letter + "\n")
}

// Rest returns the words after the options.
func (g *Getopt) Rest() []string {
	return g.args[g.next:]
}

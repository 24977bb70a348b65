package runscript

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A System answers what a script asks of the machine that it runs on.
type System struct {
	ReadFile func(path string) (string, error)
	Exists   func(path, kind string) bool // kind is the letter of test(1)
	Account  func(name string) (uid, gid string, ok bool)
	Hostname func() string
}

// A Script is what a run script comes to.
type Script struct {
	Command []Word          // what it becomes; empty: that was not found
	Env     map[string]Word // the variables that it exports
	Read    []string        // the files that it reads
	Notes   []Note          // what was not understood, or not done
}

// A Note is about a line of the script.
type Note struct {
	Line int
	File string // that the line is in; empty: the script itself
	Text string
}

// Find reads a script in the directory dir up to the command that runs the
// program, such as "tcpserver", by its own name or in a chain of programs.
func Find(text, dir, program string, system System) Script {
	r := &reader{system: system, dir: dir, program: program, variables: map[string]value{}, exported: map[string]Word{}}
	r.run(parse(lex(text)))
	s := Script{Command: r.found, Read: r.files, Notes: r.notes, Env: map[string]Word{}}
	for name, w := range r.exported {
		if v, set := r.variables[name]; set {
			s.Env[name] = Word{Text: v.text, Line: w.Line, File: w.File, From: v.from, lost: v.lost}
		}
	}
	return s
}

// Lost says what of the word is not known; empty: all of it is.
func (w Word) Lost() string { return w.lost }

// A reader runs a script without running anything.
type reader struct {
	system  System
	dir     string
	program string

	variables map[string]value
	exported  map[string]Word // where that was, by name
	files     []string
	notes     []Note
	source    string // the file that is read in, if it is not the script

	found []Word
	ended bool // nothing of the script comes after this
	depth int
	work  int
}

// A status is that of a command; it may be unknown.
type status int

const (
	maybe status = iota
	yes
	no
)

func not(s status) status {
	switch s {
	case yes:
		return no
	case no:
		return yes
	}
	return maybe
}

func (r *reader) note(line int, format string, args ...any) {
	if len(r.notes) < 1000 {
		r.notes = append(r.notes, Note{line, r.source, fmt.Sprintf(format, args...)})
	}
}

func (r *reader) read(name string) (string, error) {
	if !path.IsAbs(name) {
		name = path.Join(r.dir, name)
	}
	text, err := r.system.ReadFile(name)
	if err == nil {
		r.files = appendNew(r.files, name)
	}
	return text, err
}

// run runs commands, one after the other.
func (r *reader) run(nodes []node) (last status) {
	last = yes
	for i, n := range nodes {
		if r.ended {
			return last
		}
		skipped := n.join == "&&" && last == no || n.join == "||" && last == yes
		unsure := (n.join == "&&" || n.join == "||") && last == maybe
		switch {
		case skipped:
		case unsure:
			r.note(n.line, "not known whether it is done: %s", r.shown(n))
		case n.passed != "":
			r.note(n.line, "not understood: %s", r.shown(n))
			last = maybe
		case n.join == "|":
			r.note(n.line, "not understood: a pipe to %s", r.shown(n))
			last = maybe
		case n.branches != nil:
			last = r.condition(n)
		case i+1 < len(nodes) && nodes[i+1].join == "|" && !r.runs(n):
			last = maybe
		default:
			last = r.simple(n)
		}
	}
	return last
}

// shown names a command by its words, as far as they are text.
func (r *reader) shown(n node) string {
	if n.passed != "" && n.passed != "&" {
		return n.passed
	}
	var words []string
	for _, t := range n.words {
		if text, ok := t.text(); ok {
			words = append(words, text)
		} else {
			words = append(words, "...")
		}
	}
	if len(words) > 6 {
		words = append(words[:6], "...")
	}
	return strings.Join(words, " ")
}

// condition runs the first branch whose condition holds.
func (r *reader) condition(n node) status {
	for _, b := range n.branches {
		holds := yes
		if b.condition != nil {
			holds = r.run(b.condition)
		}
		switch {
		case r.ended:
			return maybe
		case holds == yes:
			return r.run(b.body)
		case holds == maybe:
			r.note(n.line, "not known whether it holds: if")
			return maybe
		}
	}
	return yes
}

// runs tells whether a command runs the program.
func (r *reader) runs(n node) bool {
	return slices.ContainsFunc(n.words, func(t token) bool {
		text, ok := t.text()
		return ok && base(text) == r.program
	})
}

// simple runs a simple command.
func (r *reader) simple(n node) status {
	words := n.words
	for len(words) > 0 {
		name, v, ok := r.assignment(words[0])
		if !ok {
			break
		}
		if len(words) > 1 && !r.all(words) { // for one command alone
			r.exported[name] = Word{Line: n.line, File: r.source}
		}
		r.variables[name] = v
		words = words[1:]
	}
	if len(words) == 0 {
		return yes
	}
	var args []Word
	for _, t := range words {
		args = append(args, r.expand(t)...)
	}
	if len(args) == 0 {
		return yes
	}
	negated := args[0].Text == "!"
	if negated {
		args = args[1:]
	}
	s := r.builtin(n, words, args)
	if negated {
		s = not(s)
	}
	return s
}

// all tells whether all words are assignments.
func (r *reader) all(words []token) bool {
	for _, t := range words {
		if _, _, ok := r.assignment(t); !ok {
			return false
		}
	}
	return true
}

// assignment takes NAME=value apart.
func (r *reader) assignment(t token) (name string, v value, ok bool) {
	if len(t.parts) == 0 || t.parts[0].kind != literal || t.parts[0].quoted {
		return "", v, false
	}
	name, rest, ok := strings.Cut(t.parts[0].text, "=")
	if !ok || name == "" || name[0] >= '0' && name[0] <= '9' {
		return "", v, false
	}
	for i := 0; i < len(name); i++ {
		if !isName(name[i]) {
			return "", v, false
		}
	}
	v = value{text: rest}
	v.add(r.one(t.parts[1:], t.line))
	if r.source != "" {
		v.from = appendNew(v.from, r.source)
	}
	return name, v, true
}

func (r *reader) builtin(n node, words []token, args []Word) status {
	if len(args) == 0 {
		return maybe
	}
	switch name := args[0].Text; name {
	case "exec":
		if len(args) > 1 {
			r.become(args[1:], n)
		}
		return yes
	case ":", "true", "echo", "printf":
		return yes
	case "false":
		return no
	case "[", "test":
		if name == "[" {
			if args[len(args)-1].Text != "]" || len(args) < 2 {
				return maybe
			}
			args = args[:len(args)-1]
		}
		for _, w := range args {
			if w.lost != "" {
				return maybe
			}
		}
		s, rest := r.or(args[1:])
		if len(rest) > 0 {
			return maybe
		}
		return s
	case ".", "source":
		return r.readIn(n, args)
	case "export":
		for _, t := range words[1:] {
			name, v, ok := r.assignment(t)
			if ok {
				r.variables[name] = v
			} else if name, ok = t.text(); !ok {
				continue
			}
			r.exported[name] = Word{Line: n.line, File: r.source}
		}
		return yes
	case "unset":
		for _, w := range args[1:] {
			delete(r.variables, w.Text)
		}
		return yes
	case "exit":
		r.ended = true
		r.note(n.line, "it would end here: %s", r.shown(n))
		return yes
	}
	if slices.ContainsFunc(args, func(w Word) bool { return base(w.Text) == r.program }) {
		r.become(args, n)
		return yes
	}
	r.note(n.line, "not understood: %s", r.shown(n))
	return maybe
}

// become ends the script with a command.
func (r *reader) become(args []Word, n node) {
	r.ended = true
	if slices.ContainsFunc(args, func(w Word) bool { return base(w.Text) == r.program }) {
		r.found = args
		if n.outputs {
			r.note(n.line, "its output does not go to the log")
		}
		return
	}
	r.note(n.line, "it becomes %s", r.shown(n))
}

// readIn reads another script.
func (r *reader) readIn(n node, args []Word) status {
	if len(args) < 2 || args[1].lost != "" {
		r.note(n.line, "not understood: %s", r.shown(n))
		return maybe
	}
	text, err := r.read(args[1].Text)
	if err != nil {
		r.note(n.line, "unable to read %s", args[1].Text)
		return maybe
	}
	if r.depth++; r.depth > maxDepth {
		return maybe
	}
	r.work += len(text)
	if r.work > maxWork {
		r.ended = true
		return maybe
	}
	source := r.source
	r.source = args[1].Text
	s := r.run(parse(lex(text)))
	r.source = source
	r.depth--
	return s
}

// or, and, and primary evaluate the arguments of test(1).
func (r *reader) or(args []Word) (status, []Word) {
	s, args := r.and(args)
	for len(args) > 0 && args[0].Text == "-o" {
		var other status
		other, args = r.and(args[1:])
		switch {
		case s == yes || other == yes:
			s = yes
		case s == maybe || other == maybe:
			s = maybe
		}
	}
	return s, args
}

func (r *reader) and(args []Word) (status, []Word) {
	s, args := r.primary(args)
	for len(args) > 0 && args[0].Text == "-a" {
		var other status
		other, args = r.primary(args[1:])
		switch {
		case s == no || other == no:
			s = no
		case s == maybe || other == maybe:
			s = maybe
		}
	}
	return s, args
}

func truth(b bool) status {
	if b {
		return yes
	}
	return no
}

func (r *reader) primary(args []Word) (status, []Word) {
	switch {
	case len(args) == 0:
		return no, nil
	case len(args) > 2 && (args[1].Text == "=" || args[1].Text == "=="):
		return truth(args[0].Text == args[2].Text), args[3:]
	case len(args) > 2 && args[1].Text == "!=":
		return truth(args[0].Text != args[2].Text), args[3:]
	case args[0].Text == "!":
		s, rest := r.primary(args[1:])
		return not(s), rest
	case len(args) > 1 && args[0].Text == "-z":
		return truth(args[1].Text == ""), args[2:]
	case len(args) > 1 && args[0].Text == "-n":
		return truth(args[1].Text != ""), args[2:]
	case len(args) > 1 && slices.Contains([]string{"-e", "-f", "-r", "-s", "-x", "-d", "-h", "-L", "-p", "-S"}, args[0].Text):
		name := args[1].Text
		if !path.IsAbs(name) {
			name = path.Join(r.dir, name)
		}
		return truth(r.system.Exists(name, args[0].Text[1:])), args[2:]
	case len(args) == 1 || args[1].Text == "-o" || args[1].Text == "-a":
		return truth(args[0].Text != ""), args[1:]
	}
	return maybe, nil
}

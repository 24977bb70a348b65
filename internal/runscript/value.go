package runscript

import (
	"strings"
)

// A Word is a word of a command line, and where it came from.
type Word struct {
	Text string
	Line int
	File string   // that the line is in; empty: the script itself
	From []string // the files that it was read from
	lost string   // what of it is not known; empty: nothing
}

// A value is that of a variable.
type value struct {
	text string
	from []string
	lost string
}

func (v *value) add(other value) {
	v.text += other.text
	for _, from := range other.from {
		v.from = appendNew(v.from, from)
	}
	if v.lost == "" {
		v.lost = other.lost
	}
}

func appendNew(list []string, word string) []string {
	for _, known := range list {
		if known == word {
			return list
		}
	}
	return append(list, word)
}

// expand makes the words that a token stands for: none, one, or the fields of
// what is not quoted.
func (r *reader) expand(t token) []Word {
	var words []Word
	var current value
	begun := false
	flush := func() {
		if begun {
			words = append(words, Word{Text: current.text, Line: t.line, File: r.source, From: current.from, lost: current.lost})
		}
		current, begun = value{}, false
	}
	for _, p := range r.chosen(nil, t.parts, false) {
		v := r.part(p, t.line)
		if p.quoted || p.kind == literal && !p.fields {
			begun = begun || p.quoted || v.text != ""
			current.add(v)
			continue
		}
		fields := strings.Fields(v.text)
		if len(fields) == 0 && v.lost == "" {
			if v.text != "" {
				flush()
			}
			continue
		}
		if strings.TrimLeft(v.text, " \t\n") != v.text {
			flush()
		}
		for i, field := range fields {
			if i > 0 {
				flush()
			}
			begun = true
			current.add(value{text: field, from: v.from})
		}
		if v.lost != "" {
			begun = true
			current.add(value{lost: v.lost})
		}
		if len(fields) > 0 && strings.TrimRight(v.text, " \t\n") != v.text {
			flush()
		}
	}
	flush()
	return words
}

// chosen appends parts to list, with the word of a ${NAME:-word} that stands
// for it in its place.
func (r *reader) chosen(list, parts []part, fields bool) []part {
	for _, p := range parts {
		if p.kind == variable && !p.quoted && p.operator != "" && len(list) < maxText {
			if word, ok := r.word(p); ok {
				list = r.chosen(list, word, true)
				continue
			}
		}
		p.fields = fields && !p.quoted
		list = append(list, p)
	}
	return list
}

// one makes one word of a token, as an assignment does.
func (r *reader) one(parts []part, line int) (v value) {
	for _, p := range parts {
		v.add(r.part(p, line))
	}
	return v
}

// maxText is more than any value needs.
const maxText = 64 << 10

func (r *reader) part(p part, line int) (v value) {
	switch p.kind {
	case literal:
		return value{text: p.text}
	case variable:
		v = r.variable(p, line)
	case command:
		v = r.prints(p.text, line)
	default:
		v = value{lost: p.text}
	}
	if len(v.text) > maxText || r.work > maxWork {
		return value{lost: "a value that is too long"}
	}
	r.work += len(v.text)
	return v
}

// maxWork bounds what all the values of a script may take.
const maxWork = 1 << 20

func (r *reader) variable(p part, line int) value {
	if word, ok := r.word(p); ok {
		return r.one(word, line)
	}
	return r.variables[p.text]
}

// word returns what stands for a variable in place of its value.
func (r *reader) word(p part) (word []part, ok bool) {
	v, set := r.variables[p.text]
	full := set && (v.text != "" || v.lost != "")
	switch p.operator {
	case ":-", ":=":
		return p.word, !full
	case "-", "=":
		return p.word, !set
	case ":+":
		if !full {
			return nil, true
		}
		return p.word, true
	case "+":
		if !set {
			return nil, true
		}
		return p.word, true
	}
	return nil, false
}

// prints returns what a command prints, where it is one of those that run
// scripts ask.
func (r *reader) prints(script string, line int) value {
	unknown := value{lost: "what `" + script + "` prints"}
	if r.depth++; r.depth > maxDepth {
		return unknown
	}
	defer func() { r.depth-- }()
	nodes := parse(lex(script))
	if len(nodes) != 1 || nodes[0].passed != "" || nodes[0].branches != nil || nodes[0].outputs {
		return unknown
	}
	var words []Word
	for _, t := range nodes[0].words {
		words = append(words, r.expand(t)...)
	}
	var args []string
	for _, w := range words {
		if w.lost != "" {
			return value{lost: w.lost}
		}
		args = append(args, w.Text)
	}
	if v, ok := r.known(args); ok {
		v.text = strings.TrimRight(v.text, "\n")
		for _, w := range words {
			v.add(value{from: w.From})
		}
		return v
	}
	return unknown
}

// known is the output of a command with these arguments.
func (r *reader) known(args []string) (v value, ok bool) {
	if len(args) == 0 {
		return v, false
	}
	switch base(args[0]) {
	case "id":
		if len(args) == 3 && (args[1] == "-u" || args[1] == "-g") {
			uid, gid, known := r.system.Account(args[2])
			if args[1] == "-g" {
				uid = gid
			}
			return value{text: uid}, known
		}
	case "cat":
		for _, name := range args[1:] {
			text, err := r.read(name)
			if err != nil || strings.HasPrefix(name, "-") {
				return v, false
			}
			v.add(value{text: text, from: []string{name}})
		}
		return v, len(args) > 1
	case "head":
		if len(args) > 2 && (args[1] == "-1" || args[1] == "-n1" || args[1] == "-n" && args[2] == "1") {
			name := args[len(args)-1]
			text, err := r.read(name)
			line, _, _ := strings.Cut(text, "\n")
			return value{text: line, from: []string{name}}, err == nil
		}
	case "echo":
		return value{text: strings.Join(args[1:], " ")}, true
	case "hostname":
		if len(args) == 1 || len(args) == 2 && (args[1] == "-f" || args[1] == "--fqdn") {
			name := r.system.Hostname()
			return value{text: name}, name != ""
		}
	case "command", "which":
		if program := args[len(args)-1]; len(args) > 1 && program != "" && program[0] != '-' {
			return value{text: program}, true
		}
	}
	return v, false
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

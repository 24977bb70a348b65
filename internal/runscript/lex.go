package runscript

import (
	"strings"
)

// A token is a word or an operator of a script.
type token struct {
	line     int
	operator string // empty: a word
	parts    []part
}

// A part of a word is text, a variable, or what a command prints.
type part struct {
	kind   partKind
	text   string // text, the name of a variable, or a script
	quoted bool   // no fields are made of it

	fields   bool   // it is text, and fields are made of it
	operator string // of ${NAME:-word} and the like: ":-"
	word     []part
}

type partKind int

const (
	literal partKind = iota
	variable
	command
	unknown // what a shell knows and this package does not
)

// text returns the word where all of it is text.
func (t token) text() (text string, ok bool) {
	for _, p := range t.parts {
		if p.kind != literal {
			return "", false
		}
		text += p.text
	}
	return text, t.operator == ""
}

// is tells whether the token is a word that is text without quotes.
func (t token) is(word string) bool {
	return t.operator == "" && len(t.parts) == 1 && t.parts[0].kind == literal && !t.parts[0].quoted && t.parts[0].text == word
}

// A lexer splits a script into tokens.
type lexer struct {
	text  string
	at    int
	line  int
	ends  []string // of here documents that begin on this line
	depth int
}

const operators = ";&|()<>"

// lex returns the tokens of a script. A newline is an operator.
func lex(text string) []token {
	l := &lexer{text: text, line: 1}
	var tokens []token
	for {
		t, ok := l.next()
		if !ok {
			return tokens
		}
		if t.operator == "<<" {
			l.here(&tokens)
			continue
		}
		tokens = append(tokens, t)
	}
}

// here reads the word after "<<", and remembers it.
func (l *lexer) here(tokens *[]token) {
	if l.at < len(l.text) && l.text[l.at] == '-' {
		l.at++
	}
	*tokens = append(*tokens, token{line: l.line, operator: "<<"})
	if t, ok := l.next(); ok {
		if end, is := t.text(); is {
			l.ends = append(l.ends, end)
		}
		*tokens = append(*tokens, t)
	}
}

func (l *lexer) peek(ahead int) byte {
	if l.at+ahead < len(l.text) {
		return l.text[l.at+ahead]
	}
	return 0
}

func (l *lexer) next() (token, bool) {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '\\' && l.peek(1) == '\n':
			l.at += 2
			l.line++
		case c == '#':
			for l.at < len(l.text) && l.text[l.at] != '\n' {
				l.at++
			}
		case c == '\n':
			t := token{line: l.line, operator: "\n"}
			l.at++
			l.line++
			l.skipDocuments()
			return t, true
		case strings.IndexByte(operators, c) >= 0:
			t := token{line: l.line, operator: string(c)}
			l.at++
			if l.at < len(l.text) && l.text[l.at] == c && c != '(' && c != ')' || c == '>' && l.peek(0) == '|' {
				t.operator += string(l.text[l.at])
				l.at++
			}
			return t, true
		default:
			t := token{line: l.line}
			t.parts = l.word()
			return t, true
		}
	}
	return token{}, false
}

// skipDocuments passes over the here documents that begin after this line.
func (l *lexer) skipDocuments() {
	for _, end := range l.ends {
		for l.at < len(l.text) {
			line, _, _ := strings.Cut(l.text[l.at:], "\n")
			l.at = min(l.at+len(line)+1, len(l.text))
			l.line++
			if strings.TrimLeft(line, "\t") == end {
				break
			}
		}
	}
	l.ends = nil
}

// word reads a word, up to a blank or an operator.
func (l *lexer) word() []part {
	var parts []part
	for l.at < len(l.text) {
		c := l.text[l.at]
		if c == ' ' || c == '\t' || c == '\n' || strings.IndexByte(operators, c) >= 0 {
			break
		}
		parts = l.element(parts, false)
	}
	return parts
}

// element reads what comes next of a word, or of a word in double quotes.
func (l *lexer) element(parts []part, quoted bool) []part {
	c := l.text[l.at]
	switch {
	case c == '\\':
		return l.escaped(parts, quoted)
	case c == '\'' && !quoted:
		text, rest, closed := strings.Cut(l.text[l.at+1:], "'")
		l.line += strings.Count(text, "\n")
		l.at = len(l.text) - len(rest)
		if !closed {
			return append(parts, part{kind: unknown, text: "'", quoted: true})
		}
		return append(parts, part{text: text, quoted: true})
	case c == '"' && !quoted:
		l.at++
		parts = append(parts, part{quoted: true})
		for l.at < len(l.text) && l.text[l.at] != '"' {
			parts = l.element(parts, true)
		}
		l.at++
		return parts
	case c == '$':
		return append(parts, l.dollar(quoted))
	case c == '`':
		return append(parts, l.backquoted(quoted))
	}
	if c == '\n' {
		l.line++
	}
	l.at++
	return add(parts, string(c), quoted)
}

// add adds text to a word.
func add(parts []part, text string, quoted bool) []part {
	if n := len(parts); n > 0 && parts[n-1].kind == literal && parts[n-1].quoted == quoted {
		parts[n-1].text += text
		return parts
	}
	return append(parts, part{text: text, quoted: quoted})
}

func (l *lexer) escaped(parts []part, quoted bool) []part {
	next := l.peek(1)
	if next == 0 {
		l.at++
		return add(parts, `\`, true)
	}
	l.at += 2
	if next == '\n' {
		l.line++
		return parts
	}
	if quoted && strings.IndexByte("$`\"\\", next) < 0 {
		return add(parts, `\`+string(next), true)
	}
	return add(parts, string(next), true)
}

func isName(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// dollar reads what begins with a dollar sign.
func (l *lexer) dollar(quoted bool) part {
	l.at++
	switch c := l.peek(0); {
	case c == '(':
		script := l.balanced()
		if strings.HasPrefix(script, "(") {
			return part{kind: unknown, text: "$(" + script + ")", quoted: quoted}
		}
		return part{kind: command, text: script, quoted: quoted}
	case c == '{':
		return l.braced(quoted)
	case isName(c) && (c < '0' || c > '9'):
		from := l.at
		for isName(l.peek(0)) {
			l.at++
		}
		return part{kind: variable, text: l.text[from:l.at], quoted: quoted}
	case c != 0 && (strings.IndexByte("@*#?-$!", c) >= 0 || c >= '0' && c <= '9'):
		l.at++
		return part{kind: unknown, text: "$" + string(c), quoted: quoted}
	}
	return part{text: "$", quoted: quoted}
}

// balanced reads from an opening parenthesis to the one that closes it, and
// returns what is between them.
func (l *lexer) balanced() string {
	from, depth := l.at+1, 0
	for l.at < len(l.text) {
		c := l.text[l.at]
		l.at++
		switch c {
		case '\\':
			l.at++
		case '\'':
			if end := strings.IndexByte(l.text[min(l.at, len(l.text)):], '\''); end >= 0 {
				l.line += strings.Count(l.text[l.at:l.at+end], "\n")
				l.at += end + 1
			}
		case '\n':
			l.line++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return l.text[from : l.at-1]
			}
		}
	}
	l.at = len(l.text)
	return l.text[min(from, len(l.text)):]
}

func (l *lexer) backquoted(quoted bool) part {
	var script strings.Builder
	for l.at++; l.at < len(l.text) && l.text[l.at] != '`'; l.at++ {
		if l.text[l.at] == '\\' && l.peek(1) != 0 && strings.IndexByte("$`\\", l.peek(1)) >= 0 {
			l.at++
		}
		if l.text[l.at] == '\n' {
			l.line++
		}
		script.WriteByte(l.text[l.at])
	}
	l.at = min(l.at+1, len(l.text))
	return part{kind: command, text: script.String(), quoted: quoted}
}

// braced reads ${NAME} with what may follow the name.
func (l *lexer) braced(quoted bool) part {
	from := l.at - 1
	l.at++
	name := l.at
	for isName(l.peek(0)) {
		l.at++
	}
	p := part{kind: variable, text: l.text[name:l.at], quoted: quoted}
	if p.text == "" || p.text[0] >= '0' && p.text[0] <= '9' {
		p.kind = unknown
	}
	for _, operator := range []string{":-", ":=", ":+", ":?", "-", "=", "+", "?"} {
		if strings.HasPrefix(l.text[l.at:], operator) {
			p.operator = operator
			l.at += len(operator)
			break
		}
	}
	if p.operator == "" && l.peek(0) != '}' {
		p.kind = unknown
	}
	if l.depth++; l.depth > maxDepth {
		p.kind, l.at = unknown, len(l.text)
	}
	for l.at < len(l.text) && l.text[l.at] != '}' {
		p.word = l.element(p.word, quoted && l.text[l.at] != '"')
	}
	l.depth--
	l.at = min(l.at+1, len(l.text))
	if p.kind == unknown {
		p.text = l.text[from:l.at]
	}
	return p
}

// maxDepth is how deep things may be in one another.
const maxDepth = 20

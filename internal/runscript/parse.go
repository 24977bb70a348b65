package runscript

import "slices"

// A node of a script is a simple command, a condition, or what is passed over.
type node struct {
	line int
	join string // how it follows the one before: "", "&&", "||", "|" or "&"

	words   []token
	outputs bool // sends its output elsewhere than to the log

	branches []branch // of if; the condition of else is empty
	passed   string   // what is passed over, by its first word
}

type branch struct{ condition, body []node }

// parse makes nodes of tokens.
func parse(tokens []token) []node {
	p := &parser{tokens: tokens}
	var all []node
	for p.at < len(p.tokens) {
		before := p.at
		all = append(all, p.list(nil)...)
		if p.at == before { // a word that closes nothing
			p.at++
		}
	}
	return all
}

type parser struct {
	tokens []token
	at     int
	depth  int
}

func (p *parser) more() bool { return p.at < len(p.tokens) }

// closing are the words that end a list.
var closing = []string{"then", "elif", "else", "fi", "do", "done", "esac", "}"}

func (t token) closes() bool { return slices.ContainsFunc(closing, t.is) }

// list reads commands up to a word that ends them.
func (p *parser) list(until []string) (nodes []node) {
	join := ""
	for p.more() {
		t := p.tokens[p.at]
		switch t.operator {
		case "":
			if t.closes() && (until != nil || p.depth > 0) {
				return nodes
			}
			n := p.command()
			n.join = join
			join = ""
			nodes = append(nodes, n)
		case "\n":
			if join != "&&" && join != "||" && join != "|" {
				join = ""
			}
			p.at++
		case ";", ";;":
			join = ""
			p.at++
		case "(", "<", ">", ">>", ">|", "<<":
			n := p.command()
			n.join = join
			join = ""
			nodes = append(nodes, n)
		case ")":
			if until != nil || p.depth > 0 {
				return nodes
			}
			p.at++
		default: // && || | &
			join = t.operator
			if join == "&" && len(nodes) > 0 {
				nodes[len(nodes)-1].passed = "&"
				join = ""
			}
			p.at++
		}
	}
	return nodes
}

// command reads one command; it always reads something.
func (p *parser) command() node {
	t := p.tokens[p.at]
	switch {
	case t.is("if"):
		return p.condition()
	case t.is("for"), t.is("while"), t.is("until"), t.is("select"):
		return p.pass("done")
	case t.is("case"):
		return p.pass("esac")
	case t.is("{"):
		return p.pass("}")
	case t.operator == "(":
		return p.parenthesized("(")
	case t.closes():
		p.at++
		return node{line: t.line, passed: first(t)}
	}
	n := node{line: t.line}
	for p.more() {
		t := p.tokens[p.at]
		switch t.operator {
		case "":
			n.words = append(n.words, t)
			p.at++
		case "<", ">", ">>", ">|", "<<":
			p.redirection(&n, t.operator)
		case "(": // a function
			name := first(n.words0())
			p.parenthesized("")
			for p.more() && p.tokens[p.at].operator == "\n" {
				p.at++
			}
			if p.more() && p.tokens[p.at].is("{") {
				p.pass("}")
			}
			return node{line: n.line, passed: name + "()"}
		default:
			return n
		}
	}
	return n
}

func (n node) words0() token {
	if len(n.words) == 0 {
		return token{}
	}
	return n.words[0]
}

// first is a word as far as it is text.
func first(t token) string {
	text, _ := t.text()
	return text
}

// redirection reads an operator and its word. A number before the operator is
// the last word of the command.
func (p *parser) redirection(n *node, operator string) {
	p.at++
	from := ""
	if last := len(n.words) - 1; last >= 0 {
		if text, ok := n.words[last].text(); ok && (text == "0" || text == "1" || text == "2") && n.words[last].line == p.tokens[p.at-1].line {
			from = text
			n.words = n.words[:last]
		}
	}
	if !p.more() {
		return
	}
	if p.tokens[p.at].operator == "&" { // 2>&1
		p.at++
		if p.more() && p.tokens[p.at].operator == "" {
			p.at++
		}
		return
	}
	if p.tokens[p.at].operator == "" {
		n.outputs = n.outputs || operator[0] == '>' && from != "2"
		p.at++
	}
}

// condition reads from if to fi.
func (p *parser) condition() node {
	n := node{line: p.tokens[p.at].line}
	if p.depth++; p.depth > maxDepth {
		p.at = len(p.tokens)
		return node{line: n.line, passed: "if"}
	}
	defer func() { p.depth-- }()
	for p.more() {
		word := p.tokens[p.at]
		p.at++
		switch {
		case word.is("if"), word.is("elif"):
			b := branch{condition: p.list(closing)}
			if p.more() && p.tokens[p.at].is("then") {
				p.at++
				b.body = p.list(closing)
			}
			n.branches = append(n.branches, b)
		case word.is("else"):
			n.branches = append(n.branches, branch{body: p.list(closing)})
		case word.is("fi"):
			return n
		default:
			return node{line: n.line, passed: "if"}
		}
	}
	return node{line: n.line, passed: "if"}
}

// pass passes over a compound command, to the word that ends it.
func (p *parser) pass(end string) node {
	t := p.tokens[p.at]
	n := node{line: t.line, passed: first(t)}
	if p.depth++; p.depth > maxDepth {
		p.at = len(p.tokens)
		return n
	}
	defer func() { p.depth-- }()
	start := true // of a command
	for p.at++; p.more(); p.at++ {
		t := p.tokens[p.at]
		switch {
		case start && t.is(end):
			p.at++
			return n
		case start && (t.is("for") || t.is("while") || t.is("until")):
			p.pass("done")
			p.at--
		case start && t.is("case"):
			p.pass("esac")
			p.at--
		}
		start = t.operator != "" && t.operator != "<" && t.operator != ">" || t.is("do") || t.is("then") || t.is("else")
	}
	return n
}

// parenthesized passes over what is in parentheses.
func (p *parser) parenthesized(what string) node {
	n := node{line: p.tokens[p.at].line, passed: what}
	depth := 0
	for ; p.more(); p.at++ {
		switch p.tokens[p.at].operator {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				p.at++
				return n
			}
		}
	}
	return n
}

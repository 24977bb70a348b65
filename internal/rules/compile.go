package rules

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"qmail-smtpd/internal/command"
)

// A SyntaxError is a line of rules that cannot be understood.
type SyntaxError struct {
	Line   string // without the blanks at its end
	Source Source
	Why    string
}

func (e *SyntaxError) Error() string {
	return "unable to parse this line: " + e.Line
}

// A Source tells where a rule was written.
type Source struct {
	File string // empty: the text that includes the others
	Line int    // the first is 1
}

func (s Source) String() string {
	if s.File == "" {
		return fmt.Sprintf("line %d", s.Line)
	}
	return fmt.Sprintf("line %d of %s", s.Line, s.File)
}

// errRead marks the errors of Compile that came from its reader.
var errRead = errors.New("unable to read input")

// maxIncluded is how many files deep a text may include others.
const maxIncluded = 16

// Compile reads the text of rules to its end, with the files that it
// includes, and calls add for the key and data of each record that they make,
// in their order; a range such as 1-3 makes several. It stops at the first
// error: of r, of a file that is included, of add, or a SyntaxError.
func Compile(r io.Reader, add func(key, data []byte) error) error {
	c := compiler{add: add}
	return c.compile(r)
}

type compiler struct {
	add  func(key, data []byte) error
	warn func(what string) // about the line at source; may be nil

	source   Source
	line     []byte // of source, without the blanks at its end
	included int    // files that are open

	key      []byte
	data     []byte
	prefixes prefixLengths
}

func (c *compiler) compile(r io.Reader) error {
	if err := c.text(r); err != nil {
		return err
	}
	if data := c.prefixes.data(); len(data) > 0 {
		return c.add([]byte(prefixesKey), data)
	}
	return nil
}

// text compiles the lines of r, which is at the start of the source.
func (c *compiler) text(r io.Reader) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var long []byte // a line that is longer than the buffer of in
	for {
		line, err := in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			long = append(long, line...)
			continue
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("%w: %w", errRead, err)
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		c.source.Line++
		c.line = trimBlanks(line)
		if why, err := c.compileLine(); err != nil {
			return err
		} else if why != "" {
			return &SyntaxError{string(c.line), c.source, why}
		}
		if err == io.EOF {
			return nil
		}
		long = long[:0]
	}
}

// compileLine adds the records of the line in hand, or tells why it is none.
func (c *compiler) compileLine() (why string, err error) {
	line := c.line
	address, instruction, ok := bytes.Cut(line, []byte{':'})
	if !ok || line[0] == '#' {
		if len(line) > 0 && line[0] != '#' {
			c.note("ignored, since it has no colon")
		}
		return "", nil
	}
	// None of these lines is a rule for the classic compiler.
	if name, ok := bytes.CutPrefix(line, []byte(":include ")); ok {
		return c.include(string(name))
	}
	if instruction, ok := c.cutIPv6(line); ok {
		if c.data, why = appendData(c.data[:0], instruction); why != "" {
			return why, nil
		}
		return "", c.add(c.key, c.data)
	}

	if c.data, why = appendData(c.data[:0], instruction); why != "" {
		if bytes.IndexByte(address, '[') >= 0 {
			why = "there is no IPv6 address or prefix in the brackets"
		}
		return why, nil
	}
	if bytes.IndexByte(address, '=') >= 0 || bytes.IndexByte(address, '@') >= 0 {
		return "", c.add(address, c.data)
	}
	dash := bytes.IndexByte(address, '-')
	if dash < 0 {
		if isDeadPrefix(address) {
			c.note("matches nobody, since the address is no prefix of that length")
		}
		return "", c.add(address, c.data)
	}
	start := bytes.LastIndexByte(address[:dash], '.') + 1
	end := len(address)
	if n := bytes.IndexByte(address[dash:], '.'); n >= 0 {
		end = dash + n
	}
	low, ok1 := number(address[start:dash])
	high, ok2 := number(address[dash+1 : end])
	if !ok1 || !ok2 {
		return "a range needs two numbers", nil
	}
	for n := low; n <= min(high, 255); n++ {
		c.key = append(c.key[:0], address[:start]...)
		c.key = strconv.AppendUint(c.key, n, 10)
		c.key = append(c.key, address[end:]...)
		if err := c.add(c.key, c.data); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (c *compiler) note(what string) {
	if c.warn != nil {
		c.warn(what)
	}
}

// include compiles the file name in place of the line in hand.
func (c *compiler) include(name string) (why string, err error) {
	if name = strings.TrimLeft(name, " \t"); c.included == maxIncluded {
		return "too many files that include each other", nil
	}
	file, err := os.Open(name)
	if err != nil {
		return "", &includeError{name, err}
	}
	defer file.Close()
	here := c.source
	c.source = Source{File: name}
	c.included++
	if err := c.text(file); errors.Is(err, errRead) {
		return "", &includeError{name, err}
	} else if err != nil {
		return "", err
	}
	c.included--
	c.source = here
	return "", nil
}

// An includeError says that a file that is included cannot be read.
type includeError struct {
	name string
	err  error
}

func (e *includeError) Error() string { return "unable to read " + e.name + ": " + e.err.Error() }

func (e *includeError) Unwrap() error { return e.err }

// trimBlanks cuts the spaces, tabs and line ends off the end of line.
func trimBlanks(line []byte) []byte {
	for n := len(line); n > 0; n-- {
		if c := line[n-1]; c != ' ' && c != '\t' && c != '\n' {
			return line[:n]
		}
	}
	return nil
}

// appendData appends the data that stand for an instruction:
// "deny" or "allow", and any number of ",NAME=dVALUEd" with any byte d; or it
// tells why there are none.
func appendData(data, instruction []byte) (_ []byte, why string) {
	rest, deny := bytes.CutPrefix(instruction, []byte("deny"))
	if deny {
		data = append(data, 'D', 0)
	} else {
		var allow bool
		if rest, allow = bytes.CutPrefix(instruction, []byte("allow")); !allow {
			return data, "after the first colon comes neither allow nor deny"
		}
	}
	for len(rest) > 0 {
		if rest[0] != ',' {
			return data, "a comma is missing after allow, deny or a value"
		}
		name, value, ok := bytes.Cut(rest[1:], []byte{'='})
		if !ok || len(value) == 0 {
			return data, "a variable has no value"
		}
		value, after, ok := bytes.Cut(value[1:], value[:1])
		if !ok {
			return data, "a value does not end with the byte before it"
		}
		data = append(data, '+')
		data = append(data, name...)
		data = append(data, '=')
		data = append(data, value...)
		data = append(data, 0)
		rest = after
	}
	return data, ""
}

// number reads one end of a range. The classic compiler sees it as a C
// string: it ends at a NUL, and an empty one is 0.
func number(text []byte) (n uint64, ok bool) {
	text, _, _ = bytes.Cut(text, []byte{0})
	n, taken := command.ScanNumber(string(text))
	return n, taken == len(text)
}

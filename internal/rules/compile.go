package rules

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"qmail-smtpd/internal/command"
)

// A SyntaxError is a line of rules that cannot be understood.
type SyntaxError struct {
	Line string // without the blanks at its end
}

func (e *SyntaxError) Error() string {
	return "unable to parse this line: " + e.Line
}

// errRead marks the errors of Compile that came from its reader.
var errRead = errors.New("unable to read input")

// Compile reads the text of rules to its end and calls add for the key and
// data of each record that they make, in their order; a range such as 1-3
// makes several. It stops at the first error: of r, of add, or a SyntaxError.
func Compile(r io.Reader, add func(key, data []byte) error) error {
	c := compiler{add: add}
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
		if err := c.line(line); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		long = long[:0]
	}
}

type compiler struct {
	add  func(key, data []byte) error
	key  []byte
	data []byte
}

func (c *compiler) line(line []byte) error {
	line = trimBlanks(line)
	address, instruction, ok := bytes.Cut(line, []byte{':'})
	if !ok || line[0] == '#' {
		return nil
	}
	c.data, ok = appendData(c.data[:0], instruction)
	if !ok {
		return &SyntaxError{string(line)}
	}
	if bytes.IndexByte(address, '=') >= 0 || bytes.IndexByte(address, '@') >= 0 {
		return c.add(address, c.data)
	}
	dash := bytes.IndexByte(address, '-')
	if dash < 0 {
		return c.add(address, c.data)
	}
	start := bytes.LastIndexByte(address[:dash], '.') + 1
	end := len(address)
	if n := bytes.IndexByte(address[dash:], '.'); n >= 0 {
		end = dash + n
	}
	low, ok1 := number(address[start:dash])
	high, ok2 := number(address[dash+1 : end])
	if !ok1 || !ok2 {
		return &SyntaxError{string(line)}
	}
	for n := low; n <= min(high, 255); n++ {
		c.key = append(c.key[:0], address[:start]...)
		c.key = strconv.AppendUint(c.key, n, 10)
		c.key = append(c.key, address[end:]...)
		if err := c.add(c.key, c.data); err != nil {
			return err
		}
	}
	return nil
}

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
// "deny" or "allow", and any number of ",NAME=dVALUEd" with any byte d.
func appendData(data, instruction []byte) (_ []byte, ok bool) {
	rest, deny := bytes.CutPrefix(instruction, []byte("deny"))
	if deny {
		data = append(data, 'D', 0)
	} else if rest, ok = bytes.CutPrefix(instruction, []byte("allow")); !ok {
		return data, false
	}
	for len(rest) > 0 {
		if rest[0] != ',' {
			return data, false
		}
		name, value, ok := bytes.Cut(rest[1:], []byte{'='})
		if !ok || len(value) == 0 {
			return data, false
		}
		value, after, ok := bytes.Cut(value[1:], value[:1])
		if !ok {
			return data, false
		}
		data = append(data, '+')
		data = append(data, name...)
		data = append(data, '=')
		data = append(data, value...)
		data = append(data, 0)
		rest = after
	}
	return data, true
}

// number reads one end of a range. The classic compiler sees it as a C
// string: it ends at a NUL, and an empty one is 0.
func number(text []byte) (n uint64, ok bool) {
	text, _, _ = bytes.Cut(text, []byte{0})
	n, taken := command.ScanNumber(string(text))
	return n, taken == len(text)
}

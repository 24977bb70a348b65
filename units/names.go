package units

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// DefaultBase is the base name of the units of an entry of /service that
// does not name one: "svc-" and the entry's name, escaped as systemd-escape
// does. The hyphen of a final "-log" is escaped, so that the entry x-log does
// not collide with the log of the entry x.
func DefaultBase(name string) string {
	escaped := Escape(name)
	if stem, ok := strings.CutSuffix(escaped, "-log"); ok {
		escaped = stem + `\x2dlog`
	}
	return "svc-" + escaped
}

// Escape escapes a name for use in a unit name, as systemd-escape does but
// with hyphens kept.
func Escape(name string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '.' && i > 0, c == '-', c == '_', c == ':',
			c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
			b.WriteByte(c)
		default:
			b.WriteString(`\x`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// validBase refuses base names that cannot be those of units, or whose units
// would collide with others of ours.
func validBase(base string) error {
	switch {
	case len(base) > 200:
		return errors.New("name too long")
	case strings.HasPrefix(base, "."), Escape(strings.ReplaceAll(base, `\`, "_")) != strings.ReplaceAll(base, `\`, "_"):
		return errors.New("not the base name of a unit: " + base)
	case strings.HasSuffix(base, "-log"):
		return errors.New("a base name must not end in -log: " + base)
	}
	return nil
}

// plain tells whether a path can stand in a unit file wherever a path is
// taken: systemd has no way to write the others.
func plain(path string) bool {
	return utf8.ValidString(path) && path == strings.TrimSpace(path) &&
		strings.IndexFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`"'\\`, r) }) < 0
}

// Printable writes a text for a line that people read: control characters
// and what is no UTF-8 as \xNN.
func Printable(text string) string {
	clean := func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }
	if strings.IndexFunc(text, clean) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if clean(r) {
			for i := range size {
				fmt.Fprintf(&b, `\x%02x`, text[i])
			}
		} else {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// EncodeWord writes any word with letters, digits and "/._-%" alone, as the
// commands that run in units take it; DecodeWord reads it.
func EncodeWord(word string) string {
	var b strings.Builder
	for i := range len(word) {
		c := word[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("/._-", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// DecodeWord reads what EncodeWord wrote.
func DecodeWord(word string) (string, error) { return url.PathUnescape(word) }

// escapePath writes path as a value in a unit file: a percent sign begins a
// specifier there.
func escapePath(path string) string {
	return strings.ReplaceAll(path, "%", "%%")
}

// escapeText is escapePath for a path that is only shown.
func escapeText(path string) string {
	// a backslash at the end would join lines
	return escapePath(Printable(strings.ReplaceAll(path, `\`, `\x5c`)))
}

// quotePath writes a word of a list in a unit file.
func quotePath(path string) string {
	if strings.ContainsAny(path, `%\"`) {
		path = strings.NewReplacer("%", "%%", `\`, `\\`, `"`, `\"`).Replace(path)
	}
	if strings.ContainsAny(path, " \t'\"\\;") {
		return `"` + path + `"`
	}
	return path
}

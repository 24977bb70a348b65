package units

import (
	"errors"
	"strings"
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

// escapePath writes path as a value in a unit file: a percent sign begins a
// specifier there.
func escapePath(path string) string {
	return strings.ReplaceAll(path, "%", "%%")
}

// quoteWord writes a word of a command line in a unit file.
func quoteWord(word string) string {
	return quotePath(strings.ReplaceAll(word, "$", "$$"))
}

// quotePath writes a word of a list in a unit file.
func quotePath(path string) string {
	path = strings.NewReplacer("%", "%%", `\`, `\\`, `"`, `\"`).Replace(path)
	if strings.ContainsAny(path, " \t'\"\\;") {
		return `"` + path + `"`
	}
	return path
}

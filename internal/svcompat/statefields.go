package svcompat

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"qmail-smtpd/internal/command"
)

// A namedState is the state of a service directory at now.
type namedState struct {
	name string
	serviceState
	now time.Time
}

// A field is one thing that svstat -o and --json tell of a service.
type field struct {
	name   string
	bare   bool                       // a number or a truth value in JSON
	value  func(s *namedState) string // empty: unknown
	always bool                       // known even where supervise does not run
}

// allFields are the fields there are, in the order of --json.
var allFields = []field{
	{name: "name", always: true, value: func(s *namedState) string { return s.name }},
	{name: "state", always: true, value: func(s *namedState) string { return s.word() }},
	{name: "pid", bare: true, value: func(s *namedState) string {
		if s.PID == 0 {
			return ""
		}
		return strconv.FormatUint(uint64(s.PID), 10)
	}},
	{name: "want", value: func(s *namedState) string {
		return map[Want]string{WantUp: "up", WantDown: "down", WantOnce: "once"}[s.Want]
	}},
	{name: "normally", always: true, value: func(s *namedState) string {
		switch {
		case s.failed != "":
			return ""
		case s.normallyUp:
			return "up"
		default:
			return "down"
		}
	}},
	{name: "paused", bare: true, value: func(s *namedState) string {
		return strconv.FormatBool(s.PID != 0 && s.Paused)
	}},
	{name: "since", value: func(s *namedState) string {
		since := s.Since.UTC()
		if year := since.Year(); year < 0 || year > 9999 {
			return ""
		}
		return since.Format(time.RFC3339)
	}},
	{name: "seconds", bare: true, value: func(s *namedState) string {
		return strconv.FormatUint(s.age(s.now), 10)
	}},
	{name: "restarts", bare: true, value: func(s *namedState) string {
		restarts, err := Restarts(s.name, s.now.Add(-restartsWindow))
		if err != nil {
			return ""
		}
		return strconv.Itoa(restarts)
	}},
	{name: "error", always: true, value: func(s *namedState) string {
		if s.failed == "" {
			return ""
		}
		return s.failed + ": " + command.ErrText(s.why)
	}},
}

// restartsWindow is the time whose restarts are told.
const restartsWindow = time.Hour

// parseFields reads a list of field names with commas between them. unknown
// is the first that is none.
func parseFields(list string) (fields []field, unknown string) {
	for _, name := range strings.Split(list, ",") {
		at := slices.IndexFunc(allFields, func(f field) bool { return f.name == name })
		if at < 0 {
			return nil, strconv.Quote(name)
		}
		fields = append(fields, allFields[at])
	}
	return fields, ""
}

// get returns the value of a field, empty where it is unknown.
func (s *namedState) get(f field) string {
	if !f.always && (s.failed != "" || !s.supervised) {
		return ""
	}
	return f.value(s)
}

// fieldText keeps what is in a field from looking like the end of it.
var fieldText = strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`)

// appendFields appends a line of values with tabs between them. "-" is an
// unknown one.
func (s *namedState) appendFields(b []byte, fields []field) []byte {
	for i, f := range fields {
		if i > 0 {
			b = append(b, '\t')
		}
		value := s.get(f)
		if value == "" {
			value = "-"
		}
		b = append(b, fieldText.Replace(value)...)
	}
	return append(b, '\n')
}

// appendJSON appends a JSON object of the values. An unknown one is null.
func (s *namedState) appendJSON(b []byte, fields []field) []byte {
	b = append(b, '{')
	for i, f := range fields {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendJSONString(b, f.name)
		b = append(b, ": "...)
		value := s.get(f)
		switch {
		case value == "" && f.name != "name":
			b = append(b, "null"...)
		case f.bare:
			b = append(b, value...)
		default:
			b = appendJSONString(b, value)
		}
	}
	return append(b, '}')
}

// appendJSONString appends s as a JSON string. Bytes that are no UTF-8 become
// U+FFFD. (The package encoding/json would cost each start of every command of
// the binary.)
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

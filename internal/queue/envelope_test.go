package queue

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
)

var (
	longest = strings.Repeat("x", maxAddress)
	tooLong = longest + "x"
)

// envelopes are envelopes with the exit codes of the classic qmail-queue, what
// it leaves in the queue, and the records behind u and p where it queues.
var envelopes = []struct {
	name, envelope string
	code           int
	left           string
	records        string
}{
	{"usual", "Fa@b.org\x00Tme@example.org\x00\x00", 0, "mess intd todo", "Fa@b.org\x00Tme@example.org\x00"},
	{"no F", "Xa\x00Tb\x00\x00", 91, "mess intd", ""},
	{"no T", "Fa\x00Xb\x00\x00", 91, "mess intd", ""},
	{"NUL alone", "\x00", 91, "mess intd", ""},
	{"no end", "Fa\x00Tb\x00", 54, "", ""},
	{"sender alone", "Fa\x00", 54, "", ""},
	{"torn address", "Fa\x00Tb", 54, "", ""},
	{"empty", "", 54, "", ""},
	{"no recipients", "Fa\x00\x00", 0, "mess intd todo", "Fa\x00"},
	{"junk behind", "Fa\x00Tb\x00\x00junk", 0, "mess intd todo", "Fa\x00Tb\x00"},
	{"empty addresses", "F\x00T\x00\x00", 0, "mess intd todo", "F\x00T\x00"},
	{"LF inside", "Fa\nb\x00Tb@c\x00\x00", 0, "mess intd todo", "Fa\nb\x00Tb@c\x00"},
	{"longest sender", "F" + longest + "\x00Tb\x00\x00", 0, "mess intd todo", "F" + longest + "\x00Tb\x00"},
	{"too long sender", "F" + tooLong + "\x00Tb\x00\x00", 11, "mess intd", ""},
	{"longest recipient", "Fa\x00T" + longest + "\x00\x00", 0, "mess intd todo", "Fa\x00T" + longest + "\x00"},
	{"too long recipient", "Fa\x00T" + tooLong + "\x00\x00", 11, "mess intd", ""},
	{"too long and torn", "Fa\x00T" + tooLong, 11, "mess intd", ""},
	{"longest and torn", "Fa\x00T" + longest, 54, "", ""},
	{"much too long", "F" + strings.Repeat("y", 100000) + "\x00\x00", 11, "mess intd", ""},
}

// copied is what copyEnvelope makes of envelope.
func copied(envelope string) (code int, records string) {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	code = copyEnvelope(w, bufio.NewReaderSize(strings.NewReader(envelope), 2*maxAddress))
	w.Flush()
	return code, out.String()
}

func TestCopyEnvelope(t *testing.T) {
	for _, test := range envelopes {
		code, records := copied(test.envelope)
		if code != test.code || code == 0 && records != test.records {
			t.Errorf("%s: got %d, %q", test.name, code, records)
		}
	}
}

func TestAppendEnvelopeEndsAddressesAtNUL(t *testing.T) {
	got := string(appendEnvelope(nil, Envelope{"a\x00Tevil", []string{"b", "c\x00\x00"}}))
	if want := "Fa\x00Tb\x00Tc\x00\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// readEnvelope must not wait for more than the envelope.
func TestReadEnvelopeStopsAtTheEnd(t *testing.T) {
	for _, test := range envelopes {
		r := iotest.OneByteReader(strings.NewReader(test.envelope))
		got, err := readEnvelope(r, 1<<20)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if test.name == "junk behind" && strings.HasSuffix(string(got), "j") {
			t.Errorf("read too far: %q", got)
		}
		if code, _ := copied(string(got)); code != test.code {
			t.Errorf("%s: read %q, which gives %d", test.name, got, code)
		}
	}
	if _, err := readEnvelope(strings.NewReader(strings.Repeat("Fa\x00", 100)), 2); err == nil {
		t.Error("an envelope beyond the limit was read")
	}
}

// FuzzEnvelope compares copyEnvelope with the grammar written down plainly.
func FuzzEnvelope(f *testing.F) {
	for _, test := range envelopes {
		f.Add(test.envelope)
	}
	f.Fuzz(func(t *testing.T, envelope string) {
		code, records := copied(envelope)
		if want, wantRecords := plainGrammar(envelope); code != want || code == 0 && records != wantRecords {
			t.Errorf("%q: got %d %q, want %d %q", envelope, code, records, want, wantRecords)
		}
	})
}

func plainGrammar(envelope string) (code int, records string) {
	rest := envelope
	for letter := "F"; ; letter = "T" {
		if rest == "" {
			return 54, ""
		}
		if letter == "T" && rest[0] == 0 {
			return 0, envelope[:len(envelope)-len(rest)]
		}
		if rest[:1] != letter {
			return 91, ""
		}
		address, after, ended := strings.Cut(rest[1:], "\x00")
		if len(address) > maxAddress {
			return 11, ""
		}
		if !ended {
			return 54, ""
		}
		rest = after
	}
}

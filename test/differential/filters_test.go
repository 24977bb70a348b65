package differential

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

var lineEnds = []string{"a", "bc", "\n", "\r", "\r\n", "\n\n", "\r\r", "\x00", ".", " "}

func TestAddcr(t *testing.T) { fuzz(t, filter("addcr")) }
func TestDelcr(t *testing.T) { fuzz(t, filter("delcr")) }

func filter(name string) func(r *rand.Rand) Case {
	return func(r *rand.Rand) Case {
		return Case{Args: append([]string{name}, some(r, "-x")...), Stdin: text(r, 60, lineEnds...)}
	}
}

func TestFixcrio(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		return Case{Args: filtered(r, "fixcrio"), Stdin: text(r, 60, lineEnds...), Excused: lost}
	})
}

// lost tells whether the original was killed by the pipe to a program that had
// ended, before it passed on what the program wrote.
func lost(original, ours Outcome) bool {
	return original.Stdout == "" && ours.Stdout != "" && original.Status == ours.Status
}

// filtered is a program under recordio or fixcrio.
func filtered(r *rand.Rand, name string) []string {
	return append([]string{name}, pick(r, []string{"cat"}, []string{"cat"}, []string{"cat"}, []string{"--", "cat"},
		[]string{"sh", "-c", `printf 'a\nb\r\nc'; exit 3`}, []string{"sh", "-c", "cat; exit 7"},
		[]string{"./missing"}, []string{"-x", "cat"}, []string{"cat", "-A"}, nil)...)
}

func TestRecordio(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		return Case{Args: filtered(r, "recordio"), Stdin: text(r, 60, lineEnds...), Normal: recorded, Excused: lostOrSooner}
	})
}

// lostOrSooner is lost, or tells whether of what a program that ended did not
// read, one recorded more than the other: what there was time for.
func lostOrSooner(original, ours Outcome) bool {
	if lost(original, ours) {
		return true
	}
	inA, restA, _ := strings.Cut(original.Stderr, "\n>")
	inB, restB, _ := strings.Cut(ours.Stderr, "\n>")
	inA, inB = strings.TrimSuffix(inA, "< [EOF]\n"), strings.TrimSuffix(inB, "< [EOF]\n")
	original.Stderr, ours.Stderr = restA, restB
	return ours.Status == "exit 3" && reflect.DeepEqual(original, ours) &&
		(strings.HasPrefix(inA, inB) || strings.HasPrefix(inB, inA))
}

// recorded sorts what was recorded by direction. How much of what the program
// writes is read at a time depends on when it writes.
func recorded(o *Outcome) {
	if strings.Contains(o.Stderr, "fatal: unable to run ") {
		// What is recorded is what there is time for.
		o.Stderr = o.Stderr[strings.Index(o.Stderr, "recordio: fatal"):]
		o.Stderr, _, _ = strings.Cut(o.Stderr, "\n")
		return
	}
	var in, out, other strings.Builder
	for _, line := range strings.SplitAfter(o.Stderr, "\n") {
		at := strings.IndexAny(line, "<>")
		switch {
		case at < 2 || digits.FindString(line) != line[:at-1]:
			other.WriteString(line)
		case line[at] == '<':
			in.WriteString(line[at:])
		case strings.HasSuffix(line, "+\n"):
			out.WriteString(line[at+2 : len(line)-2])
		default:
			out.WriteString(line[at+2:])
		}
	}
	o.Stderr = in.String() + "\n>" + out.String() + "\n" + other.String()
}

func TestTai64n(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		return Case{
			Args: append([]string{"tai64n"}, some(r, "-x")...), Stdin: text(r, 60, lineEnds...),
			Normal: func(o *Outcome) { o.Stdout = label.ReplaceAllString(o.Stdout, "@LABEL") },
		}
	})
}

func TestTai64nlocal(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		var b strings.Builder
		for range r.IntN(8) {
			b.WriteString(pick(r, "", "", "", " ", "x", "@"))
			b.WriteString(pick(r, "@400000004a37c4b2200b5d2c", "@400000006b05286c02e3671c.s", "@400000000000000a00000000",
				"@40000000433225833b6e2644", "@40000000586846a400000000", "@3fffffff00000000ffffffff", "@4000000100000000075bcd15",
				"@400000004a37c4b2200b5d2", "@4", "@"))
			b.WriteString(pick(r, " hello", "", "\n", " x\n", " a\nb\n", "g", "A\n", "0\n"))
		}
		return Case{
			Args: []string{"tai64nlocal"}, Stdin: b.String(),
			Env:     []string{"TZ=" + pick(r, "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "")},
			Excused: func(original, _ Outcome) bool { return original.Status == "signal 11" },
		}
	})
}

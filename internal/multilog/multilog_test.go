package multilog

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// outcome is all that a run of multilog in an empty directory leaves.
func (s subject) outcome(t *testing.T, prepare func(dir string), input string, script ...string) string {
	t.Helper()
	dir := t.TempDir()
	if prepare != nil {
		prepare(dir)
	}
	_, stderr, code := s.run(t, dir, input, append([]string{"multilog"}, script...)...)
	return fmt.Sprintf("exit %d\n%q\n%s", code, labels.ReplaceAllString(stderr, "@"), tree(t, dir))
}

func compare(t *testing.T, prepare func(dir string), input string, script ...string) {
	t.Helper()
	var outcomes []string
	for _, s := range subjects(t) {
		outcomes = append(outcomes, s.outcome(t, prepare, input, script...))
	}
	if diff := cmp.Diff(outcomes[0], outcomes[1]); diff != "" {
		t.Errorf("%q < %.200q (-original +ours):\n%s", script, input, diff)
	}
}

func TestScripts(t *testing.T) {
	const three = "one\ntwo\nthree"
	long := func(n int) string { return strings.Repeat("a", n) + "\n" }
	for _, test := range []struct {
		script []string
		input  string
		stderr string
	}{
		{[]string{}, three, ""},
		{[]string{"e"}, three, "one\ntwo\nthree\n"},
		{[]string{"-*two*", "e"}, three, "one\nthree\n"},
		{[]string{"-*", "+one", "e"}, three, "one\n"},
		{[]string{"-*o", "e"}, three, "one\nthree\n"},
		{[]string{"-*", "+t*", "e"}, three, "two\nthree\n"},
		{[]string{"-tw", "e"}, three, "one\ntwo\nthree\n"},
		{[]string{"t", "-* foo*", "e"}, "foo a\nbar b\n", "@ bar b\n"},
		{[]string{"t", "-foo*", "e"}, "foo a\nbar b\n", "@ foo a\n@ bar b\n"},
		{[]string{"t", "e"}, "\n\na", "@ \n@ \n@ a\n"},
		{[]string{"e", "t"}, "a\n", "a\n"},
		{[]string{"e"}, long(200), long(200)},
		{[]string{"e"}, long(201), long(200)[:200] + "...\n"},
		{[]string{"e", "-a", "e"}, "a\nb\n", "a\nb\nb\n"},
		{[]string{"e", "e", "junk", "", "x"}, "a\nb\n", "a\na\nb\nb\n"},
		{[]string{"-*b", "e"}, long(1000)[:1000] + "b\n", long(200)[:200] + "...\n"},
		{[]string{"-*b", "e"}, long(999)[:999] + "b\n", ""},
	} {
		for _, s := range subjects(t) {
			_, stderr, code := s.run(t, t.TempDir(), test.input, append([]string{"multilog"}, test.script...)...)
			stderr = labels.ReplaceAllString(stderr, "@")
			if stderr != test.stderr || code != 0 {
				t.Errorf("%s %q: exit %d, stderr %q, not %q", s.name, test.script, code, stderr, test.stderr)
			}
		}
	}
}

func TestOutputs(t *testing.T) {
	for _, test := range []struct {
		script []string
		input  string
	}{
		{[]string{"./m"}, "one"},
		{[]string{"./m"}, ""},
		{[]string{"t", "./m"}, "one\n\ntwo"},
		{[]string{"-*", "+a*", "./A", "+*", "-a*", "./B"}, "alpha\nbeta\n"},
		{[]string{"./m", "=stat", "./n"}, "one\ntwo\n"},
		{[]string{"=stat"}, strings.Repeat("x", 1500) + "\n"},
		{[]string{"t", "=stat", "./m"}, strings.Repeat("x", 1500) + "\ny" + strings.Repeat("z", 980)},
		{[]string{"=nodir/x"}, "a\n"},
		{[]string{"="}, "a\n"},
		{[]string{"=."}, "a\n"},
		{[]string{"./m", "./m"}, "a\n"},
		{[]string{"./m", "=nodir/x"}, "a\n"},
		{[]string{"./no/dir"}, "a\n"},
		{[]string{"/dev/null"}, "a\n"},
		{[]string{"/dev/null/x"}, "a\n"},
		{[]string{"."}, "a\x00b\n\x00"},
		{[]string{"s4096", "./m"}, strings.Repeat("y", 10000) + "\ntail\n"},
		{[]string{"s4096", "./m"}, strings.Repeat(strings.Repeat("z", 2499)+"\n", 10)},
		{[]string{"s4096", "./m"}, strings.Repeat(strings.Repeat("z", 2499)+"\n", 9) + "end"},
		{[]string{"s4096", "n3", "./m"}, strings.Repeat(strings.Repeat("z", 2499)+"\n", 10)},
		{[]string{"s10000", "./m", "s4096", "n2", "./n"}, strings.Repeat(strings.Repeat("z", 7999)+"\n", 3)},
	} {
		compare(t, nil, test.input, test.script...)
	}
}

func TestStatusFileIsOverwrittenInPlace(t *testing.T) {
	prepare := func(dir string) {
		write(t, filepath.Join(dir, "stat"), strings.Repeat("o", 3000), 0o600)
	}
	compare(t, prepare, "line\n", "=stat")
}

// TestRandom runs both on random scripts and input. Logs are small enough not
// to be rotated: the sizes of those depend on how the input comes in. No letter
// is one that a label may have, since patterns see labels too.
func TestRandom(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	text := func(alphabet string, limit int) string {
		b := make([]byte, random.Intn(limit+1))
		for i := range b {
			b[i] = alphabet[random.Intn(len(alphabet))]
		}
		return string(b)
	}
	for range 40 {
		var script []string
		if random.Intn(2) == 0 {
			script = append(script, "t")
		}
		for i := range 1 + random.Intn(8) {
			switch random.Intn(6) {
			case 0, 1, 2:
				script = append(script, text("+-", 1)+text("*xy @", 5))
			case 3:
				script = append(script, "e")
			case 4:
				script = append(script, fmt.Sprintf("=f%d", i))
			default:
				script = append(script, fmt.Sprintf("./d%d", i))
			}
		}
		var input strings.Builder
		for range random.Intn(40) {
			switch random.Intn(8) {
			case 0:
				input.WriteString(strings.Repeat("x", 960+random.Intn(60)) + text("xy", 3))
			default:
				input.WriteString(text("xy @*\x00", 12))
			}
			if random.Intn(20) > 0 {
				input.WriteByte('\n')
			}
		}
		compare(t, nil, input.String(), script...)
	}
}

// TestRecovery starts in each state that a killed multilog may leave.
func TestRecovery(t *testing.T) {
	const none = 0
	modes := []os.FileMode{none, modeOpen, modeComplete}
	for _, current := range modes {
		for _, processed := range modes {
			for _, previous := range []os.FileMode{none, modeComplete, os.ModeIrregular} {
				for _, script := range [][]string{{"./m"}, {"n2", "./m"}} {
					prepare := func(dir string) {
						dir = filepath.Join(dir, "m")
						must(t, os.Mkdir(dir, 0o700))
						const old = "/@400000000000000000000000.s"
						write(t, dir+old, "old\n", modeComplete)
						write(t, dir+"/state", "state", 0o644)
						write(t, dir+"/newstate", "newstate", 0o644)
						if current != none {
							write(t, dir+"/current", "current\n", current)
						}
						if processed != none {
							write(t, dir+"/processed", "processed\n", processed)
						}
						switch previous {
						case none:
						case os.ModeIrregular: // linked already
							must(t, os.Link(dir+old, dir+"/previous"))
						default:
							write(t, dir+"/previous", "previous\n", previous)
						}
					}
					compare(t, prepare, "new\n", script...)
				}
			}
		}
	}
	compare(t, func(dir string) {
		must(t, os.Mkdir(dir+"/m", 0o755))
		write(t, dir+"/m/current", "", modeOpen)
	}, "", "./m")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), mode))
	must(t, os.Chmod(path, mode))
}

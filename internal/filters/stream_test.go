package filters

import (
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

// TestStream compares addcr and delcr with the originals.
func TestStream(t *testing.T) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	inputs := []string{
		"", "\n", "\r", "\r\r\n", "x\r\ny\r", "x\ny",
		"\x00\r\n\xff\n", string(randomBytes(random, 100000)),
	}
	for _, command := range []string{"addcr", "delcr"} {
		for _, input := range inputs {
			both(t, func(dir string) result {
				r := prepare(t, dir, command)
				r.cmd.Stdin = strings.NewReader(input)
				return r.finish()
			})
		}
		both(t, func(dir string) result {
			r := prepare(t, dir, command, "-x", "argument") // neither counts
			r.cmd.Stdin = strings.NewReader("x\ny\r\n")
			return r.finish()
		})
	}
}

// TestStreamFailures shows that ours fail as the originals do, and say why.
func TestStreamFailures(t *testing.T) {
	open := func(name string, flags int) *os.File {
		t.Helper()
		f, err := os.OpenFile(name, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for _, command := range []string{"addcr", "delcr"} {
		both(t, func(dir string) int {
			r := prepare(t, dir, command)
			r.cmd.Stdin = open(t.TempDir(), os.O_RDONLY)
			got := r.finish()
			if want := command + ": fatal: unable to read input: is a directory\n"; dir != programs.Originals(t) && got.Stderr != want {
				t.Errorf("%q, want %q", got.Stderr, want)
			}
			return got.Exit
		})
		both(t, func(dir string) int {
			r := prepare(t, dir, command)
			r.cmd.Stdin = strings.NewReader("x\n")
			r.cmd.Stdout = open("/dev/full", os.O_WRONLY)
			got := r.finish()
			if want := command + ": fatal: unable to write output: out of disk space\n"; dir != programs.Originals(t) && got.Stderr != want {
				t.Errorf("%q, want %q", got.Stderr, want)
			}
			return got.Exit
		})
		both(t, func(dir string) result {
			gone, output := pipe(t)
			gone.Close()
			r := prepare(t, dir, command)
			r.cmd.Stdin = strings.NewReader("x\n")
			r.cmd.Stdout = output
			return r.finish()
		})
	}
}

// TestStreamDoesNotHoldBack shows that what was read is written before more
// is waited for.
func TestStreamDoesNotHoldBack(t *testing.T) {
	for command, want := range map[string]string{"addcr": "x\r\ny", "delcr": "x\ny"} {
		input, writer := pipe(t)
		reader, output := pipe(t)
		r := prepare(t, ours(t), command)
		r.cmd.Stdin, r.cmd.Stdout = input, output
		if err := r.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		writer.WriteString("x\ny")
		got := make([]byte, len(want))
		if _, err := io.ReadFull(reader, got); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", command, got, err)
		}
		writer.Close()
		r.cmd.Wait()
	}
}

// edited is what edit makes of input that comes in two pieces.
func edited(edit func(out, in []byte, last bool) []byte, input []byte, at int) string {
	var out []byte
	for _, piece := range [][]byte{input[:at], input[at:]} {
		if len(piece) > 0 {
			out = edit(out, piece, false)
		}
	}
	return string(edit(out, nil, true))
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("a\r\nb\r\r\n\n\r"), 2)
	f.Add([]byte("\r\r\n"), 1)
	f.Fuzz(func(t *testing.T, input []byte, at int) {
		if at < 0 || at > len(input) {
			return
		}
		text := string(input)
		if got, want := edited(addCR, input, at), strings.ReplaceAll(text, "\n", "\r\n"); got != want {
			t.Errorf("addcr %q: %q, want %q", text, got, want)
		}
		var r CRRemover
		if got, want := edited(r.Edit, input, at), strings.ReplaceAll(text, "\r\n", "\n"); got != want {
			t.Errorf("delcr %q: %q, want %q", text, got, want)
		}
	})
}

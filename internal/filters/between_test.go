package filters

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBetween compares recordio and fixcrio with the originals.
func TestBetween(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "denied"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cat := []string{"cat"}
	for name, c := range map[string]struct {
		input   string
		program []string
	}{
		"lines":         {"a\nb\r\npart", cat},
		"nothing":       {"", cat},
		"empty lines":   {"\n\n\r\n\r\r\n", cat},
		"long":          {strings.Repeat("x", 600), cat},
		"long lines":    {strings.Repeat("y", 255) + "\n" + strings.Repeat("z", 256) + "\n" + strings.Repeat("\n", 300), cat},
		"bytes":         {"\x00\x01\x1b[31m\x7f\x80\xff% 12 > x\n", cat},
		"exit code":     {"x\n", []string{"sh", "-c", "cat; exit 7"}},
		"signal":        {"x\n", []string{"sh", "-c", "cat; kill -9 $$"}},
		"stderr":        {"", []string{"sh", "-c", "cat; echo complaint >&2"}},
		"own child":     {"", []string{"sh", "-c", "cat; (sleep 0.2; echo late) & exit 3"}},
		"reads nothing": {"", []string{"echo", "out"}},
		"closes output": {"", []string{"sh", "-c", "cat; exec >&-; exit 4"}},
		"descriptors":   {"", []string{"sh", "-c", "cat; for fd in 3 4 5 6 7 8; do [ ! -e /proc/self/fd/$fd ] || echo $fd; done"}},
		"environment":   {"", []string{"sh", "-c", "cat; env | grep -v ^_= | sort"}},
		"missing":       {"", []string{"./none"}},
		"denied":        {"", []string{filepath.Join(dir, "denied")}},
		"no program":    {"", nil},
		"empty name":    {"", []string{""}},
		"two dashes":    {"", []string{"--", "cat"}},
		"no option":     {"", []string{"-x", "cat"}},
		"copy":          {"", []string{"--copy"}},
		"copy program":  {"", []string{"--copy", "1", "2"}},
	} {
		for _, command := range []string{"recordio", "fixcrio"} {
			t.Run(command+" "+name, func(t *testing.T) {
				t.Parallel()
				both(t, func(dir string) result {
					r := prepare(t, dir, append([]string{command}, c.program...)...)
					r.cmd.Stdin = file(t, c.input)
					return r.finish()
				})
			})
		}
	}
}

// TestBetweenPackets compares recordio and fixcrio with the originals on
// packets that come one by one, each when the program's answer to the one
// before is there.
func TestBetweenPackets(t *testing.T) {
	packets := []string{"one\ntw", "o\r", "\nthree\r", "four\n", "\n", "\r"}
	for command, answers := range map[string][]string{
		"recordio": packets,
		"fixcrio":  {"one\r\ntw", "o\r", "\nthree\r", "four\r\n", "\r\n", "\r"},
	} {
		both(t, func(dir string) string {
			client, output := pipe(t)
			input, toProgram := pipe(t)
			r := prepare(t, dir, command, "cat")
			r.cmd.Stdin, r.cmd.Stdout = input, output
			if err := r.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			output.Close()
			client.SetReadDeadline(time.Now().Add(patience))
			for i, packet := range packets {
				toProgram.WriteString(packet)
				got := make([]byte, len(answers[i]))
				if _, err := io.ReadFull(client, got); err != nil || string(got) != answers[i] {
					t.Errorf("%s: %q, %v; want %q", dir, got, err, answers[i])
				}
			}
			toProgram.Close()
			r.cmd.Wait()
			return r.log()
		})
	}
}

// TestBetweenRandom compares recordio and fixcrio with the originals on
// random input. All reads from a file get as much as they ask for.
func TestBetweenRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 3 {
		input := file(t, string(randomBytes(random, random.IntN(5000))))
		for _, command := range []string{"recordio", "fixcrio"} {
			both(t, func(dir string) result {
				r := prepare(t, dir, command, "sh", "-c", "cat >/dev/null; cat "+input.Name())
				input.Seek(0, io.SeekStart)
				r.cmd.Stdin = input
				got := r.finish()
				if command == "recordio" {
					got.Stderr = beforeOutput(got.Stderr)
				}
				return got
			})
		}
	}
}

// beforeOutput leaves out the log of the output, whose packets are chance.
func beforeOutput(log string) string {
	before, _, _ := strings.Cut(log, "PID >")
	return before
}

func randomBytes(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "ab\r\n"[random.IntN(4)]
	}
	return b
}

// TestBetweenUnreadable shows that input that cannot be read has ended.
func TestBetweenUnreadable(t *testing.T) {
	for _, command := range []string{"recordio", "fixcrio"} {
		both(t, func(dir string) result {
			r := prepare(t, dir, command, "cat")
			folder, err := os.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer folder.Close()
			r.cmd.Stdin = folder
			return r.finish()
		})
	}
}

// TestBetweenClientGone shows that copying ends both ways when nobody takes
// the output.
func TestBetweenClientGone(t *testing.T) {
	for _, command := range []string{"recordio", "fixcrio"} {
		both(t, func(dir string) string {
			input, client := pipe(t)
			gone, output := pipe(t)
			gone.Close()
			r := prepare(t, dir, command, "sh", "-c", "echo a; cat >/dev/null; exit 3")
			r.cmd.Stdin, r.cmd.Stdout = input, output
			got := r.finish() // although client is still open
			client.Close()
			return fmt.Sprint(got)
		})
	}
}

// TestBetweenProgramStopsReading shows that copying ends both ways when the
// program does not take its input.
func TestBetweenProgramStopsReading(t *testing.T) {
	for _, command := range []string{"recordio", "fixcrio"} {
		both(t, func(dir string) string {
			client, output := pipe(t)
			input, toProgram := pipe(t)
			r := prepare(t, dir, command, "sh", "-c", "exec <&-; echo ready; exec sleep 100")
			r.cmd.Stdin, r.cmd.Stdout = input, output
			if err := r.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			output.Close()
			in := bufio.NewReader(client)
			heard, _ := in.ReadString('\n')
			toProgram.WriteString("x\n")
			rest, err := in.ReadString('\n')
			r.cmd.Process.Kill()
			r.cmd.Wait()
			return fmt.Sprintf("%q %q %v\n%s", heard, rest, err, r.log())
		})
	}
}

// TestRecordioLogCannotBeWritten shows that the program goes on.
func TestRecordioLogCannotBeWritten(t *testing.T) {
	both(t, func(dir string) result {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		r := prepare(t, dir, "recordio", "cat")
		r.cmd.Stderr = full
		r.cmd.Stdin = strings.NewReader(strings.Repeat("some text\n", 10000))
		return r.finish()
	})
}

// TestBetweenCopiesMuch shows that nothing is lost where both directions are
// full.
func TestBetweenCopiesMuch(t *testing.T) {
	text := strings.Repeat("0123456789abcdef\r\n", 100000)
	r := prepare(t, ours(t), "fixcrio", "cat")
	r.cmd.Stdin = strings.NewReader(text)
	if got := r.finish(); got.Stdout != text || got.Exit != 0 {
		t.Errorf("%d of %d bytes, exit %d", len(got.Stdout), len(text), got.Exit)
	}
}

// file returns a file with the given content, open for reading.
func file(t *testing.T, content string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func pipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		reader.Close()
		writer.Close()
	})
	return reader, writer
}

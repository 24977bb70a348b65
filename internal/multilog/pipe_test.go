package multilog

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// readAll reads in to its end, a line or what must be taken at a time.
func readAll(t *testing.T, in input) string {
	t.Helper()
	var all strings.Builder
	for in.more(false) == nil {
		data := in.data()
		end := strings.LastIndexByte(string(data), '\n') + 1
		if end == 0 && len(data) >= lineLimit && !in.mayWait(0) {
			end = len(data)
		}
		if end > 0 {
			all.Write(data[:end])
			in.take(end)
		}
	}
	all.Write(in.data())
	return all.String()
}

func newTestPipe(t *testing.T, flags int) (in input, p *pipeInput, writer *os.File) {
	t.Helper()
	var fds [2]int
	must(t, unix.Pipe2(fds[:], unix.O_CLOEXEC|flags))
	reader := os.NewFile(uintptr(fds[0]), "reader")
	writer = os.NewFile(uintptr(fds[1]), "writer")
	signals, err := catchSignals()
	must(t, err)
	in, err = newInput(fds[0], signals.fd)
	must(t, err)
	t.Cleanup(func() {
		reader.Close()
		writer.Close()
	})
	p, ok := in.(*pipeInput)
	if !ok {
		t.Fatal("a pipe is not read as one")
	}
	return signalsAside{in, signals}, p, writer
}

// signalsAside passes over the signals that say that the pipe has news.
type signalsAside struct {
	input
	signals *signals
}

func (s signalsAside) more(slow bool) error {
	for {
		if err := s.input.more(slow); err != errSignal {
			return err
		}
		s.signals.clear()
	}
}

// TestPipe sends lines through writes of all sizes. The large ones fill the
// pipe while the beginning of a line is in it: nothing wakes a poll then.
func TestPipe(t *testing.T) {
	var text strings.Builder
	for i := range 40000 {
		text.WriteString(strings.Repeat("x", i%120))
		text.WriteByte('\n')
	}
	text.WriteString("end")
	want := text.String()
	for _, size := range []int{1 << 20, 1 << 17, 65536, 5000, 1000} {
		in, _, writer := newTestPipe(t, 0)
		go func() {
			defer writer.Close()
			for rest := want; rest != ""; rest = rest[min(size, len(rest)):] {
				writer.WriteString(rest[:min(size, len(rest))])
			}
		}()
		if got := readAll(t, in); got != want {
			t.Errorf("writes of %d bytes: %d bytes came, not %d, or not the same", size, len(got), len(want))
		}
	}
}

// TestPipeLineLargerThanThePipe sends a line that no pipe holds.
func TestPipeLineLargerThanThePipe(t *testing.T) {
	want := "short\n" + strings.Repeat("y", 300000) + "\nnext\n"
	in, _, writer := newTestPipe(t, 0)
	go func() {
		defer writer.Close()
		writer.WriteString(want)
	}()
	if got := readAll(t, in); got != want {
		t.Errorf("%d bytes came, not %d, or not the same", len(got), len(want))
	}
}

// TestPipeOfFragments fills the pipe with packets of a byte.
func TestPipeOfFragments(t *testing.T) {
	want := strings.Repeat("z", 500) + "\n" + strings.Repeat("w", 2000) + "\nend"
	in, _, writer := newTestPipe(t, unix.O_DIRECT)
	go func() {
		defer writer.Close()
		for i := range want {
			writer.WriteString(want[i : i+1])
		}
	}()
	if got := readAll(t, in); got != want {
		t.Errorf("got %q", got)
	}
}

// TestPipeKeepsWhatIsNotTaken looks without taking.
func TestPipeKeepsWhatIsNotTaken(t *testing.T) {
	in, p, writer := newTestPipe(t, 0)
	left := func() int {
		n, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ)
		must(t, err)
		return n
	}
	writer.WriteString("one\ntwo")
	must(t, in.more(false))
	if got := string(in.data()); got != "one\ntwo" || left() != 7 {
		t.Errorf("saw %q, %d bytes left", got, left())
	}
	in.take(4)
	writer.WriteString("!\n")
	must(t, in.more(false))
	if got := string(in.data()); got != "two!\n" || left() != 5 {
		t.Errorf("saw %q, %d bytes left", got, left())
	}
	// The next reader of the pipe sees the same.
	signals, err := catchSignals()
	must(t, err)
	next, err := newInput(p.fd, signals.fd)
	must(t, err)
	must(t, signalsAside{next, signals}.more(false))
	if got := string(next.data()); got != "two!\n" {
		t.Errorf("the next reader saw %q", got)
	}
	p.null = -1 // as where there is no /dev/null
	in.take(5)
	if left() != 0 {
		t.Errorf("%d bytes left", left())
	}
}

// TestPlainInput reads what is no pipe.
func TestPlainInput(t *testing.T) {
	text := strings.Repeat("line\n", 50000) + strings.Repeat("x", 200000) + "\nend"
	dir := t.TempDir()
	write(t, dir+"/input", text, 0o600)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	go func() {
		socket := os.NewFile(uintptr(pair[1]), "socket")
		defer socket.Close()
		socket.WriteString(text)
	}()
	file, err := os.Open(dir + "/input")
	must(t, err)
	socket := os.NewFile(uintptr(pair[0]), "socket")
	for _, stdin := range []*os.File{file, socket} {
		cmd := ours.command(t, dir, "multilog", "s16777215", "./"+stdin.Name()[strings.LastIndexByte(stdin.Name(), '/')+1:]+".log")
		cmd.Stdin = stdin
		must(t, cmd.Start())
		stdin.Close()
		if code := wait(t, cmd); code != 0 {
			t.Errorf("%s: exit %d", stdin.Name(), code)
		}
	}
	for _, log := range []string{"input.log", "socket.log"} {
		if content(t, dir+"/"+log) != text+"\n" {
			t.Errorf("%s differs", log)
		}
	}
}

// TestStderrGone keeps logging when nobody reads standard error.
func TestStderrGone(t *testing.T) {
	dir := t.TempDir()
	reader, writer, err := os.Pipe()
	must(t, err)
	reader.Close()
	cmd := ours.command(t, dir, "multilog", "e", "./m")
	cmd.Stdin, cmd.Stderr = strings.NewReader("line\n"), writer
	must(t, cmd.Start())
	writer.Close()
	if code := wait(t, cmd); code != 0 {
		t.Errorf("exit %d", code)
	}
	if got := content(t, dir+"/m"); got != "line\n" {
		t.Errorf("log holds %q", got)
	}
}

package multilog

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qmail-smtpd/internal/tai64"
)

var kills = flag.Int("kills", 150, "how often TestKill kills")

// lineWriter writes numbered lines until it is stopped: some in one write
// each, some in large writes that end within a line.
type lineWriter struct {
	progress atomic.Int64 // lines
	stopping atomic.Bool
	done     sync.WaitGroup
	all      strings.Builder
	err      error
}

// newLineWriter writes to file, in pieces of up to chunk bytes.
func newLineWriter(file *os.File, chunk int) *lineWriter {
	w := new(lineWriter)
	w.done.Add(1)
	go func() {
		defer w.done.Done()
		defer file.Close()
		var pending []byte
		random := rand.New(rand.NewSource(1))
		for n := 0; ; n++ {
			line := fmt.Sprintf("%09d %s\n", n, strings.Repeat("x", random.Intn(80)))
			w.all.WriteString(line)
			pending = append(pending, line...)
			last := w.stopping.Load()
			for n%100 < 50 && len(pending) > 0 || len(pending) > chunk || last && len(pending) > 0 {
				size := min(len(pending), chunk)
				if _, w.err = file.Write(pending[:size]); w.err != nil {
					return
				}
				pending = append(pending[:0], pending[size:]...)
			}
			w.progress.Store(int64(n))
			if last {
				return
			}
		}
	}()
	return w
}

// awaitProgress waits until that many more lines are written.
func (w *lineWriter) awaitProgress(t *testing.T, lines int64) {
	t.Helper()
	from := w.progress.Load()
	eventually(t, "lines are taken", func() bool { return w.progress.Load() >= from+lines })
}

// stop writes a last line and returns all that was written.
func (w *lineWriter) stop(t *testing.T) string {
	t.Helper()
	w.stopping.Store(true)
	w.done.Wait()
	must(t, w.err)
	return w.all.String()
}

// TestKill kills multilog again and again under a stream of lines. Every
// line must be in the log, in order; lines may come again after a kill.
func TestKill(t *testing.T) {
	seed := time.Now().UnixNano()
	random := rand.New(rand.NewSource(seed))
	t.Logf("seed %d", seed)
	for _, script := range [][]string{
		{"s50000", "n1000000", "./m"},
		{"t", "s50000", "n1000000", "-*nothing*", "./m", "=status"},
	} {
		r := newRunning(t)
		lines := newLineWriter(r.in, 100000)
		for range *kills / 2 {
			r.start(t, ours, script...)
			lines.awaitProgress(t, 1+random.Int63n(500))
			time.Sleep(time.Duration(random.Intn(1000)) * time.Microsecond)
			must(t, r.cmd.Process.Kill())
			wait(t, r.cmd)
		}
		r.start(t, ours, script...)
		written := strings.Count(lines.stop(t), "\n")
		if code := wait(t, r.cmd); code != 0 {
			t.Errorf("exit %d", code)
		}
		repeats := checkNumbers(t, r.path("m"), script[0] == "t", written)
		t.Logf("%q: %d kills, %d lines, %d of them again", script, *kills/2, written, repeats)
	}
}

// checkNumbers checks that the logs hold the lines 0 to lines-1 in order, and
// returns how many came again.
func checkNumbers(t *testing.T, dir string, labelled bool, lines int) (repeats int) {
	t.Helper()
	next, last := 0, -1 // the first line not seen yet; the line before
	started := true     // a process has just started: lines may come again
	for _, path := range append(logs(t, dir), filepath.Join(dir, "current")) {
		for _, line := range strings.SplitAfter(read(t, path), "\n") {
			whole := strings.HasSuffix(line, "\n")
			if !whole {
				// A write that the kill cut short. The line comes again.
				if line != "" && !strings.HasSuffix(path, ".u") {
					t.Errorf("%s: ends with %q", path, line)
				}
				continue
			}
			if labelled {
				line = line[min(len(line), tai64.LabelSize+1):]
			}
			var n int
			if _, err := fmt.Sscanf(line, "%09d ", &n); err != nil {
				t.Fatalf("%s: %q: %v", path, line, err)
			}
			if n > next || n != last+1 && !started {
				t.Fatalf("%s: line %d after %d, and %d is the first missing", path, n, last, next)
			}
			if n < next {
				repeats++
			}
			next = max(next, n+1)
			last, started = n, false
		}
		started = strings.HasSuffix(path, ".u")
	}
	if next != lines {
		t.Errorf("the logs end before line %d of %d", next, lines)
	}
	return repeats
}

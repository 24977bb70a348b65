//go:build durability

package durability

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/programs"
)

// logScripts are the ways in which multilog is to write. Its log directory is
// m in each.
var logScripts = [][]string{
	{"s4096", "n1000000", "./m"},
	{"t", "F", "s4096", "n1000000", "./m"},
	{"s20000", "n1000000", "!cat", "./m"},
	{"Z", "s4096", "n1000000", "./m"},
}

// TestMultilogPowerCut cuts the power of the file system of a log: a log that
// was finished is there and complete; no line is missing but at the end; and
// with F, not one that was taken out of the pipe.
func TestMultilogPowerCut(t *testing.T) {
	for i, kind := range fileSystems {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			p := newLogPower(t, kind, uint64(*seed)+uint64(i))
			for n := 0; n < *cuts && !t.Failed(); n += cutsPerRun / 4 {
				p.record(t, logScripts[n/(cutsPerRun/4)%len(logScripts)])
				for _, position := range p.positions(cutsPerRun / 4) {
					f := randomFate(p.sector, p.random)
					for _, wrong := range p.recover(t, p.cut(position, f, p.random), position) {
						t.Errorf("%q, cut after %d of %d events, %+v: %s", p.script, position, len(p.events), f, wrong)
					}
				}
			}
			t.Logf("%d lines and %d logs known to be on the disk, seed %d", p.lines, p.logs, *seed)
		})
	}
}

// TestMultilogPowerCutWithoutSync has a multilog whose syncs do nothing.
func TestMultilogPowerCutWithoutSync(t *testing.T) {
	for i, kind := range fileSystems {
		for _, script := range logScripts[:2] {
			t.Run(kind.name+" "+strings.Join(script, " "), func(t *testing.T) {
				t.Parallel()
				p := newLogPower(t, kind, uint64(*seed)+uint64(i))
				p.behind = withoutSync("1+1")
				p.record(t, script)
				for _, position := range p.positions(40) {
					if wrong := p.recover(t, p.cut(position, fate{}, p.random), position); wrong != nil {
						t.Logf("found after %d of %d events: %s", position, len(p.events), wrong[0])
						return
					}
				}
				t.Error("a multilog without syncs has lost nothing")
			})
		}
	}
}

// A logPower makes power failures of a log.
type logPower struct {
	fileSystem
	*cutter // of the last run
	shelf   *shelf
	random  *rand.Rand
	base    image
	behind  []string // runs the multilog that is recorded
	script  []string
	known   []logKnowledge // of the last run

	lines, logs int
}

// A logKnowledge is what is on the disk from a position on.
type logKnowledge struct {
	position int
	lines    int               // as many from the first on; with F
	logs     map[string][]byte // finished ones
}

func newLogPower(t *testing.T, kind fileSystem, seed uint64) *logPower {
	t.Helper()
	p := &logPower{fileSystem: kind, shelf: newShelf(t), random: rand.New(rand.NewPCG(seed, 4))}
	p.base = kind.formatted(t, p.shelf).now
	return p
}

// startMultilog starts multilog, which reads from in and writes to dir/m.
func startMultilog(t testing.TB, dir string, in *os.File, script []string, behind ...string) *program {
	t.Helper()
	bin := programs.Ours(t)
	args := append(slices.Clone(behind), bin+"/multilog")
	for _, word := range script {
		args = append(args, strings.Replace(word, "./m", dir+"/m", 1))
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
	cmd.Stdin = in
	return start(t, cmd)
}

// A lineFeed writes numbered lines to a pipe.
type lineFeed struct {
	r, w    *os.File
	random  *rand.Rand
	lines   int
	written int   // bytes
	ends    []int // of the lines, in bytes
}

func newLineFeed(t testing.TB, random *rand.Rand) *lineFeed {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return &lineFeed{r: r, w: w, random: random}
}

// feed writes n lines in one piece, or more where they are many.
func (f *lineFeed) feed(t testing.TB, n int) {
	t.Helper()
	var b []byte
	for range n {
		b = fmt.Appendf(b, "%09d %s\n", f.lines, strings.Repeat("x", f.random.IntN(150)))
		f.lines++
		f.ends = append(f.ends, f.written+len(b))
	}
	_, err := f.w.Write(b)
	must(t, err)
	f.written += len(b)
}

// taken is how many lines are not in the pipe any more.
func (f *lineFeed) taken(t testing.TB) int {
	t.Helper()
	inside, err := unix.IoctlGetInt(int(f.r.Fd()), unix.TIOCINQ)
	must(t, err)
	n, found := slices.BinarySearch(f.ends, f.written-inside)
	if found {
		n++
	}
	return n
}

// record runs multilog, which is killed at times.
func (p *logPower) record(t *testing.T, script []string) {
	t.Helper()
	p.script, p.known = script, nil
	d := newDisk(p.size, p.base.clone())
	path := p.mount(t, p.shelf, d)
	d.forget()
	feed := newLineFeed(t, p.random)
	multilog := startMultilog(t, path, feed.r, script, p.behind...)
	killed := false
	for feed.lines < 1500 {
		feed.feed(t, 1+p.random.IntN(40))
		if p.random.IntN(3) > 0 {
			eventually(t, "lines are taken", func() bool { return feed.taken(t) == feed.lines })
		}
		k := logKnowledge{logs: finished(path + "/m")}
		if slices.Contains(script, "F") {
			k.lines = feed.taken(t)
			p.lines += k.lines
		}
		p.logs += len(k.logs)
		k.position = d.position()
		p.known = append(p.known, k)
		if p.behind == nil && !killed && p.random.IntN(60) == 0 {
			killed = true
			multilog.kill()
			multilog = startMultilog(t, path, feed.r, script)
		}
	}
	multilog.kill()
	p.cutter = newCutter(d.recorded())
	unmount(t, path) // when the children of what was killed have ended
	p.shelf.remove(d)
}

// finished returns the logs that are certainly finished and on the disk:
// those before a current that has lines.
func finished(dir string) map[string][]byte {
	names, _ := filepath.Glob(dir + "/@*.s")
	found := make(map[string][]byte)
	for _, name := range names {
		// With Z, it may be gone by now.
		if content, err := os.ReadFile(name); err == nil {
			found[filepath.Base(name)] = content
		}
	}
	info, err := os.Stat(dir + "/current")
	if err != nil || info.Size() == 0 {
		return nil
	}
	return found
}

// positions returns at which events to cut the power: half of them just when
// something was known to be on the disk.
func (p *logPower) positions(n int) []int {
	var at []int
	for i := range n {
		if i%2 == 0 {
			at = append(at, p.known[p.random.IntN(len(p.known))].position)
		} else {
			at = append(at, p.random.IntN(len(p.events)+1))
		}
	}
	slices.Sort(at)
	return at
}

// recover mounts what is left by a cut at position, lets another multilog
// write there, and tells what is wrong with the log.
func (p *logPower) recover(t *testing.T, left image, position int) (wrong []string) {
	t.Helper()
	d := newDisk(p.size, left)
	path, err := p.tryMount(t, p.shelf, d)
	if err != nil {
		return []string{err.Error()}
	}
	known := logKnowledge{logs: make(map[string][]byte)}
	for _, k := range p.known {
		if k.position <= position {
			known.lines = max(known.lines, k.lines)
			maps.Copy(known.logs, k.logs)
		}
	}
	for name, content := range known.logs {
		there, err := readLog(path + "/m/" + name)
		if err != nil {
			wrong = append(wrong, "finished log: "+err.Error())
		} else if !bytes.Equal(there, content) {
			wrong = append(wrong, fmt.Sprintf("finished log %s has %d bytes that differ from its %d", name, len(there), len(content)))
		}
	}
	c := &logCheck{lossy: true, durable: known.lines}
	feed := newLineFeed(t, p.random)
	feed.lines = 1_000_000 // none that was in the old pipe
	multilog := startMultilog(t, path, feed.r, p.script)
	feed.feed(t, 10)
	feed.w.Close()
	select {
	case <-multilog.exited:
	case <-time.After(patient):
		t.Fatalf("multilog does not end; it said %q", multilog.said.String())
	}
	wrong = append(wrong, c.check(path+"/m")...)
	if c.next != feed.lines {
		wrong = append(wrong, fmt.Sprintf("the log ends with line %d, and not with that before %d", c.next-1, feed.lines))
	}
	unmount(t, path) // when the compressor has ended
	p.shelf.remove(d)
	return wrong
}

// readLog reads a finished log, be it compressed since.
func readLog(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if !os.IsNotExist(err) || strings.HasSuffix(path, ".gz") {
		return content, err
	}
	file, err := os.Open(path + ".gz")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// A logCheck checks that a log directory holds the numbered lines in order.
type logCheck struct {
	lossy   bool // after a log that was not completed, lines may be missing
	durable int  // but none of so many first
	kills   int  // so often, lines may come again in the midst of a log

	next    int // the first line that was not seen
	last    int // the line that was seen last
	repeats int // lines that came again after a log that was not completed
}

func (c *logCheck) check(dir string) (wrong []string) {
	names := make(map[string]bool)
	paths, _ := filepath.Glob(dir + "/@*")
	for _, path := range paths {
		names[strings.TrimSuffix(filepath.Base(path), ".gz")] = true
	}
	broken := true // what follows may begin anywhere
	for _, name := range append(slices.Sorted(maps.Keys(names)), "current") {
		content, err := readLog(dir + "/" + name)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		complete := !strings.HasSuffix(name, ".u")
		if info, err := os.Stat(dir + "/" + name); complete && err == nil && info.Mode()&0o777 != 0o744 {
			wrong = append(wrong, fmt.Sprintf("%s has the mode %v", name, info.Mode()))
		}
		for _, line := range bytes.SplitAfter(content, []byte("\n")) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				if complete && len(line) > 0 {
					wrong = append(wrong, fmt.Sprintf("%s ends with %q", name, line))
				}
				continue
			}
			if line[0] == '@' {
				_, line, _ = bytes.Cut(line, []byte(" "))
			}
			number, rest, _ := strings.Cut(string(line), " ")
			n, err := strconv.Atoi(number)
			if err != nil || strings.Trim(rest, "x") != "\n" {
				wrong = append(wrong, fmt.Sprintf("%s has the line %.80q", name, line))
				break
			}
			switch {
			case n == c.next:
				c.next++
			case n < c.next && (broken || n == c.last+1):
				c.repeats++
			case n < c.next && c.kills > 0:
				// It was killed when current was complete, before it had
				// another name, and before the lines were out of the pipe.
				c.kills--
				c.repeats++
			case n > c.next && broken && c.lossy && c.next >= c.durable:
				c.next = n + 1
			default:
				wrong = append(wrong, fmt.Sprintf("%s: line %d after %d, where %d is the next", name, n, c.last, c.next))
				c.next = max(c.next, n+1)
			}
			c.last, broken = n, false
		}
		broken = !complete
	}
	return wrong
}

// TestMultilogKill kills multilog and its processor: no line is missing, and
// none is out of its place.
func TestMultilogKill(t *testing.T) {
	for _, script := range logScripts {
		t.Run(strings.Join(script, " "), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(*seed), 5))
			dir := scratch(t)
			feed := newLineFeed(t, random)
			c := &logCheck{kills: max(1, *kills/len(logScripts))}
			for range c.kills {
				multilog := startMultilog(t, dir, feed.r, script)
				for range 1 + random.IntN(3) {
					feed.feed(t, 1+random.IntN(500))
					if children := multilog.children(); len(children) > 0 && random.IntN(10) == 0 {
						unix.Kill(children[0], unix.SIGKILL)
					}
				}
				time.Sleep(time.Duration(random.IntN(2000)) * time.Microsecond)
				multilog.kill()
			}
			multilog := startMultilog(t, dir, feed.r, script)
			feed.w.Close()
			select {
			case <-multilog.exited:
			case <-time.After(patient):
				t.Fatalf("multilog does not end; it said %q", multilog.said.String())
			}
			for _, wrong := range c.check(dir + "/m") {
				t.Error(wrong)
			}
			if c.next != feed.lines {
				t.Errorf("the log ends before line %d of %d", c.next, feed.lines)
			}
			t.Logf("%d lines, %d of them again", feed.lines, c.repeats)
		})
	}
}

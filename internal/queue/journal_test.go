package queue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// journalOf returns a journal of home's queue, and its warnings.
func journalOf(t testing.TB, home string) (*journal, *warnings) {
	t.Helper()
	w := new(warnings)
	j := newJournal(NewDisk(home), w.add)
	j.start()
	if j.lock == nil {
		t.Fatal("the journal cannot be opened")
	}
	t.Cleanup(func() { j.stop(0) })
	return j, w
}

type warnings struct {
	mu    sync.Mutex
	lines []string
}

func (w *warnings) add(what string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprint(what, ": ", err))
}

func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

// put submits a message whose text is id.
func put(t testing.TB, j *journal, id string) {
	t.Helper()
	if result := putResult(j, id); result.Code != 0 {
		t.Errorf("%.30s: code %d", id, result.Code)
	}
}

func putResult(j *journal, id string) Result {
	s := j.begin(7)
	io.WriteString(s, id)
	envelope := appendEnvelope(nil, Envelope{"a", []string{recipient(id)}})
	return s.commitFrom(newReader(envelope), uint32(len(envelope)))
}

// recipient is to whom the message id goes.
func recipient(id string) string { return id[:min(len(id), 20)] }

// hold keeps the mover from its work.
func hold(j *journal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moving = true
}

// unhold lets it begin.
func unhold(j *journal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moving = false
	j.wakeMover()
}

// crash lets go of the journal as the end of the process would.
func crash(j *journal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.close()
	j.stopping = true
}

// queued waits until the journal is empty and says what is in the queue: the
// recipients, which are the ids, in their order.
func queued(t testing.TB, home string, j *journal) string {
	t.Helper()
	await(t, "an empty journal", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.pending) == 0 && !j.moving
	})
	var ids []string
	for _, e := range entries(t, home) {
		_, text, _ := strings.Cut(e.message, "\n")
		_, to, _ := strings.Cut(strings.TrimSuffix(e.record, "\x00"), "\x00Fa\x00T")
		if recipient(text) != to {
			t.Errorf("message %.30q has the envelope %q", text, e.record)
		}
		ids = append(ids, text)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

func TestJournal(t *testing.T) {
	home := newHome(t, os.Getuid())
	j, w := journalOf(t, home)
	var want []string
	for i := range 40 {
		id := fmt.Sprintf("id%02d", i)
		want = append(want, id)
		put(t, j, id)
	}
	if got := queued(t, home, j); got != strings.Join(want, " ") {
		t.Errorf("in the queue: %s", got)
	}
	j.stop(patient)
	if got := fmt.Sprint(list(t, home, "journal")); got != "[lock spare]" {
		t.Errorf("left: %s", got)
	}
	if len(w.all()) > 0 {
		t.Errorf("warnings %q", w.all())
	}
}

// Wherever the process ends, its successor queues each message once.
func TestCrash(t *testing.T) {
	ids := strings.Fields("a b c d e f g h i j k l") // more than fewFiles
	all := strings.Join(ids, " ")
	for _, test := range []struct {
		name  string
		until func(t *testing.T, j *journal)
		left  string // numbers of files in mess/, intd/, todo/
		want  string
	}{
		{"written", func(*testing.T, *journal) {}, "0 0 0", all},
		{"laid out", func(t *testing.T, j *journal) { result(t)(j.layOut(j.pending)) }, "12 12 0", all},
		{"noted", noted, "12 12 0", all},
		{"half linked", func(t *testing.T, j *journal) {
			noted(t, j)
			must(t, j.link(j.pending[:5]))
		}, "12 12 5", all},
		{"linked", func(t *testing.T, j *journal) {
			noted(t, j)
			must(t, j.link(j.pending))
		}, "12 12 12", all},
		{"half taken", func(t *testing.T, j *journal) {
			noted(t, j)
			must(t, j.link(j.pending))
			for i, p := range j.pending {
				os.Remove(j.disk.envelopePath("intd", p.number))
				if i == 0 {
					continue // qmail-clean was interrupted: qmail-send does it again
				}
				os.Remove(j.disk.envelopePath("todo", p.number))
				if i > 6 {
					os.Remove(j.disk.messagePath(p.number)) // delivered
				}
			}
		}, "7 0 1", "a"},
		{"done", func(t *testing.T, j *journal) {
			noted(t, j)
			must(t, j.link(j.pending))
			for _, p := range j.pending {
				j.disk.removeLaidOut(p.number)
				os.Remove(j.disk.envelopePath("todo", p.number))
			}
			result(t)(j.append(movedRecord, position{j.latest, uint64(j.pending[0].offset)}.appendMoved(nil, 0, time.Time{})))
		}, "0 0 0", ""},
		{"number reused", func(t *testing.T, j *journal) {
			noted(t, j)
			must(t, j.link(j.pending))
			for _, p := range j.pending {
				os.Remove(j.disk.envelopePath("todo", p.number))
				must(t, os.WriteFile(j.disk.messagePath(p.number), []byte("another"), 0o644))
			}
		}, "12 12 0", ""},
		{"cleared away long ago", func(t *testing.T, j *journal) {
			made := result(t)(j.layOut(j.pending))
			var moved []byte
			for _, one := range made {
				moved = one.pending.position().appendMoved(moved, one.number, time.Now().Add(-leftoverAge))
				j.disk.removeLaidOut(one.number)
			}
			result(t)(j.append(movedRecord, moved))
		}, "0 0 0", all},
		{"cleared away long ago, number reused", func(t *testing.T, j *journal) {
			made := result(t)(j.layOut(j.pending))
			var moved []byte
			for _, one := range made {
				moved = one.pending.position().appendMoved(moved, one.number, time.Now().Add(-leftoverAge))
				os.Remove(j.disk.envelopePath("intd", one.number))
				must(t, os.WriteFile(j.disk.messagePath(one.number), []byte("another"), 0o644))
			}
			result(t)(j.append(movedRecord, moved))
		}, "12 0 0", all},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := newHome(t, os.Getuid())
			j, _ := journalOf(t, home)
			hold(j)
			for _, id := range ids {
				put(t, j, id)
			}
			test.until(t, j)
			crash(j)
			words := strings.Fields(filesNow(home))
			if got := fmt.Sprint(count(words, "mess"), count(words, "intd"), count(words, "todo")); got != test.left {
				t.Fatalf("after the crash: %s, want %s", got, test.left)
			}
			if test.name == "half taken" {
				// What entries wants to see of the one that is not over.
				os.Link(home+"/queue/todo/"+list(t, home, "todo")[0], home+"/queue/intd/"+list(t, home, "todo")[0])
			}
			next, _ := journalOf(t, home)
			if got := queued(t, home, next); got != test.want {
				t.Errorf("in the queue: %s, want %s", got, test.want)
			}
			next.stop(patient)
			if got := fmt.Sprint(list(t, home, "journal")); !strings.Contains(got, "spare]") {
				t.Errorf("left: %s", got)
			}
		})
	}
}

func noted(t *testing.T, j *journal) {
	made := result(t)(j.layOut(j.pending))
	must(t, j.syncFresh(made))
	for _, one := range made {
		one.pending.laid = one.number
	}
	must(t, j.note(j.pending))
}

func count(words []string, word string) (n int) {
	for _, w := range words {
		if w == word {
			n++
		}
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func opened(t testing.TB) func(*os.File, error) *os.File {
	return func(file *os.File, err error) *os.File {
		t.Helper()
		must(t, err)
		return file
	}
}

func result(t testing.TB) func(...any) []*fresh {
	return func(results ...any) []*fresh {
		t.Helper()
		if err, _ := results[1].(error); err != nil {
			t.Fatal(err)
		}
		made, _ := results[0].([]*fresh)
		for _, one := range made {
			one.close()
		}
		return made
	}
}

// The segments are used again and again, and nothing of an old one comes back.
func TestSegmentsReused(t *testing.T) {
	home := newHome(t, os.Getuid())
	want := make(map[string]bool)
	for round := range 3 {
		j, w := journalOf(t, home)
		j.size = 2 * reserve
		var all sync.WaitGroup
		for i := range 100 {
			id := fmt.Sprintf("%d.%d.%s", round, i, strings.Repeat("x", 60000))
			want[id] = true
			all.Add(1)
			go func() {
				defer all.Done()
				put(t, j, id)
			}()
		}
		all.Wait()
		if j.latest < 3 {
			t.Errorf("only %d segments", j.latest)
		}
		if round == 2 {
			queued(t, home, j)
			crash(j) // with a spare segment full of old records
			j, w = journalOf(t, home)
		}
		got := strings.Fields(queued(t, home, j))
		if len(got) != len(want) {
			t.Errorf("%d messages in the queue, want %d", len(got), len(want))
		}
		for _, id := range got {
			if !want[id] {
				t.Errorf("%.10s is in the queue", id)
			}
		}
		j.stop(patient)
		if len(w.all()) > 0 {
			t.Errorf("warnings %q", w.all())
		}
	}
}

// Where a write fails all who wait for it are told, and what was written stays
// void; what was durable before does not.
func TestFailedWrite(t *testing.T) {
	home := newHome(t, os.Getuid())
	j, w := journalOf(t, home)
	hold(j)
	put(t, j, "before")
	broken := j.active
	before, _ := os.ReadFile(broken.path)
	put(t, j, "failed") // and then its segment is as if that had failed
	after, _ := os.ReadFile(broken.path)
	if bytes.Equal(before, after) {
		t.Fatal("nothing was written")
	}
	j.pending = j.pending[:1]
	broken.unfinished = 1
	broken.end = broken.end - blockSize
	broken.file.Close()
	broken.file = opened(t)(os.Open(broken.path)) // not for writing
	if result := putResult(j, "failed"); result.Code != 53 {
		t.Errorf("code %d", result.Code)
	}
	if len(w.all()) != 1 || !strings.Contains(w.all()[0], "unable to write the journal: write ") {
		t.Errorf("warnings %q", w.all())
	}
	if result := putResult(j, "direct"); result.Code != 0 {
		t.Errorf("code %d on the other way", result.Code)
	}
	j.mu.Lock()
	j.retryAt = time.Time{}
	j.mu.Unlock()
	put(t, j, "after")
	crash(j)
	next, _ := journalOf(t, home)
	if got := queued(t, home, next); got != "after before direct" {
		t.Errorf("in the queue: %s", got)
	}
}

// The mover leaves the disk to messages that come one after the other, within
// limits.
func TestMoversTurn(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) *pending { return &pending{since: now.Add(-d)} }
	for _, test := range []struct {
		pending   []*pending
		segments  int
		inherited int
		stopping  bool
		want      bool
	}{
		{nil, 1, 0, false, true},
		{[]*pending{ago(movePause)}, 1, 0, false, true},
		{[]*pending{ago(movePause / 2)}, 1, 0, false, false},
		{[]*pending{ago(time.Second), ago(0)}, 1, 0, false, false},
		{[]*pending{ago(moveLimit), ago(0)}, 1, 0, false, true},
		{[]*pending{ago(0)}, busySegments + 1, 0, false, true},
		{[]*pending{ago(0)}, 1, 1, false, true},
		{[]*pending{ago(0)}, 1, 0, true, true},
	} {
		j := &journal{pending: test.pending, segments: make([]*segment, test.segments), inherited: test.inherited, stopping: test.stopping}
		if got := j.isMoversTurn(now); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// A message whose record is damaged is kept for a person to look at.
func TestDamagedRecord(t *testing.T) {
	home := newHome(t, os.Getuid())
	j, w := journalOf(t, home)
	hold(j)
	for _, id := range []string{"a", "bad", "c"} {
		put(t, j, id)
	}
	result(t)(j.active.file.WriteAt([]byte("B"), int64(j.pending[1].offset+recordHead+4)))
	name := "damaged." + segmentName(j.active.sequence)
	unhold(j)
	if got := queued(t, home, j); got != "a c" {
		t.Errorf("in the queue: %s", got)
	}
	j.stop(patient)
	if !slices.Contains(list(t, home, "journal"), name) || len(w.all()) != 1 || !strings.Contains(w.all()[0], name) {
		t.Errorf("files %s, warnings %q", list(t, home, "journal"), w.all())
	}
}

// What the journal does not take goes to the queue directly: where it is
// switched off, too full, not to be opened, or for another process.
func TestNotThroughJournal(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, home string, j *journal){
		"switched off": func(t *testing.T, home string, j *journal) {
			os.Mkdir(home+"/control", 0o755)
			must(t, os.WriteFile(home+"/control/queuejournal", []byte("0\n"), 0o644))
		},
		"too full": func(t *testing.T, home string, j *journal) {
			j.segments = make([]*segment, maxSegments+1)
			t.Cleanup(func() { j.segments = nil })
		},
		"stuck":    func(t *testing.T, home string, j *journal) { j.setStuck(errors.New("trouble")) },
		"stopping": func(t *testing.T, home string, j *journal) { j.stop(0) },
		"another's": func(t *testing.T, home string, j *journal) {
			crash(j)
			journalOf(t, home)
			j.stopping = false
		},
		"no room": func(t *testing.T, home string, j *journal) {
			os.Remove(home + "/queue/journal/" + spareName)
			must(t, os.MkdirAll(home+"/queue/journal/"+spareName+"/full", 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := newHome(t, os.Getuid())
			j, _ := journalOf(t, home)
			prepare(t, home, j)
			put(t, j, "one")
			if j.statistics.accepted != 0 || len(strings.Fields(filesNow(home))) != 3 {
				t.Errorf("%d in the journal, files %s", j.statistics.accepted, filesNow(home))
			}
		})
	}
}

// What is in a journal that cannot be opened at first comes out of it.
func TestOpenLater(t *testing.T) {
	home := newHome(t, os.Getuid())
	first, _ := journalOf(t, home)
	hold(first)
	put(t, first, "one")
	second := newJournal(NewDisk(home), new(warnings).add)
	second.start()
	if second.lock != nil {
		t.Fatal("two have the journal")
	}
	crash(first)
	await(t, "the message", func() bool { return len(strings.Fields(filesNow(home))) == 3 })
	second.stop(patient)
}

func TestStatus(t *testing.T) {
	home := newHome(t, os.Getuid())
	start(t, home, nil)
	for range 3 {
		submit(t, NewClient(home), aMessage)
	}
	settle(t, home)
	code, out, stderr := statusOf(t, home)
	form := "journal: on\nsegments: 1 of 8388608 bytes\nwaiting: 0 messages, 0 bytes\noldest: 0.000 seconds\nsince start: 3 accepted, 0 found, 3 moved, "
	if code != 0 || !strings.HasPrefix(out, form) || !strings.Contains(out, "sync of the last ") || !strings.HasSuffix(out, "last error: none\n") || stderr != "" {
		t.Errorf("code %d, %q, %q", code, out, stderr)
	}

	code, out, stderr = statusOf(t, newHome(t, os.Getuid()))
	if code != 111 || out != "" || !strings.HasPrefix(stderr, "qmail-queue: fatal: unable to ask the queue service: ") {
		t.Errorf("without a service: code %d, %q, %q", code, out, stderr)
	}
}

func statusOf(t *testing.T, home string) (code int, out, stderr string) {
	t.Helper()
	p := prepare(t, home, "qmail-queue")
	p.Args = append(p.Args, "--status")
	var stdout bytes.Buffer
	p.Stdout = &stdout
	if err := p.Run(); p.ProcessState == nil {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode(), stdout.String(), p.stderr.String()
}

func BenchmarkJournal(b *testing.B) {
	home := newHome(b, os.Getuid())
	j, _ := journalOf(b, home)
	hold(j)
	id := strings.Repeat("x", 1024)
	b.SetParallelism(20)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			put(b, j, id)
		}
	})
}

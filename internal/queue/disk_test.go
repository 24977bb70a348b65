package queue

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestInvokers(t *testing.T) {
	home := newHome(t, os.Getuid())
	d := NewDisk(home)
	d.invokers.path = home + "/passwd"
	check := func(uid uint32, who string) {
		t.Helper()
		s := d.begin(uid)
		if result := s.Commit(Envelope{"a", []string{"b"}}); result.Code != 0 {
			t.Fatal(result, s.err)
		}
		path := d.messagePath(s.message.number)
		if got := read(t, path); !strings.HasPrefix(got, "Received: (qmail "+strconv.Itoa(s.number)+" invoked "+who+"); ") {
			t.Errorf("uid %d: %q", uid, got)
		}
	}
	check(1001, "by uid 1001")
	passwd := "root:x:0:0::/:\nalias:x:1001:1::/:\nqmaild:x:1002:1::/:\nqmailr:x:1006:1::/:\nqmails:x:1007:1::/:\nbroken\nqmaild:x:9:9\n"
	if err := os.WriteFile(d.invokers.path, []byte(passwd), 0o644); err != nil {
		t.Fatal(err)
	}
	check(1001, "by alias")
	check(1002, "from network")
	check(1007, "for bounce")
	check(1006, "by uid 1006")
	check(0, "by uid 0")
	check(9, "by uid 9")
	check(65534, "by uid 65534")
}

func TestReceivedLine(t *testing.T) {
	got := receivedLine(24836, "from network", time.Date(2026, 1, 4, 6, 7, 56, 0, time.FixedZone("", 3600)))
	if want := "Received: (qmail 24836 invoked from network); 4 Jan 2026 05:07:56 -0000\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever the umask, files are 0644 (entries checks it).
func TestUmask(t *testing.T) {
	home := newHome(t, os.Getuid())
	defer unix.Umask(unix.Umask(0o777))
	d := NewDisk(home)
	submit(t, d, aMessage)
	if len(entries(t, home)) != 1 {
		t.Error("not queued")
	}
}

// submit submits a message that must be queued.
func submit(t testing.TB, q Queue, message string) Result {
	t.Helper()
	s, err := q.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Write([]byte(message)); n != len(message) || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
	result := s.Commit(Envelope{"a@b.org", []string{"me@example.org"}})
	if result.Code != 0 {
		t.Fatalf("code %d", result.Code)
	}
	return result
}

func TestAbandon(t *testing.T) {
	home := newHome(t, os.Getuid())
	s, err := NewDisk(home).Begin()
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte(strings.Repeat("x", 100000)))
	if got := files(t, home); got != "mess" {
		t.Errorf("while open: %q", got)
	}
	s.Abandon()
	if got := files(t, home); got != "" {
		t.Errorf("abandoned: %q", got)
	}
}

// A message whose file is gone or another at the end is not queued.
func TestMessageIsCleared(t *testing.T) {
	for _, test := range []struct {
		name, left string
		clear      func(path string) error
	}{
		{"gone", "", os.Remove},
		{"another", "mess", func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path, []byte("another"), 0o644)
		}},
	} {
		home := newHome(t, os.Getuid())
		s := NewDisk(home).begin(0)
		s.Write([]byte(aMessage))
		s.finishMessage()
		if err := test.clear(s.message.path); err != nil {
			t.Fatal(err)
		}
		if result := s.Commit(Envelope{"a", []string{"b"}}); result.Code != 53 {
			t.Errorf("%s: code %d", test.name, result.Code)
		}
		if got := files(t, home); got != test.left {
			t.Errorf("%s: files %q", test.name, got)
		}
		if test.left != "" && read(t, s.message.path) != "another" {
			t.Errorf("%s: the other file was changed", test.name)
		}
	}
}

// A submission has the time that the clearing leaves to it, and no more.
func TestLifetime(t *testing.T) {
	home := newHome(t, os.Getuid())
	d := NewDisk(home)
	begun := func(ago time.Duration) *diskSubmission {
		s := d.begin(0)
		s.began = s.began.Add(-ago)
		return s
	}
	s := begun(lifetime)
	s.Write([]byte(aMessage))
	if got := files(t, home); got != "" {
		t.Errorf("files %q after the write", got)
	}
	if result := s.Commit(Envelope{"a", nil}); result.Code != 52 {
		t.Errorf("written too late: code %d", result.Code)
	}
	if result := begun(lifetime).Commit(Envelope{"a", nil}); result.Code != 52 || files(t, home) != "" {
		t.Errorf("committed too late: code %d, files %q", result.Code, files(t, home))
	}
	s = begun(lifetime - time.Hour)
	s.Write([]byte(aMessage))
	if result := s.Commit(Envelope{"a", nil}); result.Code != 0 {
		t.Errorf("in time: code %d", result.Code)
	}
}

func TestNumbersAreUnique(t *testing.T) {
	home := newHome(t, os.Getuid())
	d := NewDisk(home)
	const submitters, messages = 20, 5
	numbers := make(chan int, submitters*messages)
	var all sync.WaitGroup
	for range submitters {
		all.Add(1)
		go func() {
			defer all.Done()
			for range messages {
				s, _ := d.Begin()
				number := s.Number()
				if result := s.Commit(Envelope{"a", []string{"b"}}); result.Code != 0 || result.Number != number {
					t.Errorf("result %+v of number %d", result, number)
				}
				numbers <- number
			}
		}()
	}
	all.Wait()
	close(numbers)
	seen := make(map[int]bool)
	for number := range numbers {
		seen[number] = true
	}
	if len(seen) != submitters*messages || len(entries(t, home)) != submitters*messages {
		t.Errorf("%d numbers, %d entries", len(seen), len(entries(t, home)))
	}
	if !seen[os.Getpid()] {
		t.Error("no message has the number of the process")
	}
}

// Files of that name are passed by, as the classic does nine times.
func TestPidFileExists(t *testing.T) {
	home := newHome(t, os.Getuid())
	d := NewDisk(home)
	occupy := func(sequences int) {
		number := d.numbers.Load() + 1
		for offset := range int64(10) { // the clock may go on meanwhile
			for sequence := 1; sequence <= sequences; sequence++ {
				name := strings.Join([]string{strconv.FormatInt(number, 10), strconv.FormatInt(time.Now().Unix()+offset, 10), strconv.Itoa(sequence)}, ".")
				if err := os.WriteFile(home+"/queue/pid/"+name, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	occupy(8)
	submit(t, d, aMessage)
	occupy(9)
	s, _ := d.Begin()
	if result := s.Commit(Envelope{"a", nil}); result.Code != 63 {
		t.Errorf("code %d", result.Code)
	}
}

func TestLayouts(t *testing.T) {
	home := newHome(t, os.Getuid())
	for i := 7; i < defaultSplit; i++ {
		for _, tree := range []string{"mess", "info", "local", "remote"} {
			os.Remove(home + "/queue/" + tree + "/" + strconv.Itoa(i))
		}
	}
	for i := range 7 {
		os.Mkdir(home+"/queue/todo/"+strconv.Itoa(i), 0o700)
		os.Mkdir(home+"/queue/intd/"+strconv.Itoa(i), 0o700)
	}
	d := NewDisk(home)
	s := d.begin(0)
	if result := s.Commit(Envelope{"a", nil}); result.Code != 0 {
		t.Fatal(result.Code, s.err)
	}
	n := strconv.FormatUint(s.message.number, 10)
	part := strconv.FormatUint(s.message.number%7, 10)
	for _, tree := range []string{"mess", "intd", "todo"} {
		if _, err := os.Stat(home + "/queue/" + tree + "/" + part + "/" + n); err != nil {
			t.Error(err)
		}
	}
}

// A queue that was not there at the start is found, split and all, when it is.
func TestQueueComesLate(t *testing.T) {
	home := newHome(t, os.Getuid())
	os.Rename(home+"/queue", home+"/away")
	d := NewDisk(home)
	s, _ := d.Begin()
	if result := s.Commit(Envelope{"a", nil}); result.Code != 62 {
		t.Errorf("code %d", result.Code)
	}
	os.RemoveAll(home + "/away/mess/22")
	os.Rename(home+"/away", home+"/queue")
	submit(t, d, aMessage)
	if split := d.currentLayout().split; split != 22 {
		t.Errorf("split %d", split)
	}
}

func TestDirSyncIsShared(t *testing.T) {
	d := &dirSync{path: t.TempDir()}
	d.running = true // as if one were under way
	first, second := d.start(), d.start()
	if first != second {
		t.Error("who waits at the same time does not share")
	}
	d.run()
	if err := first.wait(); err != nil {
		t.Error(err)
	}
	if third := d.start(); third == first || third.wait() != nil {
		t.Error("a later one shares a finished round, or failed")
	}
	d.path += "/missing"
	if err := d.start().wait(); err == nil {
		t.Error("no error for a missing directory")
	}
}

func BenchmarkDisk(b *testing.B) {
	home := newHome(b, os.Getuid())
	d := NewDisk(home)
	body := strings.Repeat("x", 1024)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			submit(b, d, body)
		}
	})
}

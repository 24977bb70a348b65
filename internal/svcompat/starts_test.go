package svcompat

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/tai64"
	"qmail-smtpd/test/supervision"
)

func TestStarts(t *testing.T) {
	dir := t.TempDir()
	file := dir + "/supervise/starts"
	now := time.Now()
	if err := RecordStart(dir, now); err != unix.ENOENT {
		t.Errorf("without supervise/: %v", err)
	}
	if err := os.Mkdir(dir+"/supervise", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Restarts(dir, now); err != unix.ENOENT {
		t.Errorf("without a record: %v", err)
	}
	record := func(ago time.Duration) {
		t.Helper()
		if err := RecordStart(dir, now.Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	restarts := func(want int) {
		t.Helper()
		if got, err := Restarts(dir, now.Add(-time.Minute)); err != nil || got != want {
			t.Errorf("%d restarts, want %d; %v", got, want, err)
		}
	}
	record(2 * time.Second)
	restarts(0)
	record(time.Second)
	restarts(1)

	// What a full disk left of a record is overwritten.
	half, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	half.WriteString("@rest")
	half.Close()
	restarts(1)
	record(0)
	restarts(2)
	if content, err := os.ReadFile(file); err != nil || len(content) != 3*tai64.Size {
		t.Errorf("%x, %v", content, err)
	}

	for what, place := range map[string]func() error{
		"link": func() error { return os.Symlink("elsewhere", file) },
		"fifo": func() error { return unix.Mkfifo(file, 0o644) },
		"dir":  func() error { return os.Mkdir(file, 0o755) },
	} {
		os.Remove(file)
		if err := place(); err != nil {
			t.Fatal(err)
		}
		if err := RecordStart(dir, now); err == nil {
			t.Errorf("%s: recorded", what)
		}
		if _, err := Restarts(dir, now); err == nil {
			t.Errorf("%s: counted", what)
		}
	}
	if _, err := os.Lstat(dir + "/supervise/elsewhere"); err == nil {
		t.Error("a link was followed")
	}
}

// A file that has grown too long keeps what is new.
func TestStartsGrow(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/supervise", 0o700); err != nil {
		t.Fatal(err)
	}
	at := func(i int) time.Time { return time.Unix(1e9+int64(i), 0) }
	content := make([]byte, maxStarts*tai64.Size)
	for i := range maxStarts {
		tai64.Put(content[i*tai64.Size:], at(i))
	}
	file := dir + "/supervise/starts"
	if err := os.WriteFile(file, content[tai64.Size:], 0o644); err != nil {
		t.Fatal(err)
	}
	size := func() int {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Size())
	}
	for i, want := range []int{maxStarts, keepStarts, keepStarts + 1} {
		if err := RecordStart(dir, at(maxStarts+i)); err != nil {
			t.Fatal(err)
		}
		if size() != want*tai64.Size {
			t.Errorf("after %d: %d bytes, want %d records", i, size(), want)
		}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	last := maxStarts + 2
	for i := len(content)/tai64.Size - 1; i >= 0; i-- {
		if got := tai64.Time(content[i*tai64.Size:]).Unix(); got != at(last).Unix() {
			t.Fatalf("record %d is of %d, want %d", i, got, at(last).Unix())
		}
		last--
	}
}

func TestCountRestarts(t *testing.T) {
	for _, c := range []struct {
		starts []int64
		boot   int64
		want   int // after 1000
	}{
		{nil, 0, 0},
		{[]int64{1001}, 0, 0},
		{[]int64{10, 1001}, 0, 1},
		{[]int64{10, 999, 1000, 1001}, 0, 2},
		{[]int64{10, 1001, 1005}, 500, 1},
		{[]int64{10, 1001, 1005, 1010}, 1003, 1},
		{[]int64{1001, 1005}, 2000, 0},
	} {
		var records []byte
		for _, at := range c.starts {
			var record [tai64.Size]byte
			tai64.Put(record[:], time.Unix(at, 0))
			records = append(records, record[:]...)
		}
		if got := countRestarts(records, time.Unix(1000, 0), time.Unix(c.boot, 0)); got != c.want {
			t.Errorf("%v, booted at %d: %d, want %d", c.starts, c.boot, got, c.want)
		}
	}
}

func FuzzCountRestarts(f *testing.F) {
	f.Add([]byte("@rest"), int64(0))
	f.Add(binary.BigEndian.AppendUint64(make([]byte, 28), 1<<63), int64(1<<40))
	f.Fuzz(func(t *testing.T, records []byte, since int64) {
		if got := countRestarts(records, time.Unix(since, 0), time.Unix(0, 0)); got < 0 || got > len(records)/tai64.Size {
			t.Errorf("%d in %d bytes", got, len(records))
		}
	})
}

// Each start of a real service is on record.
func TestSuperviseRecordsStarts(t *testing.T) {
	t.Parallel()
	dir := supervision.ServiceDir(t, t.TempDir(), "s", "exec sleep 100\n")
	supervision.Start(t, "", nil, ours+"/supervise", dir)
	pid := supervision.AwaitUp(t, dir, 0)
	for range 2 {
		if got := supervision.Run(t, "", ours+"/svc", "-t", dir); got != (result{}) {
			t.Fatalf("svc: %+v", got)
		}
		pid = supervision.AwaitUp(t, dir, pid)
	}
	supervision.Await(t, "the last start on record", func() bool { // it follows the new status
		restarts, err := Restarts(dir, time.Now().Add(-time.Hour))
		return err == nil && restarts == 2
	})
	if got := supervision.Run(t, "", ours+"/svstat", "-o", "restarts", dir); got != (result{Stdout: "2\n"}) {
		t.Errorf("svstat: %+v", got)
	}
}

package queue

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// leftover makes the file of a message that came as far as state, and returns
// its number.
func leftover(t *testing.T, home, state string, accessed time.Time) uint64 {
	t.Helper()
	d := NewDisk(home)
	s := d.begin(0)
	s.Write([]byte(aMessage))
	s.finishMessage()
	make := func(path string) {
		if err := os.WriteFile(path, []byte("u0\x00p0\x00Fa\x00"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	intd, todo := d.envelopePath("intd", s.message.number), d.envelopePath("todo", s.message.number)
	switch state {
	case "message":
	case "envelope":
		make(intd)
	case "todo":
		make(intd)
		if err := os.Link(intd, todo); err != nil {
			t.Fatal(err)
		}
	case "todo alone":
		make(todo)
	case "taken over":
		make(d.infoPath(s.message.number))
	default:
		t.Fatal(state)
	}
	if err := os.Chtimes(s.message.path, accessed, time.Now()); err != nil {
		t.Fatal(err)
	}
	return s.message.number
}

func TestClear(t *testing.T) {
	now := time.Now()
	young, old := now.Add(-leftoverAge+time.Minute), now.Add(-leftoverAge-time.Minute)
	home := newHome(t, os.Getuid())
	stays := make(map[uint64]string)
	goes := make(map[uint64]string)
	for _, state := range []string{"message", "envelope", "todo", "todo alone", "taken over"} {
		stays[leftover(t, home, state, young)] = "young " + state
	}
	for _, state := range []string{"todo", "todo alone", "taken over"} {
		stays[leftover(t, home, state, old)] = "old " + state
	}
	for _, state := range []string{"message", "envelope"} {
		goes[leftover(t, home, state, old)] = "old " + state
	}
	for name, accessed := range map[string]time.Time{"1.1.1": young, "2.2.1": old} {
		path := home + "/queue/pid/" + name
		os.WriteFile(path, nil, 0o644)
		os.Chtimes(path, accessed, now)
	}
	for _, name := range []string{"junk", "007", "-1"} {
		path := home + "/queue/mess/0/" + name
		os.WriteFile(path, nil, 0o644)
		os.Chtimes(path, old, old)
	}

	d := NewDisk(home)
	trigger := openTrigger(t, home)
	before := files(t, home)
	d.clear(now)
	if after := files(t, home); after != before {
		t.Errorf("with a qmail-send at work: %q became %q", before, after)
	}
	trigger.Close()
	d.clear(now)

	for n, state := range stays {
		if _, err := os.Stat(d.messagePath(n)); err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
	for n, state := range goes {
		if !absent(d.messagePath(n)) || !absent(d.envelopePath("intd", n)) {
			t.Errorf("%s is still there", state)
		}
	}
	if got := fmt.Sprint(list(t, home, "pid")); got != "[1.1.1]" {
		t.Errorf("pid/ has %s", got)
	}
	if len(list(t, home, "intd")) != 3 || len(list(t, home, "mess/0")) < 3 {
		t.Errorf("intd/ has %v, mess/0 %v", list(t, home, "intd"), list(t, home, "mess/0"))
	}
}

// Where info/ cannot be seen only an envelope in intd/ shows the state.
func TestClearUnseen(t *testing.T) {
	old := time.Now().Add(-leftoverAge - time.Minute)
	home := newHome(t, os.Getuid())
	message := leftover(t, home, "message", old)
	envelope := leftover(t, home, "envelope", old)
	taken := leftover(t, home, "taken over", old)
	os.Rename(home+"/queue/info", home+"/info")
	os.WriteFile(home+"/queue/info", nil, 0o600)
	d := NewDisk(home)
	d.clear(time.Now())
	if absent(d.messagePath(message)) || absent(d.messagePath(taken)) || !absent(d.messagePath(envelope)) {
		t.Errorf("files %q", files(t, home))
	}
}

// The service clears at its start, and while it works.
func TestServiceClears(t *testing.T) {
	old := time.Now().Add(-leftoverAge - time.Minute)
	home := newHome(t, os.Getuid())
	leftover(t, home, "envelope", old)
	s := newService(NewDisk(home), func(what string, err error) { t.Error(what, err) })
	await(t, "an empty queue", func() bool { return files(t, home) == "" })
	leftover(t, home, "message", old)
	s.clearSometimes(time.Now().Add(lifetime - time.Minute))
	s.clearSometimes(time.Now().Add(lifetime + time.Minute))
	await(t, "an empty queue", func() bool { return files(t, home) == "" })
}

package queue

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serveFew serves the queue of home with few slots, and returns the service,
// its socket, and a count of its warnings.
func serveFew(t *testing.T, home string, slots int) (*service, *net.UnixAddr, *atomic.Int64) {
	t.Helper()
	warnings := new(atomic.Int64)
	s := newService(NewDisk(home), func(string, error) { warnings.Add(1) })
	s.slots = make(chan struct{}, slots)
	return s, serveBy(t, s, home), warnings
}

func connect(t *testing.T, address *net.UnixAddr) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patient))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// mustQueue submits a message on conn, with what is to be sent before it.
func mustQueue(t *testing.T, conn *net.UnixConn, before []byte) {
	t.Helper()
	conn.Write(append(before[:len(before):len(before)], inChunks...))
	if result, err := readAnswer(conn); err != nil || result.Code != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
}

// One user cannot take all connections; what is too much is refused at once.
func TestShare(t *testing.T) {
	const uid = 64030
	home := newHome(t, os.Getuid())
	s, address, warnings := serveFew(t, home, 8)
	var holders []*run
	for range s.share() {
		r := startQueue(t, home, as(uid))
		io.WriteString(r.message, strings.Repeat("x", 3*maxChunk))
		holders = append(holders, r)
	}
	want := strings.TrimSpace(strings.Repeat("mess ", len(holders)))
	await(t, "the messages' files", func() bool { return filesNow(home) == want })
	for range 2 {
		if code := startQueue(t, home, as(uid)).finish(t, aMessage, anAddress); code != 74 {
			t.Errorf("one too many: exit code %d", code)
		}
	}
	if n := warnings.Load(); n != 1 {
		t.Errorf("%d warnings", n)
	}
	if code := startQueue(t, home, as(uid+1)).finish(t, aMessage, anAddress); code != 0 {
		t.Errorf("another user: exit code %d", code)
	}
	for range s.share() + 1 { // the owner may have more
		mustQueue(t, connect(t, address), version)
	}
	for _, r := range holders {
		if code := r.finish(t, "", anAddress); code != 0 {
			t.Errorf("held: exit code %d", code)
		}
	}
	await(t, "free connections", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.held[uid] == 0
	})
	if code := startQueue(t, home, as(uid)).finish(t, aMessage, anAddress); code != 0 {
		t.Errorf("afterwards: exit code %d", code)
	}
}

func TestTrusted(t *testing.T) {
	home := newHome(t, os.Getuid())
	d := NewDisk(home)
	d.invokers.path = home + "/passwd"
	if err := os.WriteFile(d.invokers.path, []byte("alias:x:1001:1::/:\nqmaild:x:1002:1::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newService(d, func(string, error) {})
	s.slots = make(chan struct{}, 3) // even then everyone has one
	for _, test := range []struct {
		uid  uint32
		more bool
	}{{0, true}, {uint32(os.Getuid()), true}, {1002, true}, {1001, false}, {1003, false}} {
		if !s.admit(test.uid) || s.admit(test.uid) != test.more {
			t.Errorf("uid %d: more than its share is not %v", test.uid, test.more)
		}
	}
	s.leave(1003)
	if !s.admit(1003) {
		t.Error("refused after the end of another connection")
	}
}

// Where all slots are taken, the longest idle connection makes room.
func TestIdleMakesRoom(t *testing.T) {
	home := newHome(t, os.Getuid())
	_, address, _ := serveFew(t, home, 3)
	first, second, busy := connect(t, address), connect(t, address), connect(t, address)
	busy.Write(slices.Concat(version, large, inChunks[:20]))
	await(t, "a submission", func() bool { return filesNow(home) == "mess" })
	mustQueue(t, first, version)
	mustQueue(t, second, version)
	mustQueue(t, connect(t, address), version)
	if n, err := first.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the longest idle connection: %d, %v", n, err)
	}
	mustQueue(t, second, nil)
	busy.Write(inChunks[20:])
	if result, err := readAnswer(busy); err != nil || result.Code != 0 {
		t.Errorf("busy connection: %+v, %v", result, err)
	}
}

// Where all slots are taken, so does a submission that brings nothing new.
func TestStalledMakesRoom(t *testing.T) {
	home := newHome(t, os.Getuid())
	s, address, warnings := serveFew(t, home, 2)
	var stalled [2]*net.UnixConn
	for i := range stalled {
		stalled[i] = connect(t, address)
		stalled[i].Write(slices.Concat(version, large, inChunks[:20]))
	}
	await(t, "two submissions", func() bool { return filesNow(home) == "mess mess" })
	// As if that had been long ago.
	s.mu.Lock()
	for conn, state := range s.conns {
		state.spared = state.spared.Add(-stallTime)
		s.conns[conn] = state
	}
	s.mu.Unlock()
	stalled[1].Write(inChunks[20:30]) // goes on
	await(t, "progress", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		spared := 0
		for _, state := range s.conns {
			if state.spared.After(time.Now()) {
				spared++
			}
		}
		return spared == 1
	})
	mustQueue(t, connect(t, address), version)
	if n, err := stalled[0].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the stalled submission: %d, %v", n, err)
	}
	stalled[1].Write(inChunks[30:])
	if result, err := readAnswer(stalled[1]); err != nil || result.Code != 0 {
		t.Errorf("the other: %+v, %v", result, err)
	}
	if n := warnings.Load(); n != 1 || len(entries(t, home)) != 2 {
		t.Errorf("%d warnings, %s", n, fmt.Sprint(list(t, home, "todo")))
	}
}

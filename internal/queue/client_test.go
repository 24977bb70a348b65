package queue

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestClient(t *testing.T) {
	home := newHome(t, os.Getuid())
	serveHome(t, home)
	c := NewClient(home)
	defer c.Close()
	for _, size := range []int{0, 1, 4095, maxChunk - 1, maxChunk, maxChunk + 1, 2 * maxChunk, 3<<20 + 1} {
		message := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
		result := submit(t, c, message)
		found := false
		for _, e := range entries(t, home) {
			if strings.Contains(e.record, fmt.Sprintf("\x00p%d\x00", result.Number)) {
				_, body, _ := strings.Cut(e.message, "\n")
				found = body == message
			}
		}
		if !found {
			t.Errorf("message of %d bytes is not in the queue as number %d", size, result.Number)
		}
	}
	if len(c.idle) != 1 {
		t.Errorf("%d connections for one message after another", len(c.idle))
	}
}

func TestClientWritesInPieces(t *testing.T) {
	home := newHome(t, os.Getuid())
	serveHome(t, home)
	s, _ := NewClient(home).Begin()
	message := strings.Repeat("a line of some length\n", 10000)
	for rest := message; rest != ""; {
		n := min(len(rest), 777)
		s.Write([]byte(rest[:n]))
		rest = rest[n:]
	}
	recipients := make([]string, 20000)
	for i := range recipients {
		recipients[i] = fmt.Sprintf("user%d@example.org", i)
	}
	if result := s.Commit(Envelope{"a@b.org", recipients}); result.Code != 0 {
		t.Fatalf("code %d", result.Code)
	}
	found := entries(t, home)
	if len(found) != 1 || !strings.HasSuffix(found[0].message, " -0000\n"+message) || strings.Count(found[0].record, "\x00T") != len(recipients) {
		t.Error("not what was submitted")
	}
}

func TestClientAbandons(t *testing.T) {
	home := newHome(t, os.Getuid())
	serveHome(t, home)
	c := NewClient(home)
	for _, size := range []int{0, 10, 2 * maxChunk, 2*maxChunk + 10} {
		s, _ := c.Begin()
		s.Write(make([]byte, size))
		s.Abandon()
	}
	submit(t, c, aMessage)
	if len(c.idle) != 1 || files(t, home) != "mess intd todo" {
		t.Errorf("%d connections, files %q", len(c.idle), files(t, home))
	}
}

func TestConcurrentClients(t *testing.T) {
	home := newHome(t, os.Getuid())
	serveHome(t, home)
	c := NewClient(home)
	const submitters, messages = 40, 10
	var all sync.WaitGroup
	for i := range submitters {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := range messages {
				submit(t, c, fmt.Sprintf("id %d.%d\n", i, j))
			}
		}()
	}
	all.Wait()
	seen := make(map[string]int)
	for _, e := range entries(t, home) {
		_, id, _ := strings.Cut(e.message, "\n")
		seen[id]++
	}
	for i := range submitters {
		for j := range messages {
			if id := fmt.Sprintf("id %d.%d\n", i, j); seen[id] != 1 {
				t.Errorf("%q is there %d times", id, seen[id])
			}
		}
	}
	if len(c.idle) > maxIdle {
		t.Errorf("%d idle connections", len(c.idle))
	}
}

// Each submission whose connection ends before its answer: whether it is sent
// again depends on whether the service can have had it whole.
func TestLostConnections(t *testing.T) {
	whole := append(version, frame([]byte(aMessage), end, []byte(anAddress))...)
	for _, test := range []struct {
		name string
		// serve treats the n-th connection, from 0 on.
		serve func(n int, conn *net.UnixConn)
		conns int
		code  int
	}{
		{"no answer", func(n int, conn *net.UnixConn) {
			io.ReadFull(conn, make([]byte, len(whole)))
		}, 1, 74},
		{"half an answer", func(n int, conn *net.UnixConn) {
			io.ReadFull(conn, make([]byte, len(whole)))
			conn.Write([]byte{0, 0})
		}, 1, 74},
		{"malformed answer", func(n int, conn *net.UnixConn) {
			io.ReadFull(conn, make([]byte, len(whole)))
			conn.Write([]byte("\x00\x00\x01x"))
		}, 1, 74},
		{"not read to its end", func(n int, conn *net.UnixConn) {
			if n == 0 {
				io.ReadFull(conn, make([]byte, len(whole)-1))
				return
			}
			io.ReadFull(conn, make([]byte, len(whole)))
			conn.Write(appendAnswer(nil, Result{Number: 5}))
		}, 2, 0},
		{"never read to its end", func(n int, conn *net.UnixConn) {
			io.ReadFull(conn, make([]byte, 1))
		}, maxTries, 74},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: home + "/" + socketName, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			conns := 0
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := listener.AcceptUnix()
					if err != nil {
						return
					}
					conn.SetDeadline(time.Now().Add(patient))
					test.serve(conns, conn)
					conn.Close()
					conns++
				}
			}()
			result := commit(t, NewClient(home))
			listener.Close()
			<-done
			if result.Code != test.code || conns != test.conns {
				t.Errorf("code %d after %d connections, want %d after %d", result.Code, conns, test.code, test.conns)
			}
		})
	}
}

// A service that closes the connection in a message too long to be kept.
func TestLostInALongMessage(t *testing.T) {
	home := t.TempDir()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: home + "/" + socketName, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan int, 1)
	go func() {
		for n := 0; ; n++ {
			conn, err := listener.AcceptUnix()
			if err != nil {
				conns <- n
				return
			}
			io.CopyN(io.Discard, conn, maxChunk+10)
			conn.Close()
		}
	}()
	s, _ := NewClient(home).Begin()
	s.Write(bytes.Repeat([]byte("x"), 10<<20))
	result := s.Commit(Envelope{"a", []string{"b"}})
	listener.Close()
	if n := <-conns; result.Code != 74 || n != 1 {
		t.Errorf("code %d after %d connections", result.Code, n)
	}
}

// A client does not notice that the service was restarted.
func TestServiceRestarted(t *testing.T) {
	home := newHome(t, os.Getuid())
	c := NewClient(home)
	for range 3 {
		p := start(t, home, nil)
		for range 3 {
			submit(t, c, aMessage)
		}
		p.Process.Kill()
		p.Wait()
	}
	start(t, home, nil)
	if len(entries(t, home)) != 9 {
		t.Errorf("%d entries", len(entries(t, home)))
	}
}

func TestLongSocketPath(t *testing.T) {
	home := newHome(t, os.Getuid())
	long := home + "/" + strings.Repeat("d", 200)
	if err := os.Rename(home+"/queue", home+"/q"); err != nil {
		t.Fatal(err)
	}
	os.Mkdir(long, 0o755)
	if err := os.Rename(home+"/q", long+"/queue"); err != nil {
		t.Fatal(err)
	}
	serveHome(t, long)
	c := NewClient(long)
	if !c.present() {
		t.Error("no socket")
	}
	submit(t, c, aMessage)
	if len(entries(t, long)) != 1 {
		t.Error("not queued")
	}
}

func TestNoService(t *testing.T) {
	home := newHome(t, os.Getuid())
	for range 2 {
		if result := commit(t, NewClient(home)); result.Code != 56 {
			t.Errorf("code %d", result.Code)
		}
		os.WriteFile(home+"/"+socketName, nil, 0o644)
	}
}

func BenchmarkClient(b *testing.B) {
	home := newHome(b, os.Getuid())
	serveHome(b, home)
	c := NewClient(home)
	body := strings.Repeat("x", 1024)
	b.SetParallelism(20)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			submit(b, c, body)
		}
	})
}

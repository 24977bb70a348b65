package tcpserver

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// TestManyPrograms runs programs that end at once side by side, below a child
// that was there before: each is told of in order, even where pids return.
func TestManyPrograms(t *testing.T) {
	t.Parallel()
	const clients, each = 20, 50
	server := exec.Command("sh", "-c", `true & exec "$@"`, "sh", self(t, "tcpserver"), "-1vHRl0", "-c1000", "-b1000", "127.0.0.1", "0", "true")
	server.Env = environ()
	p := start(t, server)
	var working sync.WaitGroup
	for range clients {
		working.Add(1)
		go func() {
			defer working.Done()
			for range each {
				p.connect("127.0.0.1", "").all()
			}
		}()
	}
	working.Wait()
	var log []string
	for range clients * each {
		log = append(log, p.expect("tcpserver: end .*")...)
	}
	running := map[string]bool{}
	for _, line := range log {
		switch word := strings.Fields(line); word[1] {
		case "pid":
			if running[word[2]] {
				t.Fatalf("%s begins again before it ended", word[2])
			}
			running[word[2]] = true
		case "end":
			if !running[word[2]] {
				t.Fatalf("%s ends, which does not run", word[2])
			}
			if line != "tcpserver: end "+word[2]+" status 0" {
				t.Error(line)
			}
			running[word[2]] = false
		}
	}
}

package differential

import (
	"context"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

var installing sync.Once

// install lays the originals over /usr/bin of this mount namespace: those that
// are shell scripts run others of them from there.
func install(t *testing.T) {
	t.Helper()
	installing.Do(func() {
		if err := unix.Mount("overlay", "/usr/bin", "overlay", unix.MS_RDONLY, "lowerdir="+sides(t)[0].bin+":/usr/bin"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWho(t *testing.T)  { fuzz(t, smallClient(t, "who@", "11")) }
func TestDate(t *testing.T) { fuzz(t, smallClient(t, "date@", "13")) }
func TestFinger(t *testing.T) {
	fuzz(t, smallClient(t, "finger@", "79", "", "user", "a b", "user@host", "/W x"))
}
func TestHTTP(t *testing.T) {
	fuzz(t, smallClient(t, "http@", "80", "", "index.html", "a b", "?q=%20", "/"))
}
func TestTcpcat(t *testing.T)   { fuzz(t, smallClient(t, "tcpcat", "17")) }
func TestMconnect(t *testing.T) { fuzz(t, smallClient(t, "mconnect", "25")) }

// TestMconnectIO runs mconnect-io as the original mconnect does.
func TestMconnectIO(t *testing.T) {
	mconnect := smallClient(t, "mconnect", "25")
	fuzz(t, func(r *rand.Rand) Case {
		c := mconnect(r)
		c.Args = append([]string{"tcpclient", "-RHl0", "--"}, c.Args[1:]...)
		if len(c.Args) == 4 {
			c.Args = append(c.Args, "25")
		}
		c.Args = append(c.Args, "mconnect-io")
		return c
	})
}

// smallClient returns cases of a client that is called with a host, what is
// between, and a port, by default the one given.
func smallClient(t *testing.T, name, port string, between ...string) func(r *rand.Rand) Case {
	t.Helper()
	install(t)
	return func(r *rand.Rand) Case {
		at := host()
		c := Case{Args: []string{name, pick(r, at, at, at, at, at, "192.0.2.1", "")}}
		s := server{port: port, says: text(r, 8, lineEnds...), reads: true}
		if name == "http@" {
			s.says = pick(r, "HTTP/1.0 200 OK\r\nA: b\r\n\r\n", "HTTP/1.0 200 OK\n\n", "") + s.says
		}
		if len(between) > 0 && r.IntN(6) > 0 {
			c.Args = append(c.Args, pick(r, between...))
		}
		if takesPort := name == "http@" || name == "tcpcat" || name == "mconnect"; takesPort && r.IntN(2) == 0 && (len(c.Args) == 3 || len(between) == 0) {
			c.Args = append(c.Args, pick(r, port, "7000", "nosuchport"))
			s.port = pick(r, port, "7000")
		}
		if name == "mconnect" {
			// It ends when the server does, which has to hear all before.
			c.Stdin = text(r, 8, lineEnds...)
			s.first = len(strings.ReplaceAll(c.Stdin, "\n", "\r\n"))
		}
		c.Run = func(_ context.Context, cmd *exec.Cmd, _ string) (string, error) { return meet(cmd, at, s) }
		c.Normal = func(o *Outcome) { o.Stderr = strings.ReplaceAll(o.Stderr, at, "ADDRESS") }
		return c
	}
}

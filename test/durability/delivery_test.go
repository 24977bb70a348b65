//go:build durability

package durability

import (
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A delivery takes messages out of a queue, as qmail-send and qmail-clean do,
// so that their inode numbers are free for other messages.
type delivery struct {
	ledger *ledger
	queue  string
	stop   chan struct{}
	done   sync.WaitGroup
}

// deliver starts a delivery in home, until finish.
func deliver(t testing.TB, l *ledger, home string) *delivery {
	t.Helper()
	d := &delivery{ledger: l, queue: home + "/queue/", stop: make(chan struct{})}
	// Held open for writing, too, so that it never ends.
	fd, err := unix.Open(d.queue+"lock/trigger", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	must(t, err)
	trigger := os.NewFile(uintptr(fd), "trigger")
	d.done.Add(1)
	go func() {
		defer d.done.Done()
		defer trigger.Close()
		for stopped := false; !stopped; {
			select {
			case <-d.stop:
				stopped = true
			default:
				// A pull may have been missed when a process died before it.
				trigger.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				trigger.Read(make([]byte, 512))
			}
			entries, err := os.ReadDir(d.queue + "todo")
			if err != nil {
				t.Error(err)
				return
			}
			for _, entry := range entries {
				if err := d.take(home, entry.Name()); err != nil {
					t.Errorf("todo/%s: %v", entry.Name(), err)
					return
				}
			}
		}
	}()
	return d
}

// finish takes what is there and ends the delivery.
func (d *delivery) finish() {
	close(d.stop)
	d.done.Wait()
}

// take takes one message.
func (d *delivery) take(home, name string) error {
	a, err := d.ledger.inTodo(home, name)
	if err != nil {
		return err
	}
	if !d.ledger.take(a) {
		return errTwice
	}
	n, _ := strconv.ParseUint(name, 10, 64)
	split := strconv.FormatUint(n%23, 10) + "/"
	info, err := os.Create(d.queue + "info/" + split + name)
	if err != nil {
		return err
	}
	defer info.Close()
	if _, err := info.WriteString("F" + a.sender + "\x00"); err != nil {
		return err
	}
	if err := info.Sync(); err != nil {
		return err
	}
	for _, path := range []string{"intd/" + name, "todo/" + name, "info/" + split + name, "mess/" + split + name} {
		if err := os.Remove(d.queue + path); err != nil {
			return err
		}
	}
	return nil
}

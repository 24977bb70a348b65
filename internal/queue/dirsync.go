package queue

import (
	"os"
	"sync"
)

// A dirSync makes the entries of one directory durable, with one fsync for
// all that wait: who comes while one is under way shares the next.
type dirSync struct {
	path string

	mu      sync.Mutex
	next    *syncRound // the round that has not begun, if anybody waits for it
	running bool
}

// A syncRound is one fsync.
type syncRound struct {
	done chan struct{}
	err  error
}

// wait waits for the end of the round and tells how it went.
func (r *syncRound) wait() error {
	<-r.done
	return r.err
}

// start begins to make durable what is in the directory now.
func (d *dirSync) start() *syncRound {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == nil {
		d.next = &syncRound{done: make(chan struct{})}
	}
	if !d.running {
		d.running = true
		go d.run()
	}
	return d.next
}

func (d *dirSync) run() {
	for {
		d.mu.Lock()
		round := d.next
		d.next = nil
		d.running = round != nil
		d.mu.Unlock()
		if round == nil {
			return
		}
		round.err = syncDirectory(d.path)
		close(round.done)
	}
}

// syncDirectory opens the directory anew each time: the queue may have been
// mounted over or made again.
func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

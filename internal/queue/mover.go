package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The mover lays the messages of the journal out in qmail's format, in
// batches, so that after a stop at any point each is in todo/ once:
//
//  1. The files in mess/ and intd/ are made, and made durable. After a stop
//     here they are left over, as of a qmail-queue that was killed, and the
//     messages are laid out again.
//  2. Their numbers are noted in the journal. After a stop here recover.go
//     tells by the files what is still to be done. From now on the files are
//     not removed, even if the note failed: it may be there all the same.
//  3. They are linked into todo/, the links are made durable, and qmail-send
//     is told.
//  4. The messages are noted as done, with the next thing that is written.
//     Segments that are done with are dropped.
const (
	// While messages come without a pause of movePause, the mover leaves the
	// disk to them, but not for longer than moveLimit, nor while there are more
	// segments than busySegments or messages that were found at the start: each
	// start makes a segment, and the disk may be small.
	movePause    = 20 * time.Millisecond
	moveLimit    = 5 * time.Second
	busySegments = 2

	// maxBatch is how many messages are laid out at a time. They are fewer where
	// that failed, as on a disk with little room.
	maxBatch = 256

	// maxDone is how many messages are noted as done at a time.
	maxDone = 1024

	// fewFiles is up to how many messages files are made durable one by one.
	// For more it costs less to do so for the whole file system.
	fewFiles = 8
)

// wakeMover has the mover begin, unless it is at work. It is called with j.mu
// held.
func (j *journal) wakeMover() {
	if len(j.pending) > 0 && !j.moving {
		j.moving = true
		go j.move()
	}
}

// awaitTurn waits until it is the mover's turn.
func (j *journal) awaitTurn() {
	for {
		j.mu.Lock()
		turn := j.isMoversTurn(time.Now())
		j.mu.Unlock()
		if turn {
			return
		}
		time.Sleep(movePause)
	}
}

// isMoversTurn tells whether the messages that are pending are to be moved. It
// is called with j.mu held.
func (j *journal) isMoversTurn(now time.Time) bool {
	n := len(j.pending)
	return n == 0 || j.stopping || j.inherited > 0 || len(j.segments) > busySegments ||
		now.Sub(j.pending[0].since) >= moveLimit || now.Sub(j.pending[n-1].since) >= movePause
}

// move moves messages until there are none. It tries for ever.
func (j *journal) move() {
	size := maxBatch
	for {
		j.awaitTurn()
		batch := j.takeBatch(size)
		if batch == nil {
			return
		}
		err := j.moveBatch(batch)
		j.settle(batch)
		if err == nil {
			size = min(2*size, maxBatch)
			j.setStuck(nil)
			continue
		}
		size = max(size/4, 1)
		j.setStuck(err)
		time.Sleep(retryTime)
	}
}

// takeBatch returns the first messages, at most size, which stay pending; nil
// where there are none, and the mover is to end.
func (j *journal) takeBatch(size int) []*pending {
	failed := false
	for {
		j.mu.Lock()
		if len(j.pending) > 0 {
			batch := append([]*pending(nil), j.pending[:min(size, len(j.pending))]...)
			j.mu.Unlock()
			return batch
		}
		if len(j.done) == 0 || failed {
			j.pending = nil
			j.moving = false
			j.cond.Broadcast()
			j.mu.Unlock()
			return nil
		}
		j.mu.Unlock()
		failed = j.noteMoved(nil) != nil
	}
}

// noteMoved notes moved, and messages that are done. Where that fails, those
// are to be noted later.
func (j *journal) noteMoved(moved []byte) error {
	j.mu.Lock()
	n := min(len(j.done), maxDone)
	for _, at := range j.done[:n] {
		moved = at.appendMoved(moved, 0, time.Time{})
	}
	j.mu.Unlock()
	if _, err := j.append(movedRecord, moved); err != nil {
		return err
	}
	j.mu.Lock()
	j.done = slices.Delete(j.done, 0, n)
	j.mu.Unlock()
	return nil
}

// settle drops from the pending messages those of the batch that are finished.
func (j *journal) settle(batch []*pending) {
	j.mu.Lock()
	var rest []*pending
	for _, p := range batch {
		if !p.finished {
			rest = append(rest, p)
			continue
		}
		p.segment.unfinished--
		if p.inherited {
			j.inherited--
		}
		j.done = append(j.done, p.position())
		j.statistics.moved++
	}
	// The batch is what the pending messages began with.
	copy(j.pending[len(batch)-len(rest):], rest)
	j.pending = j.pending[len(batch)-len(rest):]
	j.cond.Broadcast()
	j.mu.Unlock()
	j.drop()
}

// setStuck notes that the mover does not get on.
func (j *journal) setStuck(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.statistics.stuck = err != nil
	if err != nil {
		if what := "unable to move messages from the journal to the queue"; j.statistics.failed(what, err) {
			j.warn(what, err)
		}
		j.cond.Broadcast()
	}
}

// moveBatch moves messages. Where it fails, those that are not finished are to
// be moved again.
func (j *journal) moveBatch(batch []*pending) error {
	fresh, err := j.layOut(batch)
	if err == nil {
		err = j.syncFresh(fresh)
	}
	for _, one := range fresh {
		one.close()
	}
	if err != nil {
		for _, one := range fresh {
			j.disk.removeLaidOut(one.number)
		}
		return err
	}
	for _, one := range fresh {
		one.pending.laid = one.number
	}
	if err := j.note(batch); err != nil {
		return err
	}
	return j.link(batch)
}

// A fresh message is one that was just laid out. Its files are open where
// they are to be made durable one by one.
type fresh struct {
	pending *pending
	number  uint64 // 0: there are none
	files   []*os.File
}

func (f *fresh) close() {
	for _, file := range f.files {
		file.Close()
	}
	f.files = nil
}

// layOut makes the files of the messages that have none.
func (j *journal) layOut(batch []*pending) (made []*fresh, err error) {
	var buffer, text, envelope []byte
	few := len(batch) <= fewFiles
	for _, p := range batch {
		if p.laid != 0 {
			continue
		}
		text, envelope, buffer, err = p.load(buffer)
		if errors.Is(err, errDamaged) {
			j.setAside(p)
			continue
		}
		if err != nil {
			return made, err
		}
		if p.number != 0 {
			where, err := j.look(p, text, envelope)
			if err != nil {
				return made, err
			}
			switch where {
			case taken:
				p.finished = true
				continue
			case laidOut:
				p.laid = p.number
				continue
			}
			p.number, p.recovered = 0, false
		}
		one := &fresh{pending: p}
		made = append(made, one)
		if err := j.disk.layOut(one, text, envelope, few); err != nil {
			return made, err
		}
	}
	return made, nil
}

// setAside gives up a message that cannot be read any more.
func (j *journal) setAside(p *pending) {
	p.finished, p.segment.damaged = true, true
	j.warn(fmt.Sprintf("a message at %d of %s is damaged: the file is kept as damaged.%s",
		p.offset, p.segment.path, segmentName(p.segment.sequence)), nil)
}

// layOut makes the files of a message as a qmail-queue would.
func (d *Disk) layOut(one *fresh, text, envelope []byte, keepOpen bool) error {
	created, err := d.createMessage("journal", time.Now())
	if err != nil {
		if created.path != "" {
			os.Remove(created.path)
		}
		return err
	}
	one.number = created.number
	one.files = append(one.files, created.file)
	if _, err := created.file.Write(text); err != nil {
		return err
	}
	// What has the number of a message that was not there until now was left
	// when the file system lost what was last done in it.
	intd, todo := d.envelopePath("intd", one.number), d.envelopePath("todo", one.number)
	unix.Unlink(todo)
	unix.Unlink(intd)
	file, err := created.createEnvelope(intd)
	if err != nil {
		return err
	}
	one.files = append(one.files, file)
	if _, err := file.Write(envelope); err != nil {
		return err
	}
	if !keepOpen {
		one.close()
	}
	return nil
}

// removeLaidOut removes the files of a message that did not come to todo/.
func (d *Disk) removeLaidOut(number uint64) {
	if number != 0 {
		os.Remove(d.envelopePath("intd", number))
		os.Remove(d.messagePath(number))
	}
}

// syncFresh makes the files of messages durable.
func (j *journal) syncFresh(made []*fresh) error {
	if len(made) == 0 {
		return nil
	}
	d := j.disk
	if len(made[0].files) == 0 {
		return errors.Join(syncFileSystem(d.home+"/queue/mess"), syncFileSystem(d.home+"/queue/intd"))
	}
	var files []*os.File
	var paths []string
	for _, one := range made {
		files = append(files, one.files...)
		paths = append(paths, d.messagePath(one.number), d.envelopePath("intd", one.number))
	}
	return d.syncAll(files, paths...)
}

// syncFileSystem makes all durable of the file system that path is on.
func syncFileSystem(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return &fs.PathError{Op: "sync", Path: path, Err: err}
	}
	return nil
}

// note notes under which numbers messages were laid out, and what was done
// before.
func (j *journal) note(batch []*pending) error {
	now := time.Now()
	var moved []byte
	for _, p := range batch {
		if p.number == 0 && p.laid != 0 {
			moved = p.position().appendMoved(moved, p.laid, now)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	if err := j.noteMoved(moved); err != nil {
		return err
	}
	for _, p := range batch {
		if p.number == 0 {
			p.number, p.mapped = p.laid, now
		}
	}
	return nil
}

// link puts the messages that are laid out into todo/.
func (j *journal) link(batch []*pending) error {
	d := j.disk
	var links []string
	var linked []*pending
	var failed error
	for _, p := range batch {
		if p.finished {
			continue
		}
		intd, todo := d.envelopePath("intd", p.number), d.envelopePath("todo", p.number)
		if !p.linked {
			err := unix.Link(intd, todo)
			switch {
			case err == nil, err == unix.EEXIST:
				p.linked = true
			case err == unix.ENOENT && p.recovered:
				p.finished = true // taken a moment ago
				continue
			default:
				if err == unix.ENOENT {
					p.number, p.laid = 0, 0 // cleared away: once more
				}
				failed = &os.LinkError{Op: "link", Old: intd, New: todo, Err: err}
				continue
			}
		}
		linked = append(linked, p)
		links = append(links, todo)
	}
	if err := d.syncAll(nil, links...); err != nil {
		return err
	}
	for _, p := range linked {
		p.finished = true
	}
	if len(linked) > 0 {
		d.pull()
	}
	return failed
}

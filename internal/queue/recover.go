package queue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// open takes the journal's directory, making it in a queue that has none, and
// what another process left in it. It is called with j.mu held.
func (j *journal) open() (err error) {
	if _, found := readLayout(j.disk.home + "/queue"); !found {
		return errors.New("there is no queue")
	}
	if err := os.Mkdir(j.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	lock, err := os.OpenFile(j.path+"/"+lockName, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errors.New("another process has it")
		}
		return err
	}
	left, err := j.read()
	if err != nil {
		return err
	}
	j.lock = lock
	j.adopt(left)
	return nil
}

// A leftSegment is a segment that another process left.
type leftSegment struct {
	*segment
	records []record
}

// read reads the segments that are there and not in use, in their order.
func (j *journal) read() (left []leftSegment, err error) {
	entries, err := os.ReadDir(j.path)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		path := j.path + "/" + entry.Name()
		sequence, ok := parseSegmentName(entry.Name())
		switch {
		case strings.HasSuffix(entry.Name(), ".new"):
			os.Remove(path)
			continue
		case !ok:
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if j.inUse(file) {
			file.Close()
			continue
		}
		data, err := io.ReadAll(file)
		if err != nil {
			return nil, err
		}
		s := &segment{sequence: sequence, path: path, file: file, closed: true}
		var records []record
		records, s.seed = readSegment(data, sequence)
		left = append(left, leftSegment{s, records})
	}
	return left, nil
}

// inUse tells whether the file is a segment that this process has.
func (j *journal) inUse(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && slices.ContainsFunc(j.segments, func(s *segment) bool {
		ours, err := s.file.Stat()
		return err == nil && os.SameFile(info, ours)
	})
}

// adopt takes over the segments that were left.
func (j *journal) adopt(left []leftSegment) {
	messages := make(map[position]*pending)
	var order []*pending
	for _, s := range left {
		j.latest = max(j.latest, s.sequence)
		for _, r := range s.records {
			at := position{s.sequence, uint64(r.offset)}
			switch r.kind {
			case messageRecord:
				p := &pending{segment: s.segment, offset: r.offset, size: r.size, since: time.Now()}
				messages[at] = p
				order = append(order, p)
			case movedRecord:
				for b := r.data; len(b) >= movedSize; b = b[movedSize:] {
					at, number, when := readMoved(b)
					switch p := messages[at]; {
					case p == nil:
					case number == 0:
						p.finished = true
					default:
						p.number, p.mapped, p.recovered = number, when, true
					}
				}
			case voidRecord:
				for b := r.data; len(b) >= positionSize; b = b[positionSize:] {
					void := readPosition(b)
					for at, p := range messages {
						if at.sequence == void.sequence && at.offset >= void.offset {
							p.finished = true
						}
					}
				}
			}
		}
	}
	for _, p := range order {
		if !p.finished {
			p.inherited = true
			p.segment.unfinished++
			j.inherited++
			j.statistics.recovered++
			j.pending = append(j.pending, p)
		}
	}
	for _, s := range left {
		j.segments = append(j.segments, s.segment)
	}
	slices.SortFunc(j.segments, func(a, b *segment) int {
		switch {
		case a.sequence < b.sequence:
			return -1
		case a.sequence > b.sequence:
			return 1
		}
		return 0
	})
	if len(j.pending) > 0 {
		j.wakeMover()
	} else if len(left) > 0 {
		go j.drop()
	}
}

// load reads the message of p from its segment.
func (p *pending) load(buffer []byte) (text, envelope, used []byte, err error) {
	used = slices.Grow(buffer[:0], p.size)[:p.size]
	if _, err := p.segment.file.ReadAt(used, int64(p.offset)); err != nil {
		if errors.Is(err, io.EOF) {
			err = errDamaged
		}
		return nil, nil, used, err
	}
	r, ok := readRecord(used, p.segment.seed)
	if !ok || r.kind != messageRecord {
		return nil, nil, used, errDamaged
	}
	text, envelope, err = splitMessage(r.data)
	return text, envelope, used, err
}

// A whereabouts is what became of a message that was noted to be laid out.
type whereabouts int

const (
	laidOut whereabouts = iota // and it is to be linked into todo/
	taken                      // by qmail-send; there is nothing to do
	lost                       // it is to be laid out again
)

// look finds out what became of the message p, with its text and envelope,
// which was noted to be laid out before this process began.
//
// qmail-clean removes the entry in intd/, then that in todo/, when qmail-send
// has taken a message over, and later the message; and it removes the entry in
// intd/ and the message where they never came to todo/ and are old. Another
// message can have the number after that, even one that this process lays out.
func (j *journal) look(p *pending, text, envelope []byte) (whereabouts, error) {
	intd, err := os.ReadFile(j.disk.envelopePath("intd", p.number))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	noEntry := err != nil
	there, err := os.ReadFile(j.disk.messagePath(p.number))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	noMessage := err != nil
	switch {
	case !noMessage && string(there) == string(text) && noEntry:
		return taken, nil
	case !noMessage && string(there) == string(text) && string(intd) == string(envelope):
		return laidOut, nil
	case noMessage && !noEntry || time.Since(p.mapped) < leftoverAge:
		return taken, nil
	}
	j.warn(fmt.Sprintf("message %d may have been cleared away before it was queued: it is queued again", p.number), nil)
	return lost, nil
}

// awaitRecovery waits until all messages are moved that were found at the
// start.
func (j *journal) awaitRecovery() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.inherited > 0 {
		j.cond.Wait()
	}
}

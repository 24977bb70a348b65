package queue

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	journalName = "queue/journal" // below HOME
	spareName   = "spare"         // a file that is to be a segment
	lockName    = "lock"          // held by the process whose journal it is

	// segmentSize is the size of a segment in bytes.
	segmentSize = 8 << 20

	// maxSegments is how many segments there may be with messages that are not
	// in qmail's format yet.
	maxSegments = 32

	// maxWrite is about how much is written at a time.
	maxWrite = 1 << 20

	// reserve is what messages leave of a segment to the records that are
	// needed to be rid of it: a disk that is full has no other segment.
	reserve = 1 << 20

	// notesSize is the size of a segment for such records alone, where there is
	// no room for another.
	notesSize = 128 << 10

	// retryTime is the time between two tries to do what failed.
	retryTime = time.Second
)

// A journal makes small messages durable in bulk: all that wait are written
// with one write and one fdatasync. A mover lays them out in qmail's format
// afterwards, so that each is there once, whatever stops the process or the
// machine and when; mover.go says how.
//
// Where the journal cannot take a message, since there is no room for another
// segment, or it holds more than the mover keeps up with, append fails with
// errUnavailable, and the message is to go to the queue on disk directly.
//
// One process at a time has the journal of a queue. It is safe for concurrent
// use.
type journal struct {
	disk *Disk
	path string
	warn func(what string, err error)
	size int // of a segment with messages; journals of one queue may differ in it

	mu        sync.Mutex
	cond      sync.Cond // of mu: for stop
	lock      *os.File  // nil: it is not open
	retryAt   time.Time // until then it is not tried to open it, or to make a segment
	stopping  bool
	next      *group     // what the next write brings; nil: nothing
	writing   bool       // a goroutine leads
	segments  []*segment // oldest first
	pending   []*pending // what the mover is to do
	done      []position // what is to be noted as done
	moving    bool
	inherited int    // pending messages that were found at the start
	latest    uint64 // the highest sequence number that was seen

	// Of the goroutine that leads.
	active *segment
	voids  []position // where failed writes begin, not noted yet

	dropMu  sync.Mutex // held while segments are dropped
	spareMu sync.Mutex // of the file spareName

	statistics statistics
}

// A segment is one that is in use.
type segment struct {
	sequence   uint64
	path       string
	file       *os.File
	seed       uint32
	size       int
	end        int  // where the next write begins
	unfinished int  // messages that are not in todo/ yet; under journal.mu
	closed     bool // nothing is written to it any more; under journal.mu
	damaged    bool // it is kept for a person to look at
}

// A pending is a message in the journal that is not in todo/ yet.
type pending struct {
	segment *segment
	offset  int
	size    int
	since   time.Time

	laid      uint64    // its number in the queue, when its files are durable; else 0
	number    uint64    // the same, when it is noted
	mapped    time.Time // when it was
	linked    bool      // into todo/, which may not be durable yet
	recovered bool      // it was so by another process
	inherited bool      // it was found at the start
	finished  bool
}

func (p *pending) position() position { return position{p.segment.sequence, uint64(p.offset)} }

// A group is what one write brings.
type group struct {
	buffer  []byte
	records []int // where they begin in buffer
	done    chan struct{}
	segment *segment // where it was written
	offset  int
	err     error
}

var errUnavailable = errors.New("the journal takes nothing now")

// newJournal returns the journal of disk's queue. It touches no file yet.
func newJournal(disk *Disk, warn func(what string, err error)) *journal {
	j := &journal{disk: disk, path: disk.home + "/" + journalName, warn: warn, size: segmentSize}
	j.cond.L = &j.mu
	return j
}

// start takes over what another process left in the journal. Where the journal
// cannot be opened, it is tried again; append tells.
func (j *journal) start() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.open() != nil {
		go j.openLater()
	}
}

// openLater opens the journal as soon as that is possible: messages may be in
// it, and no other come.
func (j *journal) openLater() {
	for {
		time.Sleep(retryTime)
		j.mu.Lock()
		over := j.lock != nil || j.stopping || j.open() == nil
		j.mu.Unlock()
		if over {
			return
		}
	}
}

// append makes a record durable. It returns where it is. Where it fails with
// another error than errUnavailable, the record may be there or not.
func (j *journal) append(kind byte, parts ...[]byte) (at position, err error) {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	j.mu.Lock()
	var g *group
	for {
		if !j.usable(kind) {
			j.mu.Unlock()
			return at, errUnavailable
		}
		if j.next == nil {
			j.next = &group{buffer: takeWriteBuffer(), done: make(chan struct{})}
		}
		g = j.next
		if len(g.records) == 0 || len(g.buffer)+recordHead+size <= maxWrite {
			break
		}
		j.mu.Unlock()
		<-g.done
		j.mu.Lock()
	}
	start := len(g.buffer)
	g.records = append(g.records, start)
	g.buffer = appendRecordHead(g.buffer, kind, size)
	for _, part := range parts {
		g.buffer = append(g.buffer, part...)
	}
	lead := !j.writing
	j.writing = true
	j.mu.Unlock()
	if lead {
		j.lead(g)
	}
	<-g.done
	if g.err != nil {
		return at, g.err
	}
	return position{g.segment.sequence, uint64(g.offset + start)}, nil
}

// usable tells whether records of the kind are taken. It opens the journal
// where that was not possible before.
func (j *journal) usable(kind byte) bool {
	if j.lock == nil && !j.stopping && time.Now().After(j.retryAt) {
		if err := j.open(); err != nil {
			j.fail("unable to open the journal", err)
		}
	}
	switch {
	case j.lock == nil:
		return false
	case kind != messageRecord:
		return true
	}
	return !j.stopping && !j.statistics.stuck && len(j.segments) <= maxSegments && time.Now().After(j.retryAt)
}

// fail notes that something failed that is to be tried again.
func (j *journal) fail(what string, err error) {
	j.retryAt = time.Now().Add(retryTime)
	if j.statistics.failed(what, err) {
		j.warn(what, err)
	}
}

// lead writes the group g, and whatever comes meanwhile in a goroutine.
func (j *journal) lead(g *group) {
	j.takeNext()
	j.write(g)
	j.mu.Lock()
	more := j.next != nil
	j.writing = more
	j.cond.Broadcast()
	j.mu.Unlock()
	if more {
		go func() {
			for g := j.takeNext(); g != nil; g = j.takeNext() {
				j.write(g)
			}
		}()
	}
}

// takeNext returns the group that is to be written, after which records go
// into another. Where there is none, nobody leads any more.
func (j *journal) takeNext() *group {
	j.mu.Lock()
	defer j.mu.Unlock()
	g := j.next
	j.next = nil
	if g == nil {
		j.writing = false
		j.cond.Broadcast()
	}
	return g
}

// write writes a group, makes it durable, and tells those who wait for it.
func (j *journal) write(g *group) {
	g.err = j.place(g)
	if g.err == nil {
		if g.err = j.writeOut(g); g.err != nil {
			j.abandon(g)
		}
	}
	if g.err == nil {
		j.enter(g)
	}
	giveWriteBuffer(g.buffer)
	g.buffer = nil
	close(g.done)
}

// place finds the segment that has room for the group, and makes one where
// there is none.
func (j *journal) place(g *group) error {
	size := roundUp(len(g.buffer))
	left, notes := 0, true
	for _, start := range g.records {
		if recordKind(g.buffer[start:]) == messageRecord {
			left, notes = reserve, false
			break
		}
	}
	if s := j.active; s != nil && s.inPlace() != nil {
		// Another journal is there, or none.
		j.mu.Lock()
		j.close()
		j.mu.Unlock()
		j.retire()
	} else if s != nil && s.end+size <= s.size-left {
		g.segment, g.offset = s, s.end
		return nil
	}
	s, err := j.nextSegment(notes)
	if err != nil {
		j.mu.Lock()
		j.fail("unable to make a journal segment", err)
		j.mu.Unlock()
		return errUnavailable
	}
	g.segment, g.offset = s, s.end
	return nil
}

// nextSegment makes another segment the active one. Where that fails, the one
// that is active stays: notes may have room in it.
func (j *journal) nextSegment(notes bool) (*segment, error) {
	j.mu.Lock()
	done := j.active != nil && j.segments[0] == j.active && j.active.unfinished == 0
	j.mu.Unlock()
	if done {
		j.retire() // the next can be made of its file
	}
	s, err := j.makeSegment(j.size)
	if notes && err != nil {
		s, err = j.makeSegment(notesSize)
	}
	if err != nil {
		return nil, err
	}
	j.retire()
	j.active = s
	return s, nil
}

// retire ends the writing to the active segment.
func (j *journal) retire() {
	if j.active == nil {
		return
	}
	j.mu.Lock()
	j.active.closed = true
	j.mu.Unlock()
	j.active = nil
	j.drop()
}

// writeOut makes the group durable.
func (j *journal) writeOut(g *group) error {
	s := g.segment
	for _, start := range g.records {
		sealRecord(g.buffer[start:start+recordSize(g.buffer[start:])], s.seed)
	}
	size := len(g.buffer)
	g.buffer = append(g.buffer, make([]byte, roundUp(size)-size)...)
	began := time.Now()
	if _, err := s.file.WriteAt(g.buffer, int64(g.offset)); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
		return &fs.PathError{Op: "sync", Path: s.path, Err: err}
	}
	j.mu.Lock()
	j.statistics.synced(time.Since(began))
	j.mu.Unlock()
	s.end = g.offset + len(g.buffer)
	return s.inPlace()
}

// inPlace tells whether the segment still is where a later process looks.
func (s *segment) inPlace() error {
	var there, ours unix.Stat_t
	if err := unix.Stat(s.path, &there); err != nil {
		return &fs.PathError{Op: "find", Path: s.path, Err: err}
	}
	if err := unix.Fstat(int(s.file.Fd()), &ours); err != nil {
		return &fs.PathError{Op: "find", Path: s.path, Err: err}
	}
	if there.Dev != ours.Dev || there.Ino != ours.Ino {
		return &fs.PathError{Op: "find", Path: s.path, Err: errReplaced}
	}
	return nil
}

// abandon gives up the segment in which the write of the group failed: nobody
// knows what of it is on the disk.
func (j *journal) abandon(g *group) {
	j.voids = append(j.voids, position{g.segment.sequence, uint64(g.offset)})
	j.mu.Lock()
	j.fail("unable to write the journal", g.err)
	// The journal may not be there any more, or another one.
	j.close()
	j.mu.Unlock()
	j.retire()
}

// enter notes the messages of a group that is durable.
func (j *journal) enter(g *group) {
	now := time.Now()
	var entered []pending
	for _, start := range g.records {
		if head := g.buffer[start:]; recordKind(head) == messageRecord {
			entered = append(entered, pending{segment: g.segment, offset: g.offset + start, size: recordSize(head), since: now})
		}
	}
	if len(entered) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	g.segment.unfinished += len(entered)
	for i := range entered {
		j.pending = append(j.pending, &entered[i])
	}
	j.statistics.accepted += uint64(len(entered))
	j.wakeMover()
}

// makeSegment makes the next segment, and makes it durable.
func (j *journal) makeSegment(size int) (*segment, error) {
	j.mu.Lock()
	if j.lock == nil {
		if err := j.open(); err != nil {
			j.mu.Unlock()
			return nil, err
		}
	}
	j.latest++
	s := &segment{sequence: j.latest, size: size}
	j.mu.Unlock()
	s.path = j.path + "/" + segmentName(s.sequence)
	if err := j.useSpare(s); err != nil {
		return nil, err
	}
	j.voids = nil
	j.mu.Lock()
	j.segments = append(j.segments, s)
	j.mu.Unlock()
	go j.prepareSpare()
	return s, nil
}

// useSpare makes the spare file the segment s, where that has its size. The
// file has its new header before it has its new name: it may have been a
// segment of that name before.
func (j *journal) useSpare(s *segment) (err error) {
	j.spareMu.Lock()
	defer j.spareMu.Unlock()
	spare := j.path + "/" + spareName
	if s.size != j.size {
		spare += ".new"
	}
	if !hasSize(spare, s.size) {
		os.Remove(spare) // a part of one takes room
		if err := j.makeSpare(spare, s.size); err != nil {
			return err
		}
	}
	s.file, err = os.OpenFile(spare, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.file.Close()
			os.Remove(s.path)
		}
	}()
	if err := j.writeHeader(s); err != nil {
		return err
	}
	if err := os.Rename(spare, s.path); err != nil {
		return err
	}
	return syncDirectory(j.path)
}

// writeHeader writes what a segment begins with, and makes that durable.
func (j *journal) writeHeader(s *segment) error {
	var salt [saltSize]byte
	rand.Read(salt[:])
	s.seed = segmentSeed(salt[:])
	header := segmentHeader(s.sequence, salt[:])
	if len(j.voids) > 0 {
		var data []byte
		for _, void := range j.voids {
			data = void.appendTo(data)
		}
		record := append(appendRecordHead(nil, voidRecord, len(data)), data...)
		sealRecord(record, s.seed)
		header = append(header, record...)
		header = append(header, make([]byte, roundUp(len(header))-len(header))...)
	}
	s.end = len(header)
	if _, err := s.file.WriteAt(header, 0); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
		return &fs.PathError{Op: "sync", Path: s.path, Err: err}
	}
	return nil
}

// prepareSpare makes a spare file, where there is none.
func (j *journal) prepareSpare() {
	j.spareMu.Lock()
	defer j.spareMu.Unlock()
	spare := j.path + "/" + spareName
	if hasSize(spare, j.size) {
		return
	}
	os.Remove(spare)
	fresh := spare + ".new"
	if j.makeSpare(fresh, j.size) == nil {
		os.Rename(fresh, spare)
	}
}

func hasSize(path string, size int) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() == int64(size)
}

// makeSpare makes a file that is to be a segment. It leaves as much room again
// to the messages that are to come out of the journal.
func (j *journal) makeSpare(path string, size int) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(j.path, &stat); err != nil {
		return &fs.PathError{Op: "statfs", Path: j.path, Err: err}
	}
	if stat.Bavail*uint64(stat.Bsize) < uint64(2*size) {
		return &fs.PathError{Op: "create", Path: path, Err: unix.ENOSPC}
	}
	return zeroFile(path, size)
}

// drop gives up the oldest segments as far as all their messages are in todo/.
// A segment is never dropped before an older one, since it may hold what is
// noted about that one's messages.
func (j *journal) drop() {
	j.dropMu.Lock()
	defer j.dropMu.Unlock()
	for {
		j.mu.Lock()
		if len(j.segments) == 0 || !j.segments[0].closed || j.segments[0].unfinished > 0 {
			j.mu.Unlock()
			return
		}
		s := j.segments[0]
		j.mu.Unlock()
		j.remove(s)
		j.mu.Lock()
		// Others may have come before it meanwhile.
		at := slices.Index(j.segments, s)
		j.segments = slices.Delete(j.segments, at, at+1)
		j.mu.Unlock()
	}
}

// remove removes the file of a segment, or makes it the spare one.
func (j *journal) remove(s *segment) {
	defer s.file.Close()
	if s.inPlace() != nil {
		return
	}
	if s.damaged {
		os.Rename(s.path, j.path+"/damaged."+segmentName(s.sequence))
		return
	}
	j.spareMu.Lock()
	defer j.spareMu.Unlock()
	spare := j.path + "/" + spareName
	if info, err := s.file.Stat(); err == nil && info.Size() == int64(j.size) {
		if _, err := os.Lstat(spare); errors.Is(err, fs.ErrNotExist) {
			os.Rename(s.path, spare)
			return
		}
	}
	os.Remove(s.path)
}

// close lets go of the journal's directory. What is in memory stays.
func (j *journal) close() {
	if j.lock != nil {
		j.lock.Close()
		j.lock = nil
	}
}

// stop takes no more messages, and waits until all are in todo/, as long as
// that goes on well, and at most until the time limit.
func (j *journal) stop(limit time.Duration) {
	deadline := time.Now().Add(limit)
	wake := time.AfterFunc(limit, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.cond.Broadcast()
	})
	defer wake.Stop()
	j.mu.Lock()
	j.stopping = true
	j.wakeMover()
	for (j.moving || j.writing) && !j.statistics.stuck && time.Now().Before(deadline) {
		j.cond.Wait()
	}
	over := !j.moving && !j.writing
	j.mu.Unlock()
	if over {
		j.retire()
		j.mu.Lock()
		j.close()
		j.mu.Unlock()
	}
}

var writeBuffers = sync.Pool{New: func() any { return new([]byte) }}

func takeWriteBuffer() []byte { return (*writeBuffers.Get().(*[]byte))[:0] }

func giveWriteBuffer(b []byte) {
	if cap(b) <= 2*maxWrite {
		writeBuffers.Put(&b)
	}
}

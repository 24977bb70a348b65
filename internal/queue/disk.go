package queue

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Disk is the queue on disk, HOME/queue, in the format of qmail 1.03: what
// it takes, a qmail-send can deliver. Other processes may work on the same
// queue. It is safe for concurrent use.
//
// It must be used by a process that may write there as the user qmailq may.
// A queue that is missing, read-only or full is told by Commit, with the exit
// codes of qmail-queue, and used again as soon as it is in order.
type Disk struct {
	home     string
	numbers  atomic.Int64 // the number given last
	invokers invokers
	layout   atomic.Pointer[layout]

	mu    sync.Mutex
	syncs map[string]*dirSync // by directory
}

// NewDisk returns the queue of the qmail whose home directory is home, an
// absolute path. It touches no file yet.
//
// The messages are numbered from the process's own pid on, which is the
// number that a qmail-queue would give to its only message.
func NewDisk(home string) *Disk {
	d := &Disk{home: home, invokers: invokers{path: "/etc/passwd"}, syncs: make(map[string]*dirSync)}
	d.numbers.Store(int64(os.Getpid()) - 1)
	return d
}

// Begin opens a submission of the user who runs this process; it never fails.
func (d *Disk) Begin() (Submission, error) {
	return d.begin(uint32(os.Getuid())), nil
}

// begin opens a submission of the user uid.
func (d *Disk) begin(uid uint32) *diskSubmission {
	s := &diskSubmission{disk: d, number: int(d.numbers.Add(1)), uid: uid}
	s.out = writers.Get().(*bufio.Writer)
	s.open()
	return s
}

// sync begins to make the entries of directory durable.
func (d *Disk) sync(directory string) *syncRound {
	d.mu.Lock()
	one := d.syncs[directory]
	if one == nil {
		one = &dirSync{path: directory}
		d.syncs[directory] = one
	}
	d.mu.Unlock()
	return one.start()
}

// pull tells qmail-send that there is something in todo/. Nobody may be
// there to be told; that is no failure.
func (d *Disk) pull() {
	fd, err := unix.Open(d.home+"/queue/lock/trigger", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	unix.Write(fd, []byte{0})
	unix.Close(fd)
}

// writers buffer what is written to the files of the queue.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 32<<10) }}

// A diskSubmission goes the way of qmail-queue, step by step, so that after a
// crash at any point qmail-send and qmail-clean find what they expect; beyond
// qmail-queue, it makes the entries of the directories durable.
type diskSubmission struct {
	disk   *Disk
	number int
	uid    uint32

	began       time.Time // by the wall clock, as the age of files is
	inode       uint64    // names the message
	info        fs.FileInfo
	messagePath string
	message     *os.File // while it is open, no other message has its inode
	out         *bufio.Writer

	code int   // why the submission failed, or 0
	err  error // the cause of code
}

// The mode of the queue's files, whatever the umask of the process is.
const fileMode = 0o644

// open makes the message's file.
func (s *diskSubmission) open() {
	s.began = time.Now().Round(0)
	prefix := fmt.Sprintf("%s/queue/pid/%d.%d.", s.disk.home, s.number, s.began.Unix())
	var path string
	var err error
	for sequence := 1; sequence <= 9; sequence++ {
		path = prefix + strconv.Itoa(sequence)
		s.message, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		s.fail(s.disk.creationCode(), err)
		return
	}
	s.info, err = s.message.Stat()
	if err != nil {
		s.fail(63, err)
		return
	}
	s.inode = s.info.Sys().(*syscall.Stat_t).Ino
	if err := s.setMode(s.message); err != nil {
		s.fail(63, err)
		return
	}
	s.messagePath = s.disk.messagePath(s.inode)
	if err := os.Link(path, s.messagePath); err != nil {
		s.fail(64, err)
		return
	}
	if err := os.Remove(path); err != nil {
		s.fail(63, err)
		return
	}
	s.out.Reset(s.message)
	s.out.WriteString(receivedLine(s.number, s.disk.invokers.who(s.uid), s.began))
}

// creationCode says why no file could be made in pid/.
func (d *Disk) creationCode() int {
	switch {
	case enterable(d.home) != nil:
		return 61
	case enterable(d.home+"/queue") != nil:
		return 62
	}
	return 63
}

// setMode gives file its mode where the umask took some of it. All files of
// a submission are made with the same.
func (s *diskSubmission) setMode(file *os.File) error {
	if s.info.Mode() == fileMode {
		return nil
	}
	return file.Chmod(fileMode)
}

// fail notes the first failure and what caused it. The file of the message
// is closed, and stays where it is.
func (s *diskSubmission) fail(code int, err error) {
	if s.code != 0 {
		return
	}
	s.code, s.err = code, err
	s.close()
}

func (s *diskSubmission) close() {
	if s.message != nil {
		s.message.Close()
		s.message = nil
	}
}

// failClean is fail where nothing of the message is to stay.
func (s *diskSubmission) failClean(code int, err error) {
	if s.code != 0 {
		return
	}
	s.message.Truncate(0)
	if s.inPlace() == nil {
		os.Remove(s.messagePath)
	}
	s.fail(code, err)
}

// inPlace tells whether the message still stands where todo/ would say.
func (s *diskSubmission) inPlace() error {
	info, err := os.Lstat(s.messagePath)
	if err == nil && !os.SameFile(info, s.info) {
		err = &fs.PathError{Op: "find", Path: s.messagePath, Err: errReplaced}
	}
	return err
}

// expired tells whether the submission has taken so long that qmail-send may
// clear its files away.
func (s *diskSubmission) expired() bool { return time.Since(s.began) >= lifetime }

func (s *diskSubmission) Number() int { return s.number }

func (s *diskSubmission) Write(p []byte) (int, error) {
	if s.code != 0 {
		return len(p), nil
	}
	if s.expired() {
		s.failClean(52, errExpired)
	} else if _, err := s.out.Write(p); err != nil {
		s.failClean(53, err)
	}
	return len(p), nil
}

func (s *diskSubmission) Abandon() {
	s.failClean(54, errAbandoned)
	s.release()
}

var (
	errAbandoned = errors.New("abandoned")
	errExpired   = errors.New("it took too long")
	errReplaced  = errors.New("there is another file")
)

func (s *diskSubmission) Commit(e Envelope) Result {
	return s.commitEnvelope(appendEnvelope(nil, e))
}

// commitEnvelope is Commit with the envelope as qmail-queue reads it.
func (s *diskSubmission) commitEnvelope(envelope []byte) Result {
	return s.commitFrom(bufio.NewReader(bytes.NewReader(envelope)))
}

// commitFrom is Commit with the envelope as qmail-queue reads it. It reads to
// the end of r, or to the first failure.
func (s *diskSubmission) commitFrom(r *bufio.Reader) Result {
	s.finishMessage()
	if s.code == 0 {
		s.finish(r)
	}
	s.release()
	return Result{Code: s.code, Number: s.number}
}

// finishMessage makes the message's text durable.
func (s *diskSubmission) finishMessage() {
	if s.code != 0 {
		return
	}
	err := s.out.Flush()
	if err == nil {
		err = s.message.Sync()
	}
	if err != nil {
		s.failClean(53, err)
	}
}

// finish writes the envelope and puts the message into todo/.
func (s *diskSubmission) finish(r *bufio.Reader) {
	d := s.disk
	intd, todo := d.envelopePath("intd", s.inode), d.envelopePath("todo", s.inode)
	file, err := os.OpenFile(intd, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		s.fail(65, err)
		return
	}
	defer file.Close()
	failClean := func(code int, err error) {
		file.Truncate(0)
		os.Remove(intd)
		s.failClean(code, err)
	}

	s.out.Reset(file)
	fmt.Fprintf(s.out, "u%d\x00p%d\x00", s.uid, s.number)
	code := copyEnvelope(s.out, r)
	// Where the envelope comes in a frame, the whole of that must be there.
	if _, err := io.Copy(io.Discard, r); err != nil {
		code = 54
	}
	switch code {
	case 0:
	case 54:
		failClean(code, envelopeErrors[code])
		return
	default:
		s.out.Flush()
		s.fail(code, envelopeErrors[code])
		return
	}

	err = s.out.Flush()
	if err == nil {
		err = s.setMode(file)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		// todo/N must never outlive what it speaks of.
		message, envelope := d.sync(filepath.Dir(s.messagePath)), d.sync(filepath.Dir(intd))
		err = errors.Join(message.wait(), envelope.wait())
	}
	if err != nil {
		failClean(53, err)
		return
	}
	if s.expired() {
		failClean(52, errExpired)
		return
	}
	if err := s.inPlace(); err != nil {
		failClean(53, err)
		return
	}
	if err := os.Link(intd, todo); err != nil {
		s.fail(66, err)
		return
	}
	// From here on the message may be delivered at any time. Where this sync
	// fails it stays, since qmail-send may be at work on it.
	if err := d.sync(filepath.Dir(todo)).wait(); err != nil {
		s.fail(53, err)
		return
	}
	d.pull()
}

// release gives back what the submission holds.
func (s *diskSubmission) release() {
	s.close()
	s.out.Reset(nil)
	writers.Put(s.out)
	s.out = nil
}

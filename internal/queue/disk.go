package queue

import (
	"bufio"
	"bytes"
	"errors"
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
func (d *Disk) begin(uid uint32) *diskSubmission { return d.beginAs(d.invoker(uid)) }

func (d *Disk) beginAs(who invoker) *diskSubmission {
	s := &diskSubmission{disk: d, invoker: who}
	s.out = writers.Get().(*bufio.Writer)
	s.open()
	return s
}

// invoker gives a submission of the user uid its number.
func (d *Disk) invoker(uid uint32) invoker {
	return invoker{number: int(d.numbers.Add(1)), uid: uid, began: time.Now().Round(0)}
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

// syncAll makes files durable, and the entries of their directories, by paths.
func (d *Disk) syncAll(files []*os.File, paths ...string) error {
	rounds := make(map[string]*syncRound, len(paths))
	for _, path := range paths {
		if directory := filepath.Dir(path); rounds[directory] == nil {
			rounds[directory] = d.sync(directory)
		}
	}
	errs := make(chan error)
	for _, file := range files {
		go func() { errs <- file.Sync() }()
	}
	var err error
	for range files {
		err = errors.Join(err, <-errs)
	}
	for _, round := range rounds {
		err = errors.Join(err, round.wait())
	}
	return err
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
	disk *Disk
	invoker
	message created // its file is nil when it is closed
	out     *bufio.Writer

	code int   // why the submission failed, or 0
	err  error // the cause of code
}

// The mode of the queue's files, whatever the umask of the process is.
const fileMode = 0o644

// open makes the message's file.
func (s *diskSubmission) open() {
	var err error
	s.message, err = s.disk.createMessage(strconv.Itoa(s.number), s.began)
	if err != nil {
		s.fail(s.disk.creationCode(err), err)
		return
	}
	s.out.Reset(s.message.file)
	s.out.WriteString(s.disk.receivedLine(s.invoker))
}

// A created is the file of a message that was just made. While it is open, no
// other message has its number.
type created struct {
	file   *os.File
	path   string // in mess/; where the message did not come there, in pid/
	info   fs.FileInfo
	number uint64 // in the queue: that of the inode
}

// createMessage makes the file of a message, whose name begins with prefix
// until it has its number.
func (d *Disk) createMessage(prefix string, now time.Time) (c created, err error) {
	prefix = d.home + "/queue/pid/" + prefix + "." + strconv.FormatInt(now.Unix(), 10) + "."
	var path string
	for sequence := 1; sequence <= 9; sequence++ {
		path = prefix + strconv.Itoa(sequence)
		c.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return c, err
	}
	defer func() {
		if err != nil {
			c.file.Close()
		}
	}()
	c.info, err = c.file.Stat()
	if err != nil {
		return c, err
	}
	c.number = c.info.Sys().(*syscall.Stat_t).Ino
	if err := c.setMode(c.file); err != nil {
		return c, err
	}
	c.path = path
	if err := os.Link(path, d.messagePath(c.number)); err != nil {
		return c, err
	}
	c.path = d.messagePath(c.number)
	return c, os.Remove(path)
}

// createEnvelope makes the file of the message's envelope.
func (c *created) createEnvelope(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	if err := c.setMode(file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// setMode gives file its mode where the umask took some of it. All files are
// made with the same.
func (c *created) setMode(file *os.File) error {
	if c.info.Mode() == fileMode {
		return nil
	}
	return file.Chmod(fileMode)
}

// creationCode says which exit code it has that no file could be made.
func (d *Disk) creationCode(err error) int {
	var link *os.LinkError
	switch {
	case enterable(d.home) != nil:
		return 61
	case enterable(d.home+"/queue") != nil:
		return 62
	case errors.As(err, &link):
		return 64
	}
	return 63
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
	if s.message.file != nil {
		s.message.file.Close()
		s.message.file = nil
	}
}

// failClean is fail where nothing of the message is to stay.
func (s *diskSubmission) failClean(code int, err error) {
	if s.code != 0 {
		return
	}
	s.message.file.Truncate(0)
	if s.inPlace() == nil {
		os.Remove(s.message.path)
	}
	s.fail(code, err)
}

// inPlace tells whether the message still stands where todo/ would say.
func (s *diskSubmission) inPlace() error {
	info, err := os.Lstat(s.message.path)
	if err == nil && !os.SameFile(info, s.message.info) {
		err = &fs.PathError{Op: "find", Path: s.message.path, Err: errReplaced}
	}
	return err
}

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

// finishMessage writes the rest of the message's text.
func (s *diskSubmission) finishMessage() {
	if s.code != 0 {
		return
	}
	if err := s.out.Flush(); err != nil {
		s.failClean(53, err)
	}
}

// finish writes the envelope and puts the message into todo/.
func (s *diskSubmission) finish(r *bufio.Reader) {
	d := s.disk
	intd, todo := d.envelopePath("intd", s.message.number), d.envelopePath("todo", s.message.number)
	file, err := s.message.createEnvelope(intd)
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
	s.invoker.writeTo(s.out)
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
		// todo/N must never outlive what it speaks of.
		err = d.syncAll([]*os.File{s.message.file, file}, s.message.path, intd)
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

package queue

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"sync"
	"time"
)

// An invoker is who submits a message, and when.
type invoker struct {
	number int // of the process in qmail-queue, here of the submission
	uid    uint32
	began  time.Time // by the wall clock, as the age of files is
}

// writeTo writes what the envelope says of the invoker.
func (i invoker) writeTo(w *bufio.Writer) {
	b := append(w.AvailableBuffer(), 'u')
	b = append(strconv.AppendUint(b, uint64(i.uid), 10), 0, 'p')
	b = append(strconv.AppendInt(b, int64(i.number), 10), 0)
	w.Write(b)
}

// expired tells whether the submission has taken so long that qmail-send may
// clear its files away.
func (i invoker) expired() bool { return time.Since(i.began) >= lifetime }

// receivedLine is the line that the queue puts before a message.
func (d *Disk) receivedLine(i invoker) string {
	return receivedLine(i.number, d.invokers.who(i.uid), i.began)
}

func receivedLine(number int, who string, when time.Time) string {
	return "Received: (qmail " + strconv.Itoa(number) + " invoked " + who + "); " +
		when.UTC().Format("2 Jan 2006 15:04:05") + " -0000\n"
}

// invokers says in words who submitted a message. It knows qmail's users by
// the password file at path, which it reads again when it changes.
type invokers struct {
	path string

	mu    sync.Mutex
	read  os.FileInfo
	words map[uint32]string
}

// roles are the users of qmail by which a queue program may be invoked.
var roles = map[string]string{
	"alias":  "by alias",
	"qmaild": "from network",
	"qmails": "for bounce",
}

// who returns the words of the Received line for the user uid.
func (i *invokers) who(uid uint32) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	info, err := os.Stat(i.path)
	switch {
	case err != nil:
		i.read, i.words = nil, nil
	case i.read == nil || !os.SameFile(i.read, info) || i.read.ModTime() != info.ModTime() || i.read.Size() != info.Size():
		i.read, i.words = info, nil
		if data, err := os.ReadFile(i.path); err == nil {
			i.words = parseRoles(data)
		}
	}
	if words, ok := i.words[uid]; ok {
		return words
	}
	return "by uid " + strconv.FormatUint(uint64(uid), 10)
}

// parseRoles finds the roles in the lines of passwd(5). The first line of a
// name counts, as for getpwnam(3).
func parseRoles(passwd []byte) map[uint32]string {
	uids := make(map[string]uint32)
	for _, line := range bytes.Split(passwd, []byte("\n")) {
		fields := bytes.Split(line, []byte(":"))
		if len(fields) < 3 {
			continue
		}
		name := string(fields[0])
		if _, seen := uids[name]; seen || roles[name] == "" {
			continue
		}
		if uid, err := strconv.ParseUint(string(fields[2]), 10, 32); err == nil {
			uids[name] = uint32(uid)
		}
	}
	words := make(map[uint32]string)
	for _, name := range []string{"qmails", "qmaild", "alias"} { // of names for one uid the last here wins
		if uid, ok := uids[name]; ok {
			words[uid] = roles[name]
		}
	}
	return words
}

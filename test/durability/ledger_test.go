//go:build durability

package durability

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// never is after every position.
const never = int(^uint(0) >> 1)

// An attempt is one message that a client tried to submit. Its positions are
// those of a disk when the client knew.
type attempt struct {
	id       int
	size     int  // of the message, in bytes
	text     bool // the message is lines, else any bytes
	sender   string
	begun    int // it may be in the queue from here on
	accepted int // the client had a 250 or a code 0; or never
	taken    int // the message was taken out of the queue; or never
}

// message is what the client submitted.
func (a *attempt) message() []byte {
	random := rand.New(rand.NewPCG(uint64(a.id), uint64(a.size)))
	b := make([]byte, a.size)
	for i := range b {
		if a.text {
			b[i] = "abcdefghijklmnopqrstuvwxyz .0123"[random.Uint32()%32]
			if i%61 == 60 || i == len(b)-1 {
				b[i] = '\n'
			}
		} else {
			b[i] = byte(random.Uint32())
		}
	}
	return b
}

func (a *attempt) recipients() []string {
	return []string{fmt.Sprintf("to-%d@example.org", a.id), "other@example.org"}
}

// A ledger holds all attempts. It is safe for concurrent use, but for at.
type ledger struct {
	position func() int // of the disk

	mu       sync.Mutex
	attempts []*attempt // by id
}

func newLedger(position func() int) *ledger { return &ledger{position: position} }

// begin notes a new attempt.
func (l *ledger) begin(size int, text bool) *attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &attempt{id: len(l.attempts), size: size, text: text, begun: l.position(), accepted: never, taken: never}
	a.sender = fmt.Sprintf("from-%d@example.com", a.id)
	l.attempts = append(l.attempts, a)
	return a
}

// accept notes that the client has a 250.
func (l *ledger) accept(a *attempt) {
	position := l.position()
	l.mu.Lock()
	defer l.mu.Unlock()
	a.accepted = position
}

// take notes that the message was taken out of the queue. It returns false
// where that was so before.
func (l *ledger) take(a *attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.taken != never {
		return false
	}
	a.taken = l.position()
	return true
}

// accepted counts the attempts that are accepted.
func (l *ledger) accepted() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.attempts {
		if a.accepted != never {
			n++
		}
	}
	return n
}

// at is what was known at that position, as a ledger of what happens to
// another disk after that.
func (l *ledger) at(position int, after func() int) *ledger {
	past := newLedger(after)
	for _, a := range l.attempts {
		known := *a
		for _, p := range []*int{&known.begun, &known.accepted, &known.taken} {
			if *p > position {
				*p = never
			} else {
				*p = 0
			}
		}
		past.attempts = append(past.attempts, &known)
	}
	return past
}

// pattern of the header lines that are put before a message.
var receivedLines = regexp.MustCompile(`^(Received: [^\n]*\n([ \t][^\n]*\n)*)+$`)

// envelope of a message in todo/.
var todoEnvelope = regexp.MustCompile(`^u\d+\x00p\d+\x00F(from-(\d+)@example\.com)\x00T(to-\d+@example\.org)\x00T(other@example\.org)\x00$`)

// inTodo finds the attempt to which an entry of todo/ belongs, and checks
// that it is complete, byte for byte.
func (l *ledger) inTodo(home, name string) (*attempt, error) {
	queue := home + "/queue/"
	n, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
		return nil, err
	}
	envelope, err := os.ReadFile(queue + "todo/" + name)
	if err != nil {
		return nil, err
	}
	f := todoEnvelope.FindSubmatch(envelope)
	if f == nil {
		return nil, fmt.Errorf("envelope of %d bytes: %.200q", len(envelope), envelope)
	}
	id, _ := strconv.Atoi(string(f[2]))
	l.mu.Lock()
	defer l.mu.Unlock()
	if id >= len(l.attempts) || l.attempts[id].begun == never {
		return nil, fmt.Errorf("message %d, which nobody submitted", id)
	}
	a := l.attempts[id]
	if to := a.recipients(); string(f[3]) != to[0] {
		return nil, fmt.Errorf("message %d is to %s", id, f[3])
	}
	path := queue + "mess/" + strconv.FormatUint(n%23, 10) + "/" + name
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if inode := info.Sys().(*syscall.Stat_t).Ino; inode != n {
		return nil, fmt.Errorf("message %d is %s, whose inode is %d", id, path, inode)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	head, complete := bytes.CutSuffix(content, a.message())
	if !complete {
		return nil, fmt.Errorf("message %d of %d bytes has %d in the queue, and others: %.200q", id, a.size, len(content), content)
	}
	if !receivedLines.Match(head) {
		return nil, fmt.Errorf("message %d has before it %.200q", id, head)
	}
	return a, nil
}

// missing tells which accepted messages are neither in todo/ nor taken.
func (l *ledger) missing(home string) []int {
	entries, _ := os.ReadDir(home + "/queue/todo")
	there := make(map[int]bool)
	for _, entry := range entries {
		envelope, _ := os.ReadFile(home + "/queue/todo/" + entry.Name())
		if f := todoEnvelope.FindSubmatch(envelope); f != nil {
			id, _ := strconv.Atoi(string(f[2]))
			there[id] = true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var missing []int
	for _, a := range l.attempts {
		if a.accepted != never && a.taken == never && !there[a.id] {
			missing = append(missing, a.id)
		}
	}
	return missing
}

// check holds the queue of a service that has come to rest against the
// ledger, and tells what is wrong. again says that what was taken may be
// there again, as a power failure may have it.
func (l *ledger) check(home string, again bool) (wrong []string) {
	entries, err := os.ReadDir(home + "/queue/todo")
	if err != nil {
		return []string{err.Error()}
	}
	count := make(map[*attempt]int)
	for _, entry := range entries {
		a, err := l.inTodo(home, entry.Name())
		if err != nil {
			wrong = append(wrong, "todo/"+entry.Name()+": "+err.Error())
			continue
		}
		count[a]++
	}
	for _, a := range l.attempts {
		n := count[a]
		switch {
		case n > 1,
			n == 1 && a.taken != never && !again,
			n == 0 && a.taken == never && a.accepted != never:
			wrong = append(wrong, fmt.Sprintf("message %d of %d bytes, %s, is there %d times", a.id, a.size, a.state(), n))
		}
	}
	return wrong
}

func (a *attempt) state() string {
	var words []string
	if a.accepted != never {
		words = append(words, "accepted")
	}
	if a.taken != never {
		words = append(words, "taken")
	}
	if words == nil {
		return "not accepted"
	}
	return strings.Join(words, " and ")
}

// mustHold is check for the end of a test.
func (l *ledger) mustHold(t testing.TB, home string) {
	t.Helper()
	for _, wrong := range l.check(home, false) {
		t.Error(wrong)
	}
	t.Logf("%d attempts, %d accepted", len(l.attempts), l.accepted())
}

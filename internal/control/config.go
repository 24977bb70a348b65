package control

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/cdb"
)

// A Config is what the control files say at one moment. It does not change
// and is safe for concurrent use; only a morercpthosts.cdb is looked at in
// its present state.
type Config struct {
	// Greeting is smtpgreeting, or me.
	Greeting string
	// LocalIPHost is localiphost, or me: the name that stands for an address
	// literal of this host; HasLocalIPHost is false where there is neither.
	LocalIPHost    string
	HasLocalIPHost bool
	// Timeout is timeoutsmtpd: how long one read or write may take, at least
	// a second.
	Timeout time.Duration
	// DataBytes is databytes: how many bytes of a message are stored at
	// most; 0 is without limit.
	DataBytes uint32
	// OpenRelay says that there is no rcpthosts, so that mail for every
	// domain is accepted.
	OpenRelay bool

	rcptHosts         list
	moreRcptHosts     *cdb.File // nil: there is none
	moreRcptHostsPath string
	badMailFrom       list
}

// DefaultTimeout is the Timeout where there is no timeoutsmtpd.
const DefaultTimeout = 1200 * time.Second

// maxDataBytes is the largest limit: one byte more would be no limit.
const maxDataBytes = 1<<32 - 2

// DataBytes returns the limit that number, from a control file or a
// variable, stands for. Only its lower 32 bits count.
func DataBytes(number uint64) uint32 {
	return min(uint32(number), maxDataBytes)
}

// read reads all the control files in the directory home/control.
func read(home string, more *cdb.File) (*Config, error) {
	r := reader{home: home}
	me, hasMe := r.line("me")
	c := &Config{}
	var hasGreeting bool
	if c.Greeting, hasGreeting = r.line("smtpgreeting"); !hasGreeting {
		c.Greeting, hasGreeting = me, hasMe
	}
	if c.LocalIPHost, c.HasLocalIPHost = r.line("localiphost"); !c.HasLocalIPHost {
		c.LocalIPHost, c.HasLocalIPHost = me, hasMe
	}
	// The number was an int of 32 bits, and wraps as one.
	seconds := max(int32(r.number("timeoutsmtpd", uint64(DefaultTimeout/time.Second))), 1)
	c.Timeout = time.Duration(seconds) * time.Second
	var hasRcptHosts bool
	if c.rcptHosts, hasRcptHosts = r.list("rcpthosts"); !hasRcptHosts {
		c.OpenRelay = true
	} else if r.readable("morercpthosts.cdb") {
		c.moreRcptHosts, c.moreRcptHostsPath = more, r.path("morercpthosts.cdb")
	}
	c.badMailFrom, _ = r.list("badmailfrom")
	c.DataBytes = DataBytes(r.number("databytes", 0))
	if r.err == nil && !hasGreeting {
		r.err = &fs.PathError{Op: "open", Path: r.path("me"), Err: unix.ENOENT}
	}
	return c, r.err
}

// AcceptsRecipient tells whether rcpthosts and morercpthosts.cdb let in mail
// for address. The error, an *fs.PathError, says that morercpthosts.cdb
// cannot be read or is corrupt.
func (c *Config) AcceptsRecipient(address string) (bool, error) {
	at := strings.LastIndexByte(address, '@')
	if c.OpenRelay || at < 0 {
		return true, nil
	}
	domain := lower(address[at+1:])
	for candidate := range suffixes(domain) {
		if c.rcptHosts[candidate] {
			return true, nil
		}
	}
	if c.moreRcptHosts == nil {
		return false, nil
	}
	accepted := false
	err := c.moreRcptHosts.View(func(r cdb.Reader) error {
		for candidate := range suffixes(domain) {
			_, found, err := r.Find([]byte(candidate))
			if found || err != nil {
				accepted = found
				return err
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, unix.ENOENT): // removed since this Config was read
		return false, nil
	case errors.Is(err, cdb.ErrCorrupt):
		return false, &fs.PathError{Op: "read", Path: c.moreRcptHostsPath, Err: err}
	}
	return accepted, err
}

// suffixes yields domain, and what follows in it from each dot on, with the
// dot.
func suffixes(domain string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(domain) {
			if (i == 0 || domain[i] == '.') && !yield(domain[i:]) {
				return
			}
		}
	}
}

// RefusesSender tells whether badmailfrom names address, or "@" and its
// host.
func (c *Config) RefusesSender(address string) bool {
	if len(c.badMailFrom) == 0 {
		return false
	}
	address = lower(address)
	if c.badMailFrom[address] {
		return true
	}
	at := strings.LastIndexByte(address, '@')
	return at >= 0 && c.badMailFrom[address[at:]]
}

// A reader reads control files and keeps the first error.
type reader struct {
	home string
	err  error
}

func (r *reader) path(name string) string {
	return r.home + "/control/" + name
}

// content returns what is in a file, and whether the file is there.
func (r *reader) content(name string) (string, bool) {
	if r.err != nil {
		return "", false
	}
	file, err := open(r.path(name))
	if err == nil {
		defer file.Close()
		var text []byte
		if text, err = io.ReadAll(file); err == nil {
			return string(text), true
		}
	}
	r.fail(err)
	return "", false
}

// readable tells whether a file is there.
func (r *reader) readable(name string) bool {
	file, err := open(r.path(name))
	if err != nil {
		r.fail(err)
		return false
	}
	file.Close()
	return true
}

func (r *reader) fail(err error) {
	if r.err == nil && !errors.Is(err, fs.ErrNotExist) {
		r.err = err
	}
}

func (r *reader) line(name string) (string, bool) {
	text, ok := r.content(name)
	return firstLine(text), ok
}

func (r *reader) number(name string, otherwise uint64) uint64 {
	text, _ := r.content(name)
	return number(firstLine(text), otherwise)
}

func (r *reader) list(name string) (list, bool) {
	text, ok := r.content(name)
	return entries(text), ok
}

func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

package multilog

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"qmail-smtpd/internal/command"
)

// A compressor has the logs of a directory that are done compressed by a
// process of its own, so that neither the reading of lines nor the memory of
// this process is concerned. Where multilog ends meanwhile, that process goes
// on; where it fails, the logs stay as they are until the next is done.
type compressor struct {
	dir string

	mu      sync.Mutex
	running bool
	again   bool // a log was done since the process was started
}

func newCompressor(dir string) *compressor {
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute // a processor changes the working directory
	}
	return &compressor{dir: dir}
}

// start sees to it that what is done by now will be compressed.
func (c *compressor) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		c.again = true
		return
	}
	c.running = true
	go c.run()
}

func (c *compressor) run() {
	for more := true; more; {
		cmd := exec.Cmd{Path: "/proc/self/exe", Args: []string{"multilog-gzip", c.dir}, Stderr: os.Stderr}
		err := cmd.Start()
		if err != nil {
			command.Warning(name, "unable to compress the logs in "+c.dir, err)
		} else {
			cmd.Wait() // it says itself what went wrong
		}
		c.mu.Lock()
		more = c.again
		c.again, c.running = false, more
		c.mu.Unlock()
	}
}

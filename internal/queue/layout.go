package queue

import (
	"os"
	"strconv"
)

// defaultSplit is the number of directories over which qmail spreads
// messages, where conf-split was not changed.
const defaultSplit = 23

// A layout is how a queue was compiled to be spread over directories.
type layout struct {
	split  uint64 // of mess/, info/, local/ and remote/
	nested bool   // intd/ and todo/ are spread too ("big-todo")
}

// readLayout finds out the layout by the directories that are there. It
// returns false where there are none, with the default.
func readLayout(queue string) (layout, bool) {
	l := layout{split: defaultSplit}
	entries, err := os.ReadDir(queue + "/mess")
	if err != nil {
		return l, false
	}
	names := make(map[string]bool)
	for _, entry := range entries {
		names[entry.Name()] = true
	}
	count := uint64(0)
	for names[strconv.FormatUint(count, 10)] {
		count++
	}
	if count == 0 {
		return l, false
	}
	l.split = count
	info, err := os.Stat(queue + "/todo/0")
	l.nested = err == nil && info.IsDir()
	return l, true
}

// currentLayout is the queue's layout, looked up until it is found once.
func (d *Disk) currentLayout() layout {
	if known := d.layout.Load(); known != nil {
		return *known
	}
	l, found := readLayout(d.home + "/queue")
	if found {
		d.layout.Store(&l)
	}
	return l
}

// messagePath is where the text of the message n stands.
func (d *Disk) messagePath(n uint64) string {
	return d.spread("mess", n)
}

// infoPath is where qmail-send keeps the sender of the message n when it has
// taken it over.
func (d *Disk) infoPath(n uint64) string {
	return d.spread("info", n)
}

// envelopePath is where the envelope of the message n stands in the directory
// name, which is intd or todo.
func (d *Disk) envelopePath(name string, n uint64) string {
	if d.currentLayout().nested {
		return d.spread(name, n)
	}
	return d.home + "/queue/" + name + "/" + strconv.FormatUint(n, 10)
}

func (d *Disk) spread(name string, n uint64) string {
	return d.home + "/queue/" + name + "/" +
		strconv.FormatUint(n%d.currentLayout().split, 10) + "/" + strconv.FormatUint(n, 10)
}

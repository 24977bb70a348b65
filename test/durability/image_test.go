//go:build durability

package durability

import (
	"maps"
	"math/rand/v2"
	"os"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

// An image is what is on a disk. Its pages are never changed in place, so
// that images may share them; what is not there is zero.
type image map[int64]*[pageSize]byte

func (i image) clone() image { return maps.Clone(i) }

// write replaces len(data) bytes at the offset. It keeps data, which must not
// be changed any more.
func (i image) write(data []byte, offset int64) {
	for len(data) > 0 {
		number, within := offset/pageSize, offset%pageSize
		n := min(len(data), int(pageSize-within))
		var page *[pageSize]byte
		if n == pageSize {
			page = (*[pageSize]byte)(data)
		} else {
			page = new([pageSize]byte)
			if old := i[number]; old != nil {
				*page = *old
			}
			copy(page[within:], data)
		}
		i[number] = page
		data, offset = data[n:], offset+int64(n)
	}
}

// zero is write with so many zeros.
func (i image) zero(size, offset int64) {
	for size > 0 {
		within := offset % pageSize
		n := min(size, pageSize-within)
		if n == pageSize {
			delete(i, offset/pageSize)
		} else if i[offset/pageSize] != nil {
			i.write(make([]byte, n), offset)
		}
		size, offset = size-n, offset+n
	}
}

// read fills data from the offset on.
func (i image) read(data []byte, offset int64) {
	for len(data) > 0 {
		within := offset % pageSize
		n := min(len(data), int(pageSize-within))
		if page := i[offset/pageSize]; page != nil {
			copy(data[:n], page[within:])
		} else {
			clear(data[:n])
		}
		data, offset = data[n:], offset+int64(n)
	}
}

// An event is what a disk was told: to write data, so many zeros, or, where
// size is 0, to flush what was written before.
type event struct {
	offset, size int64
	data         []byte // nil: zeros
}

func (e event) isFlush() bool { return e.size == 0 }

func (e event) apply(to image) {
	if e.data == nil {
		to.zero(e.size, e.offset)
	} else {
		to.write(e.data, e.offset)
	}
}

// A record is what happened to a disk, in order.
type record struct {
	base   image // before the first event
	events []event
}

// A fate says which of the writes that no flush followed are on the disk
// after a power failure. Each is there with the probability stay. Where one
// is not and sector is not 0, each piece of it of that size is.
type fate struct {
	stay   float64
	sector int64
}

// randomFate returns one of the ways in which a disk may fail, on which pieces
// of the size sector are written wholly or not at all.
func randomFate(sector int64, random *rand.Rand) fate {
	fates := []fate{{stay: 0}, {stay: 1}, {stay: 0.5}, {stay: 0.9}, {stay: 0.5, sector: pageSize}, {stay: 0.5, sector: sector}}
	return fates[random.IntN(len(fates))]
}

// A cutter makes the images of one record that a power failure may leave. It
// must be asked in the order of the positions.
type cutter struct {
	record
	flushed image // base and the first done events, which end with a flush
	done    int
}

func newCutter(r record) *cutter { return &cutter{record: r, flushed: r.base.clone()} }

// cut returns what is on the disk where the power failed after so many events.
func (c *cutter) cut(position int, f fate, random *rand.Rand) image {
	flush := position
	for flush > c.done && !c.events[flush-1].isFlush() {
		flush--
	}
	for ; c.done < flush; c.done++ {
		c.events[c.done].apply(c.flushed)
	}
	left := c.flushed.clone()
	for _, e := range c.events[flush:position] {
		switch {
		case random.Float64() < f.stay:
			e.apply(left)
		case f.sector > 0:
			e.applyTorn(left, f.sector, random)
		}
	}
	return left
}

// applyTorn applies some of the sectors of a write.
func (e event) applyTorn(to image, sector int64, random *rand.Rand) {
	for from := int64(0); from < e.size; from += sector {
		if random.IntN(2) == 0 {
			continue
		}
		piece := event{offset: e.offset + from, size: min(sector, e.size-from)}
		if e.data != nil {
			piece.data = e.data[from : from+piece.size]
		}
		piece.apply(to)
	}
}

// save writes the image to a sparse file.
func (i image) save(path string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		return err
	}
	for number, page := range i {
		if _, err := file.WriteAt(page[:], number*pageSize); err != nil {
			return err
		}
	}
	return file.Close()
}

//go:build durability

package durability

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDisk checks what all the other tests rest upon: that a sync of a file
// reaches the disk as a flush, after the file's content, and before the call
// returns; and that what was not synced is lost in a cut.
func TestDisk(t *testing.T) {
	for _, kind := range fileSystems {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			d := kind.formatted(t, s)
			path := kind.mount(t, s, d)
			d.forget()
			for i := range 20 {
				content := bytes.Repeat([]byte{byte('a' + i)}, 3*pageSize)
				file, err := os.Create(path + "/file" + string(content[:1]))
				must(t, err)
				_, err = file.Write(content)
				must(t, err)
				before := d.position()
				must(t, unix.Fdatasync(int(file.Fd())))
				file.Close()
				r := d.recorded()
				flush := len(r.events)
				for flush > 0 && !r.events[flush-1].isFlush() {
					flush--
				}
				found := false
				for _, e := range r.events[:flush] {
					found = found || strings.Contains(string(e.data), string(content[:pageSize]))
				}
				if flush <= before || !found {
					t.Fatalf("%d events before and %d after the sync; the last flush is event %d, content before it: %v", before, len(r.events), flush, found)
				}
			}
			t.Logf("%d events for 20 syncs", d.position())
			unmount(t, path)
		})
	}
}

package queue

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace is set where the tests run in a mount namespace of their own.
const inNamespace = "QUEUE_TEST_IN_NAMESPACE"

// inMountNamespace runs body in a process with a mount namespace of its own.
func inMountNamespace(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		body(t)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	output, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, output)
	}
}

// mountQueue puts the queue of a new home on a file system of its own.
func mountQueue(t *testing.T, options string) (home string) {
	t.Helper()
	home = newHome(t, os.Getuid())
	if err := os.RemoveAll(home + "/queue"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(home+"/queue", 0o750); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("queue", home+"/queue", "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(home+"/queue", unix.MNT_DETACH) })
	if err := Create(home, Owners{os.Getuid(), os.Getuid(), os.Getuid(), os.Getgid()}); err != nil {
		t.Fatal(err)
	}
	return home
}

// withAndWithoutService runs test with the two ways into a queue.
func withAndWithoutService(t *testing.T, home string, test func(t *testing.T, q Queue)) {
	t.Helper()
	test(t, NewDisk(home))
	p := start(t, home, nil)
	c := NewClient(home)
	defer c.Close()
	test(t, c)
	p.Process.Signal(unix.SIGTERM)
	p.Wait()
}

func TestFullDisk(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		home := mountQueue(t, "size=1m")
		queued := 0
		withAndWithoutService(t, home, func(t *testing.T, q Queue) {
			s, _ := q.Begin()
			s.Write([]byte(strings.Repeat("x", 2<<20)))
			if result := s.Commit(Envelope{"a", []string{"b"}}); result.Code != 53 {
				t.Errorf("code %d for a message beyond the disk", result.Code)
			}
			if got := len(strings.Fields(files(t, home))); got != 3*queued {
				t.Errorf("%d files for %d messages", got, queued)
			}
			submit(t, q, aMessage)
			queued++

			// A message that leaves no room for its envelope.
			filler := home + "/queue/filler"
			if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err == nil {
				t.Fatal("the disk is not full")
			}
			if result := commit(t, q); result.Code != 53 {
				t.Errorf("code %d on a full disk", result.Code)
			}
			os.Remove(filler)
			submit(t, q, aMessage)
			queued++
			if got := len(entries(t, home)); got != queued {
				t.Errorf("%d entries, want %d", got, queued)
			}
		})
	})
}

func TestNoInodes(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		home := mountQueue(t, "nr_inodes=200")
		withAndWithoutService(t, home, func(t *testing.T, q Queue) {
			// On this file system a link takes an inode too.
			for free, want := range []int{63, 64, 66, 0} {
				var fillers []string
				for {
					filler, err := os.CreateTemp(home+"/queue", "filler")
					if err != nil {
						break
					}
					filler.Close()
					fillers = append(fillers, filler.Name())
				}
				for _, filler := range fillers[:free] {
					os.Remove(filler)
				}
				if result := commit(t, q); result.Code != want {
					t.Errorf("code %d with %d inodes, want %d", result.Code, free, want)
				}
				for _, filler := range fillers[free:] {
					os.Remove(filler)
				}
			}
		})
		if got := len(entries(t, home)); got != 2 {
			t.Errorf("%d entries", got)
		}
	})
}

func TestReadOnlyQueue(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		home := mountQueue(t, "")
		remount := func(flags uintptr) {
			t.Helper()
			if err := unix.Mount("queue", home+"/queue", "", unix.MS_REMOUNT|flags, ""); err != nil {
				t.Fatal(err)
			}
		}
		withAndWithoutService(t, home, func(t *testing.T, q Queue) {
			remount(unix.MS_RDONLY)
			if result := commit(t, q); result.Code != 63 {
				t.Errorf("code %d", result.Code)
			}
			remount(0)
			submit(t, q, aMessage)
		})
		if got := len(entries(t, home)); got != 2 {
			t.Errorf("%d entries", got)
		}

		// A service starts with such a queue too, and says so.
		remount(unix.MS_RDONLY)
		other := newHome(t, os.Getuid())
		os.RemoveAll(other + "/queue")
		if err := os.Symlink(home+"/queue", other+"/queue"); err != nil {
			t.Fatal(err)
		}
		p := start(t, other, nil)
		p.Process.Signal(unix.SIGTERM)
		p.Wait()
		if want := "qmail-queued: warning: unable to write " + other + "/queue, messages are refused: read-only file system\n"; p.stderr.String() != want {
			t.Errorf("log %q, want %q", p.stderr, want)
		}
	})
}

// Where another file system is mounted over the queue, that is used at once.
func TestQueueMountedOver(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		home := mountQueue(t, "")
		withAndWithoutService(t, home, func(t *testing.T, q Queue) {
			submit(t, q, aMessage)
			settle(t, home)
			if err := unix.Mount("queue", home+"/queue", "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
			if result := commit(t, q); result.Code != 63 {
				t.Errorf("code %d for an empty file system", result.Code)
			}
			if err := Create(home, Owners{}); err != nil {
				t.Fatal(err)
			}
			submit(t, q, aMessage)
			if got := len(entries(t, home)); got != 1 {
				t.Errorf("%d entries in the new queue", got)
			}
			unix.Unmount(home+"/queue", unix.MNT_DETACH)
		})
		if got := len(entries(t, home)); got != 2 {
			t.Errorf("%d entries in the old queue", got)
		}
	})
}

// Where a disk has room for messages, but for no other segment, they come out
// of the journal.
func TestNoRoomForSegment(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		// After the first segment there is too little left to make another.
		home := mountQueue(t, "size=22m")
		j, _ := journalOf(t, home)
		hold(j)
		var want []string
		for i := range 140 { // more than fit into the segment
			id := fmt.Sprintf("%03d%s", i, strings.Repeat("x", 60000))
			want = append(want, id)
			put(t, j, id)
		}
		unhold(j)
		if queued(t, home, j) != strings.Join(want, " ") {
			t.Error("not all messages are in the queue")
		}

		// The process ends with messages in the segment, and a filler takes
		// most of the room.
		empty(t, home)
		j.stop(0)
		j, _ = journalOf(t, home)
		hold(j)
		want = nil
		for i := range 400 {
			want = append(want, fmt.Sprintf("%03d", i))
			put(t, j, want[i])
		}
		crash(j)
		if err := os.WriteFile(home+"/queue/filler", make([]byte, 9<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		j, _ = journalOf(t, home)
		if got := queued(t, home, j); got != strings.Join(want, " ") {
			t.Errorf("in the queue: %s", got)
		}
		j.stop(patient)
		if left := list(t, home, "journal"); len(left) > 2 {
			t.Errorf("left in the journal: %q", left)
		}
	})
}

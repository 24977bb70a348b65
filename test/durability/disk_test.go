//go:build durability

package durability

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A disk is a block device in memory that notes what it is told, in order.
// The kernel sees it as a file of a FUSE file system with a loop device on
// top, which hands on each write, and each flush as an fsync.
type disk struct {
	fs.Inode
	size int64
	name string // on the shelf, while it is there

	mu     sync.Mutex
	now    image
	record record
	fault  func(event) syscall.Errno // nil: the disk is in order
}

// newDisk returns a disk with that content.
func newDisk(size int64, content image) *disk {
	return &disk{size: size, now: content, record: record{base: content.clone()}}
}

// forget starts the record anew.
func (d *disk) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.record = record{base: d.now.clone()}
}

// position is how many events there were.
func (d *disk) position() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.record.events)
}

// recorded returns the record so far.
func (d *disk) recorded() record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.record
}

// fail makes events fail as fault says; nil ends that.
func (d *disk) fail(fault func(event) syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

func (d *disk) take(e event) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil {
		if errno := d.fault(e); errno != 0 {
			return errno
		}
	}
	d.record.events = append(d.record.events, e)
	e.apply(d.now)
	return 0
}

var _ interface {
	fs.NodeGetattrer
	fs.NodeOpener
	fs.NodeReader
	fs.NodeWriter
	fs.NodeFsyncer
	fs.NodeAllocater
} = (*disk)(nil)

func (d *disk) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = syscall.S_IFREG | 0o600
	out.Size = uint64(d.size)
	return 0
}

// Open has the kernel cache nothing.
func (d *disk) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (d *disk) Read(_ context.Context, _ fs.FileHandle, to []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	to = to[:max(0, min(int64(len(to)), d.size-offset))]
	d.now.read(to, offset)
	return fuse.ReadResultData(to), 0
}

func (d *disk) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	if offset+int64(len(data)) > d.size {
		return 0, syscall.ENOSPC
	}
	e := event{offset: offset, size: int64(len(data))}
	if !isZero(data) {
		e.data = bytes.Clone(data)
	}
	return uint32(len(data)), d.take(e)
}

func isZero(data []byte) bool {
	var zeros [pageSize]byte
	for ; len(data) > pageSize; data = data[pageSize:] {
		if [pageSize]byte(data) != zeros {
			return false
		}
	}
	return bytes.Equal(data, zeros[:len(data)])
}

func (d *disk) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return d.take(event{})
}

// Allocate is how a loop device zeroes a range and discards one.
func (d *disk) Allocate(_ context.Context, _ fs.FileHandle, offset, size uint64, _ uint32) syscall.Errno {
	if offset+size > uint64(d.size) {
		return syscall.ENOSPC
	}
	return d.take(event{offset: int64(offset), size: int64(size)})
}

// A shelf is a directory with disks in it, as files.
type shelf struct {
	fs.Inode
	path string

	mu     sync.Mutex
	number int
}

// newShelf mounts a shelf until the test ends.
func newShelf(t testing.TB) *shelf {
	t.Helper()
	s := &shelf{path: scratch(t)}
	server, err := fs.Mount(s.path, s, &fs.Options{MountOptions: fuse.MountOptions{
		FsName: "disks", DirectMountStrict: true, MaxWrite: 512 << 10, DisableXAttrs: true,
	}})
	if err != nil {
		t.Fatalf("FUSE: %v", err)
	}
	must(t, tellConnection(s.path))
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil && !t.Failed() {
			t.Errorf("the disks are busy: %v", err)
		}
	})
	return s
}

// device attaches the disk to a free loop device, and returns that open. It
// is detached by itself when neither the file is open nor a file system of it
// mounted.
func (s *shelf) device(t testing.TB, d *disk) *os.File {
	t.Helper()
	s.mu.Lock()
	if d.name == "" {
		s.number++
		d.name = fmt.Sprint("disk", s.number)
		s.AddChild(d.name, s.NewPersistentInode(context.Background(), d, fs.StableAttr{Mode: syscall.S_IFREG}), true)
	}
	s.mu.Unlock()
	// os.Open would ask the kernel about poll, which goes through FUSE itself.
	backing, err := unix.Open(s.path+"/"+d.name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(backing)
	return attach(t, backing)
}

// remove takes the disk away for good.
func (s *shelf) remove(d *disk) {
	s.RmChild(d.name)
	d.ForgetPersistent()
}

// attach attaches the open file to a free loop device.
func attach(t testing.TB, backing int) *os.File {
	t.Helper()
	control, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(control)
	for {
		number, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
		must(t, err)
		device, err := os.OpenFile(fmt.Sprint("/dev/loop", number), os.O_RDWR, 0)
		must(t, err)
		err = unix.IoctlLoopConfigure(int(device.Fd()), &unix.LoopConfig{
			Fd: uint32(backing), Size: sectorSize,
			Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO},
		})
		if err == nil {
			return device
		}
		device.Close()
		if err != unix.EBUSY { // somebody else was faster
			t.Fatalf("%s: %v", device.Name(), err)
		}
	}
}

// A fileSystem is a kind of file system to test on.
type fileSystem struct {
	name    string
	size    int64
	format  []string // a command, to which the device is added
	options string   // of mount
	sector  int64    // in bytes; a disk that tears smaller pieces destroys it
}

// A superblock of ext4 has 1024 bytes and a checksum.
var fileSystems = []fileSystem{
	{"ext4", 64 << 20, []string{"mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"}, "", 1024},
	{"xfs", 300 << 20, []string{"mkfs.xfs", "-q", "-f", "-K", "--unsupported", "-l", "size=8m"}, "nouuid", 4096},
}

// formatted returns a disk with an empty file system, without a record.
func (f fileSystem) formatted(t testing.TB, s *shelf) *disk {
	t.Helper()
	d := newDisk(f.size, image{})
	device := s.device(t, d)
	defer device.Close()
	run(t, f.format[0], append(f.format[1:], device.Name())...)
	return d
}

// mount mounts the disk at an empty directory, until unmount or the test's
// end, and returns that.
func (f fileSystem) mount(t testing.TB, s *shelf, d *disk) string {
	t.Helper()
	path, err := f.tryMount(t, s, d)
	must(t, err)
	return path
}

func (f fileSystem) tryMount(t testing.TB, s *shelf, d *disk) (string, error) {
	t.Helper()
	path := scratch(t)
	device := s.device(t, d)
	err := unix.Mount(device.Name(), path, f.name, 0, f.options)
	device.Close()
	if err != nil {
		return "", &os.PathError{Op: "mount " + f.name, Path: device.Name(), Err: err}
	}
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	return path, nil
}

// unmount unmounts what is mounted at path, as soon as nothing uses it: all of
// it is on its disk.
func unmount(t testing.TB, path string) {
	t.Helper()
	eventually(t, "nothing uses the file system", func() bool { return unix.Unmount(path, 0) != unix.EBUSY })
	os.Remove(path)
}

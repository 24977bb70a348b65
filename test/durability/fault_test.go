//go:build durability

package durability

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/queue"
	"qmail-smtpd/test/programs"
)

// A trouble befalls a mail service.
type trouble struct {
	name  string
	cause func(*scene) (end func())
	mild  bool // messages may be accepted meanwhile
	fails int  // how many failures are awaited, else 20
}

var troubles = []trouble{
	{name: "disk full", cause: fill},
	{name: "no inodes", cause: useUpInodes},
	{name: "disk fails", cause: failDisk},
	{name: "sync fails", cause: inject("fsync,fdatasync:error=EIO")},
	{name: "some syncs fail", cause: inject("fsync,fdatasync:error=EIO:when=3+3"), mild: true},
	{name: "data syncs fail, and a kill", cause: injectAndKill("fdatasync:error=EIO"), mild: true},
	{name: "syncs fail, and a kill", cause: injectAndKill("fsync,fdatasync:error=EIO"), mild: true},
	{name: "some syncs fail, and a kill", cause: injectAndKill("fsync,fdatasync:error=EIO:when=2+3"), mild: true},
	{name: "write fails", cause: inject("write,pwrite64,writev,pwritev,pwritev2:error=EIO")},
	{name: "some writes fail", cause: inject("write,pwrite64,writev,pwritev,pwritev2:error=EIO:when=7+7"), mild: true},
	{name: "some writes find the disk full", cause: inject("write,pwrite64,writev,pwritev,pwritev2:error=ENOSPC:when=7+7"), mild: true},
	{name: "link fails", cause: inject("link,linkat:error=EIO"), mild: true},
	{name: "some links fail", cause: inject("link,linkat:error=EIO:when=3+3"), mild: true},
	{name: "unlink and rename fail", cause: inject("unlink,unlinkat,rename,renameat,renameat2:error=EIO"), mild: true},
	{name: "some files cannot be opened", cause: inject("openat:error=ENFILE:when=3+3"), mild: true},
	{name: "no descriptors", cause: limitDescriptors, mild: true},
	{name: "no memory", cause: noMemory, mild: true},
	{name: "no threads", cause: noThreads, mild: true},
	{name: "read-only", cause: readOnly, mild: true},
	{name: "not mounted", cause: detach, mild: true},
	{name: "gone", cause: rename, mild: true},
	{name: "stopped", cause: pause, fails: 4},
	{name: "down", cause: down},
	{name: "down for days", cause: downForDays},
}

// TestFaults has each trouble befall a mail service under load: while it
// lasts clients are told to try again, what was accepted before, meanwhile
// and after is there in the end, once, and the service goes on by itself.
func TestFaults(t *testing.T) {
	disks := newShelf(t)
	for _, tr := range troubles {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, disks)
			s.accepted(20)
			end := tr.cause(s)
			switch {
			case tr.mild:
				s.attempted(60)
			case tr.fails > 0:
				s.refused(tr.fails)
			default:
				s.refused(20)
			}
			end()
			s.accepted(20)
			s.finish()
		})
	}
}

// A scene is a mail service: the queue service under supervise, with its
// queue on a file system of its own, and a tcpserver.
type scene struct {
	t      *testing.T
	home   string
	kind   fileSystem
	shelf  *shelf
	disk   *disk
	dir    string // of the queue service
	keeper *program
	server *server
	ledger *ledger
	load   *load
	client *queue.Client
}

func newScene(t *testing.T, disks *shelf) *scene {
	t.Helper()
	s := &scene{t: t, home: scratch(t) + "/qmail", kind: fileSystems[0], shelf: disks}
	s.disk = s.kind.formatted(t, disks)
	must(t, os.MkdirAll(s.home+"/queue", 0o755))
	s.mount()
	makeHome(t, s.home)
	must(t, os.Chown(s.home+"/queue", owner, owner))
	t.Cleanup(func() { unix.Unmount(s.home+"/queue", unix.MNT_DETACH) })

	s.dir = scratch(t) + "/qmail-queue"
	must(t, os.Mkdir(s.dir, 0o755))
	bin := programs.Ours(t)
	must(t, os.WriteFile(s.dir+"/run", []byte("#!/bin/sh\nexec "+bin+"/qmail-queued\n"), 0o755))
	keeper := exec.Command(bin+"/supervise", s.dir)
	keeper.Env = []string{"QMAILHOME=" + s.home, "PATH=" + os.Getenv("PATH")}
	keeper.Stdout = os.Stdout
	s.keeper = start(t, keeper)
	t.Cleanup(func() { s.svc("-dxk") })
	eventually(t, "the queue service is up", func() bool {
		_, err := os.Stat(s.home + "/qmail-queue.socket")
		return err == nil && s.pid() != 0
	})

	s.server = newServer(t, s.home, nil)
	s.ledger = newLedger(func() int { return 0 })
	s.load = newLoad(s.ledger)
	s.load.gap = 20 * time.Millisecond // nobody takes messages off this small disk
	s.client = queue.NewClient(s.home)
	t.Cleanup(s.client.Close)
	for i := range uint64(2) {
		s.load.add(bySocket{s.client}, uint64(*seed)+i, never)
		s.load.add(bySMTP{s.server.address, 2 * time.Second}, uint64(*seed)+i+10, never)
	}
	return s
}

// mount mounts the disk at the queue.
func (s *scene) mount() {
	s.t.Helper()
	device := s.shelf.device(s.t, s.disk)
	defer device.Close()
	must(s.t, unix.Mount(device.Name(), s.home+"/queue", s.kind.name, 0, s.kind.options))
}

func (s *scene) svc(letters string) {
	run(s.t, programs.Ours(s.t)+"/svc", letters, s.dir)
}

// pid is the process of the queue service, or 0.
func (s *scene) pid() int {
	status, err := os.ReadFile(s.dir + "/supervise/status")
	if err != nil || len(status) < 16 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(status[12:]))
}

// accepted waits until n more messages are accepted.
func (s *scene) accepted(n int) {
	s.t.Helper()
	n += s.ledger.accepted()
	eventually(s.t, "messages are accepted", func() bool { return s.ledger.accepted() >= n })
}

// refused waits until n more attempts have failed.
func (s *scene) refused(n int) {
	s.t.Helper()
	n += s.load.failures()
	eventually(s.t, "attempts fail", func() bool { return s.load.failures() >= n })
}

// attempted waits until n more attempts have ended.
func (s *scene) attempted(n int) {
	s.t.Helper()
	ended := func() int { return s.ledger.accepted() + s.load.failures() }
	n += ended()
	eventually(s.t, "attempts end", func() bool { return ended() >= n })
}

// finish ends the load and checks the queue.
func (s *scene) finish() {
	s.t.Helper()
	s.load.finish()
	s.load.check(s.t)
	s.server.stop(s.t)
	s.svc("-t") // what an administrator would not need to do
	for deadline := time.Now().Add(patient); len(s.ledger.missing(s.home)) > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	s.svc("-dx")
	select {
	case <-s.keeper.exited:
	case <-time.After(patient):
		s.t.Fatal("supervise does not end")
	}
	s.ledger.mustHold(s.t, s.home)
	if s.t.Failed() {
		said := s.keeper.said.String()
		s.t.Logf("the queue service said ... %s", said[max(0, len(said)-2000):])
	}
	unmount(s.t, s.home+"/queue")
	s.shelf.remove(s.disk)
}

// fill fills the disk.
func fill(s *scene) func() {
	path := s.home + "/queue/filler"
	file, err := os.Create(path)
	must(s.t, err)
	defer file.Close()
	for size := 1 << 20; size > 0; {
		if _, err := file.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else {
			must(s.t, err)
		}
	}
	return func() { must(s.t, os.Remove(path)) }
}

// useUpInodes makes as many files as the file system takes.
func useUpInodes(s *scene) func() {
	dir := s.home + "/queue/filler"
	must(s.t, os.Mkdir(dir, 0o755))
	for i := 0; ; i++ {
		fd, err := unix.Open(fmt.Sprint(dir, "/", i), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err == unix.ENOSPC {
			break
		}
		must(s.t, err)
		unix.Close(fd)
	}
	return func() { must(s.t, os.RemoveAll(dir)) }
}

// failDisk has the disk fail for good; in the end there is one in order with
// what was on it, and the service is started again.
func failDisk(s *scene) func() {
	s.disk.fail(func(event) syscall.Errno { return unix.EIO })
	return func() {
		s.disk.fail(nil)
		s.svc("-d")
		eventually(s.t, "the queue service is down", func() bool { return s.pid() == 0 })
		must(s.t, unix.Unmount(s.home+"/queue", 0))
		s.mount()
		s.svc("-u")
	}
}

// inject has system calls of the queue service fail.
func inject(what string) func(*scene) func() {
	return func(s *scene) func() {
		calls, _, _ := strings.Cut(what, ":")
		pid := s.pid()
		tracer := start(s.t, exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-p", fmt.Sprint(pid), "-e", "trace="+calls, "-e", "inject="+what))
		eventually(s.t, "strace is at work", func() bool {
			tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
			for _, task := range tasks {
				status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()))
				if err == nil && strings.Contains(string(status), "\nTracerPid:\t0\n") {
					return false
				}
			}
			return len(tasks) > 0
		})
		return func() {
			tracer.Process.Signal(unix.SIGTERM)
			select {
			case <-tracer.exited:
			case <-time.After(2 * time.Second):
				// It waits for threads of a killed process that wait for it.
				tracer.Process.Kill()
				<-tracer.exited
			}
		}
	}
}

// noMemory has the queue service get no more memory, while it needs some.
func noMemory(s *scene) func() {
	end := inject("mmap,mremap,brk:error=ENOMEM")(s)
	leave := s.crowd(200)
	return func() { leave(); end() }
}

// noThreads is noMemory with threads.
func noThreads(s *scene) func() {
	end := inject("clone,clone3:error=EAGAIN")(s)
	leave := s.crowd(200)
	return func() { leave(); end() }
}

// crowd has so many submitters begin a message that they do not end.
func (s *scene) crowd(n int) (leave func()) {
	var conns []net.Conn
	for range n {
		conn, err := net.DialTimeout("unix", s.home+"/qmail-queue.socket", patient)
		if err != nil {
			break // the service is down
		}
		conn.Write(append([]byte{1, 0, 0, 0x80, 0}, make([]byte, 0x8000-1)...))
		conns = append(conns, conn)
	}
	return func() {
		for _, conn := range conns {
			conn.Close()
		}
	}
}

// downForDays is down, with files that are as old afterwards as if the clock
// had been put forward.
func downForDays(s *scene) func() {
	up := down(s)
	eventually(s.t, "the queue service is down", func() bool { return s.pid() == 0 })
	return func() {
		then := time.Now().Add(-72 * time.Hour)
		err := filepath.WalkDir(s.home+"/queue", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			return os.Chtimes(path, then, then)
		})
		must(s.t, err)
		up()
	}
}

// injectAndKill is inject with a kill of the queue service in the midst of it,
// twice.
func injectAndKill(what string) func(*scene) func() {
	return func(s *scene) func() {
		for range 2 {
			end := inject(what)(s)
			// The service tries again each second what fails.
			time.Sleep(time.Second + time.Duration(rand.IntN(1500))*time.Millisecond)
			unix.Kill(s.pid(), unix.SIGKILL)
			end()
			s.accepted(20)
		}
		return func() {}
	}
}

// limitDescriptors sets the soft limit of descriptors of the running queue service.
func limitDescriptors(s *scene) func() {
	pid := fmt.Sprint(s.pid())
	// As the service's own user: root may do so to another with
	// CAP_SYS_RESOURCE alone, which it has not everywhere.
	prlimit := func(args ...string) string {
		cmd := exec.Command("prlimit", append([]string{"--pid", pid}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner, Gid: owner}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			s.t.Fatalf("prlimit: %v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	soft := prlimit("--nofile", "--output", "SOFT", "--noheadings", "--raw")
	prlimit("--nofile=8:")
	return func() { prlimit("--nofile=" + soft + ":") }
}

// readOnly lays a read-only view over the queue.
func readOnly(s *scene) func() {
	queue := s.home + "/queue"
	must(s.t, unix.Mount(queue, queue, "", unix.MS_BIND, ""))
	must(s.t, unix.Mount("", queue, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	return func() { must(s.t, unix.Unmount(queue, unix.MNT_DETACH)) }
}

// detach takes the file system of the queue away.
func detach(s *scene) func() {
	must(s.t, unix.Unmount(s.home+"/queue", unix.MNT_DETACH))
	return s.mount
}

// rename gives the directory above the queue another name.
func rename(s *scene) func() {
	must(s.t, os.Rename(s.home, s.home+".away"))
	return func() { must(s.t, os.Rename(s.home+".away", s.home)) }
}

// pause stops the process of the queue service.
func pause(s *scene) func() {
	pid := s.pid()
	must(s.t, unix.Kill(pid, unix.SIGSTOP))
	return func() { must(s.t, unix.Kill(pid, unix.SIGCONT)) }
}

// down puts the queue service down, as by a SIGKILL of it and supervise, so
// that its socket stays.
func down(s *scene) func() {
	s.svc("-dk")
	return func() { s.svc("-u") }
}

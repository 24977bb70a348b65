package queue

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"qmail-smtpd/internal/command"
)

// patient is how long a test waits for an event before it fails.
const patient = 30 * time.Second

// bin holds the commands of this package under their names, and the stand-in
// queue program; every user may run them.
var bin string

// TestMain makes the test binary all the programs that the tests run.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if body, ok := (command.Table{"qmail-queue": Main, "qmail-queued": ServiceMain, "stand-in": standIn})[name]; ok {
		os.Exit(body(os.Args))
	}
	os.Exit(func() int {
		self, err := os.Executable()
		if err != nil {
			panic(err)
		}
		bin, err = os.MkdirTemp("", "queue-bin")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(bin)
		os.Chmod(bin, 0o755)
		program, err := os.ReadFile(self)
		if err != nil {
			panic(err)
		}
		if err := os.WriteFile(bin+"/qmail-queue", program, 0o755); err != nil {
			panic(err)
		}
		for _, name := range []string{"qmail-queued", "stand-in"} {
			if err := os.Link(bin+"/qmail-queue", bin+"/"+name); err != nil {
				panic(err)
			}
		}
		return m.Run()
	}())
}

// newHome makes a home directory with a queue in it that uid owns, to which
// every user has a way.
func newHome(t testing.TB, uid int) string {
	t.Helper()
	home, err := os.MkdirTemp("", "qmail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	os.Chmod(home, 0o755)
	if err := Create(home, Owners{Queue: uid, Send: uid, Remote: uid, Group: uid}); err != nil {
		t.Fatal(err)
	}
	return home
}

// An entry is one queued message, as it is on disk.
type entry struct {
	n               uint64
	message, record string
}

// entries reads todo/ and checks that everything is as qmail-send wants it.
func entries(t testing.TB, home string) []entry {
	t.Helper()
	settle(t, home)
	var found []entry
	for _, name := range list(t, home, "todo") {
		n, err := strconv.ParseUint(name, 10, 64)
		if err != nil {
			t.Fatalf("todo/%s: %v", name, err)
		}
		mess := fmt.Sprintf("%s/queue/mess/%d/%d", home, n%defaultSplit, n)
		if got := inode(t, mess); got != n {
			t.Errorf("inode of %s is %d", mess, got)
		}
		todo, intd := home+"/queue/todo/"+name, home+"/queue/intd/"+name
		if inode(t, todo) != inode(t, intd) {
			t.Errorf("%s is not %s", todo, intd)
		}
		for _, path := range []string{mess, todo} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != 0o644 {
				t.Errorf("mode of %s is %v", path, info.Mode())
			}
		}
		found = append(found, entry{n, read(t, mess), read(t, todo)})
	}
	return found
}

// settle waits until the queue service of home, if one is there, has laid out
// all messages.
func settle(t testing.TB, home string) {
	t.Helper()
	await(t, "an empty journal", func() bool {
		text, err := Status(home)
		return err != nil || bytes.Contains(text, []byte("\nwaiting: 0 messages, "))
	})
}

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func list(t testing.TB, home, directory string) []string {
	t.Helper()
	var found []string
	entries, err := os.ReadDir(home + "/queue/" + directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

// files counts the files of unfinished and finished messages, in words such
// as "mess intd todo"; a missing directory has none.
func files(t testing.TB, home string) string {
	t.Helper()
	settle(t, home)
	return filesNow(home)
}

// filesNow is files without waiting for the queue service.
func filesNow(home string) string {
	var words []string
	for _, directory := range []string{"pid", "mess", "intd", "todo"} {
		filepath.WalkDir(home+"/queue/"+directory, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				words = append(words, directory)
			}
			return nil
		})
	}
	return strings.Join(words, " ")
}

// empty removes all messages.
func empty(t testing.TB, home string) {
	t.Helper()
	for _, directory := range []string{"pid", "mess", "intd", "todo"} {
		filepath.WalkDir(home+"/queue/"+directory, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				err = os.Remove(path)
			}
			if err != nil {
				t.Error(err)
			}
			return nil
		})
	}
}

// A process is a qmail-queued that runs.
type process struct {
	*exec.Cmd
	stderr *bytes.Buffer
}

// start starts qmail-queued in home and waits until it is ready.
func start(t testing.TB, home string, change func(*exec.Cmd)) *process {
	t.Helper()
	p := prepare(t, home, "qmail-queued")
	notify := home + "/notify"
	os.Remove(notify)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(notify, 0o666)
	t.Cleanup(func() { socket.Close() })
	p.Env = append(p.Env, "NOTIFY_SOCKET="+notify)
	if change != nil {
		change(p.Cmd)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Process.Kill()
		p.Wait()
	})
	socket.SetReadDeadline(time.Now().Add(patient))
	notice := make([]byte, 512)
	n, err := socket.Read(notice)
	if err != nil || string(notice[:n]) != "READY=1" {
		p.Process.Kill()
		p.Wait()
		t.Fatalf("no READY=1 but %q, %v; stderr %q", notice[:n], err, p.stderr)
	}
	return p
}

// prepare prepares one of the commands to run in home.
func prepare(t testing.TB, home, name string) *process {
	p := &process{Cmd: exec.Command(bin + "/" + name), stderr: new(bytes.Buffer)}
	p.Env = []string{"QMAILHOME=" + home}
	p.Stderr = p.stderr
	p.Dir = "/"
	return p
}

//go:build durability

package durability

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/queue"
	"qmail-smtpd/test/programs"
)

// owner is the uid and gid that the queues of the tests belong to; the queue
// service goes on as that.
const owner = 7814

// makeHome makes qmail's home directory, with an empty queue.
func makeHome(t testing.TB, home string) {
	t.Helper()
	for _, dir := range []string{home, home + "/control"} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	must(t, os.WriteFile(home+"/control/me", []byte("mail.example.org\n"), 0o644))
	must(t, os.WriteFile(home+"/control/rcpthosts", []byte("example.org\n"), 0o644))
	must(t, os.Chown(home, owner, owner))
	must(t, queue.Create(home, queue.Owners{Queue: owner, Send: owner, Remote: owner, Group: owner}))
}

// A program is one of ours that runs.
type program struct {
	*exec.Cmd
	name   string
	said   lockedBuffer  // on standard error
	exited chan struct{} // closed when it has ended
}

// A lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start starts cmd, and ends it with the test.
func start(t testing.TB, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{Cmd: cmd, name: filepath.Base(cmd.Path), exited: make(chan struct{})}
	p.Dir = "/"
	p.Stderr = &p.said
	p.WaitDelay = patient // for what else holds its standard error
	must(t, p.Start())
	go func() {
		p.Wait()
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the program at once.
func (p *program) kill() {
	p.Process.Kill()
	<-p.exited
}

// stop asks the program to end, and waits for that.
func (p *program) stop(t testing.TB) {
	t.Helper()
	p.Process.Signal(unix.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patient):
		t.Fatalf("%s does not end; it said %q", p.name, p.said.String())
	}
	if !p.ProcessState.Success() {
		t.Fatalf("%s ended with %v and said %q", p.name, p.ProcessState, p.said.String())
	}
}

// startReady is start for a program that tells systemd when it is ready, and
// waits for that.
func startReady(t testing.TB, cmd *exec.Cmd) *program {
	t.Helper()
	path := filepath.Join(scratch(t), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	defer socket.Close()
	must(t, os.Chmod(path, 0o666))
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path)
	p := start(t, cmd)
	go func() {
		<-p.exited
		socket.SetReadDeadline(time.Now()) // it will not be ready any more
	}()
	socket.SetReadDeadline(time.Now().Add(patient))
	notice := make([]byte, 512)
	for {
		n, err := socket.Read(notice)
		if err != nil {
			t.Fatalf("%s does not become ready (%v); it said %q", p.name, err, p.said.String())
		}
		if strings.Contains(string(notice[:n]), "READY=1") {
			return p
		}
	}
}

// startQueue starts the queue service in home, behind a command such as
// strace where one is given.
func startQueue(t testing.TB, home string, behind ...string) *program {
	t.Helper()
	args := append(behind, programs.Ours(t)+"/qmail-queued")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"QMAILHOME=" + home, "PATH=" + os.Getenv("PATH")}
	return startReady(t, cmd)
}

// withoutSync is a command that runs another one, and has syncs do nothing and
// say that all is well: of those of a thread, the ones that when says, in
// strace's words.
func withoutSync(when string) []string {
	const syncs = "fsync,fdatasync,syncfs,sync,sync_file_range,msync"
	return []string{"strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + syncs, "-e", "inject=" + syncs + ":retval=0:when=" + when}
}

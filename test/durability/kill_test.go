//go:build durability

package durability

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/queue"
	"qmail-smtpd/test/programs"
)

// A mailService is the queue service and SMTP servers before it, all on the
// queue in home. The sockets of the servers are held, as systemd does it, so
// that no client is refused while one is down.
type mailService struct {
	t       *testing.T
	home    string
	queue   *program
	held    *os.File // socket of the queue service; nil: it makes its own
	servers []*server
}

// A server is one tcpserver.
type server struct {
	*program
	home    string
	socket  *os.File
	address string
	options []string
}

// newMailService starts the queue service, a tcpserver with all sessions in
// it, and one with a process for each.
func newMailService(t *testing.T, home string, hold bool) *mailService {
	t.Helper()
	m := &mailService{t: t, home: home}
	if hold {
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: home + "/qmail-queue.socket", Net: "unix"})
		must(t, err)
		must(t, os.Chmod(home+"/qmail-queue.socket", 0o666))
		m.held, err = listener.File()
		must(t, err)
		t.Cleanup(func() { m.held.Close() })
		listener.SetUnlinkOnClose(false)
		listener.Close()
	}
	m.startQueue()
	for _, options := range [][]string{nil, {"--exec"}} {
		m.servers = append(m.servers, newServer(t, home, options))
	}
	return m
}

func newServer(t testing.TB, home string, options []string) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	s := &server{home: home, address: listener.Addr().String(), options: options}
	s.socket, err = listener.(*net.TCPListener).File()
	must(t, err)
	t.Cleanup(func() { s.socket.Close() })
	s.start(t)
	return s
}

func (m *mailService) startQueue() {
	m.t.Helper()
	if m.held == nil {
		m.queue = startQueue(m.t, m.home)
		return
	}
	m.queue = startHeld(m.t, m.home, m.held, programs.Ours(m.t)+"/qmail-queued")
}

func (s *server) start(t testing.TB) {
	t.Helper()
	bin := programs.Ours(t)
	args := append([]string{bin + "/tcpserver", "-DUHR", "-lmail.example.org"}, s.options...)
	s.program = startHeld(t, s.home, s.socket, append(args, "--", "127.0.0.1", "0", bin+"/qmail-smtpd")...)
}

// startHeld starts a program with a listening socket as systemd does.
func startHeld(t testing.TB, home string, socket *os.File, args ...string) *program {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `export LISTEN_PID=$$; exec "$@"`, "sh"}, args...)...)
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Env = []string{"QMAILHOME=" + home, "LISTEN_FDS=1", "PATH=" + os.Getenv("PATH")}
	return startReady(t, cmd)
}

// stop ends all of it in order.
func (m *mailService) stop() {
	m.t.Helper()
	for _, s := range m.servers {
		s.stop(m.t)
	}
	m.queue.stop(m.t)
}

// children returns the processes that p has started and that run.
func (p *program) children() (pids []int) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.Process.Pid))
	for _, task := range tasks {
		list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", p.Process.Pid, task.Name()))
		for _, word := range strings.Fields(string(list)) {
			pid, _ := strconv.Atoi(word)
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestKill kills the programs of the mail service, again and again, while
// mail comes in and is taken out: each message that was accepted comes out
// once, every other one at most once.
func TestKill(t *testing.T) {
	for i, hold := range []bool{false, true} {
		t.Run(fmt.Sprintf("held=%v", hold), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(*seed), uint64(i)))
			home := scratch(t) + "/qmail"
			makeHome(t, home)
			m := newMailService(t, home, hold)
			l := newLedger(func() int { return 0 })
			taking := deliver(t, l, home)
			load := newLoad(l)
			client := queue.NewClient(home)
			defer client.Close()
			for range 2 {
				load.add(bySocket{client}, random.Uint64(), never)
				load.add(bySMTP{m.servers[0].address, patient}, random.Uint64(), never)
				load.add(bySMTP{m.servers[1].address, patient}, random.Uint64(), never)
			}
			load.add(byProgram{programs.Ours(t) + "/qmail-queue", home, rand.New(rand.NewPCG(random.Uint64(), 3))}, random.Uint64(), never)

			killed := make(map[string]int)
			for n := 0; n < *kills/2 && !t.Failed(); n++ {
				time.Sleep(time.Duration(random.IntN(40_000)) * time.Microsecond)
				switch random.IntN(8) {
				case 0, 1, 2, 3:
					killed["qmail-queued"]++
					m.queue.kill()
					m.startQueue()
				case 4:
					killed["tcpserver"]++
					m.servers[0].kill()
					m.servers[0].start(t)
				case 5:
					killed["tcpserver --exec"]++
					m.servers[1].kill()
					m.servers[1].start(t)
				default:
					killed["qmail-smtpd"]++
					eventually(t, "there is a qmail-smtpd", func() bool {
						pids := m.servers[1].children()
						return len(pids) > 0 && unix.Kill(pids[random.IntN(len(pids))], unix.SIGKILL) == nil
					})
				}
				if n%10 == 9 {
					before := l.accepted()
					eventually(t, "messages are accepted again", func() bool { return l.accepted() > before })
				}
			}
			load.finish()
			m.stop()
			m.startQueue()
			last := l.begin(1000, false)
			must(t, bySocket{client}.submit(last))
			l.accept(last)
			eventually(t, "all messages are taken", func() bool { return t.Failed() || len(l.missing(home)) == 0 })
			m.queue.stop(t)
			taking.finish()
			l.mustHold(t, home)
			load.check(t)
			t.Logf("killed: %v; seed %d", killed, *seed)
		})
	}
}

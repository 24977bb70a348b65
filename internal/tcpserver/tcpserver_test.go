package tcpserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/test/network"
	"qmail-smtpd/test/programs"
)

// A serviceManager gets notifications.
type serviceManager struct {
	t    *testing.T
	conn *net.UnixConn
}

func listenAsManager(t *testing.T) (m serviceManager, variable string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return serviceManager{t, conn}, "NOTIFY_SOCKET=" + path
}

// expect reads notifications until one matches pattern.
func (m serviceManager) expect(pattern string) {
	m.t.Helper()
	expression := regexp.MustCompile("^(?:" + pattern + ")$")
	buf := make([]byte, 4096)
	for {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("no %q: %v", pattern, err)
		}
		if expression.Match(buf[:n]) {
			return
		}
	}
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	manager, variable := listenAsManager(t)
	cmd := echoCommand(t)
	cmd.Env = environ(variable)
	p := start(t, cmd)
	manager.expect("READY=1\nSTATUS=status: 0/40")
	a := p.connect("127.0.0.1", "")
	a.say("env NOTIFY_SOCKET")
	a.hear(" false")
	b := p.connect("127.0.0.1", "")
	b.say("here")
	b.hear("here")
	manager.expect("STATUS=status: 2/40")
	a.Close()
	b.Close()
	manager.expect("STATUS=status: 0/40")
	p.signal(unix.SIGHUP)
	manager.expect(`RELOADING=1\nMONOTONIC_USEC=\d+`)
	manager.expect("READY=1")
	c := p.connect("127.0.0.1", "")
	c.say("served")
	c.hear("served")
	p.signal(unix.SIGTERM)
	manager.expect("STOPPING=1")
	p.wait()
}

// TestReload shows that SIGHUP keeps server and sessions, and that rules are
// obeyed that change, with it and without.
func TestReload(t *testing.T) {
	tcprules := filepath.Join(programs.Originals(t), "tcprules")
	cdb := compileRules(t, tcprules, ":allow,X=\"1\"\n")
	p := startEcho(t, "-x", cdb)
	kept := p.connect("127.0.0.1", "")
	kept.say("env X")
	kept.hear("1 true")
	for _, signal := range []bool{false, true} {
		for _, value := range []string{"two", "three"} {
			if err := os.Rename(compileRules(t, tcprules, ":allow,X=\""+value+"\"\n"), cdb); err != nil {
				t.Fatal(err)
			}
			if signal {
				p.signal(unix.SIGHUP)
			}
			c := p.connect("127.0.0.1", "")
			c.say("env X")
			c.hear(value + " true")
			c.Close()
		}
	}
	kept.say("env X")
	kept.hear("1 true")
	if err := os.Rename(compileRules(t, tcprules, ":deny\n"), cdb); err != nil {
		t.Fatal(err)
	}
	if got := p.connect("127.0.0.1", "").all(); got != "" {
		t.Errorf("a denied client got %q", got)
	}
	p.expect("tcpserver: deny 6 .*")
	p.expect("tcpserver: end 6 status 25600")
}

// TestReloadsKeepOneMapping shows that a reload leaves nothing behind.
func TestReloadsKeepOneMapping(t *testing.T) {
	t.Parallel()
	cdb := compileRules(t, filepath.Join(programs.Originals(t), "tcprules"), ":allow\n")
	manager, variable := listenAsManager(t)
	cmd := echoCommand(t, "-x", cdb)
	cmd.Env = environ(variable)
	p := start(t, cmd)
	manager.expect("READY=1\nSTATUS=status: 0/40")
	for range 3 {
		p.signal(unix.SIGHUP)
		manager.expect(`RELOADING=1\nMONOTONIC_USEC=\d+`)
		manager.expect("READY=1")
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(maps), cdb); n != 1 {
		t.Errorf("%d mappings of %s", n, cdb)
	}
}

// TestIPv6Rules shows that IPv6 peers obey the rule for everybody else.
func TestIPv6Rules(t *testing.T) {
	cdb := compileRules(t, filepath.Join(programs.Originals(t), "tcprules"), "127.:deny\n:allow,X=\"else\"\n")
	p := start(t, exec.Command(self(t, "tcpserver"), "-1vHRl0", "-x", cdb, "::", "0", self(t, "echo")))
	c := p.connect("::1", "")
	c.say("env X")
	c.hear("else true")
	p.connect("127.0.0.1", "").all()
	p.expect("tcpserver: deny 2 0:127.0.0.1:.*")
}

// TestHandedLimits shows that limits which softlimit hands on are set on
// programs and not on the server.
func TestHandedLimits(t *testing.T) {
	limits := []command.Limit{{Resource: unix.RLIMIT_DATA, Soft: 250000}, {Resource: unix.RLIMIT_CORE, Soft: 4096}}
	// The limits come right after the start of the program.
	cmd := exec.Command(self(t, "tcpserver"), "-1vHRl0", "127.0.0.1", "0",
		"sh", "-c", "ulimit -t 20; until test $(ulimit -S -c) = 8; do :; done; ulimit -S -d; env")
	cmd.Env = command.HandLimits(os.Environ(), limits)
	p := start(t, cmd)
	got := p.connect("127.0.0.1", "").all()
	if !strings.HasPrefix(got, "244\n") {
		t.Errorf("soft limit of data: %.20q", got)
	}
	for _, entry := range cmd.Env {
		if !slices.Contains(os.Environ(), entry) && strings.Contains(got, entry+"\n") {
			t.Errorf("the program inherited %s", entry)
		}
	}
}

// TestLimitsAreHandedOn shows that limits are not set on a program of ours,
// nor on the server, but reach those that a session starts.
func TestLimitsAreHandedOn(t *testing.T) {
	limits := []command.Limit{{Resource: unix.RLIMIT_DATA, Soft: 250000}}
	variable := command.HandLimits(nil, limits)[0]
	name, value, _ := strings.Cut(variable, "=")
	cmd := echoCommand(t)
	cmd.Env = environ(variable)
	c := start(t, cmd).connect("127.0.0.1", "")
	c.say("env " + name)
	c.hear(value + " true")

	cmd = exec.Command(self(t, "tcpserver"), "-1vHRl0", "127.0.0.1", "0", self(t, "report"))
	cmd.Env = environ(variable)
	p := start(t, cmd)
	if got := p.connect("127.0.0.1", "").all(); !strings.Contains(got, variable+"\n") {
		t.Errorf("a program of ours reports:\n%s", got)
	}
	p.expect(`tcpserver: end \d+ status 0`)
}

// TestUserThatItIs shows that no right is needed to become the user that the
// process is already.
func TestUserThatItIs(t *testing.T) {
	cmd := exec.Command("setpriv", "--reuid", "4321", "--regid", "1234", "--groups", "1234,77", "--bounding-set", "-all",
		filepath.Join(programs.Ours(t), "tcpserver"), "-1v", "-HRl0", "-u4321", "-g1234", "127.0.0.1", "0", "id", "-G")
	p := start(t, cmd)
	if got := p.connect("127.0.0.1", "").all(); got != "1234 77\n" {
		t.Errorf("groups %q", got)
	}
}

// TestTermWaitsForStarts shows that a connection that is accepted, but whose
// program does not run yet, is served although the server stops.
func TestTermWaitsForStarts(t *testing.T) {
	t.Parallel()
	ip, questions := network.ServeIdent(t, "")
	p := start(t, exec.Command(self(t, "tcpserver"), "-1vHl0", "-t2", "127.0.0.1", "0", self(t, "cat")))
	c := p.connect("127.0.0.1", ip)
	<-questions
	p.signal(unix.SIGTERM)
	c.say("served")
	c.hear("served")
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestNoDBus(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if deps := string(out); strings.Contains(deps, "dbus") || !strings.Contains(deps, "coreos/go-systemd") {
		t.Errorf("dependencies:\n%s", deps)
	}
}

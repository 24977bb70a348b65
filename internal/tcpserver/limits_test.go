package tcpserver

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/test/programs"
)

// startLimited runs a program, or the builtin echo, under rules and options.
func startLimited(t *testing.T, rules, program string, options ...string) *process {
	t.Helper()
	args := append([]string{"-1vHRl0"}, options...)
	if rules != "" {
		args = append(args, "-x", compileRules(t, filepath.Join(programs.Originals(t), "tcprules"), rules))
	}
	return start(t, exec.Command(self(t, "tcpserver"), append(args, "127.0.0.1", "0", self(t, program))...))
}

// open opens a connection and shows that it is served.
func (p *process) open(from string) *client {
	p.t.Helper()
	c := p.connect("127.0.0.1", from)
	c.say("hello")
	c.hear("hello")
	return c
}

// refuse opens a connection and shows that it gets nothing but want, and
// that the log says why.
func (p *process) refuse(from, want, why string) {
	p.t.Helper()
	if got := p.connect("127.0.0.1", from).all(); got != want {
		p.t.Errorf("from %s: %q, want %q", from, got, want)
	}
	p.expect(`tcpserver: deny \d+ 0:127.0.0.1:\d+ :` + from + `::\d+` + why)
	p.expect(`tcpserver: end \d+ status 25600`)
}

func TestMaxConnIP(t *testing.T) {
	t.Parallel()
	const rules = "127.0.0.3:allow,MAXCONNIP=\"2\",DIEMSG=\"421 later\"\n127.0.0.4:allow,MAXCONNIP=\"0\"\n" +
		"127.0.0.5:allow,MAXCONNIP=\"many\"\n:allow\n"
	for _, test := range []struct{ program, busy string }{{"echo", "busy\r\n"}, {"cat", ""}} {
		p := startLimited(t, rules, test.program, "--maxconnip=1")
		p.open("127.0.0.3")
		for range 2 {
			first, other := p.open("127.0.0.2"), p.open("127.0.0.3")
			p.refuse("127.0.0.2", test.busy, " MAXCONNIP:1")
			p.refuse("127.0.0.3", "421 later\r\n", " MAXCONNIP:2")
			p.refuse("127.0.0.4", test.busy, " MAXCONNIP:0")
			for _, c := range []*client{first, other} { // makes room again
				c.Close()
				p.expect(`tcpserver: end \d+ status 0`)
			}
		}
		for range 3 {
			p.open("127.0.0.5") // no number, no limit
		}
	}
}

func TestMaxRateIP(t *testing.T) {
	t.Parallel()
	p := startLimited(t, "127.0.0.3:allow,MAXRATEIP=\"1\"\n127.0.0.4:allow,MAXRATEIP=\"0\"\n:allow\n", "echo", "--maxrateip=3")
	for range 3 {
		p.open("127.0.0.2").Close()
	}
	p.refuse("127.0.0.2", "busy\r\n", " MAXRATEIP:3")
	p.open("127.0.0.3").Close()
	p.refuse("127.0.0.3", "busy\r\n", " MAXRATEIP:1")
	p.refuse("127.0.0.4", "busy\r\n", " MAXRATEIP:0")
}

// TestBusyThroughFilter shows that the last program has the word.
func TestBusyThroughFilter(t *testing.T) {
	t.Parallel()
	p := start(t, exec.Command(self(t, "tcpserver"), "-1vHRl0", "--maxload=0", "127.0.0.1", "0", self(t, "through"), self(t, "echo")))
	p.refuse("127.0.0.2", "busy\r\n", " MAXLOAD:0")
}

func TestBusyQmailSMTPD(t *testing.T) {
	t.Parallel()
	dir := programs.Ours(t)
	for _, program := range [][]string{{dir + "/qmail-smtpd"}, {dir + "/rblsmtpd", dir + "/qmail-smtpd"}} {
		args := append([]string{"-1vHRl0", "--maxconnip=0", "127.0.0.1", "0"}, program...)
		p := start(t, exec.Command(filepath.Join(dir, "tcpserver"), args...))
		p.refuse("127.0.0.2", "421 sorry, I have no room for you now, try again later (#4.3.2)\r\n", " MAXCONNIP:0")
	}
}

func TestMaxLoad(t *testing.T) {
	t.Parallel()
	p := startLimited(t, "127.0.0.3:allow,MAXLOAD=\"10000000\"\n:allow\n", "echo", "--maxload=0")
	p.refuse("127.0.0.2", "busy\r\n", " MAXLOAD:0")
	p.open("127.0.0.3")
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	whole, _, _ := strings.Cut(string(load), ".")
	// The average moves slowly, but it may have moved.
	if got := loadAverage() / 100; got+1 < number(whole) || got > number(whole)+1 {
		t.Errorf("load average %d, but /proc has %s", got, load)
	}
}

// TestDenyWithText shows what a denied client is told, which is nothing by
// the original.
func TestDenyWithText(t *testing.T) {
	t.Parallel()
	const rules = "127.0.0.2:deny,DIEMSG=\"554 no mail from you\"\n127.0.0.3:deny,A=\"554\"\n127.0.0.4:allow,DIEMSG=\"554 never\"\n"
	for _, program := range []string{"echo", "cat"} {
		p := startLimited(t, rules, program)
		p.refuse("127.0.0.2", "554 no mail from you\r\n", "")
		p.refuse("127.0.0.3", "", "")
		p.open("127.0.0.4")
	}
	original := service{options: []string{"-HRl0", "-x", cdbName}, rules: rules, from: []string{"127.0.0.2"}}.
		run(t, filepath.Join(programs.Originals(t), "tcpserver"), filepath.Join(programs.Originals(t), "tcprules"))
	if !strings.HasPrefix(original, "client 127.0.0.2:\n\n") {
		t.Errorf("the original says\n%s", original)
	}
}

func TestLimitOptions(t *testing.T) {
	for _, option := range []string{"--maxconnip=", "--maxconnip=x", "--maxrateip=-1", "--maxload=3.5"} {
		cmd := exec.Command(self(t, "tcpserver"), option, "127.0.0.1", "0", "true")
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 100 || string(out) != "tcpserver: usage: "+usage+"\n" {
			t.Errorf("%s: %d\n%s", option, code, out)
		}
	}
}

func TestClients(t *testing.T) {
	c := newClients()
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	if c.enter(a) != 1 || c.enter(a) != 2 || c.enter(b) != 1 {
		t.Error("IPv4 addresses are not counted one by one")
	}
	near, far := netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:0:1::1")
	if c.enter(netip.MustParseAddr("2001:db8::1%eth0")) != 1 || c.enter(near) != 2 || c.enter(far) != 1 {
		t.Error("IPv6 addresses are not counted by network")
	}
	for _, addr := range []netip.Addr{a, a, b, near, near, far} {
		c.leave(addr)
	}
	if len(c.active) != 0 {
		t.Errorf("%d addresses are left", len(c.active))
	}
}

func TestRate(t *testing.T) {
	c := newClients()
	now := time.Now()
	client := netip.MustParseAddr("10.0.0.1")
	count := func(perMinute uint64) (n int) {
		for n < 100 && c.keepsRate(client, now, perMinute) {
			n++
		}
		return n
	}
	for _, step := range []struct {
		pass time.Duration
		want int
	}{{0, 6}, {0, 0}, {9 * time.Second, 0}, {time.Second, 1}, {25 * time.Second, 2}, {5 * time.Second, 1}, {time.Hour, 6}} {
		now = now.Add(step.pass)
		if got := count(6); got != step.want {
			t.Errorf("after %v: %d connections, want %d", step.pass, got, step.want)
		}
	}
	now = now.Add(time.Hour)
	if got := count(1); got != 1 {
		t.Errorf("one a minute: %d", got)
	}
	for i := range 5000 { // a second apart: about 60 of them matter
		now = now.Add(time.Second)
		c.keepsRate(netip.AddrFrom4([4]byte{20, 0, byte(i >> 8), byte(i)}), now, 1)
	}
	if len(c.due) > 1100 {
		t.Errorf("%d addresses are remembered", len(c.due))
	}
}

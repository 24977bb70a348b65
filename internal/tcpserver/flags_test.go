package tcpserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/network"
	"qmail-smtpd/test/programs"
)

// backlog returns how many connections the kernel lets wait for p.
func (p *process) backlog() uint32 {
	p.t.Helper()
	pidfd, err := unix.PidfdOpen(p.cmd.Process.Pid, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer unix.Close(pidfd)
	for number := range 20 {
		fd, err := unix.PidfdGetfd(pidfd, number, 0)
		if err != nil {
			continue
		}
		defer unix.Close(fd)
		if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens == 1 {
			info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil {
				p.t.Fatal(err)
			}
			return info.Sacked // which is the backlog where a socket listens
		}
	}
	p.t.Fatal("it has no listening socket")
	return 0
}

func TestOriginalBacklog(t *testing.T) {
	for _, options := range []string{"-b7", "-b3x", "-b0"} {
		both(t, func(t *testing.T, tcpserver string) string {
			p := start(t, exec.Command(tcpserver, "-1vHRl0", options, "127.0.0.1", "0", "true"))
			return fmt.Sprint(p.backlog())
		})
	}
	for tcpserver, want := range map[string]uint32{
		filepath.Join(programs.Originals(t), "tcpserver"): 20,
		self(t, "tcpserver"):                              defaultBacklog,
	} {
		text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
		if err != nil {
			t.Fatal(err)
		}
		want = min(want, uint32(number(string(text))))
		if got := start(t, exec.Command(tcpserver, "-1vHRl0", "127.0.0.1", "0", "true")).backlog(); got != want {
			t.Errorf("%s: a default backlog of %d, want %d", tcpserver, got, want)
		}
	}
}

// TestIPOptions shows which programs find the IP options of their client on
// the connection: here the order to record the route. The original never
// clears them on Linux, where the option of sockets that it uses means
// something else.
func TestIPOptions(t *testing.T) {
	const recordRoute = "\x07\x07\x04\x00\x00\x00\x00\x00"
	kept := func(tcpserver, options string) bool {
		p := start(t, exec.Command(tcpserver, "-1v", options, "127.0.0.1", "0", self(t, "ipoptions")))
		dialer := net.Dialer{Timeout: patience, Control: func(_, _ string, raw syscall.RawConn) (err error) {
			raw.Control(func(fd uintptr) {
				err = unix.SetsockoptString(int(fd), unix.IPPROTO_IP, unix.IP_OPTIONS, recordRoute)
			})
			return err
		}}
		conn, err := dialer.Dial("tcp", "127.0.0.1:"+p.port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		answer := make([]byte, 100)
		n, err := conn.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		return strings.HasPrefix(string(answer[:n]), `options "\a`)
	}
	ours, original := self(t, "tcpserver"), filepath.Join(programs.Originals(t), "tcpserver")
	for options, want := range map[string]bool{"-HRl0": false, "-oHRl0": true, "-oOHRl0": false, "-OoHRl0": true} {
		if got := kept(ours, options); got != want {
			t.Errorf("%s keeps the options: %v", options, got)
		}
	}
	if !kept(original, "-OHRl0") {
		t.Error("the original clears the options")
	}
}

// ipOptions is a program that tells which IP options are set on its
// connection.
func ipOptions([]string) int {
	options, err := unix.GetsockoptString(0, unix.IPPROTO_IP, unix.IP_OPTIONS)
	fmt.Printf("options %q %v\n", options, err)
	return 0
}

// TestOriginalSwitchedBack shows that of two contrary options the last counts.
func TestOriginalSwitchedBack(t *testing.T) {
	server := network.ServeNames(t, network.Zone{network.Reverse("127.1.0.1"): {"name.test"}, network.Reverse("127.0.0.1"): {"localhost"}})
	ip, _ := network.ServeIdent(t, "1,2:USERID:UNIX:joe\r\n")
	for options, want := range map[string][2]string{ // name and ident answer, which -H and -R do without
		"-RH":   {"", ""},
		"-RHh":  {"name.test", ""},
		"-RhH":  {"", ""},
		"-dDRH": {"", ""},
	} {
		both(t, func(t *testing.T, tcpserver string) string {
			got := service{options: []string{options, "-l0"}, from: []string{"127.1.0.1"}, environ: []string{"DNSCACHEIP=" + server}}.run(t, tcpserver, "")
			if !strings.Contains(got, " "+want[0]+":127.1.0.1:"+want[1]+":") {
				t.Errorf("%s: no %q in\n%s", options, want, got)
			}
			return got
		})
	}
	for options, want := range map[string]string{"-HR": "", "-HRr": "joe", "-HrR": ""} {
		both(t, func(t *testing.T, tcpserver string) string {
			got := service{options: []string{options, "-l0"}, from: []string{ip}}.run(t, tcpserver, "")
			if !strings.Contains(got, " :"+ip+":"+want+":") {
				t.Errorf("%s: no %q in\n%s", options, want, got)
			}
			return got
		})
	}
}

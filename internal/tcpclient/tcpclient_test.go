package tcpclient

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"qmail-smtpd/test/network"
)

// environment is what tcpclient is started with. The order of what comes out
// of it, and what of it is removed, is compared too.
var environment = []string{
	"PATH=/usr/bin:/bin", "A=1", "TCPREMOTEHOST=a", "TCPREMOTEINFO=b", "B=2", "TCPLOCALHOST=c",
	"PROTO=d", "TCP6REMOTEIP=e", "TCPLOCALIP=f", "C=3",
}

// freePort returns a port that no socket is bound to.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

var localPort = regexp.MustCompile(`(?m)^(TCP6?LOCALPORT)=\d+$`)

// compare runs a line with the original tcpclient and with ours. In it HOST
// and PORT stand for a server, FREE for a port, REPORT for the program.
func compare(t *testing.T, s *server, env []string, line ...string) string {
	t.Helper()
	results := make(map[string]string)
	for which, bin := range both(t) {
		free := freePort(t)
		args := []string{bin + "/tcpclient"}
		names := strings.NewReplacer("HOST", s.ip, "PORT", s.port, "FREE", free, "REPORT", ours+"/report")
		for _, word := range line {
			args = append(args, names.Replace(word))
		}
		result := run(t, slices.Concat(environment, env), "", args...)
		result = strings.ReplaceAll(result, "TCPLOCALPORT="+free, "TCPLOCALPORT is FREE")
		results[which] = localPort.ReplaceAllString(result, "$1=N")
	}
	if diff := cmp.Diff(results["original"], results["ours"]); diff != "" {
		t.Errorf("%q: original -, ours +:\n%s", line, diff)
	}
	return results["ours"]
}

// TestOptions compares each option with the original, and shows for those
// that change something that they do: has must be part of the result.
func TestOptions(t *testing.T) {
	t.Parallel()
	s := serve(t, "", "hello\r\nthere", "", "")
	dns := network.ServeNames(t, network.Zone{
		network.Reverse(s.ip):        {"Server.Test"},
		network.Reverse("127.0.0.1"): {"localhost"}, // as /etc/hosts has it
	})
	for _, test := range []struct{ line, has string }{
		{"HOST PORT REPORT a -b", "TCPLOCALHOST=localhost\n"},
		{"-v HOST PORT REPORT", "tcpclient: connected to " + s.ip + " port " + s.port + "\n"},
		{"-vq HOST PORT REPORT", "[7]"},
		{"-vQ HOST PORT REPORT", "[7]"},
		{"-RHl0 -D HOST PORT REPORT", "nodelay true"},
		{"-RHl0 -Dd HOST PORT REPORT", "nodelay false"},
		{"-RHl0 -d HOST PORT REPORT", "nodelay false"},
		{"-RH HOST PORT REPORT", "TCPLOCALHOST=localhost\n"},
		{"-RHl name.test HOST PORT REPORT", "TCPLOCALHOST=name.test\n"},
		{"-Rl0 HOST PORT REPORT", "TCPREMOTEHOST=server.test\n"},
		{"-RHhl0 HOST PORT REPORT", "TCPREMOTEHOST=server.test\n"},
		{"-RHl0 HOST PORT REPORT", "TCPREMOTEIP=" + s.ip + "\n"},
		{"-RHl0 -i 127.9.8.7 HOST PORT REPORT", "TCPLOCALIP=127.9.8.7\n"},
		{"-RHl0 -i127.9.8.7x -p FREE HOST PORT REPORT", "TCPLOCALPORT is FREE\n"},
		{"-RHl0 -p FREE HOST PORT REPORT", "TCPLOCALPORT is FREE\n"},
		{"-RHl0 -i 192.0.2.77 HOST PORT REPORT", "tcpclient: fatal: unable to bind socket: address not available\n[111]"},
		{"-qRHl0 -i 192.0.2.77 HOST PORT REPORT", "[111]"},
		{"-RHl0 -i 127.9.8 HOST PORT REPORT", "[100]"},
		{"-qRHl0 -i x HOST PORT REPORT", "[100]"},
		{"-RHl0 -t 5 -T 5 -- HOST PORT REPORT --", "[7]"},
		{"-RHl0 -T HOST PORT", "[100]"},
		{"-z HOST PORT REPORT", "illegal option"},
		{"-qz HOST PORT REPORT", "illegal option"},
		{"-q", "[100]"},
		{"-q HOST PORT", "[100]"},
		{"HOST PORT", "[100]"},
		{"-RHl0 HOST nosuchport REPORT", "unable to figure out port number for nosuchport\n[111]"},
		{"-RHl0 nosuch.test nosuchport REPORT", "unable to figure out port number"},
		{"-qRHl0 HOST nosuchport REPORT", "[111]"},
		{"-RHl0 HOST 1x REPORT", "[111]"},
		{"-RHl0 HOST smtp REPORT", "port 25: connection refused\n[111]"},
		{"-RHl0 HOST 65537 REPORT", "port 1: connection refused\n[111]"},
		{"-qRHl0 HOST 1 REPORT", "[111]"},
		{"-RHl0 HOST PORT nonexistent", "tcpclient: fatal: unable to run nonexistent: file does not exist\n[111]"},
		{"-qRHl0 HOST PORT nonexistent", "[111]"},
		{"-RHl0 HOST PORT /", "unable to run /: access denied"},
		{"-RHl0 HOST PORT sh -c kill\t-9\t$$", "[-1]"},
	} {
		t.Run(test.line, func(t *testing.T) {
			t.Parallel()
			got := compare(t, s, []string{"DNSCACHEIP=" + dns}, strings.Split(test.line, " ")...)
			if !strings.Contains(got, test.has) {
				t.Errorf("no %q in\n%s", test.has, got)
			}
		})
	}
}

// TestHosts compares what is understood as a host, and in which order its
// addresses are tried.
func TestHosts(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1", "", "", "")
	other := network.Loopback()
	dns := network.ServeNames(t, network.Zone{
		"good.test":   {"127.0.0.1"},
		"nodata.test": {"name.test"},
		"broken.test": network.Broken,
	})
	for _, test := range []struct{ host, has string }{
		{"", "connected to 127.0.0.1 port"},
		{"0", "connected to 127.0.0.1 port"},
		{"0.0.0.0", "connected to 127.0.0.1 port"},
		{"00", "no IP address for 00\n"},
		{"1.2.3", "no IP address for 1.2.3\n"},
		{"[]", "no IP address for []\n"},
		{"383.256.0.1", "connected to 127.0.0.1 port"},
		{"[127.0.0.1]", "connected to 127.0.0.1 port"},
		{"127.[0.]0.1", "connected to 127.0.0.1 port"},
		{"127.0.0.1.", "connected to 127.0.0.1 port"},
		{"127.0.0.1.127.0", "connected to 127.0.0.1 port"},
		{"127.0.0.1." + other, "tcpclient: connected"},
		{other + ".127.0.0.1", "tcpclient: unable to connect to " + other + " port " + s.port + ": connection refused\ntcpclient: connected to 127.0.0.1"},
		{other + "." + other, ""},
		{"255.255.255.255", "network unreachable"},
		{"good.test", "connected to 127.0.0.1 port"},
		{"Good.Test.", "connected to 127.0.0.1 port"},
		{"nodata.test", "no IP address for nodata.test\n"},
		{"nosuch.test", "no IP address for nosuch.test\n"},
		{"broken.test", "temporarily unable to figure out IP address for broken.test: temporary failure\n"},
	} {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			got := compare(t, s, []string{"DNSCACHEIP=" + dns}, "-vRHl0", test.host, "PORT", "true")
			if !strings.Contains(got, test.has) {
				t.Errorf("no %q in\n%s", test.has, got)
			}
		})
	}
}

// TestName shows that all addresses of a name are tried.
func TestName(t *testing.T) {
	t.Parallel()
	s := serve(t, "", "", "", "")
	one, two := network.Loopback(), network.Loopback()
	dns := network.ServeNames(t, network.Zone{"name.test": {one, s.ip, two}})
	refused := fmt.Sprintf("tcpclient: unable to connect to (%s|%s) port %s: connection refused\n", one, two, s.port)
	want := regexp.MustCompile(`^(` + refused + `){0,2}tcpclient: connected to ` + s.ip + ` port ` + s.port + "\n" + `\[0\]$`)
	for which, bin := range both(t) {
		got := run(t, []string{"DNSCACHEIP=" + dns}, "", bin+"/tcpclient", "-vRHl0", "name.test", s.port, "true")
		if !want.MatchString(got) {
			t.Errorf("%s: %s", which, got)
		}
	}
}

// TestUnknownNames shows that the variable of a host that has no name is
// empty, and that of one whose name cannot be asked for is not there.
func TestUnknownNames(t *testing.T) {
	t.Parallel()
	s := serve(t, "", "", "", "")
	local := network.Loopback()
	dns := []string{"DNSCACHEIP=" + network.ServeNames(t, network.Zone{})}
	if got := compare(t, s, dns, "-Ri", local, "HOST", "PORT", "REPORT"); !strings.Contains(got, "TCPREMOTEHOST=\n") || !strings.Contains(got, "TCPLOCALHOST=\n") {
		t.Error(got)
	}
	broken := network.ServeNames(t, network.Zone{network.Reverse(s.ip): network.Broken, network.Reverse(local): network.Broken})
	// The original asks for 22 seconds.
	got := run(t, append(environment, "DNSCACHEIP="+broken), "", ours+"/tcpclient", "-Ri", local, s.ip, s.port, ours+"/report")
	if strings.Contains(got, "TCPREMOTEHOST") || strings.Contains(got, "TCPLOCALHOST") || !strings.HasSuffix(got, "[7]") {
		t.Error(got)
	}
}

// TestIdent compares what becomes of the answers of ident services.
func TestIdent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ answer, has string }{
		{"1 , 2 : USERID : UNIX : j o\te: e%\r\n", "TCPREMOTEINFO=joe:e%\n"},
		{"1,2:USERID:UNIX:\r\n", "TCPREMOTEINFO=\n"},
		{"1,2:ERROR:NO-USER\r\n", "TCPREMOTEINFO=\n"},
		{"1,2:USERID:UNIX:no newline", ""},
	} {
		t.Run(fmt.Sprintf("%q", test.answer), func(t *testing.T) {
			t.Parallel()
			ip, questions := network.ServeIdent(t, test.answer)
			s := serve(t, ip, "", "", "")
			got := compare(t, s, nil, "-Hl0", "HOST", "PORT", "REPORT")
			if !strings.Contains(got, test.has) {
				t.Errorf("no %q in\n%s", test.has, got)
			}
			for range both(t) {
				if question := <-questions; !strings.HasPrefix(question, s.port+" , ") {
					t.Errorf("question %q", question)
				}
			}
			if got := compare(t, s, nil, "-Hl0", "-rR", "HOST", "PORT", "REPORT"); strings.Contains(got, "TCPREMOTEINFO") || len(questions) > 0 {
				t.Errorf("asked with -R: %s", got)
			}
		})
	}
}

// TestIdentTimeout shows that -t bounds the time that ident may take; it is
// 26 seconds without.
func TestIdentTimeout(t *testing.T) {
	t.Parallel()
	ip, _ := network.ServeIdent(t, "")
	s := serve(t, ip, "", "", "")
	compare(t, s, nil, "-Hl0", "-t1", "HOST", "PORT", "REPORT")
	begin := time.Now()
	run(t, nil, "", ours+"/tcpclient", "-Hl0", "-t2", s.ip, s.port, "true")
	if took := time.Since(begin); took > 25*time.Second || took < 2*time.Second {
		t.Errorf("an attempt of two seconds took %v", took)
	}
}

// A hole is a port at which connections are neither accepted nor refused.
func hole(t *testing.T, ip string) (port string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte(net.ParseIP(ip).To4())}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // fill the backlog
		client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(client) })
		if err := unix.Connect(client, name); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	return strconv.Itoa(name.(*unix.SockaddrInet4).Port)
}

// TestConnectTimeouts shows that -T says how long each of two tries takes, a
// minute in all without, and that the second is for addresses that timed out
// alone.
func TestConnectTimeouts(t *testing.T) {
	t.Parallel()
	ip, refused := network.Loopback(), network.Loopback()
	s := &server{ip: ip, port: hole(t, ip)}
	for _, test := range []struct {
		timeouts string
		host     string
		least    time.Duration
		lines    []string
	}{
		{"1", ip, 1 * time.Second, []string{ip + " timed out"}},
		{"0+1", ip, 1 * time.Second, []string{ip + " timed out"}},
		{"0", ip, 0, []string{ip + " timed out"}},
		{"1+", ip, 1 * time.Second, []string{ip + " timed out"}},
		{"1+1", ip, 2 * time.Second, []string{ip + " timed out"}},
		{"1x5", ip + "." + refused, 1 * time.Second, []string{ip + " timed out", refused + " connection refused"}},
		{"1+1", ip + "." + refused, 2 * time.Second, []string{refused + " connection refused", ip + " timed out"}},
		{"0+2", refused + "." + ip, 2 * time.Second, []string{refused + " connection refused", ip + " timed out"}},
	} {
		t.Run(test.timeouts+" "+test.host, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			got := compare(t, s, nil, "-RHl0", "-T", test.timeouts, test.host, "PORT", "true")
			if took := time.Since(begin); took < 2*test.least || took > 2*test.least+50*time.Second {
				t.Errorf("two attempts of %v took %v", test.least, took)
			}
			var want strings.Builder
			for _, line := range test.lines {
				addr, why, _ := strings.Cut(line, " ")
				fmt.Fprintf(&want, "tcpclient: unable to connect to %s port %s: %s\n", addr, s.port, why)
			}
			if want := want.String() + "[111]"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestDescriptors shows that the connection takes the place of what was at
// its descriptors, and that all others are inherited.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	s := serve(t, "", "", "", "")
	const script = `exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null 9<&-
exec $B/tcpclient -Hl0 $HOST $PORT sh -c 'for f in /proc/$$/fd/*; do n=${f##*/}; [ $n -gt 9 ] || echo $n $(readlink $f | sed s/:.*//); done'`
	results := make(map[string]string)
	for which, bin := range both(t) {
		env := append(environment, "B="+bin, "HOST="+s.ip, "PORT="+s.port)
		results[which] = run(t, env, "", "sh", "-c", script)
	}
	if diff := cmp.Diff(results["original"], results["ours"]); diff != "" {
		t.Errorf("original -, ours +:\n%s", diff)
	}
	if got := results["ours"]; !strings.Contains(got, "\n6 socket\n7 socket\n8 /dev/null\n") {
		t.Error(got)
	}
}

// TestIPv6 shows the extension: what a program gets of an IPv6 connection.
func TestIPv6(t *testing.T) {
	t.Parallel()
	s := serve(t, "::1", "", "", "")
	dns := network.ServeNames(t, network.Zone{
		"six.test":  {"::1"},
		"both.test": {"::1", network.Loopback()},
	})
	for _, test := range []struct {
		line string
		has  []string
	}{
		{"::1 PORT REPORT", []string{"PROTO=TCP6\n", "TCPREMOTEIP=::1\n", "TCP6REMOTEIP=::1\n", "TCP6LOCALIP=::1\n", "TCP6REMOTEPORT=PORT\n"}},
		{"[::1] PORT REPORT", []string{"PROTO=TCP6\n"}},
		{"six.test PORT REPORT", []string{"PROTO=TCP6\n"}},
		{"-i ::1 both.test PORT REPORT", []string{"PROTO=TCP6\n"}},
		{"-v ::1 PORT REPORT", []string{"tcpclient: connected to ::1 port PORT\n"}},
		{"both.test PORT REPORT", []string{"connection refused\n[111]"}}, // IPv4 alone, as in the original
		{"::1 1 REPORT", []string{"tcpclient: unable to connect to ::1 port 1: connection refused\n[111]"}},
	} {
		t.Run(test.line, func(t *testing.T) {
			t.Parallel()
			names := strings.NewReplacer(" PORT", " "+s.port, "=PORT", "="+s.port, " REPORT", " "+ours+"/report")
			args := append([]string{ours + "/tcpclient", "-RHl0"}, strings.Split(names.Replace(test.line), " ")...)
			got := run(t, []string{"DNSCACHEIP=" + dns}, "", args...)
			for _, has := range test.has {
				if has := names.Replace(has); !strings.Contains(got, has) {
					t.Errorf("no %q in\n%s", has, got)
				}
			}
		})
	}
}

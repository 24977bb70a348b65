package differential

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"qmail-smtpd/test/network"
)

// A flagProof shows what a flag of a classic man page does: the original does
// different things with and without it, and ours does as the original in both
// cases.
type flagProof struct {
	with, without []string // command lines
	Case                   // what both share

	// listed is the first column of the row of docs/DIFFERENCES.md that says
	// why there is nothing to compare.
	listed string
}

// line splits a command line at its blanks.
func line(text string) []string { return strings.Fields(text) }

// TestFlags has a proof for each flag of each classic man page.
func TestFlags(t *testing.T) {
	both := sides(t)
	proofs := flagProofs(t)
	for command, flags := range manualFlags(t, both[0].bin) {
		for _, flag := range flags {
			if _, ok := proofs[command+" "+flag]; !ok {
				t.Errorf("no case shows what %s %s does", command, flag)
			}
		}
		for proof := range proofs {
			if name, flag, _ := strings.Cut(proof, " "); name == command && !slices.Contains(flags, flag) {
				t.Errorf("%s: no such flag in the man page", proof)
			}
		}
	}
	differences, err := os.ReadFile("../../docs/DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for name, proof := range proofs {
		if proof.listed != "" {
			if !bytes.Contains(differences, []byte("\n| "+proof.listed+" |")) {
				t.Errorf("%s: docs/DIFFERENCES.md has no %q", name, proof.listed)
			}
			continue
		}
		running.Add(1)
		go func() {
			defer running.Done()
			with, without := proof.Case, proof.Case
			with.Args, without.Args = proof.with, proof.without
			for _, c := range []Case{with, without} {
				if diff := c.differs(t, both); diff != "" {
					t.Errorf("%s: %s (-original +ours):\n%s", name, c, diff)
				}
			}
			if cmp.Equal(with.outcome(t, both[0]), without.outcome(t, both[0])) {
				t.Errorf("%s: the original does the same with %q and %q", name, with.Args, without.Args)
			}
		}()
	}
	running.Wait()
}

// flagOfPage is a paragraph of a man page that describes a flag, or an action
// of multilog.
var flagOfPage = regexp.MustCompile(`(?m)^\.TP ?\n\.[BI] +(?:\\?(-[A-Za-z0-9])|([-+=!])\\fI|([a-z])(?:\\fI.*)?$|(dir)$)`)

// manualFlags returns the flags in the man pages of the originals.
func manualFlags(t *testing.T, bin string) map[string][]string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(bin, "../share/man/man?/*.gz"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no man pages: %v", err)
	}
	flags := map[string][]string{}
	for _, path := range pages {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		unpacked, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		command, _, _ := strings.Cut(filepath.Base(path), ".")
		flags[command] = nil
		for _, found := range flagOfPage.FindAllSubmatch(page, -1) {
			flags[command] = append(flags[command], string(bytes.Join(found[1:], nil)))
		}
	}
	return flags
}

// flagProofs returns the proofs by command and flag.
func flagProofs(t *testing.T) map[string]flagProof {
	t.Helper()
	proofs := map[string]flagProof{}
	for _, add := range []func(t *testing.T, proofs map[string]flagProof){
		tcpserverProofs, tcpclientProofs, rblsmtpdProofs, multilogProofs, setlockProofs, softlimitProofs, svcProofs,
	} {
		add(t, proofs)
	}
	return proofs
}

// noDelay prints whether TCP_NODELAY is set on descriptor %d.
const noDelay = `import socket; print(socket.socket(fileno=%d).getsockopt(6, 1))`

// slowIdent offers an ident service that takes its time.
func slowIdent(t *testing.T, ip string) {
	t.Helper()
	listener, err := net.Listen("tcp4", ip+":113")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			time.AfterFunc(3*time.Second, func() {
				io.WriteString(conn, identAnswers[0])
				conn.Close()
			})
		}
	}()
}

func tcpserverProofs(t *testing.T, proofs map[string]flagProof) {
	if err := serveIdent(); err != nil {
		t.Fatal(err)
	}
	known, liar, slow := "127.0.4.1", "127.0.4.2", "127.0.4.3"
	slowIdent(t, slow)
	rules := File{Path: "rules.cdb", Mode: 0o644, Content: string(compiled(t, sides(t)[0], ":deny\n"))}
	// add makes a proof of which both command lines end alike.
	add := func(flag, with, without, from, program string) {
		at, names := host(), host()
		zone := network.Zone{
			network.Reverse(known): {"known.example"}, "known.example": {known},
			network.Reverse(liar): {"liar.example"}, "liar.example": {known},
			network.Reverse(at): {"here.example"},
		}
		args := func(flags string) []string {
			return append(append([]string{"tcpserver", "-1"}, line(flags)...), append([]string{at, "0"}, line(program)...)...)
		}
		p := flagProof{with: args(with), without: args(without)}
		p.Files = []File{rules, {Path: "nodelay", Mode: 0o755, Content: "#!/usr/bin/python3\n" + fmt.Sprintf(noDelay, 0) + "\n"}}
		p.Env = []string{"DNSCACHEIP=" + names, "UID=65534", "GID=65534"}
		p.Normal = func(o *Outcome) { served(o, at) }
		p.Run = withNames(names, zone, func(ctx context.Context, cmd *exec.Cmd, _ string) (string, error) {
			return serve(ctx, cmd, at, []client{{from, "hello\n"}})
		})
		proofs["tcpserver "+flag] = p
	}
	plain := func(flag, with, without string) { add(flag, with, without, known, "env -0") }
	plain("-v", "-RHl0 -v", "-RHl0")
	plain("-c", "-vRHl0 -c1", "-vRHl0")
	plain("-x", "-RHl0 -xrules.cdb", "-RHl0")
	plain("-X", "-RHl0 -xmissing.cdb -X", "-RHl0 -xmissing.cdb")
	plain("-B", "-RHl0 -Bhello", "-RHl0")
	plain("-h", "-RHl0 -h", "-RHl0")
	plain("-H", "-Rl0 -H", "-Rl0")
	plain("-l", "-RH -lname", "-RH")
	add("-p", "-Rl0 -p", "-Rl0", liar, "env -0")
	add("-P", "-Rl0 -p -P", "-Rl0 -p", liar, "env -0")
	add("-r", "-RHl0 -r", "-RHl0", identClients[0], "env -0")
	add("-R", "-Hl0 -R", "-Hl0", identClients[0], "env -0")
	add("-t", "-Hl0 -t1", "-Hl0", slow, "env -0")
	add("-g", "-RHl0 -g65534", "-RHl0", known, "id -g")
	add("-u", "-RHl0 -u65534", "-RHl0", known, "id -u")
	add("-U", "-RHl0 -U", "-RHl0", known, "id")
	add("-d", "-RHl0 -D -d", "-RHl0 -D", known, "./nodelay")
	add("-D", "-RHl0 -D", "-RHl0", known, "./nodelay")
	bad := line("192.0.2.1 0 true")
	proofs["tcpserver -q"] = flagProof{with: append(line("tcpserver -q"), bad...), without: append(line("tcpserver"), bad...)}
	proofs["tcpserver -Q"] = flagProof{with: append(line("tcpserver -q -Q"), bad...), without: append(line("tcpserver -q"), bad...)}
	proofs["tcpserver -o"] = flagProof{listed: "`-O`"}
	proofs["tcpserver -O"] = flagProof{listed: "`-O`"}

	// listening tells what is seen of a server that listens.
	listening := func(at, see string) func(ctx context.Context, cmd *exec.Cmd, _ string) (string, error) {
		return func(ctx context.Context, cmd *exec.Cmd, _ string) (string, error) {
			log := &watchedBuffer{to: cmd.Stderr}
			cmd.Stderr = log
			if err := cmd.Start(); err != nil {
				return "", err
			}
			log.await(ctx, func(text []byte) bool { return bytes.Contains(text, []byte("status: ")) })
			seen, err := exec.CommandContext(ctx, "sh", "-c", see).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v", see, err)
			}
			cmd.Process.Signal(unix.SIGTERM)
			return strings.ReplaceAll(string(seen), at, "ADDRESS"), cmd.Wait()
		}
	}
	at := host()
	p := flagProof{with: line("tcpserver -vRHl0 -1 " + at + " 7100 true"), without: line("tcpserver -vRHl0 " + at + " 7100 true")}
	p.Run = listening(at, "true")
	proofs["tcpserver -1"] = p
	at = host()
	p = flagProof{with: line("tcpserver -vRHl0 -b7 " + at + " 7100 true"), without: line("tcpserver -vRHl0 -b5 " + at + " 7100 true")}
	p.Run = listening(at, "ss -Hltn src "+at)
	proofs["tcpserver -b"] = p
}

func tcpclientProofs(t *testing.T, proofs map[string]flagProof) {
	const port = "7000"
	add := func(flag, with, without, program string, prepare func(at string)) {
		at, names := host(), host()
		if prepare != nil {
			prepare(at)
		}
		zone := network.Zone{
			network.Reverse(at): {"there.example"}, "there.example": {at},
			network.Reverse("127.0.0.1"): {"here.example"},
		}
		args := func(flags string) []string {
			return append(append([]string{"tcpclient"}, line(flags)...), append([]string{at, port}, line(program)...)...)
		}
		p := flagProof{with: args(with), without: args(without)}
		p.Files = []File{{Path: "nodelay", Mode: 0o755, Content: "#!/usr/bin/python3\n" + fmt.Sprintf(noDelay, 6) + "\n"}}
		p.Env = []string{"DNSCACHEIP=" + names}
		p.Normal = func(o *Outcome) {
			environment(o)
			for _, of := range []*string{&o.Stdout, &o.Stderr} {
				*of = strings.ReplaceAll(*of, at, "ADDRESS")
				*of = regexp.MustCompile(`(TCPLOCALPORT=)[0-9]{5}\b`).ReplaceAllString(*of, "${1}PORT") // a chosen one has five digits
			}
		}
		p.Run = withNames(names, zone, func(ctx context.Context, cmd *exec.Cmd, _ string) (string, error) {
			return meet(cmd, at, server{port: port, says: "hello\n"})
		})
		proofs["tcpclient "+flag] = p
	}
	ident := func(at string) {
		_, end, err := network.ListenIdent(at, identAnswers[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(end)
	}
	add("-v", "-RHl0 -v", "-RHl0", "env -0", nil)
	add("-i", "-RHl0 -i127.0.4.4", "-RHl0", "env -0", nil)
	add("-p", "-RHl0 -p7200 -i127.0.4.5", "-RHl0 -i127.0.4.5", "env -0", nil)
	add("-d", "-RHl0 -D -d", "-RHl0 -D", "./nodelay", nil)
	add("-D", "-RHl0 -D", "-RHl0", "./nodelay", nil)
	add("-h", "-RHl0 -h", "-RHl0", "env -0", nil)
	add("-H", "-Rl0 -H", "-Rl0", "env -0", nil)
	add("-l", "-RH -lname", "-RH", "env -0", nil)
	add("-r", "-RHl0 -r", "-RHl0", "env -0", ident)
	add("-R", "-Hl0 -R", "-Hl0", "env -0", ident)
	add("-t", "-Hl0 -t1", "-Hl0", "env -0", func(at string) { slowIdent(t, at) })
	refused := line("-RHl0 127.0.4.6 7001 true")
	proofs["tcpclient -q"] = flagProof{with: append(line("tcpclient -q"), refused...), without: append(line("tcpclient"), refused...)}
	proofs["tcpclient -Q"] = flagProof{with: append(line("tcpclient -q -Q"), refused...), without: append(line("tcpclient -q"), refused...)}

	at := host()
	p := flagProof{with: line("tcpclient -RHl0 -T1 " + at + " " + port + " echo connected"), without: line("tcpclient -RHl0 " + at + " " + port + " echo connected")}
	p.Run = func(_ context.Context, cmd *exec.Cmd, _ string) (string, error) { return "", meetLate(cmd, at, port) }
	proofs["tcpclient -T"] = p
}

// meetLate runs a client whose packets are dropped until it has ended, or for
// four seconds.
func meetLate(cmd *exec.Cmd, at, port string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	sa := &unix.SockaddrInet4{Port: 7000, Addr: [4]byte(net.ParseIP(at).To4())}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, sa); err != nil {
		return err
	}
	if err := unix.Listen(fd, 0); err != nil {
		return err
	}
	first, err := net.Dial("tcp4", net.JoinHostPort(at, port)) // there is no room for another
	if err != nil {
		return err
	}
	defer first.Close()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(4 * time.Second):
	}
	conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(conn)
	return <-ended
}

func rblsmtpdProofs(t *testing.T, proofs map[string]flagProof) {
	for flag, lines := range map[string][2]string{
		"-r": {"-rbad.example", ""},
		"-a": {"-agood.example -rbad.example", "-rbad.example"},
		"-b": {"-b -rbad.example", "-rbad.example"},
		"-B": {"-b -B -rbad.example", "-b -rbad.example"},
		"-c": {"-c -r" + strings.Repeat("x", 64), "-r" + strings.Repeat("x", 64)},
		"-C": {"-c -C -r" + strings.Repeat("x", 64), "-c -r" + strings.Repeat("x", 64)},
		"-t": {"-t0 -rbad.example", "-rbad.example"},
	} {
		names := host()
		p := flagProof{with: line("rblsmtpd " + lines[0] + " echo accepted"), without: line("rblsmtpd " + lines[1] + " echo accepted")}
		p.Env = []string{"DNSCACHEIP=" + names, "TCPREMOTEIP=1.2.3.4"}
		p.Stdin = "helo x\r\nrcpt to:<a@b>\r\nquit\r\n"
		p.Normal = func(o *Outcome) { served(o, names) }
		run := withNames(names, network.Zone{"4.3.2.1.bad.example": {`"bad`}, "4.3.2.1.good.example": {"127.0.0.2"}},
			func(_ context.Context, cmd *exec.Cmd, _ string) (string, error) { return "", cmd.Run() })
		p.Run = func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
			_, err := run(ctx, cmd, dir)
			return "", err
		}
		proofs["rblsmtpd "+flag] = p
	}
}

func multilogProofs(t *testing.T, proofs map[string]flagProof) {
	for flag, lines := range map[string][2]string{
		"-":   {"-a* ./log", "./log"},
		"+":   {"-* +a* ./log", "-* ./log"},
		"e":   {"e", ""},
		"=":   {"=status", ""},
		"t":   {"t ./log", "./log"},
		"dir": {"./log", ""},
		"s":   {"s4096 ./log", "./log"},
		"n":   {"s4096 n3 ./log", "s4096 ./log"},
		"!":   {"s4096 !sort ./log", "s4096 ./log"},
	} {
		p := flagProof{with: line("multilog " + lines[0]), without: line("multilog " + lines[1])}
		p.Stdin = "alpha\nbeta\n"
		p.Normal = logged
		switch flag {
		case "s", "n":
			p.Stdin = strings.Repeat("123456789\n", 6000)
			p.Normal = func(o *Outcome) { // where a log ends is a matter of reads
				finished := 0
				for name := range o.Files {
					if strings.HasPrefix(name, "log/@") {
						finished++
					}
				}
				o.Observed, o.Files = fmt.Sprint(finished, " finished"), nil
			}
		case "!":
			p.Stdin = "z\n" + strings.Repeat("y", 4095) + "\n"
		}
		proofs["multilog "+flag] = p
	}
}

func setlockProofs(t *testing.T, proofs map[string]flagProof) {
	for flag, lines := range map[string][2]string{
		"-n": {"-n", ""},
		"-N": {"-n -N", "-n"},
		"-x": {"-n -x", "-n"},
		"-X": {"-n -x -X", "-n -x"},
	} {
		p := flagProof{with: line("setlock " + lines[0] + " lock echo run"), without: line("setlock " + lines[1] + " lock echo run")}
		p.Files = []File{{Path: "lock", Mode: 0o644}}
		p.Run = func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
			lock, err := os.Open(dir + "/lock")
			if err != nil {
				return "", err
			}
			defer lock.Close()
			if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
				return "", err
			}
			if err := cmd.Start(); err != nil {
				return "", err
			}
			settle(ctx, cmd.Process.Pid)
			unix.Flock(int(lock.Fd()), unix.LOCK_UN)
			return "", cmd.Wait()
		}
		proofs["setlock "+flag] = p
	}
}

func softlimitProofs(t *testing.T, proofs map[string]flagProof) {
	for _, flag := range line("-m -d -s -l -a -o -p -f -c -r -t") {
		value := map[string]string{"-m": "400000000", "-d": "400000000", "-s": "4000000", "-a": "400000000", "-l": "4096"}[flag]
		if value == "" {
			value = "100"
		}
		proofs["softlimit "+flag] = flagProof{with: line("softlimit " + flag + " " + value + " cat /proc/self/limits"), without: line("softlimit cat /proc/self/limits")}
	}
}

func svcProofs(t *testing.T, proofs map[string]flagProof) {
	for _, flag := range line("-u -d -o -p -c -h -a -i -t -k -x") {
		p := flagProof{with: line("svc " + flag + " s"), without: line("svc s")}
		for _, name := range []string{"ok", "control"} {
			p.Files = append(p.Files, File{Path: "s/supervise/" + name, Mode: os.ModeNamedPipe | 0o600})
		}
		p.Run = readWhile([]string{"s/supervise/ok", "s/supervise/control"})
		proofs["svc "+flag] = p
	}
}

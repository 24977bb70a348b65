package rblsmtpd

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/test/programs"
)

// TestMain lets the test binary be rblsmtpd, by the name of a link to it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "rblsmtpd" {
		os.Exit(Main(os.Args))
	}
	os.Exit(m.Run())
}

// ours returns a directory with our rblsmtpd.
func ours(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "rblsmtpd")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// A result is what rblsmtpd leaves.
type result struct {
	Stdout, Stderr string
	Exit           int // -1: a signal
}

// run runs the rblsmtpd of a directory to its end.
func run(t *testing.T, dir, input string, env []string, args ...string) result {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, "rblsmtpd"), args...)
	cmd.Env = append([]string{"PATH=/bin:/usr/bin"}, env...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	log := strings.ReplaceAll(stderr.String(), " pid "+strconv.Itoa(cmd.Process.Pid)+": ", " pid PID: ")
	return result{stdout.String(), log, cmd.ProcessState.ExitCode()}
}

// accepted is the program of the tests.
var accepted = []string{"sh", "-c", "echo accepted; env | grep -v ^_= | sort"}

// compare runs the original and ours.
func compare(t *testing.T, input string, env []string, args ...string) {
	t.Helper()
	if diff := cmp.Diff(run(t, programs.Originals(t), input, env, args...), run(t, ours(t), input, env, args...)); diff != "" {
		t.Errorf("original -, ours +:\n%s", diff)
	}
}

// dialogue is what the client says.
const dialogue = "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n"

// TestLists compares the decisions, with flags and lists in any order. A name
// with too long a label is a lookup that fails without the many seconds for
// which the original repeats a question.
func TestLists(t *testing.T) {
	nameserver := serveNames(t, testLists)
	for _, flags := range []string{
		"", "-r@hit", "-r @hit", "-r @nothing", "-r @unknown", "-a @good", "-a @nothing", "-a @unknown", "-a @hit",
		"-r @strings", "-r @empty", "-r @empty -r @hit", "-r @bytes", "-r @long", "-b -r @long", "-r @minus", "-b -r @minus",
		"-r @truncated", "-a @truncated -r @hit",
		"-b -r @hit", "-r @hit -b", "-b -B -r @hit", "-r @hit -r @other", "-r @other -r @hit", "-r @unknown -b -r @other",
		"-r @hit -a @good", "-a @good -r @hit", "-a @unknown -r @hit", "-r @unknown -a @good -r @hit",
		"-r !", "-c -r !", "-C -r !", "-c -C -r !", "-r ! -c", "-c -a !", "-c -a ! -b -r @hit",
		"-b -r ! -r @hit", "-c -b -r ! -r @hit", "-b -r @hit -r !", "-b -r ! -r @minus",
		"-a ! -r @hit", "-c -a ! -r @hit", "-c -a ! -C -b -r @hit", "-c -b -a ! -a @good -r @hit",
		"-bc -r !", "-cbr @hit", "-t 0 -b -r @hit", "-t0 -r @unknown", "-r .list..hit.", "-r .",
		"-c -r @fail",
	} {
		t.Run(flags, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(strings.NewReplacer("@", "list.", "!", strings.Repeat("x", 64)).Replace(flags))
			env := []string{"TCPREMOTEIP=1.2.3.4", "DNSCACHEIP=" + nameserver.ip}
			compare(t, dialogue, env, append(args, accepted...)...)
		})
	}
}

// TestLookups compares the names that are asked for.
func TestLookups(t *testing.T) {
	for _, ip := range []string{"1.2.3.4", "", "abc", "1.2.3", "1.2.3.4.5", "01.2.3.4", "999.2.3.4", "1.2.3.4x", "1..3.4", "1.2.3.4.", "1-2.3", "-"} {
		env := []string{"TCPREMOTEIP=" + ip}
		if ip == "-" {
			env = nil
		}
		asked := func(dir string) []string {
			nameserver := serveNames(t, testLists)
			run(t, dir, "", append(env, "DNSCACHEIP="+nameserver.ip), "-r", "list.nothing", "-a", "more", "true")
			return nameserver.questions()
		}
		if diff := cmp.Diff(asked(programs.Originals(t)), asked(ours(t))); diff != "" {
			t.Errorf("%q: original -, ours +:\n%s", ip, diff)
		}
	}
}

// TestVariable compares what RBLSMTPD does; no list is asked then.
func TestVariable(t *testing.T) {
	for _, value := range []string{
		"", "text", "-Go away", "-", "--", " ", "\x01\x7f\xff\r\n451 x", strings.Repeat("a", 201), "-" + strings.Repeat("b", 201),
	} {
		env := []string{"TCPREMOTEIP=1.2.3.4", "RBLSMTPD=" + value}
		compare(t, dialogue, env, append([]string{"-r", "list.hit"}, accepted...)...)
		compare(t, dialogue, env, append([]string{"-t0", "-b"}, accepted...)...)
	}
	compare(t, dialogue, []string{"RBLSMTPD=text"}, "true")
	compare(t, dialogue, []string{"RBLSMTPD=text", "TCPREMOTEIP=a\nb"}, "true")
}

// TestDialogue compares the answers to what clients say.
func TestDialogue(t *testing.T) {
	for _, input := range []string{
		"", "\n", "\r\n", "quit\n", "QuIt\r\n", "quit", "quit\r", "quit \n", "quit x\n", " quit\n", "quit\t\n", "quit\r\r\n",
		"quit\x00\n", "quit\x00x\nquit\n", "\x00quit\n", "he\x00lo\nquit\nnoop\n",
		"helo\nehlo\nmail\nrset\nnoop\nrcpt\ndata\nvrfy\nstarttls\nhelp\nquit\n",
		"HELO x\nEHLO x\nMAIL x\nRSET x\nNOOP x\nRCPT x\nDATA\nQUIT x\n",
		"hel\nhelox\nhelo\xff\nh\xe9lo\n\u212anoop\n.\nquit\n",
		strings.Repeat("x", 3000) + "\nquit\n", "noop " + strings.Repeat("x", 3000) + "\nquit\n",
		strings.Repeat("x", 510) + "\r\nquit\n", strings.Repeat("x", 512) + "\nquit\n", "noop" + strings.Repeat("\r", 508) + "\nquit\n",
		strings.Repeat("noop\r\n", 1000),
	} {
		compare(t, input, []string{"RBLSMTPD=text"}, "true")
	}
}

// TestUsage compares command lines.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		nil, {"-r", "x"}, {"-z", "true"}, {"-R", "true"}, {"-t"}, {"-r"}, {"-a"}, {"-bz"}, {"--", "echo", "-b"}, {"-", "true"},
		{"./none"}, {"none"}, {"/"}, {"sh", "-c", "exit 7"}, {"sh", "-c", "kill -9 $$"},
	} {
		compare(t, "quit\r\n", nil, args...)
	}
	for _, timeout := range []string{"1x", "x", "-1", "", "4294967296", "18446744073709551616"} {
		compare(t, "quit\r\n", []string{"RBLSMTPD=text"}, "-t", timeout, "true")
	}
}

// TestTimeout compares a dialogue that the client does not end, and shows that
// it may last.
func TestTimeout(t *testing.T) {
	for _, dir := range []string{programs.Originals(t), ours(t)} {
		start := time.Now()
		cmd := exec.Command(filepath.Join(dir, "rblsmtpd"), "-t", "2", "true")
		cmd.Env = []string{"RBLSMTPD=text"}
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		out, err := cmd.Output()
		if lasted := time.Since(start); string(out) != "220 rblsmtpd.local\r\n" || err != nil || lasted < time.Second || lasted > patience {
			t.Errorf("%s: %q, %v after %v", dir, out, err, lasted)
		}
	}
}

// TestClientGone compares what happens when nobody reads the answers.
func TestClientGone(t *testing.T) {
	end := func(dir string) string {
		gone, output, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer output.Close()
		gone.Close()
		cmd := exec.Command(filepath.Join(dir, "rblsmtpd"), "true")
		cmd.Env = []string{"RBLSMTPD=text"}
		cmd.Stdout = output
		cmd.Run()
		return cmd.ProcessState.String()
	}
	if original, ours := end(programs.Originals(t)), end(ours(t)); original != ours {
		t.Errorf("original: %s, ours: %s", original, ours)
	}
}

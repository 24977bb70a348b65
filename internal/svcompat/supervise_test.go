package svcompat

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/supervision"
)

var seconds = regexp.MustCompile(`\d+ seconds`)

// startSuperviseOf starts the supervise in the directory bin on the service
// directory dir, and waits until it says that it runs.
func startSuperviseOf(t testing.TB, bin, dir string) *supervision.Daemon {
	t.Helper()
	d := supervision.Start(t, filepath.Dir(dir), nil, filepath.Join(bin, "supervise"), filepath.Base(dir))
	supervision.Await(t, "supervise to run", func() bool { return supervision.Supervised(dir) })
	return d
}

// Either supervise obeys either svc and is seen by either svstat and svok.
func TestSuperviseWithEveryTool(t *testing.T) {
	t.Parallel()
	for which, bin := range bothOf(t) {
		for whose, tools := range bothOf(t) {
			t.Run(which+" supervise, "+whose+" tools", func(t *testing.T) {
				t.Parallel()
				parent := t.TempDir()
				dir := supervision.ServiceDir(t, parent, "s", supervision.Sleeper)
				supervise := startSuperviseOf(t, bin, dir)
				pid := supervision.AwaitUp(t, dir, 0)
				svc := func(options string) {
					t.Helper()
					if got := supervision.Run(t, parent, tools+"/svc", options, "s"); got != (result{}) {
						t.Fatalf("svc %s: %+v", options, got)
					}
				}
				awaitText := func(text string) {
					t.Helper()
					supervision.Await(t, "svstat to say "+text, func() bool {
						got := supervision.Run(t, parent, tools+"/svstat", "s").Stdout
						return seconds.ReplaceAllString(got, "N seconds") == text+"\n"
					})
				}
				since := readStatus(t, dir).Since
				up := fmt.Sprintf("s: up (pid %d) N seconds", pid)
				awaitText(up)
				svc("-p")
				awaitText(up + ", paused")
				svc("-c")
				awaitText(up)
				svc("-o")
				supervision.Await(t, "no opinion", func() bool { return readStatus(t, dir).Want == WantOnce })
				if status := readStatus(t, dir); !status.Since.Equal(since) {
					t.Errorf("the pid did not change, but its time did, from %v to %v", since, status.Since)
				}
				svc("-d")
				awaitText("s: down N seconds, normally up")
				if err := os.WriteFile(dir+"/down", nil, 0o644); err != nil {
					t.Fatal(err)
				}
				awaitText("s: down N seconds")
				svc("-u")
				awaitText(fmt.Sprintf("s: up (pid %d) N seconds, normally down", supervision.AwaitUp(t, dir, pid)))
				if got := supervision.Run(t, parent, tools+"/svok", "s"); got != (result{}) {
					t.Errorf("svok: %+v", got)
				}
				svc("-xk")
				if code := supervise.Wait(t); code != 0 || supervise.Stderr(t) != "" {
					t.Errorf("exit %d, %q", code, supervise.Stderr(t))
				}
				if got := supervision.Run(t, parent, tools+"/svok", "s"); got != (result{Exit: 100}) {
					t.Errorf("svok: %+v", got)
				}
				if got, want := supervision.Run(t, parent, tools+"/svc", "-u", "s").Stderr, "svc: warning: unable to control s: supervise not running\n"; got != want {
					t.Errorf("svc: %q", got)
				}
				if got := supervision.Run(t, parent, tools+"/svstat", "s").Stdout; got != "s: supervise not running\n" {
					t.Errorf("svstat: %q", got)
				}
				if status := readStatus(t, dir); status.PID != 0 || status.Want != WantUp {
					t.Errorf("left %+v", status)
				}
			})
		}
	}
}

// Both supervises get the same letters; after each, both must be in the same
// state.
func TestSuperviseInLockStep(t *testing.T) {
	t.Parallel()
	rnd := random(t)
	for round := range 6 {
		letters := make([]byte, 12)
		for i := range letters {
			letters[i] = "uuudddooppcchaitkzx"[rnd.IntN(18)]
		}
		switch rnd.IntN(3) {
		case 0:
			letters = append(letters, "xd"...)
		case 1:
			letters = append(letters, "uxct"...)
		case 2:
			letters = append(letters, "dx"...)
		}
		normallyUp := round%2 == 0
		t.Run(fmt.Sprintf("%s, normally up %v", letters, normallyUp), func(t *testing.T) {
			t.Parallel()
			var pair [2]*stepped
			for i, bin := range []string{programs.Originals(t), ours} {
				dir := supervision.ServiceDir(t, t.TempDir(), "s", supervision.Sleeper)
				if !normallyUp {
					if err := os.WriteFile(dir+"/down", nil, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				pair[i] = &stepped{dir: dir, supervise: startSuperviseOf(t, bin, dir)}
				if normallyUp {
					supervision.AwaitUp(t, dir, 0)
				}
			}
			for _, letter := range letters {
				for _, s := range pair {
					s.send(t, letter)
				}
				for _, s := range pair {
					s.settle(t, letter)
				}
				awaitEqual(t, letter, pair)
				if !pair[0].running() {
					break
				}
			}
			for _, s := range pair {
				if code := s.supervise.Wait(t); code != 0 {
					t.Errorf("exit %d", code)
				}
			}
			awaitEqual(t, 'x', pair)
		})
	}
}

// A stepped is one of a pair that is led through the same letters.
type stepped struct {
	dir       string
	supervise *supervision.Daemon
	pid       uint32 // before the letter at hand
	stopped   bool   // by SIGSTOP
	dying     bool   // when it continues
	exiting   bool   // when the process has ended
}

func (s *stepped) send(t *testing.T, letter byte) {
	t.Helper()
	s.pid = readStatus(t, s.dir).PID
	control, err := os.OpenFile(s.dir+"/supervise/control", os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	if _, err := control.Write([]byte{letter}); err != nil {
		t.Fatal(err)
	}
}

// settle waits until the letter has had its effect on the process, as far as
// that can be told from outside.
func (s *stepped) settle(t *testing.T, letter byte) {
	t.Helper()
	supervision.Await(t, "the letter to be read", func() bool { return !s.running() || s.unread(t) == 0 })
	s.exiting = s.exiting || letter == 'x'
	starts := s.pid == 0 && (letter == 'u' || letter == 'o')
	ends := false
	if s.pid != 0 {
		ends = s.signalled(t, letter)
	}
	if starts || ends {
		supervision.Await(t, fmt.Sprintf("%c to start or end the process in %s", letter, s.dir), func() bool {
			return readStatus(t, s.dir).PID != s.pid
		})
	}
	if ends {
		s.stopped, s.dying = false, false
	}
	if s.exiting && readStatus(t, s.dir).PID == 0 {
		s.supervise.Wait(t)
	}
}

// signalled keeps account of what a letter does to the running process, and
// tells whether it ends.
func (s *stepped) signalled(t *testing.T, letter byte) bool {
	t.Helper()
	switch letter {
	case 'p':
		s.stopped = true
		// Until it has stopped, the next signal may overtake SIGSTOP.
		supervision.Await(t, "the process to stop", func() bool { return supervision.ProcessState(t, s.pid)[0] == "T" })
	case 'h', 'a', 'i', 't':
		s.dying = s.stopped
		return !s.stopped
	case 'c':
		s.stopped = false
		return s.dying
	case 'k', 'd':
		return true
	}
	return false
}

func (s *stepped) running() bool {
	select {
	case <-s.supervise.Ended:
		return false
	default:
		return true
	}
}

// unread is how many letters are waiting in control.
func (s *stepped) unread(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open(s.dir+"/supervise/control", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// awaitEqual waits until both are in the same state at two looks in a row, and
// neither is between an end and the start that must follow.
func awaitEqual(t *testing.T, letter byte, pair [2]*stepped) {
	t.Helper()
	var states [2]string
	equal := 0
	deadline := time.Now().Add(supervision.Patient)
	for equal < 2 {
		if time.Now().After(deadline) {
			t.Fatalf("after %c: original %s, ours %s", letter, states[0], states[1])
		}
		starting := false
		for i, s := range pair {
			status := readStatus(t, s.dir)
			status.Since = time.Time{}
			up := status.PID != 0
			starting = starting || !up && status.Want == WantUp && s.running()
			status.PID = min(status.PID, 1)
			bytes := status.Bytes()
			_, text, _ := strings.Cut(string(status.AppendText(nil, time.Now(), true)), " seconds")
			states[i] = fmt.Sprintf("up %v, %x%s, running %v", up, bytes[16:], text, s.running())
		}
		if states[0] == states[1] && !starting {
			equal++
		} else {
			equal = 0
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestSecondSuperviseRefuses(t *testing.T) {
	t.Parallel()
	for which, bin := range bothOf(t) {
		dir := supervision.ServiceDir(t, t.TempDir(), "s", supervision.Sleeper)
		startSuperviseOf(t, bin, dir)
		supervision.AwaitUp(t, dir, 0)
		before, err := os.ReadFile(dir + "/supervise/status")
		if err != nil {
			t.Fatal(err)
		}
		for whose, bin := range bothOf(t) {
			want := result{Stderr: "supervise: fatal: unable to acquire s/supervise/lock: temporary failure\n", Exit: 111}
			if got := supervision.Run(t, filepath.Dir(dir), bin+"/supervise", "s"); got != want {
				t.Errorf("%s supervise after %s: %+v", whose, which, got)
			}
		}
		if after, _ := os.ReadFile(dir + "/supervise/status"); string(after) != string(before) {
			t.Errorf("%s: status was %x, is %x", which, before, after)
		}
	}
}

func TestSuperviseFiles(t *testing.T) {
	t.Parallel()
	listings := make(map[string]string)
	for which, bin := range bothOf(t) {
		for _, target := range []string{"", "elsewhere"} {
			parent := t.TempDir()
			dir := supervision.ServiceDir(t, parent, "s", "")
			if target != "" {
				if err := os.Symlink("../"+target, dir+"/supervise"); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(dir+"/down", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			supervise := startSuperviseOf(t, bin, dir)
			listings[which] += supervision.Run(t, parent, "find", ".", "-printf", "%P %M %s %l\n", "!", "-name", "run").Stdout
			supervision.Run(t, parent, ours+"/svc", "-x", "s")
			supervise.Wait(t)
			listings[which] += supervision.Run(t, parent, "sh", "-c", "stat -c '%n %A %s' s/supervise/* | sort").Stdout
		}
	}
	sorted := func(s string) string {
		return supervision.Run(t, "", "sh", "-c", "printf %s \"$1\" | grep -v '^s ' | sort", "sh", s).Stdout
	}
	if got, want := sorted(listings["ours"]), sorted(listings["original"]); got != want || !strings.Contains(got, "prw-------") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What ./run gets must be what the original gives it.
func TestSuperviseInheritance(t *testing.T) {
	t.Parallel()
	const script = `exec 2>&1
pwd | sed 's,.*/,,'
echo "$0 $# $A"
ls -l /proc/$$/fd >descriptors; sed 's/.* \([0-9]* ->\)/\1/; s/pipe:.*/pipe/; s,/.*/report,report,' <descriptors | grep -v -e 'run$' -e 'descriptors$'
ulimit -Sn; ulimit -Hn
# without a process: the shell blocks signals while it starts one
while read -r line; do case $line in Sig[BIC]*) echo "$line";; esac; done </proc/$$/status
ps -o sid= -o pgid= -p $PPID | tr -s ' '; ps -o sid= -o pgid= -p $$ | tr -s ' '
echo done
exec sleep 1000
`
	reports := make(map[string]string)
	for which, bin := range bothOf(t) {
		parent := t.TempDir()
		dir := supervision.ServiceDir(t, parent, "s", script)
		supervision.Start(t, parent, []string{"A=a b"}, "/bin/sh", "-c", "ulimit -Sn 77; exec 7</dev/null; trap '' HUP; echo $$ >pid; exec setsid -w "+bin+"/supervise s >report")
		var report []byte
		supervision.Await(t, "the report", func() bool {
			report, _ = os.ReadFile(parent + "/report")
			return strings.Contains(string(report), "done\n")
		})
		pid := readStatus(t, dir).PID
		status := supervision.Run(t, "", "ps", "-o", "ppid=", "-p", fmt.Sprint(pid)).Stdout
		supervise, err := strconv.Atoi(strings.TrimSpace(status))
		if err != nil {
			t.Fatal(err)
		}
		unix.Kill(supervise, unix.SIGKILL)
		reports[which] = strings.ReplaceAll(string(report), strconv.Itoa(supervise), "SUPERVISE")
	}
	if reports["ours"] != reports["original"] {
		t.Errorf("got\n%s\nwant\n%s", reports["ours"], reports["original"])
	}
}

func TestRunThatCannotStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(dir string) error
		why     string
	}{
		"missing":        {func(string) error { return nil }, "file does not exist"},
		"not executable": {func(dir string) error { return os.WriteFile(dir+"/run", nil, 0o644) }, "access denied"},
		"directory":      {func(dir string) error { return os.Mkdir(dir+"/run", 0o755) }, "access denied"},
		"no interpreter": {func(dir string) error { return os.WriteFile(dir+"/run", []byte("#!/none\n"), 0o755) }, "file does not exist"},
		"no format":      {func(dir string) error { return os.WriteFile(dir+"/run", []byte("true\n"), 0o755) }, "exec format error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := supervision.ServiceDir(t, parent, "s", "")
			if err := c.prepare(dir); err != nil {
				t.Fatal(err)
			}
			message := "supervise: fatal: unable to start s/run: " + c.why + "\n"
			supervises := make(map[string]*supervision.Daemon)
			for which, bin := range bothOf(t) {
				supervises[which] = startSuperviseOf(t, bin, dir)
				// not as the first: a file just written may be "text busy" while
				// another test forks
				supervision.Await(t, "two messages of "+which, func() bool {
					return strings.Contains(supervises[which].Stderr(t), message+message)
				})
				if which == "original" {
					supervision.Run(t, parent, ours+"/svc", "-dx", "s")
					supervises[which].Wait(t)
				}
				if which == "ours" {
					if got := supervision.Run(t, parent, ours+"/svstat", "s").Stdout; !strings.HasPrefix(got, "s: down ") || !strings.HasSuffix(got, " seconds, normally up, want up\n") {
						t.Errorf("svstat: %q", got)
					}
					os.RemoveAll(dir + "/run")
					supervision.WriteRun(t, dir, supervision.Sleeper)
					supervision.AwaitUp(t, dir, 0)
					supervision.Run(t, parent, ours+"/svc", "-dx", "s")
					if code := supervises[which].Wait(t); code != 0 {
						t.Errorf("exit %d", code)
					}
					os.Remove(dir + "/run")
					if err := c.prepare(dir); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// While ./run cannot start, letters are obeyed all the same.
func TestLettersWithoutRun(t *testing.T) {
	t.Parallel()
	dir := supervision.ServiceDir(t, t.TempDir(), "s", "")
	supervise := startSuperviseOf(t, ours, dir)
	message := "supervise: fatal: unable to start s/run: file does not exist\n"
	count := func() int { return strings.Count(supervise.Stderr(t), message) }
	supervision.Await(t, "a message", func() bool { return count() > 0 })
	for _, letter := range "dod" {
		supervision.Run(t, "", ours+"/svc", "-"+string(letter), dir)
		supervision.Await(t, "the letter to be obeyed", func() bool { return readStatus(t, dir).Want == map[rune]Want{'d': WantDown, 'o': WantOnce}[letter] })
	}
	before := count()
	supervision.WriteRun(t, dir, "echo ran >>ran; "+supervision.Sleeper)
	supervision.Run(t, "", ours+"/svc", "-o", dir)
	supervision.AwaitUp(t, dir, 0)
	supervision.Run(t, "", ours+"/svc", "-xd", dir)
	if code := supervise.Wait(t); code != 0 || count() != before {
		t.Errorf("exit %d, %q", code, supervise.Stderr(t))
	}
}

// A run that ends at once starts once a second, whatever is asked for.
func TestOneStartASecond(t *testing.T) {
	t.Parallel()
	dir := supervision.ServiceDir(t, t.TempDir(), "s", "date +%s%N >>starts\n")
	startSuperviseOf(t, ours, dir)
	var starts []string
	supervision.Await(t, "four starts", func() bool {
		supervision.Run(t, "", ours+"/svc", "-u", dir)
		content, _ := os.ReadFile(dir + "/starts")
		starts = strings.Fields(string(content))
		return len(starts) >= 4
	})
	first, err1 := strconv.ParseInt(starts[0], 10, 64)
	fourth, err2 := strconv.ParseInt(starts[3], 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatal(starts)
	}
	// From the starts of date to its looks at the clock the time varies.
	if took := time.Duration(fourth - first); took < 2500*time.Millisecond {
		t.Errorf("four starts within %v", took)
	}
}

// When supervise is killed its process goes on, and another supervise may
// take over.
func TestKilledSupervise(t *testing.T) {
	t.Parallel()
	for which, bin := range bothOf(t) {
		dir := supervision.ServiceDir(t, t.TempDir(), "s", supervision.Sleeper)
		supervise := startSuperviseOf(t, bin, dir)
		pid := supervision.AwaitUp(t, dir, 0)
		supervise.Process.Signal(unix.SIGTERM)
		if code := supervise.Wait(t); code != -1 {
			t.Errorf("%s: exit %d", which, code)
		}
		if got := supervision.Run(t, "", ours+"/svok", dir); got.Exit != 100 {
			t.Errorf("%s: svok %+v", which, got)
		}
		if err := unix.Kill(int(pid), 0); err != nil {
			t.Errorf("%s: the process is gone: %v", which, err)
		}
		startSuperviseOf(t, ours, dir)
		supervision.AwaitUp(t, dir, pid)
		unix.Kill(int(pid), unix.SIGKILL)
	}
}

// Memory limits that softlimit handed on are set on ./run and what it starts.
func TestSuperviseUnderSoftlimit(t *testing.T) {
	t.Parallel()
	dir := supervision.ServiceDir(t, t.TempDir(), "s", "[ $(sh -c 'ulimit -d') = 19531 ] || exit\nenv >environment\n"+supervision.Sleeper)
	supervision.Start(t, "", nil, ours+"/softlimit", "-d20000000", ours+"/supervise", dir)
	var environment []byte
	supervision.Await(t, "the limit", func() bool {
		environment, _ = os.ReadFile(dir + "/environment")
		return strings.Contains(string(environment), "PATH=")
	})
	if strings.Contains(string(environment), "SVCOMPAT") {
		t.Errorf("environment:\n%s", environment)
	}
}

// A supervise that has nothing to do does not wake up.
func TestIdleSupervise(t *testing.T) {
	t.Parallel()
	dir := supervision.ServiceDir(t, t.TempDir(), "s", supervision.Sleeper)
	supervise := startSuperviseOf(t, ours, dir)
	supervision.AwaitUp(t, dir, 0)
	trace := filepath.Join(t.TempDir(), "trace")
	strace := supervision.Start(t, "", nil, "strace", "-f", "-e", "trace=poll,ppoll,read,wait4,nanosleep,clock_nanosleep", "-o", trace, "-p", strconv.Itoa(supervise.Process.Pid))
	supervision.Await(t, "strace to attach", func() bool { return strings.Contains(strace.Stderr(t), " attached") })
	calls := func() string {
		content, _ := os.ReadFile(trace)
		return string(content)
	}
	time.Sleep(time.Second) // in which nothing may happen but the wait itself
	if idle := calls(); strings.Count(idle, "poll(") > 1 || strings.Contains(idle, "read(") || strings.Contains(idle, "wait4(") {
		t.Errorf("calls within a second:\n%s", idle)
	}
	supervision.Run(t, "", ours+"/svc", "-c", dir)
	supervision.Await(t, "a letter in the trace", func() bool { return strings.Contains(calls(), "read(") })
}

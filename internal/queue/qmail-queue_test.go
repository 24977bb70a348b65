package queue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	aMessage  = "Subject: x\n\nhi\n"
	anAddress = "Fa@b.org\x00Tme@example.org\x00\x00"
)

// A run is a qmail-queue at work.
type run struct {
	*process
	message  *os.File // writing end of its descriptor 0
	envelope *os.File // writing end of its descriptor 1
}

// startQueue starts qmail-queue in home.
func startQueue(t *testing.T, home string, change func(*exec.Cmd)) *run {
	t.Helper()
	p := prepare(t, home, "qmail-queue")
	messageR, messageW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	envelopeR, envelopeW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stdin, p.Stdout = messageR, envelopeR
	if change != nil {
		change(p.Cmd)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	messageR.Close()
	envelopeR.Close()
	return &run{p, messageW, envelopeW}
}

// finish gives the rest of message and envelope and returns the exit code,
// or minus the signal that killed it.
func (r *run) finish(t *testing.T, message, envelope string) int {
	t.Helper()
	io.WriteString(r.message, message)
	r.message.Close()
	io.WriteString(r.envelope, envelope)
	r.envelope.Close()
	return r.end(t)
}

func (r *run) end(t *testing.T) int {
	t.Helper()
	watchdog := time.AfterFunc(patient, func() { r.Process.Kill() })
	defer watchdog.Stop()
	r.Wait()
	r.message.Close()
	r.envelope.Close()
	if r.stderr.Len() > 0 {
		t.Errorf("qmail-queue wrote to descriptor 2: %s", r.stderr)
	}
	status := r.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

func runQueue(t *testing.T, home, message, envelope string) (code, pid int) {
	t.Helper()
	r := startQueue(t, home, nil)
	pid = r.Process.Pid
	return r.finish(t, message, envelope), pid
}

// inBothForms runs test with a queue that qmail-queue writes itself, and with
// one that the service writes for it.
func inBothForms(t *testing.T, test func(t *testing.T, home string, direct bool)) {
	t.Run("direct", func(t *testing.T) { test(t, newHome(t, os.Getuid()), true) })
	t.Run("service", func(t *testing.T) {
		home := newHome(t, os.Getuid())
		start(t, home, nil)
		test(t, home, false)
	})
}

func TestQueued(t *testing.T) {
	inBothForms(t, func(t *testing.T, home string, direct bool) {
		trigger := openTrigger(t, home)
		before := time.Now().Truncate(time.Second)
		code, pid := runQueue(t, home, aMessage, anAddress)
		if code != 0 {
			t.Fatalf("exit code %d", code)
		}
		found := entries(t, home)
		if len(found) != 1 || files(t, home) != "mess intd todo" {
			t.Fatalf("%d entries, files %s", len(found), files(t, home))
		}
		form := regexp.MustCompile(`^Received: \(qmail (\d+) invoked by uid ` + strconv.Itoa(os.Getuid()) +
			`\); (\d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000)` + "\nSubject: x\n\nhi\n$")
		match := form.FindStringSubmatch(found[0].message)
		if match == nil {
			t.Fatalf("message %q", found[0].message)
		}
		if direct && match[1] != strconv.Itoa(pid) {
			t.Errorf("number %s, pid %d", match[1], pid)
		}
		when, err := time.Parse("2 Jan 2006 15:04:05 -0700", match[2])
		if err != nil || when.Before(before) || when.After(time.Now()) {
			t.Errorf("date %q is not now (%v)", match[2], err)
		}
		want := fmt.Sprintf("u%d\x00p%s\x00Fa@b.org\x00Tme@example.org\x00", os.Getuid(), match[1])
		if found[0].record != want {
			t.Errorf("record %q, want %q", found[0].record, want)
		}
		pulled := make([]byte, 10)
		if n, err := trigger.Read(pulled); n != 1 || pulled[0] != 0 {
			t.Errorf("trigger got %q, %v", pulled[:n], err)
		}
	})
}

// openTrigger reads the trigger, as qmail-send does.
func openTrigger(t *testing.T, home string) *os.File {
	t.Helper()
	trigger, err := os.OpenFile(home+"/queue/lock/trigger", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trigger.Close() })
	return trigger
}

func TestEnvelopes(t *testing.T) {
	inBothForms(t, func(t *testing.T, home string, direct bool) {
		for _, test := range envelopes {
			if test.name == "much too long" {
				continue // fills the pipe: see TestMuchTooLong
			}
			code, _ := runQueue(t, home, aMessage, test.envelope)
			left := test.left
			if !direct && code != 0 {
				left = "" // it did not come to the disk
			}
			if code != test.code || files(t, home) != left {
				t.Errorf("%s: got %d and %q, want %d and %q", test.name, code, files(t, home), test.code, left)
			}
			if found := entries(t, home); code == 0 && (len(found) != 1 || !strings.HasSuffix(found[0].record, "\x00"+test.records)) {
				t.Errorf("%s: entries %q", test.name, found)
			}
			empty(t, home)
		}
	})
}

// The caller is known by its real uid, whoever writes the queue.
func TestCaller(t *testing.T) {
	const owner = 64010
	for _, uid := range []int{0, 64020, 65534} {
		t.Run(strconv.Itoa(uid), func(t *testing.T) {
			home := newHome(t, owner)
			start(t, home, nil) // and becomes the owner
			r := startQueue(t, home, as(uid))
			if code := r.finish(t, aMessage, anAddress); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			found := entries(t, home)
			if len(found) != 1 || !strings.HasPrefix(found[0].record, fmt.Sprintf("u%d\x00p", uid)) ||
				!strings.Contains(found[0].message, fmt.Sprintf(" invoked by uid %d); ", uid)) {
				t.Errorf("entries %q", found)
			}
			info, err := os.Stat(fmt.Sprintf("%s/queue/todo/%d", home, found[0].n))
			if err != nil || info.Sys().(*syscall.Stat_t).Uid != owner {
				t.Errorf("owner of todo/: %v, %v", info.Sys(), err)
			}
		})
	}
	t.Run("direct", func(t *testing.T) {
		home := newHome(t, owner)
		code := startQueue(t, home, as(owner)).finish(t, aMessage, anAddress)
		if code != 0 || len(entries(t, home)) != 1 {
			t.Errorf("exit code %d, files %q", code, files(t, home))
		}
		code = startQueue(t, home, as(64020)).finish(t, aMessage, anAddress)
		if code != 62 || len(entries(t, home)) != 1 {
			t.Errorf("other user: exit code %d, files %q", code, files(t, home))
		}
	})
}

// as makes a command run as the user and group uid.
func as(uid int) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
}

func TestDamagedQueue(t *testing.T) {
	for _, test := range []struct {
		missing string
		code    int
		left    string
	}{
		{"", 61, ""},
		{"queue", 62, ""},
		{"queue/pid", 63, ""},
		{"queue/mess", 64, "pid"},
		{"queue/intd", 65, "mess"},
		{"queue/todo", 66, "mess intd"},
	} {
		t.Run(test.missing, func(t *testing.T) {
			inBothForms(t, func(t *testing.T, home string, direct bool) {
				if test.missing == "" && !direct {
					return // there is no socket then
				}
				path := home + "/" + test.missing
				if err := os.Rename(path, strings.TrimSuffix(path, "/")+".away"); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(strings.TrimSuffix(path, "/") + ".away") })
				message := aMessage
				if !direct {
					message = strings.Repeat("x", maxSmall) // too large for the journal
				}
				code, _ := runQueue(t, home, message, anAddress)
				if code != test.code || files(t, home) != test.left {
					t.Errorf("got %d and %q, want %d and %q", code, files(t, home), test.code, test.left)
				}
				os.Rename(path+".away", path)
				if code, _ := runQueue(t, home, message, anAddress); test.missing != "" && code != 0 {
					t.Errorf("when mended: exit code %d", code)
				}
			})
		})
	}
}

func TestFileSizeLimit(t *testing.T) {
	home := newHome(t, os.Getuid())
	r := startQueue(t, home, func(cmd *exec.Cmd) {
		path := cmd.Path
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "ulimit -f 1; exec " + path}
	})
	if code := r.finish(t, strings.Repeat("x", 2000), anAddress); code != 53 || files(t, home) != "" {
		t.Errorf("got %d and %q", code, files(t, home))
	}
}

func TestDescriptorsClosed(t *testing.T) {
	for _, test := range []struct {
		redirect string
		code     int
	}{{"0<&-", 54}, {"1<&-", 54}, {"0</dev/null", 0}} {
		home := newHome(t, os.Getuid())
		r := startQueue(t, home, func(cmd *exec.Cmd) {
			path := cmd.Path
			cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "exec " + path + " " + test.redirect}
		})
		code := r.finish(t, "", anAddress)
		if code != test.code || code != 0 && files(t, home) != "" {
			t.Errorf("%s: got %d and %q, want %d", test.redirect, code, files(t, home), test.code)
		}
	}
}

func TestSignals(t *testing.T) {
	const normally = "mess intd todo"
	for _, test := range []struct {
		signal syscall.Signal
		code   int
		left   string
	}{
		{unix.SIGALRM, 52, "mess"},
		{unix.SIGSEGV, 81, "mess"},
		{unix.SIGBUS, 81, "mess"},
		{unix.SIGILL, 81, "mess"},
		{unix.SIGFPE, 81, "mess"},
		{unix.SIGABRT, 81, "mess"},
		{unix.SIGSYS, 81, "mess"},
		{unix.SIGTERM, -int(unix.SIGTERM), "mess"},
		{unix.SIGUSR1, -int(unix.SIGTERM), "mess"},
		{unix.SIGINT, 0, normally},
		{unix.SIGHUP, 0, normally},
		{unix.SIGQUIT, 0, normally},
		{unix.SIGXCPU, 0, normally},
		{unix.SIGXFSZ, 0, normally},
		{unix.SIGVTALRM, 0, normally},
		{unix.SIGPROF, 0, normally},
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			home := newHome(t, os.Getuid())
			r := startQueue(t, home, nil)
			await(t, "the message's file", func() bool { return files(t, home) == "mess" })
			r.Process.Signal(test.signal)
			var code int
			if test.code == 0 {
				code = r.finish(t, aMessage, anAddress)
			} else {
				code = r.end(t)
			}
			if code != test.code || files(t, home) != test.left {
				t.Errorf("got %d and %q, want %d and %q", code, files(t, home), test.code, test.left)
			}
		})
	}
}

// await polls for what gives no event.
func await(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patient); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no sign of %s", what)
		}
	}
}

// A submitter that dies leaves nothing in the service's queue.
func TestKilledSubmitter(t *testing.T) {
	home := newHome(t, os.Getuid())
	start(t, home, nil)
	r := startQueue(t, home, nil)
	io.WriteString(r.message, strings.Repeat("x", 3*maxChunk))
	await(t, "the message's file", func() bool { return files(t, home) == "mess" })
	r.Process.Kill()
	r.end(t)
	await(t, "an empty queue", func() bool { return files(t, home) == "" })
}

// An envelope that fills the pipe is refused without being read on.
func TestMuchTooLong(t *testing.T) {
	home := newHome(t, os.Getuid())
	r := startQueue(t, home, nil)
	r.message.Close()
	if _, err := bytes.NewReader(bytes.Repeat([]byte("F"), 1<<20)).WriteTo(r.envelope); !errors.Is(err, unix.EPIPE) {
		t.Errorf("envelope was taken: %v", err)
	}
	if code := r.end(t); code != 11 {
		t.Errorf("exit code %d", code)
	}
}

func TestServiceAway(t *testing.T) {
	home := newHome(t, os.Getuid())
	p := start(t, home, nil)
	p.Process.Kill()
	p.Wait()
	if code, _ := runQueue(t, home, aMessage, anAddress); code != 56 || files(t, home) != "" {
		t.Errorf("got %d and %q", code, files(t, home))
	}
}

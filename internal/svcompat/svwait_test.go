package svcompat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qmail-smtpd/test/supervision"
)

func TestSvwaitUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/s", 0o755); err != nil {
		t.Fatal(err)
	}
	const usage = "svwait: usage: svwait -u|-d|-r seconds dir ... [ -- program ]\n"
	for _, c := range []struct {
		args string
		want result
	}{
		{"", result{Stderr: usage, Exit: 100}},
		{"-u", result{Stderr: "svwait: option requires an argument -- u\n" + usage, Exit: 100}},
		{"-u 1", result{Stderr: usage, Exit: 100}},
		{"s", result{Stderr: usage, Exit: 100}},
		{"-u 1 -d 1 s", result{Stderr: usage, Exit: 100}},
		{"-u 1 s --", result{Stderr: usage, Exit: 100}},
		{"-u 1 -- -- true", result{Stderr: usage, Exit: 100}},
		{"-x s", result{Stderr: "svwait: illegal option -- x\n" + usage, Exit: 100}},
		{"-u s s", result{Stderr: "svwait: fatal: not a number of seconds: s\n", Exit: 100}},
		{"-u 1.5 s", result{Stderr: "svwait: fatal: not a number of seconds: 1.5\n", Exit: 100}},
		{"-u -1 s", result{Stderr: "svwait: fatal: not a number of seconds: -1\n", Exit: 100}},
		{"-u 99999999999999999999 s", result{Stderr: "svwait: fatal: not a number of seconds: 99999999999999999999\n", Exit: 100}},
		{"-u 1 none", result{Stderr: "svwait: fatal: unable to chdir to none: file does not exist\n", Exit: 111}},
		{"-u 1 /dev/null", result{Stderr: "svwait: fatal: unable to chdir to /dev/null: not a directory\n", Exit: 111}},
		{"-u 0 s", result{Stderr: "svwait: fatal: s: not up after 0 seconds: unable to open supervise/ok: file does not exist\n", Exit: 99}},
		{"-d 0 s", result{Stderr: "svwait: fatal: s: not down after 0 seconds: unable to open supervise/ok: file does not exist\n", Exit: 99}},
		{"-r 0 s -- none", result{Stderr: "svwait: fatal: unable to run none: file does not exist\n", Exit: 111}},
		{"-r 0 s -- false", result{Stderr: "svwait: fatal: false failed with exit code 1\n", Exit: 111}},
	} {
		if got := supervision.Run(t, dir, append([]string{ours + "/svwait"}, strings.Fields(c.args)...)...); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.args, got, c.want)
		}
	}
}

// svwait runs our svwait to its end, which is to be a good one.
func svwait(t *testing.T, args ...string) {
	t.Helper()
	if got := supervision.Run(t, "", append([]string{ours + "/svwait"}, args...)...); got != (result{}) {
		t.Errorf("svwait %v: %+v", args, got)
	}
}

// awaitWatch waits until a program watches n files with inotify(7).
func awaitWatch(t *testing.T, d *supervision.Daemon, n int) {
	t.Helper()
	supervision.Await(t, "inotify", func() bool {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", d.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		watches := 0
		for _, file := range files {
			info, _ := os.ReadFile(file) // it may be closed by now
			watches += strings.Count(string(info), "inotify wd:")
		}
		return watches == n
	})
}

// readCalls tells how often a program has called read(2) and the like.
func readCalls(t *testing.T, d *supervision.Daemon) (calls int) {
	t.Helper()
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", d.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(io), "syscr: ")
	if _, err := fmt.Sscan(after, &calls); err != nil {
		t.Fatal(err)
	}
	return calls
}

func TestSvwait(t *testing.T) {
	t.Parallel()
	for name, bin := range bothOf(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := supervision.ServiceDir(t, parent, "s", "exec sleep 100\n")
			other := supervision.ServiceDir(t, parent, "other", "exec sleep 100\n")

			// Both are up once both have a supervise, of which there is no trace before.
			up := supervision.Start(t, "", nil, ours+"/svwait", "-u", "300", dir, other)
			awaitWatch(t, up, 2)
			supervise := supervision.Start(t, "", nil, bin+"/supervise", dir)
			supervision.AwaitUp(t, dir, 0)
			awaitWatch(t, up, 3)
			supervision.Start(t, "", nil, bin+"/supervise", other)
			if exit := up.Wait(t); exit != 0 {
				t.Fatalf("exit code %d: %s", exit, up.Stderr(t))
			}
			if before := readStatus(t, other).PID; before == 0 {
				t.Error("the second is not up")
			}

			svc := bin + "/svc"
			before := readStatus(t, dir).PID
			svwait(t, "-r", "300", dir, "--", svc, "-t", dir)
			after := readStatus(t, dir).PID
			if after == 0 || after == before {
				t.Errorf("pid %d after %d", after, before)
			}
			svwait(t, "-d", "300", dir, other, "--", svc, "-d", dir, other)
			if pid := readStatus(t, dir).PID; pid != 0 {
				t.Errorf("down with pid %d", pid)
			}
			if got := supervision.Run(t, "", ours+"/svwait", "-u", "0", dir); got.Exit != 99 || !strings.HasPrefix(got.Stderr, "svwait: fatal: "+dir+": not up after 0 seconds: down ") {
				t.Errorf("no time: %+v", got)
			}
			svwait(t, "-d", "0", dir)
			svwait(t, "-r", "300", dir, "--", svc, "-u", dir)

			// A service that goes for good is down.
			svwait(t, "-d", "300", dir, "--", svc, "-dx", dir)
			supervise.Wait(t)
			svwait(t, "-d", "0", dir)

			// A supervise that comes back, where there was one.
			up = supervision.Start(t, "", nil, ours+"/svwait", "-u", "300", dir)
			awaitWatch(t, up, 1)
			supervise = supervision.Start(t, "", nil, bin+"/supervise", dir)
			if exit := up.Wait(t); exit != 0 {
				t.Fatalf("exit code %d: %s", exit, up.Stderr(t))
			}

			// Without a supervise nobody knows that a service is up, or down.
			supervision.AwaitUp(t, dir, 0)
			supervise.Process.Kill()
			supervise.Wait(t)
			for _, goal := range []string{"-u", "-d", "-r"} {
				got := supervision.Run(t, "", ours+"/svwait", goal, "0", dir)
				if got.Exit != 99 || !strings.HasSuffix(got.Stderr, "after 0 seconds: supervise not running\n") {
					t.Errorf("%s: %+v", goal, got)
				}
			}
		})
	}
}

// supervise/ may be a link to what is made later, and may be moved away.
func TestSvwaitMovedSupervise(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := supervision.ServiceDir(t, parent, "s", "exec sleep 100\n")
	if err := os.Symlink(parent+"/elsewhere", dir+"/supervise"); err != nil {
		t.Fatal(err)
	}
	up := supervision.Start(t, "", nil, ours+"/svwait", "-u", "300", dir)
	awaitWatch(t, up, 1)
	supervise := supervision.Start(t, "", nil, ours+"/supervise", dir)
	if exit := up.Wait(t); exit != 0 {
		t.Fatalf("exit code %d: %s", exit, up.Stderr(t))
	}
	svwait(t, "-d", "300", dir, "--", ours+"/svc", "-dx", dir)
	supervise.Wait(t)

	down := supervision.Start(t, "", nil, ours+"/svwait", "-u", "300", dir)
	awaitWatch(t, down, 1)
	if err := os.Rename(parent+"/elsewhere", parent+"/away"); err != nil {
		t.Fatal(err)
	}
	supervision.Start(t, "", nil, ours+"/supervise", dir)
	if exit := down.Wait(t); exit != 0 {
		t.Fatalf("exit code %d: %s", exit, down.Stderr(t))
	}
}

// A service directory that goes is no reason to wait on.
func TestSvwaitGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/s"
	if err := os.MkdirAll(dir+"/supervise", 0o755); err != nil {
		t.Fatal(err)
	}
	up := supervision.Start(t, "", nil, ours+"/svwait", "-u", "300", dir)
	awaitWatch(t, up, 1)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if exit := up.Wait(t); exit != 111 || up.Stderr(t) != "svwait: fatal: unable to chdir to "+dir+": file does not exist\n" {
		t.Errorf("exit code %d: %s", exit, up.Stderr(t))
	}
}

// What svwait itself does with the files must not wake it.
func TestSvwaitSleeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/s"
	superviseFiles(t, dir, make([]byte, StatusSize))
	waiting := supervision.Start(t, "", nil, ours+"/svwait", "-u", "300", dir)
	awaitWatch(t, waiting, 1)
	before := readCalls(t, waiting)
	for range 5 {
		supervision.Run(t, "", ours+"/svstat", dir)
	}
	if calls := readCalls(t, waiting) - before; calls > 500 {
		t.Errorf("%d reads for 5 looks of others", calls)
	}
}

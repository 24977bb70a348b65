package svcompat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		{"", result{stderr: usage, exit: 100}},
		{"-u", result{stderr: "svwait: option requires an argument -- u\n" + usage, exit: 100}},
		{"-u 1", result{stderr: usage, exit: 100}},
		{"s", result{stderr: usage, exit: 100}},
		{"-u 1 -d 1 s", result{stderr: usage, exit: 100}},
		{"-u 1 s --", result{stderr: usage, exit: 100}},
		{"-u 1 -- -- true", result{stderr: usage, exit: 100}},
		{"-x s", result{stderr: "svwait: illegal option -- x\n" + usage, exit: 100}},
		{"-u s s", result{stderr: "svwait: fatal: not a number of seconds: s\n", exit: 100}},
		{"-u 1.5 s", result{stderr: "svwait: fatal: not a number of seconds: 1.5\n", exit: 100}},
		{"-u -1 s", result{stderr: "svwait: fatal: not a number of seconds: -1\n", exit: 100}},
		{"-u 99999999999999999999 s", result{stderr: "svwait: fatal: not a number of seconds: 99999999999999999999\n", exit: 100}},
		{"-u 1 none", result{stderr: "svwait: fatal: unable to chdir to none: file does not exist\n", exit: 111}},
		{"-u 1 /dev/null", result{stderr: "svwait: fatal: unable to chdir to /dev/null: not a directory\n", exit: 111}},
		{"-u 0 s", result{stderr: "svwait: fatal: s: not up after 0 seconds: unable to open supervise/ok: file does not exist\n", exit: 99}},
		{"-d 0 s", result{stderr: "svwait: fatal: s: not down after 0 seconds: unable to open supervise/ok: file does not exist\n", exit: 99}},
		{"-r 0 s -- none", result{stderr: "svwait: fatal: unable to run none: file does not exist\n", exit: 111}},
		{"-r 0 s -- false", result{stderr: "svwait: fatal: false failed with exit code 1\n", exit: 111}},
	} {
		if got := run(t, dir, append([]string{ours + "/svwait"}, strings.Fields(c.args)...)...); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.args, got, c.want)
		}
	}
}

// svwait runs our svwait to its end, which is to be a good one.
func svwait(t *testing.T, args ...string) {
	t.Helper()
	if got := run(t, "", append([]string{ours + "/svwait"}, args...)...); got != (result{}) {
		t.Errorf("svwait %v: %+v", args, got)
	}
}

// awaitWatch waits until a program watches n files with inotify(7).
func awaitWatch(t *testing.T, d *daemon, n int) {
	t.Helper()
	await(t, "inotify", func() bool {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", d.cmd.Process.Pid))
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
func readCalls(t *testing.T, d *daemon) (calls int) {
	t.Helper()
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", d.cmd.Process.Pid))
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
			dir := serviceDir(t, parent, "s", "exec sleep 100\n")
			other := serviceDir(t, parent, "other", "exec sleep 100\n")

			// Both are up once both have a supervise, of which there is no trace before.
			up := start(t, "", nil, ours+"/svwait", "-u", "300", dir, other)
			awaitWatch(t, up, 2)
			supervise := start(t, "", nil, bin+"/supervise", dir)
			awaitUp(t, dir, 0)
			awaitWatch(t, up, 3)
			start(t, "", nil, bin+"/supervise", other)
			if exit := up.wait(t); exit != 0 {
				t.Fatalf("exit code %d: %s", exit, up.stderr.String())
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
			if got := run(t, "", ours+"/svwait", "-u", "0", dir); got.exit != 99 || !strings.HasPrefix(got.stderr, "svwait: fatal: "+dir+": not up after 0 seconds: down ") {
				t.Errorf("no time: %+v", got)
			}
			svwait(t, "-d", "0", dir)
			svwait(t, "-r", "300", dir, "--", svc, "-u", dir)

			// A service that goes for good is down.
			svwait(t, "-d", "300", dir, "--", svc, "-dx", dir)
			supervise.wait(t)
			svwait(t, "-d", "0", dir)

			// A supervise that comes back, where there was one.
			up = start(t, "", nil, ours+"/svwait", "-u", "300", dir)
			awaitWatch(t, up, 1)
			supervise = start(t, "", nil, bin+"/supervise", dir)
			if exit := up.wait(t); exit != 0 {
				t.Fatalf("exit code %d: %s", exit, up.stderr.String())
			}

			// Without a supervise nobody knows that a service is up, or down.
			awaitUp(t, dir, 0)
			supervise.cmd.Process.Kill()
			supervise.wait(t)
			for _, goal := range []string{"-u", "-d", "-r"} {
				got := run(t, "", ours+"/svwait", goal, "0", dir)
				if got.exit != 99 || !strings.HasSuffix(got.stderr, "after 0 seconds: supervise not running\n") {
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
	dir := serviceDir(t, parent, "s", "exec sleep 100\n")
	if err := os.Symlink(parent+"/elsewhere", dir+"/supervise"); err != nil {
		t.Fatal(err)
	}
	up := start(t, "", nil, ours+"/svwait", "-u", "300", dir)
	awaitWatch(t, up, 1)
	supervise := start(t, "", nil, ours+"/supervise", dir)
	if exit := up.wait(t); exit != 0 {
		t.Fatalf("exit code %d: %s", exit, up.stderr.String())
	}
	svwait(t, "-d", "300", dir, "--", ours+"/svc", "-dx", dir)
	supervise.wait(t)

	down := start(t, "", nil, ours+"/svwait", "-u", "300", dir)
	awaitWatch(t, down, 1)
	if err := os.Rename(parent+"/elsewhere", parent+"/away"); err != nil {
		t.Fatal(err)
	}
	start(t, "", nil, ours+"/supervise", dir)
	if exit := down.wait(t); exit != 0 {
		t.Fatalf("exit code %d: %s", exit, down.stderr.String())
	}
}

// A service directory that goes is no reason to wait on.
func TestSvwaitGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/s"
	if err := os.MkdirAll(dir+"/supervise", 0o755); err != nil {
		t.Fatal(err)
	}
	up := start(t, "", nil, ours+"/svwait", "-u", "300", dir)
	awaitWatch(t, up, 1)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if exit := up.wait(t); exit != 111 || up.stderr.String() != "svwait: fatal: unable to chdir to "+dir+": file does not exist\n" {
		t.Errorf("exit code %d: %s", exit, up.stderr.String())
	}
}

// What svwait itself does with the files must not wake it.
func TestSvwaitSleeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/s"
	superviseFiles(t, dir, make([]byte, StatusSize))
	waiting := start(t, "", nil, ours+"/svwait", "-u", "300", dir)
	awaitWatch(t, waiting, 1)
	before := readCalls(t, waiting)
	for range 5 {
		run(t, "", ours+"/svstat", dir)
	}
	if calls := readCalls(t, waiting) - before; calls > 500 {
		t.Errorf("%d reads for 5 looks of others", calls)
	}
}

package command

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHandLimits(t *testing.T) {
	env := []string{"A=1", "B=2"}
	if limits := HandedLimits(env); limits != nil {
		t.Errorf("none: %v", limits)
	}
	first := []Limit{{unix.RLIMIT_DATA, 250000}}
	second := []Limit{{unix.RLIMIT_AS, unix.RLIM_INFINITY}, {unix.RLIMIT_DATA, 0}}
	handed := HandLimits(HandLimits(env, first), second)
	if got := HandedLimits(handed); !slices.Equal(got, append(first, second...)) {
		t.Errorf("handed %v", got)
	}
	if got := WithoutLimits(handed); !slices.Equal(got, env) {
		t.Errorf("without: %q", got)
	}
	if got := HandedLimits([]string{limitsVariable + "=,2,x=1,2=y,-1=,2=7,=,3==3"}); !slices.Equal(got, []Limit{{2, 7}}) {
		t.Errorf("malformed: %v", got)
	}
}

// Limits are set on the first program that is not ours, clamped to the hard
// limit, and leave no trace; the soft limit of open files is that which the
// chain was started with, not that of the Go runtime.
func TestExecUnderLimits(t *testing.T) {
	bin := ours(t)
	const data = "2=250000" // RLIMIT_DATA, and too little for our programs
	for _, c := range []struct {
		script, want string
	}{
		{"limit " + data + " sh -c 'ulimit -d; ulimit -n'", "244\n77\n"},
		{"limit " + data + " pgrphack pgrphack sh -c 'ulimit -d; ulimit -n'", "244\n77\n"},
		{"limit " + data + " limit 2=500000,9=30000000 sh -c 'ulimit -d; ulimit -v'", "488\n29296\n"},
		{"limit 2=50000000 sh -c 'env | grep -c " + limitsVariable + "'", "0\n"},
		{"ulimit -t 100; limit 0=200 sh -c 'ulimit -St; ulimit -Ht'", "100\n100\n"},
		{"limit " + data + " none", "limit: fatal: unable to run none: file does not exist\n"},
		{"limit " + data + " ./denied", "limit: fatal: unable to run ./denied: access denied\n"},
		{"limit " + data + " ./format", "limit: fatal: unable to run ./format: exec format error\n"},
		{"PATH=$PWD:$PATH; limit " + data + " denied", "limit: fatal: unable to run denied: access denied\n"},
		{"pgrphack sh -c 'ulimit -Sn'", "77\n"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/denied", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/format", []byte("x"), 0o755); err != nil {
			t.Fatal(err)
		}
		got := run(t, dir, "/bin/sh", "-c", "PATH="+bin+":/usr/bin:/bin; ulimit -Sn 77; "+c.script)
		if got.stdout+got.stderr != c.want {
			t.Errorf("%s: %+v, want %q", c.script, got, c.want)
		}
	}
}

func TestSetLimits(t *testing.T) {
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	SetLimits(cmd.Process.Pid, []Limit{{unix.RLIMIT_DATA, 1 << 20}, {99, 1}, {unix.RLIMIT_NOFILE, 1 << 60}})
	for resource, want := range map[int]func(unix.Rlimit) bool{
		unix.RLIMIT_DATA:   func(r unix.Rlimit) bool { return r.Cur == 1<<20 },
		unix.RLIMIT_NOFILE: func(r unix.Rlimit) bool { return r.Cur == r.Max },
	} {
		var got unix.Rlimit
		if err := unix.Prlimit(cmd.Process.Pid, resource, nil, &got); err != nil || !want(got) {
			t.Error(fmt.Sprint(resource), got, err)
		}
	}
}

package differential

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user that owns nothing.
const nobody = 65534

// child is a program that run helpers start, or fail to.
func child(r *rand.Rand) []string {
	return pick(r, []string{"env", "-0"}, []string{"env", "-0"}, []string{"env", "-0"}, []string{"--", "env", "-0"},
		[]string{"sh", "-c", "id; exit 5"}, []string{"sh", "-c", "kill -9 $$"}, []string{"missing"}, []string{"./missing"},
		[]string{"./notexecutable"}, []string{"./directory"}, []string{""}, []string{"-x"}, nil,
		[]string{"./noformat"}, []string{"./nointerpreter", "a"})
}

// childFiles are what the programs of child need.
func childFiles() []File {
	return []File{
		{Path: "notexecutable", Mode: 0o644, Content: "#!/bin/sh\n"},
		{Path: "directory", Mode: fs.ModeDir | 0o755},
		{Path: "noformat", Mode: 0o755, Content: "\x7fELF\x00\x00"},
		{Path: "nointerpreter", Mode: 0o755, Content: "#!/nowhere/sh\n"},
	}
}

// environment brings what env -0 prints in order: the originals permute it.
func environment(o *Outcome) {
	if strings.Contains(o.Stdout, "\x00") {
		o.Stdout = sorted(o.Stdout, "\x00")
	}
}

func TestArgv0(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		args := pick(r, []string{"sh", "name", "-c", "echo $0"}, []string{"cat", "-", "/proc/self/cmdline"},
			[]string{"cat", "x", "/proc/self/cmdline"}, []string{"cat"}, []string{"./cat", "x"}, []string{"missing", "x", "y"},
			[]string{"--", "env", "x", "-0"}, []string{"-x"}, nil, []string{"", "x"}, []string{"./directory", "x"}, []string{"./noformat", "x"})
		return Case{Args: append([]string{"argv0"}, args...), Files: childFiles(), Normal: environment}
	})
}

func TestEnvdir(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		c := Case{Files: childFiles(), Normal: environment, User: pick(r, uint32(0), nobody), Env: some(r, "A=old", "B=old", "C=")}
		for range r.IntN(6) {
			name := pick(r, "A", "B", "C", "AB", ".hidden", "E=Q", "a b", "PATH2", "ü", "N\nL")
			f := File{Path: "env/" + name, Mode: 0o644, Content: text(r, 6, "v", " ", "\t", "\n", "\x00", "=", "val ue")}
			switch r.IntN(25) {
			case 0:
				f.Mode = 0
			case 1:
				f.Path, f.Mode = "env/D"+name, fs.ModeDir|0o755
			case 2:
				f.Path, f.Mode = "env/F"+name, fs.ModeNamedPipe|0o644
			case 3:
				f.Path, f.Mode, f.Content = "env/S"+name, fs.ModeSymlink, "../notexecutable"
			}
			if !has(c.Files, f.Path) {
				c.Files = append(c.Files, f)
			}
		}
		if r.IntN(10) > 0 {
			c.Files = append(c.Files, File{Path: "env", Mode: fs.ModeDir | pick[fs.FileMode](r, 0o755, 0o755, 0o755, 0o700, 0o111)})
		}
		c.Args = append([]string{"envdir"}, pick(r, "env", "env", "env", "./env/", "missing", "notexecutable", ""))
		c.Args = append(c.Args, child(r)...)
		if r.IntN(30) == 0 {
			c.Args = c.Args[:r.IntN(2)+1]
		}
		return c
	})
}

func has(files []File, path string) bool {
	for _, f := range files {
		if f.Path == path {
			return true
		}
	}
	return false
}

func TestEnvuidgid(t *testing.T) { fuzz(t, account("envuidgid")) }
func TestSetuidgid(t *testing.T) { fuzz(t, account("setuidgid")) }

func account(name string) func(r *rand.Rand) Case {
	return func(r *rand.Rand) Case {
		args := []string{name, pick(r, "nobody", "daemon", "bin", "mail", "unknown", "", "65534", "nobody ", "-x")}
		c := Case{Args: append(args, child(r)...), Files: childFiles(), Normal: environment, Env: some(r, "UID=1", "GID=x")}
		if name == "envuidgid" {
			c.User = pick(r, uint32(0), nobody)
		}
		if r.IntN(30) == 0 {
			c.Args = c.Args[:1]
		}
		return c
	}
}

func TestSetlock(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		held := r.IntN(2) == 0
		c := Case{Args: []string{"setlock"}, Files: childFiles(), Normal: environment, User: pick(r, uint32(0), 0, nobody)}
		c.Args = append(c.Args, some(r, "-N", "-X", "-x")...)
		if held {
			c.Args = append(c.Args, "-n")
		}
		c.Args = append(c.Args, pick(r, nil, nil, nil, []string{"-nx"}, []string{"--"}, []string{"-q"})...)
		c.Args = append(c.Args, pick(r, "lock", "lock", "lock", "directory", "missing/lock", "noformat", ""))
		c.Args = append(c.Args, pick(r, child(r), []string{"sh", "-c", "flock -n lock true; echo $?; cat lock"})...)
		if r.IntN(30) == 0 {
			c.Args = c.Args[:r.IntN(len(c.Args))+1]
		}
		c.Files = append(c.Files, File{Path: "lock", Mode: pick[fs.FileMode](r, 0o644, 0o600, 0), Content: "kept", Owner: nobody})
		if held {
			c.Run = func(_ context.Context, cmd *exec.Cmd, dir string) (string, error) {
				lock, err := os.Open(dir + "/lock")
				if err != nil {
					return "", err
				}
				defer lock.Close()
				if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
					return "", err
				}
				return "", cmd.Run()
			}
		}
		return c
	})
}

func TestSoftlimit(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		c := Case{Args: []string{"softlimit"}, Files: childFiles(), Normal: environment, User: pick(r, uint32(0), nobody),
			Excused: func(original, ours Outcome) bool { // what a limit of no CPU time kills is a matter of luck
				return original.Status == "signal 24" || ours.Status == "signal 24"
			}}
		for range r.IntN(4) {
			flag := "-" + pick(r, "a", "c", "d", "f", "l", "m", "o", "p", "r", "s", "t", "z")
			value := pick(r, number(r), "50000000", "100000000", "300000000", "=")
			if r.IntN(2) == 0 {
				c.Args = append(c.Args, flag+value)
			} else {
				c.Args = append(c.Args, flag, value)
			}
		}
		c.Args = append(c.Args, pick(r, child(r), []string{"sh", "-c", "ulimit -S -a; ulimit -H -a"}, []string{"sh", "-c", "ulimit -S -a; ulimit -H -a"})...)
		return c
	})
}

func TestPgrphack(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		args := pick(r, child(r), []string{"sh", "-c", `read pid comm state ppid pgrp session rest </proc/$$/stat; test $pid = $pgrp && test $pid = $session && echo leads`})
		return Case{Args: append([]string{"pgrphack"}, args...), Files: childFiles(), Normal: environment}
	})
}

func TestFghack(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		args := pick(r, child(r), []string{"sh", "-c", "(sleep 0.05; echo late) & echo early; exit 9"}, []string{"sh", "-c", "exit 3"},
			[]string{"sh", "-c", "cat"})
		return Case{Args: append([]string{"fghack"}, args...), Stdin: text(r, 20, lineEnds...), Files: childFiles(), Normal: environment}
	})
}

func TestReadproctitle(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		args := []string{"readproctitle"}
		for range r.IntN(4) {
			args = append(args, strings.Repeat(".", r.IntN(12)))
		}
		return Case{Args: args, Stdin: text(r, 30, lineEnds...)}
	})
}

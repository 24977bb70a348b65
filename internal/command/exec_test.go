package command

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Each line is a PATH, "unset" for none, and a program to be found there.
const searches = `
none:ok program
denied:ok program
ok:denied program
denied:none program
none:directory program
directory:denied:ok program
directory/program: program
plain:ok program
loop:ok program
ok:loop program
format:ok program
interpreter:ok program
 program
: program
none: program
:ok program
ok ./program
ok ok/program
ok none/program
ok denied/program
ok directory/program
ok plain/program
ok loop/program
ok ok/
unset sh
unset program
`

// Exec must run what the original runs, and say what it says where nothing
// runs.
func TestExecDifferential(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{
		"program":             0o755,
		"ok/program":          0o755,
		"denied/program":      0o644,
		"format/program":      0o755,
		"interpreter/program": 0o755,
		"directory/program/x": 0o644,
		"plain":               0o644,
	} {
		text := map[string]string{
			"format/program":      "echo no format\n",
			"interpreter/program": "#!/none\n",
		}[name]
		if text == "" {
			text = "#!/bin/sh\necho $0 $*\n"
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("loop", dir+"/loop"); err != nil {
		t.Fatal(err)
	}
	bins := bothOf(t)
	for _, line := range strings.Split(strings.Trim(searches, "\n"), "\n") {
		path, program, _ := strings.Cut(line, " ")
		set := []string{"PATH=" + path}
		if path == "unset" {
			set = []string{"-u", "PATH"}
		}
		results := make(map[string]result)
		for which, bin := range bins {
			args := append([]string{"/usr/bin/env"}, set...)
			results[which] = run(t, dir, append(args, bin+"/pgrphack", program, "-c", "echo it ran")...)
		}
		if results["ours"] != results["original"] {
			t.Errorf("PATH %q, %s: got %+v, want %+v", path, program, results["ours"], results["original"])
		}
		if strings.HasPrefix(path, "format") || strings.HasPrefix(path, "interpreter") {
			continue // what execve finds out, Find does not
		}
		args := append([]string{"/usr/bin/env"}, set...)
		if got := run(t, dir, append(args, bins["ours"]+"/find", program)...); (got.exit == 0) != (results["original"].exit == 0) {
			t.Errorf("PATH %q, %s: Find: %+v", path, program, got)
		}
	}
}

func TestExecTooLong(t *testing.T) {
	long := strings.Repeat("x", 300000)
	results := make(map[string]result)
	for which, bin := range bothOf(t) {
		results[which] = run(t, "", "/bin/sh", "-c", `x=$(head -c 100000 /dev/zero | tr '\0' x); for i in 1 2 3 4 5; do x="$x$x"; done; PATH=none:/bin; E="$x"; export E; unset x; exec `+bin+`/pgrphack true`)
	}
	if results["ours"].exit != results["original"].exit {
		t.Errorf("got %+v, want %+v", results["ours"], results["original"])
	}
	for which, bin := range bothOf(t) {
		results[which] = run(t, "", bin+"/pgrphack", long[:5000])
	}
	if results["ours"] != results["original"] {
		t.Errorf("got %+v, want %+v", results["ours"], results["original"])
	}
}

func TestSearch(t *testing.T) {
	t.Setenv("PATH", "/a::/c:/d")
	var tried []string
	err := Search("p", func(path string) error {
		tried = append(tried, path)
		return map[string]error{"/a/p": unix.ENOENT, "./p": unix.EPERM, "/c/p": unix.EACCES, "/d/p": unix.ENOENT}[path]
	})
	if want := []string{"/a/p", "./p", "/c/p", "/d/p"}; !slices.Equal(tried, want) || !errors.Is(err, unix.EACCES) {
		t.Errorf("tried %q, %v", tried, err)
	}
	tried = nil
	err = Search("p", func(path string) error {
		tried = append(tried, path)
		return map[string]error{"/a/p": unix.EACCES, "./p": unix.ENOEXEC}[path]
	})
	if !slices.Equal(tried, []string{"/a/p", "./p"}) || !errors.Is(err, unix.ENOEXEC) {
		t.Errorf("tried %q, %v", tried, err)
	}
}

func TestChangeEnv(t *testing.T) {
	env := []string{"A=1", "B=2", "odd", "C=3", "D=4", "A=5"}
	for _, c := range []struct {
		changes []string
		want    []string
	}{
		{nil, env},
		{[]string{"X=1"}, []string{"A=1", "B=2", "odd", "C=3", "D=4", "A=5", "X=1"}},
		{[]string{"B=x"}, []string{"A=1", "A=5", "odd", "C=3", "D=4", "B=x"}},
		{[]string{"A"}, []string{"D=4", "B=2", "odd", "C=3"}},
		{[]string{"A=", "C", "A=2=3"}, []string{"D=4", "B=2", "odd", "A=2=3"}},
		{[]string{"", "odd", "a"}, env},
	} {
		before := slices.Clone(env)
		if got := ChangeEnv(env, c.changes...); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.changes, got, c.want)
		}
		if !slices.Equal(env, before) {
			t.Fatalf("%q changed its argument", c.changes)
		}
	}
	if got := Unsetenv(Setenv(env, "B", "x=y"), "A"); !slices.Equal(got, []string{"B=x=y", "D=4", "odd", "C=3"}) {
		t.Errorf("Setenv, Unsetenv: %q", got)
	}
}

func TestOurs(t *testing.T) {
	dir := ours(t)
	for path, want := range map[string]bool{
		dir + "/pgrphack": true,
		"/proc/self/exe":  true,
		"/bin/sh":         false,
		dir + "/none":     false,
		dir:               false,
	} {
		if got := Ours(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

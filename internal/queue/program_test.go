package queue

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newProgram returns the stand-in, with its home and where it records.
func newProgram(t *testing.T, env ...string) (p *Program, record string) {
	t.Helper()
	record = t.TempDir()
	return &Program{Home: t.TempDir(), Path: bin + "/stand-in", Env: append(env, "RECORD="+record)}, record
}

// commit submits aMessage.
func commit(t *testing.T, q Queue) Result {
	t.Helper()
	s, err := q.Begin()
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte(aMessage))
	return s.Commit(Envelope{"a@b.org", []string{"me@example.org"}})
}

func TestProgram(t *testing.T) {
	for _, test := range []struct {
		env  []string
		code int
		text string
	}{
		{nil, 0, ""},
		{[]string{"EXIT=1"}, 1, ""},
		{[]string{"EXIT=31", "TEXT=Dno thanks"}, 31, "Dno thanks"},
		{[]string{"EXIT=82", "TEXT=Dno thanks (#5.7.1)"}, 82, "Dno thanks (#5.7.1)"},
		{[]string{"EXIT=82", "TEXT=D" + strings.Repeat("y", 299)}, 82, "D" + strings.Repeat("y", 254)},
		{[]string{"EXIT=82", "TEXT=D" + strings.Repeat("y", 100000)}, 82, "D" + strings.Repeat("y", 254)},
		{[]string{"EXIT=115"}, 115, ""},
		{[]string{"EXIT=255"}, 255, ""},
		{[]string{"SIGNAL=9"}, Crashed, ""},
	} {
		p, record := newProgram(t, test.env...)
		result := commit(t, p)
		if result.Code != test.code || result.Text != test.text {
			t.Errorf("%v: got %d %q", test.env, result.Code, result.Text)
		}
		for name, want := range map[string]string{
			"message":  aMessage,
			"envelope": anAddress,
			"dir":      p.Home,
			"args":     p.Path,
			"pid":      strconv.Itoa(result.Number),
		} {
			if got := read(t, record+"/"+name); got != want {
				t.Errorf("%v: %s is %q, want %q", test.env, name, got, want)
			}
		}
	}
}

func TestProgramAbandoned(t *testing.T) {
	p, record := newProgram(t)
	s, err := p.Begin()
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte("half a mess"))
	s.Abandon()
	if got := read(t, record+"/message"); got != "half a mess" {
		t.Errorf("message %q", got)
	}
	if got := read(t, record+"/envelope"); got != "" {
		t.Errorf("envelope %q", got)
	}
	if err := unix.Kill(s.Number(), 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the program is not gone: %v", err)
	}
}

// A program that reads nothing must neither block its submitter nor accept.
func TestProgramExitsEarly(t *testing.T) {
	for exit, want := range map[int]int{0: 54, 31: 31, 53: 53} {
		p, _ := newProgram(t, "EARLY=1", "EXIT="+strconv.Itoa(exit))
		s, err := p.Begin()
		if err != nil {
			t.Fatal(err)
		}
		s.Write(bytes.Repeat([]byte("x"), 10<<20))
		if result := s.Commit(Envelope{"a", []string{"b"}}); result.Code != want {
			t.Errorf("exit %d became %d", exit, result.Code)
		}
	}
}

func TestProgramNotThere(t *testing.T) {
	for _, test := range []struct {
		home, path string
		code       int
	}{
		{"/", "/nonexistent", 120},
		{"/", "", 120},
		{"/", "/etc/passwd", 120},
		{"/", "/", 120},
		{"/nonexistent", bin + "/stand-in", 61},
		{"/etc/passwd", bin + "/stand-in", 61},
	} {
		result := commit(t, &Program{Home: test.home, Path: test.path})
		if result.Code != test.code {
			t.Errorf("%q in %q: code %d, want %d", test.path, test.home, result.Code, test.code)
		}
	}
}

func TestProgramRelative(t *testing.T) {
	p, record := newProgram(t)
	os.Mkdir(p.Home+"/bin", 0o755)
	if err := os.Symlink(bin+"/stand-in", p.Home+"/bin/stand-in"); err != nil {
		t.Fatal(err)
	}
	p.Path = "bin/stand-in"
	if result := commit(t, p); result.Code != 0 || read(t, record+"/args") != "bin/stand-in" {
		t.Errorf("code %d", result.Code)
	}
}

// No pipe, no program: the reply is another than that of a failing program.
func TestProgramWithoutDescriptors(t *testing.T) {
	p, _ := newProgram(t)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := p.Begin()
	unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	if !errors.Is(err, unix.EMFILE) {
		t.Errorf("Begin: %v", err)
	}
	if result := commit(t, p); result.Code != 0 {
		t.Errorf("code %d afterwards", result.Code)
	}
}

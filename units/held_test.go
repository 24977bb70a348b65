package units

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestHeldRecords writes records, spoils some, and reads them.
func TestHeldRecords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run/held")
	if held, err := ReadHeld(dir); held != nil || err != nil {
		t.Errorf("%v %v", held, err)
	}
	want := []Held{
		{"qmail-smtpd", "smtpd", "/var/qmail/service/smtpd", 1, 2},
		{`svc-o\x27dd\x0a`, "o'dd\n", "/tmp/o'dd\n/\xff\\", 1<<64 - 1, 0},
	}
	for _, h := range want {
		for range 2 {
			if err := h.Write(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	gone := Held{"gone", "gone", "/gone", 3, 4}
	if err := gone.Write(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := gone.Remove(dir); err != nil {
			t.Error(err)
		}
	}
	makeDir(t, dir, map[string]string{
		"empty": "", "cut": want[0].text()[:20], "copy": want[0].text(), "directory/": "", ".qmail-smtpd.new": want[0].text(),
		"big": strings.Repeat("x", maxFile+1),
	})
	if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadHeld(dir)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := ReadHeld(dir + "/empty"); err == nil {
		t.Error("a file is no directory")
	}
	if _, err := os.Lstat(dir + "/.gone.new"); err == nil {
		t.Error("a temporary file is left")
	}
}

// FuzzHeld parses records; what is accepted reads the same when written.
func FuzzHeld(f *testing.F) {
	f.Add(Held{"svc-x", "x", "/x", 1, 2}.text())
	f.Add("base \"a\"\nname \"b\"\ndir \"/\"\ndev 1\nino 2")
	f.Add("base `a`\nname 'b'\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHeld(text)
		if err != nil {
			return
		}
		again, err := parseHeld(h.text())
		if err != nil || again != h {
			t.Errorf("%v became %v, %v", h, again, err)
		}
		if strings.Contains(h.Base, "/") {
			t.Errorf("base %q", h.Base)
		}
	})
}

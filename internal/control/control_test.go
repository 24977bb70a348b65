package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// home makes a qmail home directory with control files.
func home(t testing.TB, files map[string]string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, home, name, text)
	}
	return home
}

func write(t testing.TB, home, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func config(t *testing.T, files map[string]string) *Config {
	t.Helper()
	c, err := NewDirectory(home(t, files)).Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGreetingAndLocalIPHost(t *testing.T) {
	tests := []struct {
		files                 map[string]string
		greeting, localIPHost string
		hasLocalIPHost        bool
	}{
		{map[string]string{"me": "a.test \t\nb\n"}, "a.test", "a.test", true},
		{map[string]string{"me": "a.test", "smtpgreeting": "  hello # there\r\n", "localiphost": "b.test\n"}, "  hello # there\r", "b.test", true},
		{map[string]string{"smtpgreeting": "hello\n"}, "hello", "", false},
		{map[string]string{"me": ""}, "", "", true},
	}
	for _, test := range tests {
		c := config(t, test.files)
		if c.Greeting != test.greeting || c.LocalIPHost != test.localIPHost || c.HasLocalIPHost != test.hasLocalIPHost {
			t.Errorf("%q: %q, %q, %v", test.files, c.Greeting, c.LocalIPHost, c.HasLocalIPHost)
		}
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct {
		text      string
		timeout   time.Duration
		dataBytes uint32
	}{
		{"10\n", 10 * time.Second, 10},
		{"0", time.Second, 0},
		{"2x", 2 * time.Second, 2},
		{"-5", 1200 * time.Second, 0},
		{"abc", 1200 * time.Second, 0},
		{" 2", 1200 * time.Second, 0},
		{"", 1200 * time.Second, 0},
		{"\n2\n", 1200 * time.Second, 0},
		{"2147483648", time.Second, 1 << 31}, // -2147483648 as an int
		{"4294967294", time.Second, 4294967294},
		{"4294967295", time.Second, 4294967294},
		{"4294967296", time.Second, 0},
		{"4294967297", time.Second, 1},
		{"18446744073709551615", time.Second, 4294967294},
	}
	for _, test := range tests {
		c := config(t, map[string]string{"me": "a", "timeoutsmtpd": test.text, "databytes": test.text})
		if c.Timeout != test.timeout || c.DataBytes != test.dataBytes {
			t.Errorf("%q: %v, %d; want %v, %d", test.text, c.Timeout, c.DataBytes, test.timeout, test.dataBytes)
		}
	}
}

func TestAcceptsRecipient(t *testing.T) {
	h := home(t, map[string]string{
		"me":            "a",
		"rcpthosts":     "#commented.test\n\nexample.org\n.example.net\nSPACED.test \t\n lead.test\ncr.test\r\n.\nlast.test",
		"morercpthosts": "MORE.test\n.wild.test \n#no.test\n",
	})
	if code := newMRH(t, h); code != 0 {
		t.Fatalf("qmail-newmrh exits %d", code)
	}
	c, err := NewDirectory(h).Config()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{
		"": true, "noat": true, "x@example.org": true, "x@EXAMPLE.ORG": true, "a@b@example.org": true,
		"x@sub.example.org": false, "x@sub.example.net": true, "x@a.b.Example.Net": true, "x@.example.net": true,
		"x@example.net": false, "x@": false, "x@anything.": true, "x@anything": false, "x@spaced.test": true,
		"x@lead.test": false, "x@ lead.test": true, "x@cr.test": false, "x@last.test": true, "x@commented.test": false,
		"x@#commented.test": false, "x@More.Test": true, "x@y.wild.test": true, "x@wild.test": false, "x@no.test": false,
		"x@\xc3\x89.test": false,
	}
	for address, want := range tests {
		if got, err := c.AcceptsRecipient(address); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", address, got, err, want)
		}
	}
	if err := os.Remove(filepath.Join(h, "control/morercpthosts.cdb")); err != nil {
		t.Fatal(err)
	}
	if got, err := c.AcceptsRecipient("x@more.test"); got || err != nil {
		t.Errorf("after the cdb was removed: %v, %v", got, err)
	}
}

func TestRefusesSender(t *testing.T) {
	c := config(t, map[string]string{"me": "a", "badmailfrom": "spam@bad.test\n@WholeBad.test\n# c@omment\nnoat\n\n  \n"})
	for address, want := range map[string]bool{
		"spam@bad.test": true, "SPAM@Bad.Test": true, "x@wholebad.test": true, "a@b@wholebad.test": true,
		"x@sub.wholebad.test": false, "ok@bad.test": false, "noat": true, "": false, "# c@omment": false,
	} {
		if got := c.RefusesSender(address); got != want {
			t.Errorf("%q: %v", address, got)
		}
	}
}

func TestUnreadable(t *testing.T) {
	h := home(t, nil)
	d := NewDirectory(h)
	check := func(name string, want error) {
		t.Helper()
		_, err := d.Config()
		var path *fs.PathError
		if !errors.As(err, &path) || path.Path != filepath.Join(h, "control", name) || !errors.Is(err, want) {
			t.Errorf("error %v, want %v for %s", err, want, name)
		}
	}
	check("me", unix.ENOENT)
	write(t, h, "me", "a\n")
	for _, name := range files {
		path := filepath.Join(h, "control", name)
		if name == "morercpthosts.cdb" {
			continue
		}
		os.Remove(path)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		check(name, unix.EISDIR)
		os.Remove(path)
		write(t, h, "me", "a\n")
	}
	write(t, h, "rcpthosts", "")
	if err := os.Symlink("morercpthosts.cdb", filepath.Join(h, "control/morercpthosts.cdb")); err != nil {
		t.Fatal(err)
	}
	check("morercpthosts.cdb", unix.ELOOP)
}

// morercpthosts.cdb is nothing without rcpthosts.
func TestMoreWithoutRcpthosts(t *testing.T) {
	c := config(t, map[string]string{"me": "a", "morercpthosts.cdb": "garbage"})
	if ok, err := c.AcceptsRecipient("x@anywhere.test"); !ok || err != nil || !c.OpenRelay {
		t.Errorf("%v, %v, open relay %v", ok, err, c.OpenRelay)
	}
}

// Every kind of change acts on the next look; without one nothing is read.
func TestChanges(t *testing.T) {
	h := home(t, map[string]string{"me": "a\n"})
	old := time.Now().Add(-time.Hour)
	d := NewDirectory(h)
	greeting := func(want string) {
		t.Helper()
		c, err := d.Config()
		if err != nil || c.Greeting != want {
			t.Fatalf("%+v, %v; want greeting %q", c, err, want)
		}
	}
	path := filepath.Join(h, "control/me")
	greeting("a")
	for range 100 { // same size, and within one tick of the clock
		write(t, h, "me", "b\n")
		greeting("b")
		write(t, h, "me", "a\n")
		greeting("a")
	}
	write(t, h, "smtpgreeting", "new\n")
	greeting("new")
	if err := os.Remove(filepath.Join(h, "control/smtpgreeting")); err != nil {
		t.Fatal(err)
	}
	greeting("a")
	link := filepath.Join(h, "control/smtpgreeting")
	if err := os.Symlink("../target", link); err != nil {
		t.Fatal(err)
	}
	settle(t, d, "a")
	if err := os.WriteFile(filepath.Join(h, "target"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	greeting("")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	settle(t, d, "a")
	write(t, h, "smtpgreeting", "newer\n")
	greeting("newer")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	write(t, h, "me.new", "c\n")
	if err := os.Chtimes(filepath.Join(h, "control/me.new"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(h, "control/me.new"), path); err != nil {
		t.Fatal(err)
	}
	greeting("c")

	kept := settle(t, d, "c")
	write(t, h, "me", "d\n")
	greeting("d")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Config(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if kept.Greeting != "c" {
		t.Errorf("a Config changed to %q", kept.Greeting)
	}
}

func TestNewMRHErrors(t *testing.T) {
	h := home(t, nil)
	if code := newMRH(t, h); code != 111 {
		t.Errorf("without morercpthosts: exit code %d", code)
	}
	if code := newMRH(t, h+"/none"); code != 111 {
		t.Errorf("without home: exit code %d", code)
	}
}

// settle waits until the files are old enough for their Config to be kept.
func settle(t *testing.T, d *Directory, greeting string) *Config {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		c, err := d.Config()
		if err != nil || c.Greeting != greeting {
			t.Fatalf("%+v, %v; want greeting %q", c, err, greeting)
		}
		if again, _ := d.Config(); again == c {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal("files that do not change are read again and again")
		}
	}
}

// newMRH runs NewMRH, which changes the working directory and the umask.
func newMRH(t *testing.T, home string) int {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	umask := unix.Umask(0)
	defer func() {
		unix.Umask(umask)
		if err := os.Chdir(directory); err != nil {
			t.Fatal(err)
		}
	}()
	t.Setenv("QMAILHOME", home)
	return NewMRH([]string{"qmail-newmrh"})
}

func FuzzEntries(f *testing.F) {
	f.Add("a\n#b\n\n c \t\nD")
	f.Add("\n\n \n#")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		count := 0
		for entry := range eachEntry(text) {
			count++
			if entry == "" || entry[0] == '#' || strings.Contains(entry, "\n") || strings.HasSuffix(entry, " ") {
				t.Fatalf("entry %q", entry)
			}
			if !entries(text)[lower(entry)] {
				t.Fatalf("%q is not in the list", entry)
			}
		}
		if count > len(lines) {
			t.Fatalf("%d entries in %d lines", count, len(lines))
		}
		if line := firstLine(text); !strings.HasPrefix(text, line) || strings.Contains(line, "\n") {
			t.Fatalf("first line %q", line)
		}
		if line := firstLine(text); number(line, 7) != 7 && (line[0] < '0' || line[0] > '9') {
			t.Fatalf("number %d in %q", number(line, 7), line)
		}
		if l := lower(text); len(l) != len(text) || strings.ContainsAny(l, "ABCXYZ") || !strings.EqualFold(strings.ToValidUTF8(l, ""), strings.ToValidUTF8(text, "")) {
			t.Fatalf("lower %q", l)
		}
	})
}

func BenchmarkUnchanged(b *testing.B) {
	h := home(b, map[string]string{"me": "a\n", "rcpthosts": "a\n"})
	d := NewDirectory(h)
	for d.current.Load() == nil {
		if _, err := d.Config(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		d.Config()
	}
}

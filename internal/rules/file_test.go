package rules

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/cdb"
)

// lookup returns the variables that f sets for p, or "deny".
func lookup(f *File, p Peer) (string, error) {
	text := ""
	deny, err := f.Lookup(p, func(name, value []byte) {
		text += string(name) + "=" + string(value) + ";"
	})
	if deny {
		text = "deny"
	}
	return text, err
}

func TestLookup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tcp.cdb")
	f := NewFile(path)
	p := Peer{IP: "1.2.3.4"}
	if got, err := lookup(f, p); got != "" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %q, %v", got, err)
	}
	compile(t, path, "1.2.:allow,A=\"1\",B=\"x=y\",A=\"\"\n")
	if got, err := lookup(f, p); got != "A=1;B=x=y;A=;" || err != nil {
		t.Errorf("variables: %q, %v", got, err)
	}
	if deny, err := f.Lookup(p, nil); deny || err != nil {
		t.Errorf("without a function: %v, %v", deny, err)
	}
	if got, err := lookup(f, Peer{IP: "5.6.7.8"}); got != "" || err != nil {
		t.Errorf("no rule: %q, %v", got, err)
	}
	compile(t, path, ":deny,A=\"1\"\n")
	if got, err := lookup(f, p); got != "deny" || err != nil {
		t.Errorf("edited: %q, %v", got, err)
	}
	texts := ""
	if deny, err := f.Lookup(p, func(name, value []byte) { texts += string(name) + string(value) }); !deny || texts != "A1" || err != nil {
		t.Errorf("variables of a rule that denies: %v, %q, %v", deny, texts, err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := lookup(f, p); got != "" || !errors.Is(err, unix.EINVAL) {
		t.Errorf("empty file: %q, %v", got, err)
	}
}

// While the file is rewritten in place again and again, each client gets what
// one of the versions says, or is refused because there is none; the process
// survives.
func TestLookupsWhileRewritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tcp.cdb")
	// Two versions of several pages, each whole and each of its own length.
	filler := strings.Repeat("9.9.0-255:deny\n", 3)
	versions := [][]byte{
		compile(t, filepath.Join(dir, "1"), filler+"10.:deny\n"),
		compile(t, filepath.Join(dir, "2"), "10.0.0.1:allow,A=\"1\"\n"+filler+filler),
	}
	answers := map[string]bool{"deny": true, "A=1;": true}
	f := NewFile(path)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	failures := make([]int, 4)
	for i := range failures {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := lookup(f, Peer{IP: "10.0.0.1"})
				switch {
				case err == nil && !answers[got]:
					t.Errorf("neither version says %q", got)
					return
				case err != nil && !errors.Is(err, cdb.ErrCorrupt) && !errors.Is(err, unix.EINVAL) &&
					!errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EAGAIN):
					t.Error(err)
					return
				case err != nil:
					failures[i]++
				}
			}
		}()
	}
	for i := range 2000 {
		if err := os.WriteFile(path, versions[i%2], 0o644); err != nil {
			t.Error(err)
			break
		}
		if i%3 == 0 {
			if err := os.Truncate(path, int64(i%len(versions[0]))); err != nil {
				t.Error(err)
				break
			}
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d look-ups met an incomplete file", failures)
	if err := os.WriteFile(path, versions[1], 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := lookup(f, Peer{IP: "10.0.0.1"}); got != "A=1;" || err != nil {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// someRules are those of a small site, and somebody whom the fifth step of
// the search finds.
const someRules = "127.:allow,RELAYCLIENT=\"\"\n192.168.:allow,RELAYCLIENT=\"\",DATABYTES=\"0\"\n=.bad.example:deny\n:allow\n"

var somebody = Peer{IP: "192.168.3.4", Host: "mail.client.example.org", HostKnown: true}

func TestLookupAllocatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tcp.cdb")
	compile(t, path, someRules)
	f := NewFile(path)
	n := 0
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := f.Lookup(somebody, func(name, value []byte) { n += len(name) }); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 || n == 0 {
		t.Errorf("%v allocations, %d bytes of names", allocations, n)
	}
}

func BenchmarkLookup(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tcp.cdb")
	compile(b, path, someRules)
	f := NewFile(path)
	b.ReportAllocs()
	for range b.N {
		if _, err := f.Lookup(somebody, func(name, value []byte) {}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLookupIPv6 has one length of prefixes to ask for.
func BenchmarkLookupIPv6(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tcp.cdb")
	compile(b, path, someRules+"[2001:db8::]/32:deny\n")
	f := NewFile(path)
	b.ReportAllocs()
	for range b.N {
		if _, err := f.Lookup(Peer{IP: "2001:db9::1"}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMatch is BenchmarkLookup without the stat.
func BenchmarkMatch(b *testing.B) {
	db := cdb.NewReader(compile(b, filepath.Join(b.TempDir(), "tcp.cdb"), someRules))
	var m match
	b.ReportAllocs()
	for range b.N {
		if err := m.find(db, somebody); err != nil || !m.found {
			b.Fatal(err)
		}
	}
}

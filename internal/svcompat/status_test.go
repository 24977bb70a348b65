package svcompat

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/supervision"
)

// A status as the original wrote it, of a service that had been up for three
// seconds at vectorNow.
const vector = "400000006b05282f2941f93c2b2000000075"

var vectorTime = time.Unix(0x6b05282f-10, 0x2941f93c)

func TestStatusBytes(t *testing.T) {
	for _, c := range []struct {
		status Status
		tail   string // bytes 12 to 17
	}{
		{Status{PID: 8235, Want: WantUp}, "2b2000000075"},
		{Status{PID: 8235, Want: WantUp, Paused: true}, "2b2000000175"},
		{Status{PID: 8235, Want: WantOnce}, "2b2000000000"},
		{Status{Want: WantDown}, "000000000064"},
		{Status{Want: WantDown, Paused: true}, "000000000064"},
		{Status{Want: WantOnce}, "000000000000"},
	} {
		c.status.Since = vectorTime
		got := c.status.Bytes()
		if want := vector[:24] + c.tail; hex.EncodeToString(got[:]) != want {
			t.Errorf("%+v: %x, want %s", c.status, got, want)
		}
	}
}

func TestStatusText(t *testing.T) {
	up := Status{Since: vectorTime, PID: 8235, Want: WantUp}
	paused, unwanted, once := up, up, up
	paused.Paused = true
	unwanted.Want = WantDown
	once.Want = WantOnce
	both := paused
	both.Want = WantDown
	down := Status{Since: vectorTime, Want: WantDown}
	wanted, done := down, down
	wanted.Want = WantUp
	done.Want = WantOnce
	for _, c := range []struct {
		status     Status
		normallyUp bool
		after      time.Duration
		want       string
	}{
		{up, true, 3 * time.Second, "up (pid 8235) 3 seconds"},
		{up, true, 0, "up (pid 8235) 0 seconds"},
		{up, true, -time.Hour, "up (pid 8235) 0 seconds"},
		{up, false, time.Second, "up (pid 8235) 1 seconds, normally down"},
		{paused, true, 3 * time.Second, "up (pid 8235) 3 seconds, paused"},
		{once, true, 4 * time.Second, "up (pid 8235) 4 seconds"},
		{unwanted, false, 2 * time.Second, "up (pid 8235) 2 seconds, normally down, want down"},
		{both, false, 2 * time.Second, "up (pid 8235) 2 seconds, normally down, paused, want down"},
		{down, true, time.Second, "down 1 seconds, normally up"},
		{down, false, time.Second, "down 1 seconds"},
		{done, true, 0, "down 0 seconds, normally up"},
		{wanted, true, 24 * time.Hour, "down 86400 seconds, normally up, want up"},
	} {
		if got := string(c.status.AppendText(nil, vectorTime.Add(c.after), c.normallyUp)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestParseStatus(t *testing.T) {
	b, _ := hex.DecodeString(vector)
	want := Status{Since: vectorTime, PID: 8235, Want: WantUp}
	for _, content := range [][]byte{b, append(b[:18:18], "what daemontools-encore adds"...)} {
		got, err := ParseStatus(content)
		if err != nil || !got.Since.Equal(want.Since) {
			t.Errorf("%x: %v, %v", content, got, err)
		}
		got.Since = want.Since
		if got != want {
			t.Errorf("%x: %+v, want %+v", content, got, want)
		}
	}
	if _, err := ParseStatus(b[:17]); !errors.Is(err, ErrBadFormat) {
		t.Errorf("17 bytes: %v", err)
	}
}

func FuzzParseStatus(f *testing.F) {
	b, _ := hex.DecodeString(vector)
	f.Add(b)
	f.Add(b[:17])
	f.Add(bytes.Repeat([]byte{0xff}, 38))
	f.Fuzz(func(t *testing.T, content []byte) {
		status, err := ParseStatus(content)
		if (err == nil) != (len(content) >= StatusSize) {
			t.Fatalf("%d bytes: %v", len(content), err)
		}
		if err != nil {
			return
		}
		again := status.Bytes()
		if !bytes.Equal(again[:8], content[:8]) || !bytes.Equal(again[12:16], content[12:16]) || again[17] != content[17] {
			t.Errorf("%x became %x", content, again)
		}
		if text := string(status.AppendText(nil, time.Now(), true)); !strings.Contains(text, " seconds") || strings.ContainsAny(text, "\n-") {
			t.Errorf("%x: %q", content, text)
		}
	})
}

// Status files of every kind must look the same to both svstats.
func TestSvstatDifferential(t *testing.T) {
	dir, rnd := t.TempDir(), random(t)
	var names []string
	for i := range 300 {
		content := make([]byte, 18+rnd.IntN(20))
		now := Status{Since: time.Now(), PID: rnd.Uint32N(3) * 4711, Paused: rnd.IntN(2) == 0}.Bytes()
		copy(content, now[:])
		switch rnd.IntN(4) {
		case 0:
			for j := range content {
				content[j] = byte(rnd.Uint32())
			}
		case 1:
			content[rnd.IntN(StatusSize)] ^= byte(rnd.Uint32())
		case 2:
			content = content[:rnd.IntN(StatusSize+1)]
		}
		if len(content) > 17 {
			content[17] = "ud\x00ux"[rnd.IntN(5)]
		}
		name := fmt.Sprintf("s%d", i)
		names = append(names, name)
		made := superviseFiles(t, filepath.Join(dir, name), content)
		switch rnd.IntN(12) {
		case 0:
			os.Remove(filepath.Join(made, "status"))
		case 1:
			os.Remove(filepath.Join(made, "ok"))
		case 2:
			os.WriteFile(filepath.Join(dir, name, "down"), nil, 0o644)
		case 3:
			os.Symlink("down", filepath.Join(dir, name, "down"))
		case 4:
			os.RemoveAll(made)
			os.Symlink("supervise", made)
		}
	}
	names = append(names, "", "/dev/null", "none", "none/x", "s1/", "./s2", "s3/supervise", strings.Repeat("x", 300))
	compareSvstat(t, dir, names)
}

// A directory that may not be entered.
func TestSvstatAccess(t *testing.T) {
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err == nil && d != os.TempDir() {
			os.Chmod(d, info.Mode()|0o055)
		}
	}
	superviseFiles(t, filepath.Join(dir, "closed"), nil)
	superviseFiles(t, filepath.Join(dir, "within"), nil)
	os.Chmod(filepath.Join(dir, "within/supervise"), 0o700)
	os.Chmod(filepath.Join(dir, "closed"), 0o700)
	setuidgid := []string{ours + "/setuidgid", "nobody"}
	want := result{Stdout: "closed: unable to chdir: access denied\nwithin: unable to open supervise/ok: access denied\n"}
	if got := supervision.Run(t, dir, append(setuidgid, ours+"/svstat", "closed", "within")...); got != want {
		t.Errorf("got %+v", got)
	}
}

// superviseFiles makes the files of a supervise that runs, with the given
// status, and returns their directory.
func superviseFiles(t *testing.T, dir string, status []byte) string {
	t.Helper()
	made := filepath.Join(dir, "supervise")
	if err := os.MkdirAll(made, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(made+"/ok", 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(made+"/ok", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	if err := os.WriteFile(made+"/status", status, 0o644); err != nil {
		t.Fatal(err)
	}
	return made
}

// compareSvstat demands the same of both svstats. Since seconds pass, those of
// the original lie between two of ours.
func compareSvstat(t *testing.T, dir string, names []string) {
	t.Helper()
	before := supervision.Run(t, dir, append([]string{ours + "/svstat"}, names...)...)
	original := supervision.Run(t, dir, append([]string{programs.Originals(t) + "/svstat"}, names...)...)
	after := supervision.Run(t, dir, append([]string{ours + "/svstat"}, names...)...)
	for _, got := range []result{before, after} {
		if got.Exit != original.Exit || got.Stderr != original.Stderr {
			t.Errorf("got %+v, want %+v", got, original)
		}
	}
	early, want, late := strings.Split(before.Stdout, "\n"), strings.Split(original.Stdout, "\n"), strings.Split(after.Stdout, "\n")
	if len(early) != len(want) || len(late) != len(want) {
		t.Fatalf("%d and %d lines, want %d", len(early), len(late), len(want))
	}
	for i := range want {
		least, first := withoutSeconds(early[i])
		seconds, text := withoutSeconds(want[i])
		most, second := withoutSeconds(late[i])
		if first != text || second != text || seconds < least || seconds > most {
			t.Errorf("got %q and %q, want %q", early[i], late[i], want[i])
		}
	}
}

var secondsPattern = regexp.MustCompile(`\d+ seconds`)

// withoutSeconds takes the number of seconds out of a line of svstat.
func withoutSeconds(line string) (seconds uint64, rest string) {
	rest = secondsPattern.ReplaceAllStringFunc(line, func(match string) string {
		fmt.Sscan(match, &seconds)
		return "N seconds"
	})
	return seconds, rest
}

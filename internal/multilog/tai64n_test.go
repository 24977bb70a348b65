package multilog

import (
	"fmt"
	"math/rand"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/internal/tai64"
)

func TestTAI64N(t *testing.T) {
	for _, s := range subjects(t) {
		for input, want := range map[string]string{
			"":        "",
			"a\nb":    "@ a\n@ b",
			"\n\n":    "@ \n@ \n",
			"a\x00\n": "@ a\x00\n",
		} {
			got, _, code := s.run(t, t.TempDir(), input, "tai64n")
			if got = labels.ReplaceAllString(got, "@"); got != want || code != 0 {
				t.Errorf("%s < %q: exit %d, %q", s.name, input, code, got)
			}
		}
	}
}

// TestTAI64NIsPrompt looks at output before the input ends.
func TestTAI64NIsPrompt(t *testing.T) {
	for command, want := range map[string]string{"tai64n": "^@4[0-9a-f]{23} par$", "tai64nlocal": "^par$"} {
		cmd := ours.command(t, t.TempDir(), command)
		in, err := cmd.StdinPipe()
		must(t, err)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		in.Write([]byte("par"))
		got := make([]byte, 100)
		n, err := out.Read(got)
		must(t, err)
		if !regexp.MustCompile(want).Match(got[:n]) {
			t.Errorf("%s: %q", command, got[:n])
		}
		in.Close()
		if code := wait(t, cmd); code != 0 {
			t.Errorf("%s: exit %d", command, code)
		}
	}
}

func TestOutputFails(t *testing.T) {
	for _, s := range subjects(t) {
		for _, command := range []string{"tai64n", "tai64nlocal"} {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			must(t, err)
			cmd := s.command(t, t.TempDir(), command)
			cmd.Stdin, cmd.Stdout = strings.NewReader("line\n"), full
			var stderr strings.Builder
			cmd.Stderr = &stderr
			must(t, cmd.Start())
			full.Close()
			if code := wait(t, cmd); code != 111 {
				t.Errorf("%s: %s: exit %d", s.name, command, code)
			}
			if want := command + ": fatal: unable to write output: out of disk space\n"; s == ours && stderr.String() != want {
				t.Errorf("%s says %q", command, stderr.String())
			}
		}
	}
}

func (s subject) local(t *testing.T, zone, input string) string {
	t.Helper()
	t.Setenv("TZ", zone)
	out, stderr, code := s.run(t, t.TempDir(), input, "tai64nlocal")
	if code != 0 || stderr != "" {
		t.Errorf("%s < %q: exit %d, %q", s.name, input, code, stderr)
	}
	return out
}

func TestTAI64NLocal(t *testing.T) {
	for _, test := range []struct{ zone, input, want string }{
		{"UTC", "@400000004a37c4b2200b5d2c hello\n", "2009-06-16 16:13:28.537615660 hello\n"},
		{"America/New_York", "@400000004a37c4b2200b5d2c hello\n", "2009-06-16 12:13:28.537615660 hello\n"},
		{"EST5EDT,M3.2.0,M11.1.0", "@400000004a37c4b2200b5d2c hello\n", "2009-06-16 12:13:28.537615660 hello\n"},
		{"", "@400000006b05286c02e3671c.s\n", "2026-11-24 06:02:10.048457500.s\n"},
		{"nonsense", "@400000000000000a00000000 epoch\n", "1970-01-01 00:00:00.000000000 epoch\n"},
		{"UTC", "@40000000433225833b6e2644 leap\n", "2005-09-22 03:31:05.997074500 leap\n"},
		{"UTC", "@40000000586846a400000000 x\n", "2017-01-01 00:00:26.000000000 x\n"},
		{"UTC", "@400000004a37c4b2ffffffff x\n", "2009-06-16 16:13:28.4294967295 x\n"},
		{"UTC", "@400000f04a37c4b2200b5d2c x\n", "34673-12-17 09:17:28.537615660 x\n"},
		{"UTC", "@3ffffff14a37c4b2200b5d2c x\n", "18446744073709551583-12-05 15:09:28.537615660 x\n"},
		{"UTC", "@ffff400000004a37c4b2200b5d2c@400000004a37c4b2200b5d2c", "2009-06-16 16:13:28.537615660@400000004a37c4b2200b5d2c"},
		{"UTC", "no\npre @400000004a37c4b2200b5d2c\n\n", "no\npre @400000004a37c4b2200b5d2c\n\n"},
		{"UTC", "a\n@400000004a37c4b2200b5d2c", "a\n"},
	} {
		for _, s := range subjects(t) {
			if got := s.local(t, test.zone, test.input); got != test.want {
				t.Errorf("%s: TZ=%s %q: %q", s.name, test.zone, test.input, got)
			}
		}
	}
}

// TestTAI64NLocalMalformed has labels that end the original.
func TestTAI64NLocalMalformed(t *testing.T) {
	for _, line := range []string{
		"@ y\n", "@\n", "@4000000000000000 x\n", "@400000004a37c4b2 short\n",
		"@400000004a37c4b2200b5d2cff zz\n", "@400000004A z\n", "@@\n", "@ffffffffffffffffffffffff\n",
		"@" + strings.Repeat("4", bufferSize+100) + " x\n",
	} {
		if got := ours.local(t, "UTC", line); got != line {
			t.Errorf("%.100q: %.100q", line, got)
		}
	}
}

func TestTAI64NLocalRandom(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	for _, zone := range []string{
		"UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca",
		"CET-1CEST,M3.5.0,M10.5.0/3", "<-03>3", ":America/Sao_Paulo", "/usr/share/zoneinfo/Asia/Tokyo",
	} {
		var input strings.Builder
		for range 3000 {
			seconds := random.Int63n(4000000000)
			fmt.Fprintf(&input, "%s line\n", tai64.Label(time.Unix(seconds, random.Int63n(1e9))))
			if random.Intn(10) == 0 {
				fmt.Fprintf(&input, "no label %d\n", seconds)
			}
		}
		var outs []string
		for _, s := range subjects(t) {
			outs = append(outs, s.local(t, zone, input.String()))
		}
		theirs, ours := strings.Split(outs[0], "\n"), strings.Split(outs[1], "\n")
		for i := range theirs {
			if i >= len(ours) || ours[i] != theirs[i] {
				t.Errorf("TZ=%s: line %d: the original says %q, ours %q", zone, i, theirs[i], ours[min(i, len(ours)-1)])
				break
			}
		}
	}
}

// FuzzTAI64NLocal cuts input in two: the output must be the same.
func FuzzTAI64NLocal(f *testing.F) {
	f.Add("@400000004a37c4b2200b5d2c hello\n@4", 7)
	f.Add("a\n@ffffffffffffffffffffffffff x\n", 3)
	f.Fuzz(func(t *testing.T, input string, at int) {
		if at < 0 || at > len(input) {
			return
		}
		whole := localizer{lineStart: true, zone: time.UTC}
		want, wantRest := whole.appendLines(nil, []byte(input))
		cut := localizer{lineStart: true, zone: time.UTC}
		got, rest := cut.appendLines(nil, []byte(input[:at]))
		got, rest = cut.appendLines(got, append(rest, input[at:]...))
		if string(got) != string(want) || string(rest) != string(wantRest) {
			t.Errorf("%q cut at %d: %q, %q, not %q, %q", input, at, got, rest, want, wantRest)
		}
		if strings.Count(string(want), "\n") != strings.Count(input, "\n") {
			t.Errorf("%q: lines lost: %q", input, want)
		}
	})
}

package queue

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// serveHome serves the queue of home in this process and returns its socket.
func serveHome(t testing.TB, home string) *net.UnixAddr {
	t.Helper()
	return serveBy(t, newService(NewDisk(home), func(string, error) {}), home)
}

// serveBy is serveHome by the service s.
func serveBy(t testing.TB, s *service, home string) *net.UnixAddr {
	t.Helper()
	file, err := listen(home + "/" + socketName)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	go s.accept(listener)
	t.Cleanup(func() { s.stop([]net.Listener{listener}) })
	return &net.UnixAddr{Name: home + "/" + socketName, Net: "unix"}
}

// frame makes chunks of the parts, and a mark of a nil part.
func frame(parts ...[]byte) []byte {
	var b []byte
	for _, part := range parts {
		if part == nil {
			b = appendHeader(b, abandonMark)
			continue
		}
		b = append(appendHeader(b, len(part)), part...)
	}
	return b
}

var (
	version   = []byte{streamVersion}
	end       = []byte{}
	large     = frame(bytes.Repeat([]byte("x"), maxSmall)) // begins a message too large for the journal
	inChunks  = frame([]byte("Subject: x\n"), []byte("\nhi\n"), end, []byte(anAddress))
	abandoned = frame([]byte("Subject: x\n"), nil)
)

// exchange sends input, ends the stream, and returns all that the service
// sends until it has ended it too.
func exchange(t testing.TB, address *net.UnixAddr, input []byte) string {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patient))
	conn.Write(input) // the service may have gone already
	conn.CloseWrite()
	output, err := io.ReadAll(conn)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	return string(output)
}

func TestTornStream(t *testing.T) {
	home := newHome(t, os.Getuid())
	address := serveHome(t, home)
	whole := append(version, inChunks...)
	for i := range whole {
		if got := exchange(t, address, whole[:i]); got != "" || files(t, home) != "" {
			t.Fatalf("torn at %d: answer %q, files %q", i, got, files(t, home))
		}
	}
	got := exchange(t, address, whole)
	result, err := readAnswer(strings.NewReader(got))
	if err != nil || result.Code != 0 || result.Number == 0 {
		t.Errorf("whole: %+v, %v", result, err)
	}
	found := entries(t, home)
	if len(found) != 1 || !strings.HasSuffix(found[0].message, " -0000\n"+aMessage) ||
		!strings.HasSuffix(found[0].record, "\x00Fa@b.org\x00Tme@example.org\x00") {
		t.Errorf("entries %q", found)
	}
}

// An envelope with more behind it counts when its whole chunk is there.
func TestTornBehindEnvelope(t *testing.T) {
	home := newHome(t, os.Getuid())
	address := serveHome(t, home)
	whole := append(version, frame(end, []byte(anAddress+"junk"))...)
	for i := len(whole) - 5; i < len(whole); i++ {
		if got := exchange(t, address, whole[:i]); got != "" || files(t, home) != "" {
			t.Errorf("torn at %d: answer %q, files %q", i, got, files(t, home))
		}
	}
	if got := exchange(t, address, whole); !strings.HasPrefix(got, "\x00") || len(entries(t, home)) != 1 {
		t.Errorf("whole: answer %q", got)
	}
}

func TestStreamBytewise(t *testing.T) {
	home := newHome(t, os.Getuid())
	conn, err := net.DialUnix("unix", nil, serveHome(t, home))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patient))
	for _, b := range append(version, inChunks...) {
		if _, err := conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if result, err := readAnswer(conn); err != nil || result.Code != 0 {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestManyOnOneStream(t *testing.T) {
	home := newHome(t, os.Getuid())
	bad := frame([]byte("x"), end, []byte("Xa\x00\x00"))
	long := frame([]byte("x"), end, []byte("F"+tooLong+"\x00Tb\x00\x00"))
	short := frame([]byte("x"), end, []byte("Fa\x00"))
	none := frame(end, nil)
	atOnce := frame(nil)
	input := bytes.Join([][]byte{version, inChunks, abandoned, bad, atOnce, inChunks, long, none, short, inChunks}, nil)
	output := strings.NewReader(exchange(t, serveHome(t, home), input))
	for i, want := range []int{0, 91, 0, 11, 54, 0} {
		result, err := readAnswer(output)
		if err != nil || result.Code != want || want == 0 && result.Number == 0 {
			t.Fatalf("answer %d: %+v, %v, want %d", i, result, err, want)
		}
	}
	if output.Len() > 0 {
		t.Errorf("%d bytes behind the last answer", output.Len())
	}
	if len(entries(t, home)) != 3 {
		t.Errorf("%d entries", len(entries(t, home)))
	}
}

func TestOtherVersion(t *testing.T) {
	home := newHome(t, os.Getuid())
	if got := exchange(t, serveHome(t, home), append([]byte{2}, inChunks...)); got != "" || files(t, home) != "" {
		t.Errorf("answer %q, files %q", got, files(t, home))
	}
}

func TestAnswers(t *testing.T) {
	for _, want := range []Result{{Number: 1}, {Number: 4194304}, {Code: 53}, {Code: 82, Text: "Dno"}, {Code: 255}} {
		got, err := readAnswer(bytes.NewReader(appendAnswer(nil, want)))
		if err != nil || got != want {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
	}
	for _, bad := range []string{"", "\x00", "\x00\x00\x00", "\x00\x00\x01x", "\x00\x00\x02-1", "\x00\x00\x022", "\x35\x00\x01"} {
		if got, err := readAnswer(strings.NewReader(bad)); err == nil {
			t.Errorf("%q became %+v", bad, got)
		}
	}
}

// FuzzStream checks that whatever comes in, what is in todo/ is what was
// answered for, and nothing of anything else stays.
func FuzzStream(f *testing.F) {
	f.Add(inChunks)
	f.Add(abandoned)
	f.Add(bytes.Join([][]byte{abandoned, inChunks, frame(end, []byte("Fa\x00\x00junk"))}, nil))
	f.Add(frame(end, []byte("F"+tooLong+"\x00\x00")))
	home := newHome(f, os.Getuid())
	address := serveHome(f, home)
	f.Fuzz(func(t *testing.T, input []byte) {
		output := strings.NewReader(exchange(t, address, append(version, input...)))
		queued := 0
		for output.Len() > 0 {
			result, err := readAnswer(output)
			switch {
			case err != nil:
				t.Fatalf("malformed answer: %v", err)
			case result.Code == 0:
				queued++
			case result.Code != 11 && result.Code != 91 && result.Code != 54:
				t.Fatalf("code %d", result.Code)
			}
		}
		want := strings.Repeat("mess ", queued) + strings.Repeat("intd ", queued) + strings.Repeat("todo ", queued)
		if got := files(t, home); got != strings.TrimSpace(want) {
			t.Errorf("files %s, want %s", got, want)
		}
		if got := len(entries(t, home)); got != queued {
			t.Errorf("%d entries for %d answers", got, queued)
		}
		empty(t, home)
	})
}

// FuzzAnswer checks that no answer is taken for what it is not.
func FuzzAnswer(f *testing.F) {
	f.Add(appendAnswer(nil, Result{Number: 12}))
	f.Add(appendAnswer(nil, Result{Code: 82, Text: "Dno"}))
	f.Fuzz(func(t *testing.T, input []byte) {
		result, err := readAnswer(bytes.NewReader(input))
		if err != nil {
			return
		}
		again, err := readAnswer(bytes.NewReader(appendAnswer(nil, result)))
		if err != nil || again != result {
			t.Errorf("%q: %+v became %+v, %v", input, result, again, err)
		}
	})
}

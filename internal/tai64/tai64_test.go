package tai64

import (
	"testing"
	"time"
)

func TestLabel(t *testing.T) {
	for _, test := range []struct {
		at   time.Time
		want string
	}{
		{time.Unix(0, 0), "@400000000000000a000001f4"},
		{time.Unix(0, 999), "@400000000000000a000001f4"},
		{time.Date(2009, 6, 16, 16, 13, 28, 537615660, time.UTC), "@400000004a37c4b2200b5c8c"},
		{time.Unix(-1, 999999999), "@40000000000000093b9ac80c"},
	} {
		if got := Label(test.at); got != test.want {
			t.Errorf("Label(%v) = %s, not %s", test.at, got, test.want)
		}
	}
}

func TestPut(t *testing.T) {
	at := time.Unix(1245168808, 537615000)
	var b [Size]byte
	Put(b[:], at)
	if got := Time(b[:]); !got.Equal(at.Add(500)) {
		t.Errorf("%v became %v", at, got)
	}
}

func TestScanLabel(t *testing.T) {
	for _, test := range []struct {
		text        string
		seconds     int64
		nanoseconds uint32
		length      int
	}{
		{"", 0, 0, 0},
		{"x", 0, 0, 0},
		{"@", -offset, 0, 1},
		{"@400000004a37c4b2200b5d2c x", 1245168808, 537615660, 25},
		{"@ffff400000004a37c4b2200b5d2c", 1245168808, 537615660, 29},
		{"@400000000000000affffffff.s", 0, 1<<32 - 1, 25},
		{"@400000004A", -offset + 4, 0x4, 10},
	} {
		seconds, nanoseconds, length := ScanLabel([]byte(test.text))
		if seconds != test.seconds || nanoseconds != test.nanoseconds || length != test.length {
			t.Errorf("ScanLabel(%q) = %d, %d, %d", test.text, seconds, nanoseconds, length)
		}
	}
}

func FuzzScanLabel(f *testing.F) {
	f.Add([]byte("@400000004a37c4b2200b5d2c x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		seconds, nanoseconds, length := ScanLabel(text)
		if length > len(text) || length > 0 != (len(text) > 0 && text[0] == '@') {
			t.Fatalf("%q: length %d", text, length)
		}
		if length == LabelSize && nanoseconds < 1e9 && nanoseconds%1000 == 500 {
			if got := Label(time.Unix(seconds, int64(nanoseconds))); got != string(text[:length]) {
				t.Errorf("%q came back as %s", text[:length], got)
			}
		}
	})
}

package queue

import (
	"bufio"
	"bytes"
	"fmt"
	"testing"
	"time"
)

func newReader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

// aSegment is one with two writes, of three records and of one.
func aSegment() (b []byte, sequence uint64) {
	sequence = 0x1234
	salt := []byte("saltsalt")
	b = segmentHeader(sequence, salt)
	for _, write := range [][]string{{"one", "two", string(bytes.Repeat([]byte("3"), 5000))}, {"four"}} {
		for _, text := range write {
			start := len(b)
			b = append(appendRecordHead(b, messageRecord, len(text)), text...)
			sealRecord(b[start:], segmentSeed(salt))
		}
		b = append(b, make([]byte, roundUp(len(b))-len(b))...)
	}
	return append(b, make([]byte, 3*blockSize)...), sequence
}

func describe(records []record) string {
	var b bytes.Buffer
	for _, r := range records {
		fmt.Fprintf(&b, "%d@%d:%.4s ", r.kind, r.offset, r.data)
	}
	return b.String()
}

func TestSegment(t *testing.T) {
	b, sequence := aSegment()
	const first, second, third, fourth = "1@4096:one ", "1@4111:two ", "1@4126:3333 ", "1@12288:four "
	check := func(name, want string) {
		t.Helper()
		records, _ := readSegment(b, sequence)
		if got := describe(records); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	check("whole", first+second+third+fourth)
	whole := bytes.Clone(b)
	for _, damage := range []struct {
		at   int
		want string
	}{
		{0, ""}, {len(segmentMagic), ""}, {len(segmentMagic) + 8, ""}, {4095, first + second + third + fourth},
		{4096, ""}, {4104, ""}, {4109, ""}, {4111, first}, {4130, first + second}, {9000, first + second},
		{9200, first + second + third}, // where there is to be nothing
		{12288, first + second + third}, {12303, first + second + third},
		{16384, first + second + third + fourth},
	} {
		copy(b, whole)
		b[damage.at] ^= 1
		check(fmt.Sprint("damaged at ", damage.at), damage.want)
	}
	copy(b, whole)
	for size := range len(b) {
		readSegment(b[:size], sequence) // no panic
	}
	sequence++
	check("another name", "")
}

func TestSegmentNames(t *testing.T) {
	for name, want := range map[string]bool{
		segmentName(0): true, segmentName(1<<64 - 1): true, "00000000000000ff": true,
		"00000000000000FF": false, "ff": false, "spare": false, "damaged.0000000000000001": false, "+000000000000001": false,
	} {
		if _, ok := parseSegmentName(name); ok != want {
			t.Errorf("%s: %v", name, ok)
		}
	}
}

// FuzzSegment checks that no bytes bring down the reader of a journal, and
// that what it finds is what stands there.
func FuzzSegment(f *testing.F) {
	b, sequence := aSegment()
	f.Add(b[:3*blockSize], uint16(0), byte(0))
	f.Add(b[:3*blockSize], uint16(4100), byte(255))
	f.Fuzz(func(t *testing.T, input []byte, at uint16, change byte) {
		if len(input) > 0 {
			input[int(at)%len(input)] ^= change
		}
		records, seed := readSegment(input, sequence)
		for _, r := range records {
			again, ok := readRecord(input[r.offset:], seed)
			if !ok || again.size != r.size {
				t.Fatalf("record at %d: %v", r.offset, again)
			}
			if r.kind == messageRecord {
				if text, envelope, err := splitMessage(r.data); err == nil && len(text)+len(envelope)+4 != len(r.data) {
					t.Error("a message does not make up its record")
				}
			}
		}
	})
}

func TestMoved(t *testing.T) {
	at, when := position{1 << 40, 77}, time.Unix(1700000000, 0)
	gotAt, number, gotWhen := readMoved(at.appendMoved(nil, 1<<33, when))
	if gotAt != at || number != 1<<33 || !gotWhen.Equal(when) {
		t.Errorf("got %v, %d, %v", gotAt, number, gotWhen)
	}
}

package smtp

import (
	"bytes"
	"strings"
	"testing"
)

// A sink takes messages and keeps nothing.
type sink struct{}

func (sink) Begin() (Submission, error)                   { return sink{}, nil }
func (sink) Write(p []byte) (int, error)                  { return len(p), nil }
func (sink) Commit(string, []string) Verdict              { return Verdict{Accepted: true} }
func (sink) Abandon()                                     {}
func (sink) Accepted(*Transaction, int)                   {}
func (sink) Refused(*Transaction, Reply)                  {}
func (sink) RefusedRecipient(*Transaction, string, Reply) {}

// A replay is a client that has sent everything already.
type replay struct{ *bytes.Reader }

func (replay) Write(p []byte) (int, error)      { return len(p), nil }
func (r replay) ReadIdle(p []byte) (int, error) { return r.Read(p) }

func benchmark(b *testing.B, in string) {
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	input := []byte(in)
	w := &world{}
	for range b.N {
		summary := w.session(nil, func(c *Config) {
			c.Conn, c.Queue, c.Log = replay{bytes.NewReader(input)}, sink{}, sink{}
		})
		if summary.Cause != Quit {
			b.Fatal(summary.Cause)
		}
	}
}

// The body of a message of 1 MB, in lines of 76 bytes as of base64.
func BenchmarkData(b *testing.B) {
	benchmark(b, transaction+strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1<<20/78)+".\r\nquit\r\n")
}

func BenchmarkSession(b *testing.B) {
	benchmark(b, "ehlo client.test\r\nquit\r\n")
}

func BenchmarkMessage(b *testing.B) {
	benchmark(b, "ehlo client.test\r\n"+transaction+strings.Repeat(strings.Repeat("x", 76)+"\r\n", 13)+".\r\nquit\r\n")
}

package smtp

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

// Whatever stands where only CR LF "." CR LF ends a message, what follows it
// is not obeyed as commands: it belongs to the message, or the session ends.
func TestSmuggling(t *testing.T) {
	ends := []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r.\n", "\n.\r",
		"\r\n.\r\r\n", "\r\r\n.\r\r\n", "\n\r.\r\n", "\n\n.\n\n", "\r\r.\r\r", "\n\r\n.\n\r\n",
		"\r\n.\x00\r\n", "\r\n\x00.\r\n", "\r\n.\r\x00\n", "\r\x00\n.\r\x00\n",
		"\v.\v", "\f.\f", "\x1c.\x1c", "\x1e.\x1e", "\x85.\x85", "\u0085.\u0085", "\u2028.\u2028", "\u2029.\u2029",
		"\x8d\x8a.\x8d\x8a", "\r\n\xae\r\n", "\r\n. \r\n", "\r\n.\t\r\n", "\r\n .\r\n", "\r\n．\r\n", "\r\n。\r\n",
		"\r\n\xff\xf4.\r\n", "\r\n.\x04\r\n", "\r\n\x1a\r\n", "\r\n..\r\n", "\r\n.\r.\r\n", "\r\n.\\\r\n",
	}
	const inner = "mail from:<evil@b.test>\r\nrcpt to:<evil@d.test>\r\ndata\r\nevil\r\n.\r\n"
	for _, before := range []string{"x", "", strings.Repeat("x", largeBuffer-100), strings.Repeat("x", smallBuffer-70)} {
		for _, end := range ends {
			if before == "" && (end == "\r\n.\r\n") {
				continue
			}
			for shift := range 3 {
				in := transaction + before + strings.Repeat("y", shift) + end + inner + "quit\r\n"
				w := &world{}
				w.session(strings.NewReader(in), nil)
				for _, m := range w.messages {
					if !m.abandoned && (m.sender != "a@b.test" || !strings.Contains(m.text, "evil@d.test")) {
						t.Errorf("%.20q…%q: delivered from %s: %.200q", before, end, m.sender, m.text)
					}
				}
				if len(w.messages) != 1 {
					t.Errorf("%.20q…%q: %d messages", before, end, len(w.messages))
				}
			}
		}
	}
}

// The reader that only discards what is too long, or looping, ends where the
// other one does.
func TestSmugglingPastLimits(t *testing.T) {
	hops := strings.Repeat("Received: x\r\n", maxHops) + "\r\n"
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\n"} {
		for _, body := range []string{"longer than that", hops} {
			w := &world{}
			summary := w.session(strings.NewReader(transaction+body+end+transaction+".\r\n"), func(c *Config) { c.DataBytes = 10 })
			if summary.Cause != BareLF || summary.Accepted != 0 || len(w.messages) != 1 || !w.messages[0].abandoned {
				t.Errorf("%.20q %q: %+v", body, end, summary)
			}
		}
	}
}

var replyForm = regexp.MustCompile(`^([2-5][0-9][0-9][ -][ -~]*\r\n)+$`)

func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		transaction + "Received: x\r\n\r\n..\r\n.\r\nquit\r\n",
		"ehlo x\r\n" + transaction + "x\n.\r\n",
		"mail <@r:\"a b\"@[127.0.0.1]>\r\nrcpt <x@other.test>\r\nrcpt <\\>@d>\r\ndata\r\n.\r\nrset\r\nvrfy\r\nhelp\r\n",
		"mail from:<bad@b.test>\nrcpt to:<\x00>\n" + transaction + "\r\r\n.\r\n",
		"noop" + strings.Repeat(" x", 3000) + "\r\nmail " + strings.Repeat(" x", 3000) + "\r\n",
	} {
		f.Add([]byte(seed), uint16(50))
	}
	f.Fuzz(func(t *testing.T, in []byte, limit uint16) {
		settings := func(c *Config) { c.DataBytes = uint32(limit) }
		whole, split := &world{}, &world{}
		summary := whole.session(bytes.NewReader(in), settings)
		if other := split.session(iotest.OneByteReader(bytes.NewReader(in)), settings); other != summary {
			t.Fatalf("whole input: %+v; in single bytes: %+v", summary, other)
		}
		if whole.out.String() != split.out.String() {
			t.Fatalf("replies\n%q, but to single bytes\n%q", whole.out.String(), split.out.String())
		}
		if !replyForm.Match(whole.out.Bytes()) {
			t.Fatalf("bad replies %q", whole.out.String())
		}
		// How much of the last line was stored before its bare LF is chance.
		if summary.Cause != BareLF && strings.Join(whole.lines, "\n") != strings.Join(split.lines, "\n") {
			t.Fatalf("log %q, but of single bytes %q", whole.lines, split.lines)
		}
		if summary.Accepted > bytes.Count(in, []byte("\n.\r\n")) {
			t.Fatalf("%d messages accepted", summary.Accepted)
		}
		if len(whole.messages) != len(split.messages) {
			t.Fatalf("%d messages, but %d of single bytes", len(whole.messages), len(split.messages))
		}
		accepted := 0
		for i, m := range whole.messages {
			if m.abandoned != split.messages[i].abandoned || !m.abandoned && m.text != split.messages[i].text {
				t.Fatalf("message %+v, but of single bytes %+v", m, split.messages[i])
			}
			if m.abandoned {
				continue
			}
			accepted++
			text, ok := strings.CutPrefix(m.text, "Received: from client.test ")
			if !ok || len(m.recipients) == 0 || limit > 0 && len(text) > int(limit)+maxLine+200 {
				t.Fatalf("delivered %+v", m)
			}
			if strings.ContainsAny(m.sender+strings.Join(m.recipients, ""), "\x00\n") {
				t.Fatalf("envelope %q %q", m.sender, m.recipients)
			}
		}
		if accepted != summary.Accepted {
			t.Fatalf("%d messages delivered, %d answered with 250", accepted, summary.Accepted)
		}
	})
}

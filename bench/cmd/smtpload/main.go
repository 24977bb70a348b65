// smtpload: a verifying SMTP load generator. One line of key=value on stdout.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"qmail-smtpd/bench/internal/proc"
)

var (
	addr    = flag.String("addr", "127.0.0.1:2525", "server")
	conc    = flag.Int("c", 1, "concurrent clients")
	total   = flag.Int("n", 1000, "connections (connect, banner, session, idle) or messages (message, pipelined)")
	mode    = flag.String("mode", "message", "connect|banner|session|message|pipelined|idle")
	size    = flag.Int("size", 1024, "message bytes, header included")
	rcpts   = flag.Int("rcpts", 1, "recipients per message")
	perConn = flag.Int("m", 1, "messages per connection")
	from    = flag.String("from", "sender@example.org", "envelope sender")
	to      = flag.String("to", "user%d@example.com", "recipient; %d is the recipient number")
	helo    = flag.String("helo", "client.example.org", "EHLO name")
	pidFlag = flag.Int("pid", 0, "server pid: CPU and memory of its process tree")
	limit   = flag.Duration("limit", 120*time.Second, "stop after this long")
	opTO    = flag.Duration("timeout", 30*time.Second, "deadline of one operation")
	spread  = flag.Int("spread", 64, "spread clients over this many 127.0.2.x source addresses (0: off)")
	hold    = flag.Duration("hold", 2*time.Second, "idle: hold this long before measuring")
	ehlo    = flag.Bool("ehlo", true, "idle: greet with EHLO before holding")
	rate    = flag.Float64("rate", 0, "begin no more than this many a second (0: as many as are done)")
	maxErr  = flag.Int("maxerr", 200, "give up after this many errors")
)

type client struct {
	c net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

var errCount, doneConns, doneMsgs, bytesSent atomic.Int64
var errMu sync.Mutex
var errSeen = map[string]int{}

func fail(err error) {
	errCount.Add(1)
	errMu.Lock()
	s := err.Error()
	if len(s) > 120 {
		s = s[:120]
	}
	errSeen[s]++
	errMu.Unlock()
}

func dial(i int) (*client, error) {
	d := net.Dialer{Timeout: *opTO}
	if *spread > 0 && strings.HasPrefix(*addr, "127.") {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+i%*spread))}
		d.Control = func(network, address string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				// IP_BIND_ADDRESS_NO_PORT: the port is chosen at connect.
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, 24, 1)
			})
		}
	}
	c, err := d.Dial("tcp", *addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(*opTO))
	return &client{c, bufio.NewReaderSize(c, 2048), bufio.NewWriterSize(c, 16384)}, nil
}

// reply reads one (multi-line) reply and checks its code; ext sees each text.
func (k *client) reply(want string, ext func(string)) error {
	for {
		l, err := k.r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", want, err)
		}
		s := strings.TrimRight(string(l), "\r\n")
		if len(s) < 3 {
			return fmt.Errorf("short reply %q", s)
		}
		if s[:len(want)] != want {
			return fmt.Errorf("want %s got %q", want, s)
		}
		if ext != nil && len(s) > 4 {
			ext(s[4:])
		}
		if len(s) == 3 || s[3] == ' ' {
			return nil
		}
		if s[3] != '-' {
			return fmt.Errorf("bad reply %q", s)
		}
	}
}

func (k *client) cmd(want, f string, a ...any) error {
	fmt.Fprintf(k.w, f+"\r\n", a...)
	if err := k.w.Flush(); err != nil {
		return err
	}
	return k.reply(want, nil)
}

func body(n int) []byte {
	var b bytes.Buffer
	b.WriteString("From: <sender@example.org>\r\nTo: <user0@example.com>\r\nSubject: load\r\nMessage-Id: <load.1@client.example.org>\r\nDate: Tue, 24 Nov 2026 06:00:00 +0000\r\n\r\n")
	line := "The quick brown fox jumps over the lazy dog, and 0123456789 more of it.\r\n"
	for b.Len()+len(line) <= n {
		b.WriteString(line)
	}
	for r := n - b.Len(); r > 2; r = n - b.Len() {
		b.WriteString(strings.Repeat("x", r-2) + "\r\n")
	}
	return b.Bytes()
}

type lat struct{ v []time.Duration }

func (l *lat) add(d time.Duration) { l.v = append(l.v, d) }

func pct(v []time.Duration, p float64) float64 {
	if len(v) == 0 {
		return 0
	}
	i := int(p*float64(len(v)-1) + 0.5)
	return float64(v[i].Microseconds()) / 1000
}

func (k *client) greet() (pipe bool, err error) {
	if err = k.reply("220", nil); err != nil {
		return
	}
	fmt.Fprintf(k.w, "EHLO %s\r\n", *helo)
	if err = k.w.Flush(); err != nil {
		return
	}
	err = k.reply("250", func(s string) {
		if strings.EqualFold(s, "PIPELINING") {
			pipe = true
		}
	})
	return
}

func (k *client) message(data []byte) error {
	if err := k.cmd("250", "MAIL FROM:<%s>", *from); err != nil {
		return err
	}
	for i := 0; i < *rcpts; i++ {
		if err := k.cmd("250", "RCPT TO:<%s>", rcpt(i)); err != nil {
			return err
		}
	}
	if err := k.cmd("354", "DATA"); err != nil {
		return err
	}
	k.w.Write(data)
	k.w.WriteString(".\r\n")
	if err := k.w.Flush(); err != nil {
		return err
	}
	return k.reply("250", nil)
}

func rcpt(i int) string {
	if strings.Contains(*to, "%d") {
		return fmt.Sprintf(*to, i)
	}
	return *to
}

func (k *client) pipelined(data []byte, last bool) error {
	fmt.Fprintf(k.w, "MAIL FROM:<%s>\r\n", *from)
	for i := 0; i < *rcpts; i++ {
		fmt.Fprintf(k.w, "RCPT TO:<%s>\r\n", rcpt(i))
	}
	k.w.WriteString("DATA\r\n")
	if err := k.w.Flush(); err != nil {
		return err
	}
	for i := 0; i <= *rcpts; i++ {
		if err := k.reply("250", nil); err != nil {
			return err
		}
	}
	if err := k.reply("354", nil); err != nil {
		return err
	}
	k.w.Write(data)
	k.w.WriteString(".\r\n")
	if last {
		k.w.WriteString("QUIT\r\n")
	}
	if err := k.w.Flush(); err != nil {
		return err
	}
	return k.reply("250", nil)
}

func one(i int, data []byte, nmsg int, lm *lat) error {
	k, err := dial(i)
	if err != nil {
		return err
	}
	defer k.c.Close()
	switch *mode {
	case "connect":
		_, err := io.Copy(io.Discard, k.r)
		if err != nil && strings.Contains(err.Error(), "reset") {
			err = nil // the child never read; a reset is a close here
		}
		if err == nil {
			doneConns.Add(1)
		}
		return err
	case "banner":
		if err := k.reply("220", nil); err != nil {
			return err
		}
		doneConns.Add(1)
		return nil
	case "session":
		if _, err := k.greet(); err != nil {
			return err
		}
		if err := k.cmd("221", "QUIT"); err != nil {
			return err
		}
		doneConns.Add(1)
		return nil
	}
	pipe, err := k.greet()
	if err != nil {
		return err
	}
	if *mode == "pipelined" && !pipe {
		return fmt.Errorf("PIPELINING not offered")
	}
	for j := 0; j < nmsg; j++ {
		t0 := time.Now()
		k.c.SetDeadline(t0.Add(*opTO))
		if *mode == "pipelined" {
			err = k.pipelined(data, j == nmsg-1)
		} else {
			err = k.message(data)
		}
		if err != nil {
			return err
		}
		lm.add(time.Since(t0))
		doneMsgs.Add(1)
		bytesSent.Add(int64(len(data)))
	}
	if *mode == "pipelined" {
		err = k.reply("221", nil)
	} else {
		err = k.cmd("221", "QUIT")
	}
	if err == nil {
		doneConns.Add(1)
	}
	return err
}

func idle() {
	a0, s0, k0, p0 := proc.MemAvailable()
	var m0 proc.Mem
	if *pidFlag > 0 {
		m0 = proc.ReadMem(*pidFlag)
	}
	var cs []*client
	t0 := time.Now()
	for i := 0; i < *total && time.Since(t0) < *limit; i++ {
		k, err := dial(i)
		if err == nil {
			if *ehlo {
				_, err = k.greet()
			} else {
				err = k.reply("220", nil)
			}
		}
		if err != nil {
			fail(err)
			if errCount.Load() > int64(*maxErr) {
				break
			}
			continue
		}
		k.c.SetDeadline(time.Time{})
		cs = append(cs, k)
	}
	open := time.Since(t0)
	time.Sleep(*hold)
	a1, s1, k1, p1 := proc.MemAvailable()
	var m proc.Mem
	if *pidFlag > 0 {
		m = proc.ReadMem(*pidFlag)
	}
	n := float64(len(cs))
	if n == 0 {
		n = 1
	}
	fmt.Printf("mode=idle conns=%d errors=%d open_s=%.2f procs=%d threads=%d rss_kib=%d pss_kib=%d priv_kib=%d pte_kib=%d kstack_kib=%d rss_per_conn_kib=%.1f pss_per_conn_kib=%.1f priv_per_conn_kib=%.1f user_kernel_per_conn_kib=%.1f memavail_drop_per_conn_kib=%.1f slab_per_conn_kib=%.1f kstack_all_kib=%d pt_all_kib=%d\n",
		len(cs), errCount.Load(), open.Seconds(), m.Procs, m.Threads, m.RSS, m.PSS, m.Priv, m.PTE, m.KStack,
		float64(m.RSS-m0.RSS)/n, float64(m.PSS-m0.PSS)/n, float64(m.Priv-m0.Priv)/n,
		float64(m.PSS-m0.PSS+m.PTE-m0.PTE+m.KStack-m0.KStack)/n,
		float64(a0-a1)/n, float64(s1-s0)/n, k1-k0, p1-p0)
	for _, k := range cs {
		k.c.SetDeadline(time.Now().Add(2 * time.Second))
		k.cmd("221", "QUIT")
		k.c.Close()
	}
}

func main() {
	flag.Parse()
	if *mode == "idle" {
		idle()
		report()
		return
	}
	data := body(*size)
	var next atomic.Int64
	var wg sync.WaitGroup
	ls := make([]lat, *conc)
	lms := make([]lat, *conc)
	var c0 float64
	if *pidFlag > 0 {
		c0 = proc.CPU(*pidFlag)
	}
	perTask := 1
	if *mode == "message" || *mode == "pipelined" {
		perTask = *perConn
	}
	t0 := time.Now()
	for w := 0; w < *conc; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			for time.Since(t0) < *limit && errCount.Load() <= int64(*maxErr) {
				have := next.Add(int64(perTask)) - int64(perTask)
				left := int64(*total) - have
				if left <= 0 {
					return
				}
				if *rate > 0 {
					time.Sleep(time.Until(t0.Add(time.Duration(float64(have) / *rate * float64(time.Second)))))
				}
				nm := perTask
				if int64(nm) > left {
					nm = int(left)
				}
				s := time.Now()
				if err := one(int(have), data, nm, &lms[w]); err != nil {
					fail(err)
				} else {
					ls[w].add(time.Since(s))
				}
			}
		}(w)
	}
	wg.Wait()
	el := time.Since(t0).Seconds()
	var cpu float64
	if *pidFlag > 0 {
		time.Sleep(200 * time.Millisecond) // let the last children be reaped
		cpu = proc.CPU(*pidFlag) - c0
	}
	var all, am []time.Duration
	for i := range ls {
		all = append(all, ls[i].v...)
		am = append(am, lms[i].v...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	sort.Slice(am, func(i, j int) bool { return am[i] < am[j] })
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	ccpu := float64(ru.Utime.Sec+ru.Stime.Sec) + float64(ru.Utime.Usec+ru.Stime.Usec)/1e6
	units := doneConns.Load()
	if perTask > 1 || *mode == "message" || *mode == "pipelined" {
		units = doneMsgs.Load()
	}
	u := float64(units)
	if u == 0 {
		u = 1
	}
	fmt.Printf("mode=%s c=%d size=%d units=%d conns=%d msgs=%d errors=%d wall_s=%.3f per_s=%.1f conns_per_s=%.1f msgs_per_s=%.1f mb_per_s=%.2f p50_ms=%.2f p95_ms=%.2f p99_ms=%.2f max_ms=%.2f msg_p50_ms=%.2f msg_p99_ms=%.2f server_cpu_s=%.2f server_cpu_us_per_unit=%.1f client_cpu_us_per_unit=%.1f\n",
		*mode, *conc, *size, units, doneConns.Load(), doneMsgs.Load(), errCount.Load(), el, float64(units)/el, float64(doneConns.Load())/el, float64(doneMsgs.Load())/el, float64(bytesSent.Load())/1e6/el,
		pct(all, .5), pct(all, .95), pct(all, .99), pct(all, 1), pct(am, .5), pct(am, .99), cpu, cpu*1e6/u, ccpu*1e6/u)
	report()
}

func report() {
	n := 0
	for e, c := range errSeen {
		if n++; n > 5 {
			break
		}
		fmt.Fprintf(os.Stderr, "error x%d: %s\n", c, e)
	}
	if errCount.Load() > 0 {
		os.Exit(1)
	}
}

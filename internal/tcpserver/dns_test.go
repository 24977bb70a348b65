package tcpserver

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// loopback returns an address of this machine that no other test is likely
// to use, so that services on fixed ports can be offered at it.
func loopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 64+rand.N(64), rand.N(256), 1+rand.N(254))
}

const (
	typeA   = 1
	typePTR = 12
)

// A zone is what a name server knows: by name, without the final dot, the
// names (PTR) or addresses (A) in their order.
type zone map[string][]string

// serveDNS starts a name server and returns its address.
func serveDNS(t *testing.T, z zone) string {
	t.Helper()
	var conn net.PacketConn
	var ip string
	for try := 0; conn == nil; try++ {
		ip = loopback()
		var err error
		if conn, err = net.ListenPacket("udp4", ip+":53"); err != nil && try == 5 {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := z.answer(buf[:n]); answer != nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return ip
}

func (z zone) answer(question []byte) []byte {
	if len(question) < 12 {
		return nil
	}
	var labels []string
	end := 12
	for question[end] != 0 {
		length := int(question[end])
		labels = append(labels, string(question[end+1:end+1+length]))
		end += 1 + length
	}
	end += 5
	kind := binary.BigEndian.Uint16(question[end-4:])
	known, ok := z[strings.ToLower(strings.Join(labels, "."))]

	answer := slices.Clone(question[:end])
	answer[2], answer[3] = 0x85, 0x80
	if !ok {
		answer[3] |= 3
	}
	clear(answer[6:12])
	for _, text := range known {
		var data []byte
		addr, err := netip.ParseAddr(text)
		if isAddr := err == nil; isAddr && kind == typeA {
			data = addr.AsSlice()
		} else if !isAddr && kind == typePTR {
			for _, label := range strings.Split(text, ".") {
				data = append(append(data, byte(len(label))), label...)
			}
			data = append(data, 0)
		} else {
			continue
		}
		answer[7]++
		answer = append(answer, 0xc0, 12)
		answer = binary.BigEndian.AppendUint16(answer, kind)
		answer = append(answer, 0, 1, 0, 0, 0, 60)
		answer = binary.BigEndian.AppendUint16(answer, uint16(len(data)))
		answer = append(answer, data...)
	}
	return answer
}

// reverse is the name under which the name of ip stands.
func reverse(ip string) string {
	parts := strings.Split(ip, ".")
	slices.Reverse(parts)
	return strings.Join(parts, ".") + ".in-addr.arpa"
}

// serveIdent offers the ident service at an address of its own, which it
// returns. It gives every client the same answer and keeps the questions.
func serveIdent(t *testing.T, answer string) (ip string, questions chan string) {
	t.Helper()
	var listener net.Listener
	for try := 0; listener == nil; try++ {
		ip = loopback()
		var err error
		if listener, err = net.Listen("tcp4", ip+":113"); err != nil && try == 5 {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { listener.Close() })
	questions = make(chan string, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 100)
			n, _ := conn.Read(buf)
			questions <- string(buf[:n])
			conn.Write([]byte(answer))
			if answer != "" {
				conn.Close()
			} // else it never answers
		}
	}()
	return ip, questions
}

func TestCacheAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "[]",
		"127.0.0.1":          "[127.0.0.1]",
		"127.0.0.1.10.0.0.2": "[127.0.0.1 10.0.0.2]",
		"127.0.0.1.10.0":     "[127.0.0.1]",
		"::1":                "[::1]",
		"localhost":          "[]",
	} {
		if got := fmt.Sprint(cacheAddresses(text)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

package rblsmtpd

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	typeA   = 1
	typeTXT = 16
)

// A record is what a nameserver answers.
type record struct {
	texts     [][]string // of TXT records, each of some strings
	addresses int        // how many A records
	code      byte       // of the answer: 2 is a failure of the server, 3 no such name
	truncated bool       // by UDP
}

// A nameserver answers questions about its zone, on UDP and TCP.
type nameserver struct {
	ip   string
	zone func(name string, kind uint16) *record // nil: no answer at all

	mu    sync.Mutex
	asked []string
}

// serveNames starts a nameserver on port 53 of an address of its own.
func serveNames(t *testing.T, zone func(name string, kind uint16) *record) *nameserver {
	t.Helper()
	s := &nameserver{zone: zone}
	var udp net.PacketConn
	var tcp net.Listener
	for try := 0; tcp == nil; try++ {
		s.ip = fmt.Sprintf("127.%d.%d.%d", 64+rand.N(64), rand.N(256), 1+rand.N(254))
		var err error
		if udp, err = net.ListenPacket("udp4", s.ip+":53"); err == nil {
			if tcp, err = net.Listen("tcp4", s.ip+":53"); err != nil {
				udp.Close()
			}
		}
		if err != nil && try == 5 {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		udp.Close()
		tcp.Close()
	})
	go s.serveUDP(udp)
	go s.serveTCP(tcp)
	return s
}

func (s *nameserver) serveUDP(conn net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		question := slices.Clone(buf[:n])
		go func() {
			if answer := s.answer(question, true); answer != nil {
				conn.WriteTo(answer, from)
			}
		}()
	}
}

func (s *nameserver) serveTCP(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			length := make([]byte, 2)
			if _, err := io.ReadFull(conn, length); err != nil {
				return
			}
			question := make([]byte, binary.BigEndian.Uint16(length))
			if _, err := io.ReadFull(conn, question); err != nil {
				return
			}
			if answer := s.answer(question, false); answer != nil {
				conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
			}
		}()
	}
}

func (s *nameserver) answer(question []byte, udp bool) []byte {
	var labels []string
	end := 12
	for question[end] != 0 {
		length := int(question[end])
		labels = append(labels, string(question[end+1:end+1+length]))
		end += 1 + length
	}
	end += 5
	kind := binary.BigEndian.Uint16(question[end-4:])
	name := strings.Join(labels, ".")
	s.mu.Lock()
	s.asked = append(s.asked, name)
	s.mu.Unlock()
	found := s.zone(name, kind)
	if found == nil {
		return nil
	}
	answer := slices.Clone(question[:end])
	answer[2], answer[3] = 0x85, 0x80|found.code
	clear(answer[6:12])
	if udp && found.truncated {
		answer[2] |= 2
		return answer
	}
	add := func(data []byte) {
		answer[7]++
		answer = append(answer, 0xc0, 12)
		answer = binary.BigEndian.AppendUint16(answer, kind)
		answer = append(answer, 0, 1, 0, 0, 0, 60)
		answer = binary.BigEndian.AppendUint16(answer, uint16(len(data)))
		answer = append(answer, data...)
	}
	if kind == typeTXT {
		for _, texts := range found.texts {
			var data []byte
			for _, text := range texts {
				data = append(append(data, byte(len(text))), text...)
			}
			add(data)
		}
	}
	if kind == typeA {
		for i := range found.addresses {
			add([]byte{127, 0, 0, byte(2 + i)})
		}
	}
	return answer
}

// questions returns the names that were asked for, each once, in order.
func (s *nameserver) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.asked)
	slices.Sort(list)
	return slices.Compact(list)
}

// testLists are the lists of the tests, by the names that stand for a client
// in them. Any other name is unknown.
func testLists(name string, kind uint16) *record {
	_, list, _ := strings.Cut(name, ".list.")
	switch list {
	case "hit":
		return &record{texts: [][]string{{"Blocked - see http://list.example/?4.3.2.1"}}}
	case "other":
		return &record{texts: [][]string{{"other"}}, addresses: 1}
	case "strings":
		return &record{texts: [][]string{{"one ", "uno "}, {"two"}}}
	case "empty":
		return &record{texts: [][]string{{""}}}
	case "bytes":
		var all []byte
		for c := range 180 {
			all = append(all, byte(c))
		}
		return &record{texts: [][]string{{string(all), "\xf0\xff"}}}
	case "long":
		return &record{texts: [][]string{{strings.Repeat("x", 150), strings.Repeat("y", 100)}}}
	case "minus":
		return &record{texts: [][]string{{"-minus "}}}
	case "truncated":
		return &record{texts: [][]string{{"by TCP"}}, addresses: 1, truncated: true}
	case "good":
		return &record{addresses: 2}
	case "fail":
		return &record{code: 2}
	case "refused":
		return &record{code: 5}
	case "nothing":
		return &record{}
	case "silent":
		return nil
	}
	return &record{code: 3}
}

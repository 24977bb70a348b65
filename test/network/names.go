package network

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

const (
	typeA     = 1
	typeCNAME = 5
	typePTR   = 12
	typeTXT   = 16
	typeAAAA  = 28
)

// A Zone is what a name server knows: by name, in lower case and without the
// final dot, the names (PTR) or addresses (A, AAAA) in their order. A value
// that begins with a quotation mark is a text (TXT), of as many strings as
// marks begin. One that begins with "= " is another name of the zone, of which
// this one is an alias (CNAME).
type Zone map[string][]string

// Broken is a value of a Zone: the name server fails when it is asked for the
// name.
var Broken = []string{"broken"}

// A NameServer answers questions about a zone until it is closed.
type NameServer struct {
	zone  Zone
	conn  net.PacketConn
	ended chan struct{}

	mu    sync.Mutex
	asked []string
}

// ListenNames starts a name server at port 53 of ip.
func ListenNames(ip string, z Zone) (*NameServer, error) {
	conn, err := net.ListenPacket("udp4", ip+":53")
	if err != nil {
		return nil, err
	}
	s := &NameServer{zone: z, conn: conn, ended: make(chan struct{})}
	go s.serve()
	return s, nil
}

func (s *NameServer) serve() {
	defer close(s.ended)
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := s.answer(buf[:n]); answer != nil {
			s.conn.WriteTo(answer, from)
		}
	}
}

// Close ends the server.
func (s *NameServer) Close() error {
	err := s.conn.Close()
	<-s.ended
	return err
}

// Asked returns what was asked for, types and names, each once and sorted.
func (s *NameServer) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.asked)
	slices.Sort(list)
	return slices.Compact(list)
}

// ServeNames starts a name server for the time of a test, and returns its
// address.
func ServeNames(t T, z Zone) (ip string) {
	t.Helper()
	for try := 0; ; try++ {
		ip = Loopback()
		server, err := ListenNames(ip, z)
		if err == nil {
			t.Cleanup(func() { server.Close() })
			return ip
		}
		if try == 5 {
			t.Fatal(err)
		}
	}
}

func (s *NameServer) answer(question []byte) []byte {
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
	name := strings.ToLower(strings.Join(labels, "."))
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%d %s", kind, name))
	s.mu.Unlock()
	known, ok := s.zone[name]

	answer := slices.Clone(question[:end])
	answer[2], answer[3] = 0x85, 0x80
	clear(answer[6:12])
	owner := []byte{0xc0, 12}
	add := func(kind uint16, data []byte) {
		answer[7]++
		answer = append(answer, owner...)
		answer = binary.BigEndian.AppendUint16(answer, kind)
		answer = append(answer, 0, 1, 0, 0, 0, 60)
		answer = binary.BigEndian.AppendUint16(answer, uint16(len(data)))
		answer = append(answer, data...)
	}
	for ok && len(known) > 0 && strings.HasPrefix(known[0], "= ") {
		target := known[0][2:]
		add(typeCNAME, domain(target))
		owner = domain(target)
		known, ok = s.zone[target]
	}
	switch {
	case !ok:
		answer[3] |= 3
		return answer
	case slices.Equal(known, Broken):
		answer[3] |= 2
		return answer
	}
	for _, text := range known {
		if data, is := record(text); is == kind {
			add(kind, data)
		}
	}
	return answer
}

// record returns the data of the record that holds text, and its type.
func record(text string) (data []byte, kind uint16) {
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Is4() {
			return addr.AsSlice(), typeA
		}
		return addr.AsSlice(), typeAAAA
	}
	if texts, is := strings.CutPrefix(text, `"`); is {
		for _, part := range strings.Split(texts, `"`) {
			data = append(append(data, byte(len(part))), part...)
		}
		return data, typeTXT
	}
	return domain(text), typePTR
}

// domain returns a name as packets have it.
func domain(name string) (data []byte) {
	for _, label := range strings.Split(name, ".") {
		data = append(append(data, byte(len(label))), label...)
	}
	return append(data, 0)
}

// Reverse is the name under which the name of ip stands, an IPv4 address.
func Reverse(ip string) string {
	parts := strings.Split(ip, ".")
	slices.Reverse(parts)
	return strings.Join(parts, ".") + ".in-addr.arpa"
}

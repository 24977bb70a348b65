package network

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
)

const (
	typeA    = 1
	typePTR  = 12
	typeAAAA = 28
)

// A Zone is what a name server knows: by name, in lower case and without the
// final dot, the names (PTR) or addresses (A, AAAA) in their order.
type Zone map[string][]string

// Broken is a value of a Zone: the name server fails when it is asked for the
// name.
var Broken = []string{"broken"}

// ServeNames starts a name server and returns its address.
func ServeNames(t T, z Zone) (ip string) {
	t.Helper()
	var conn net.PacketConn
	for try := 0; conn == nil; try++ {
		ip = Loopback()
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

func (z Zone) answer(question []byte) []byte {
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
	clear(answer[6:12])
	switch {
	case !ok:
		answer[3] |= 3
		return answer
	case slices.Equal(known, Broken):
		answer[3] |= 2
		return answer
	}
	for _, text := range known {
		data, is := record(text)
		if is != kind {
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

// record returns the data of the record that holds text, and its type.
func record(text string) (data []byte, kind uint16) {
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Is4() {
			return addr.AsSlice(), typeA
		}
		return addr.AsSlice(), typeAAAA
	}
	for _, label := range strings.Split(text, ".") {
		data = append(append(data, byte(len(label))), label...)
	}
	return append(data, 0), typePTR
}

// Reverse is the name under which the name of ip stands, an IPv4 address.
func Reverse(ip string) string {
	parts := strings.Split(ip, ".")
	slices.Reverse(parts)
	return strings.Join(parts, ".") + ".in-addr.arpa"
}

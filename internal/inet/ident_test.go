package inet

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// TestIdentWaits shows that an answer may come in pieces, and that the port
// of the client comes first in the question.
func TestIdentWaits(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	question := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 100)
		n, _ := conn.Read(buf)
		question <- conn.RemoteAddr().(*net.TCPAddr).IP.String() + " " + string(buf[:n])
		for _, c := range []byte("1,2:U:X:joe\n") {
			conn.Write([]byte{c})
		}
	}()
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	got := Ident(netip.MustParseAddrPort("127.0.0.7:25"), netip.MustParseAddrPort("127.0.0.1:4321"), port, patience)
	if want := (Name{"joe", true}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := <-question, "127.0.0.7 4321 , 25\r\n"; got != want {
		t.Errorf("question %q, want %q", got, want)
	}
}

func TestIdentRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	listener.Close()
	here := netip.MustParseAddrPort("127.0.0.1:25")
	if got := Ident(here, here, port, patience); got.Known {
		t.Errorf("got %v from nobody", got)
	}
	if got := Ident(here, here, port, 0*time.Second); got.Known {
		t.Errorf("got %v in no time", got)
	}
}

func FuzzIdentAnswer(f *testing.F) {
	for _, answer := range []string{
		"1 , 2 : USERID : UNIX : j o\te: e%\r\n",
		"1,2:ERROR:NO-USER\r\n",
		"1,2:USERID:UNIX:no newline",
		"1,2:USERID:UNIX:" + strings.Repeat("a", 300) + "\n",
	} {
		f.Add([]byte(answer), 1)
	}
	f.Fuzz(func(t *testing.T, answer []byte, cut int) {
		var whole, pieces identAnswer
		complete := whole.read(answer)
		if len(whole.info) > maxInfo || bytes.ContainsAny(whole.info, " \t\r\n") {
			t.Errorf("info %q", whole.info)
		}
		if bytes.IndexByte(answer, '\n') >= 0 != complete && len(whole.info) < maxInfo {
			t.Errorf("complete is %v", complete)
		}
		if cut < 0 || cut > len(answer) {
			return
		}
		again := pieces.read(answer[:cut])
		if !again {
			again = pieces.read(answer[cut:])
		}
		if again != complete || !bytes.Equal(pieces.info, whole.info) {
			t.Errorf("in two pieces %q, in one %q", pieces.info, whole.info)
		}
	})
}

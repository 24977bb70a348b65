package tcpserver

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// identAnswers are what ident services may send before they close.
var identAnswers = []string{
	"1 , 2 : USERID : UNIX : joe\r\n",
	"1 , 2 : USERID : UNIX : j o\te: e%\r\n",
	"1,2:USERID:UNIX:\r\n",
	"1,2:ERROR:NO-USER\r\n",
	"1,2:ERROR:NO:USER\r\n",
	"1,2:USERID:UNIX:no newline",
	"\n",
	":::x\ny\n",
	"1,2:USERID:UNIX:" + strings.Repeat("a", 99) + "\n",
	"1,2:USERID:UNIX:" + strings.Repeat("a", 100) + "\n",
	"1,2:USERID:UNIX:" + strings.Repeat("a", 256) + "\n",
	"1,2:USERID:UNIX:" + strings.Repeat("a", 257),
	"1,2:USERID:UNIX:" + strings.Repeat("a", 300) + "\n",
	"1,2" + strings.Repeat("x ", 2500) + ":::joe\n",
	":::" + strings.Repeat(" ", 2000) + "joe\n",
	":::\x01\x7f\xff\x80\n",
}

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
	got := ident(netip.MustParseAddrPort("127.0.0.7:25"), netip.MustParseAddrPort("127.0.0.1:4321"), port, patience)
	if want := (name{"joe", true}); got != want {
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
	if got := ident(here, here, port, patience); got.known {
		t.Errorf("got %v from nobody", got)
	}
	if got := ident(here, here, port, 0*time.Second); got.known {
		t.Errorf("got %v in no time", got)
	}
}

func FuzzIdentAnswer(f *testing.F) {
	for _, answer := range identAnswers {
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

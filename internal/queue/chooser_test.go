package queue

import (
	"os"
	"testing"

	"qmail-smtpd/internal/ucspi"
)

func TestChoose(t *testing.T) {
	home := newHome(t, os.Getuid())
	c := NewChooser(home)
	plain := ucspi.NewEnv([]string{"A=b"})
	if got := c.Choose(plain); got != Queue(c.disk) {
		t.Errorf("nothing there: %T", got)
	}

	os.Mkdir(home+"/bin", 0o755)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := func(target string) {
		t.Helper()
		os.Remove(home + "/bin/qmail-queue")
		if err := os.Symlink(target, home+"/bin/qmail-queue"); err != nil {
			t.Fatal(err)
		}
	}
	link(self)
	if got := c.Choose(plain); got != Queue(c.disk) {
		t.Errorf("our own program: %T", got)
	}
	link("/bin/true")
	if got, ok := c.Choose(plain).(*Program); !ok || got.Path != "bin/qmail-queue" || got.Home != home || got.Env[0] != "A=b" {
		t.Errorf("another program: %+v", got)
	}
	link(self)
	if got := c.Choose(plain); got != Queue(c.disk) {
		t.Errorf("our own program again: %T", got)
	}

	start(t, home, nil)
	link("/bin/true")
	if got := c.Choose(plain); got != Queue(c.client) {
		t.Errorf("socket: %T", got)
	}
	for _, value := range []string{"", "/some/filter"} {
		env := ucspi.NewEnv([]string{"QMAILQUEUE=/other"})
		env.Set("QMAILQUEUE", value)
		if got, ok := c.Choose(env).(*Program); !ok || got.Path != value || got.Env[0] != "QMAILQUEUE="+value {
			t.Errorf("QMAILQUEUE=%s: %+v", value, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { c.Choose(plain) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

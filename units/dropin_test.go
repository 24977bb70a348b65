package units

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDropIns(t *testing.T) {
	for _, c := range []struct {
		env             map[string]string
		socket, service string
	}{
		{map[string]string{"IP": "0", "PORT": "25"}, "", ""},
		{map[string]string{"IP": "127.0.0.1", "PORT": "2526"}, "[Socket]\nListenStream=\nListenStream=127.0.0.1:2526\nBacklog=4096\n", ""},
		{map[string]string{"BACKLOG": "20"}, "[Socket]\nListenStream=\nListenStream=25\nBacklog=20\n", ""},
		{map[string]string{"REMOTENAME": "h"}, "", "[Service]\nPrivateNetwork=no\n"},
		{map[string]string{"REMOTENAME": "p"}, "", "[Service]\nPrivateNetwork=no\n"},
		{map[string]string{"REMOTENAME": "H"}, "", ""},
		{map[string]string{"REMOTEINFO": "r"}, "", "[Service]\nPrivateNetwork=no\n"},
		{map[string]string{"REMOTEINFO": "30"}, "", "[Service]\nPrivateNetwork=no\n"},
		{map[string]string{"REMOTEINFO": "R"}, "", ""},
	} {
		listen, err := ParseListen("$IP:$PORT smtp\n", c.env)
		if err != nil {
			t.Fatal(err)
		}
		s := Service{Dir: "/var/qmail/service/smtpd", Base: "qmail-smtpd", Log: true, Listen: listen, Backlog: c.env["BACKLOG"], Env: c.env}
		files, _ := GenerateOne(s, shippedLook("/usr/lib/systemd/system/", nil))
		for unit, want := range map[string]string{"qmail-smtpd.socket": c.socket, "qmail-smtpd.service": c.service} {
			if diff := cmp.Diff(want, files[unit+".d/05-svcompat.conf"]); diff != "" {
				t.Errorf("%v: %s: %s", c.env, unit, diff)
			}
		}
	}
}

package units

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shippedLook is a machine with the units of the packages below dir.
func shippedLook(dir string, more map[string]string) Lookup {
	shipped := Shipped()
	return func(unit string) (UnitFile, bool) {
		if text, ok := more[unit]; ok {
			return UnitFile{"/etc/systemd/system/" + unit, text}, true
		}
		text, ok := shipped[unit]
		return UnitFile{dir + unit, text}, ok
	}
}

// TestGenerateShipped has the default service, whose units the package
// brings: they get drop-ins where the directory says otherwise than they.
func TestGenerateShipped(t *testing.T) {
	made := Service{
		Name: "smtpd", Dir: "/var/qmail/service/smtpd", Base: "qmail-smtpd", Log: true,
		Listen:  []Listen{{"25", "smtp"}},
		Service: SMTPDConf("qmaild"), LogConf: LogConf("qmaill"), Socket: "# nothing\n",
	}
	const usr = "/usr/lib/systemd/system/"
	const service, socket = "qmail-smtpd.service.d/05-svcompat.conf", "qmail-smtpd.socket.d/05-svcompat.conf"
	for _, c := range []struct {
		what   string
		change func(*Service)
		dir    string
		more   map[string]string
		want   map[string]string
	}{
		{"as made", func(s *Service) {}, usr, nil, map[string]string{}},
		{"down", func(s *Service) { s.Down = true }, usr, nil, map[string]string{}},
		{"another address", func(s *Service) { s.Listen[0].Address, s.Backlog = "127.0.0.1:2525", "20" }, usr, nil,
			map[string]string{socket: "[Socket]\nListenStream=\nListenStream=127.0.0.1:2525\nBacklog=20\n"}},
		{"look-ups", func(s *Service) { s.Env = map[string]string{"REMOTENAME": "h"} }, usr, nil,
			map[string]string{service: "[Service]\nPrivateNetwork=no\n"}},
		{"another account", func(s *Service) { s.Service = "[Service]\nUser=other" }, usr, nil,
			map[string]string{service: "[Service]\nUser=other\n"}},
		{"settings of the socket", func(s *Service) { s.Socket = "[Socket]\nFreeBind=yes\n" }, usr, nil,
			map[string]string{socket: "[Socket]\nFreeBind=yes\n"}},
		{"network asked for, then look-ups", func(s *Service) { s.Service, s.RBL = "[Service]\nPrivateNetwork=no\n", true }, usr, nil,
			map[string]string{service: "[Service]\nPrivateNetwork=no\n"}},
		{"of the administrator", func(s *Service) { s.Listen[0].Address, s.Service = "26", "[Service]\nUser=other\n" }, "/etc/systemd/system/", nil,
			map[string]string{}},
		{"masked", func(s *Service) { s.Service = "[Service]\nUser=other\n" }, usr, map[string]string{"qmail-smtpd.service": ""},
			map[string]string{}},
	} {
		s := made
		s.Listen = []Listen{made.Listen[0]}
		c.change(&s)
		files, links := GenerateOne(s, shippedLook(c.dir, c.more))
		if diff := cmp.Diff(c.want, files); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
		if len(links) != 0 {
			t.Errorf("%s: links %v", c.what, links)
		}
	}
}

// TestLinks starts at boot what is not down, held alone, or there already.
func TestLinks(t *testing.T) {
	base := Service{Name: "x", Dir: "/x", Base: "svc-x", Log: true, Listen: []Listen{{"25", ""}}}
	const main = "multi-user.target.wants/svc-x.service sockets.target.wants/svc-x.socket"
	const log = "multi-user.target.wants/svc-x-log.service sockets.target.wants/svc-x-log.socket"
	for _, c := range []struct {
		what   string
		change func(*Service)
		look   Lookup
		want   string
	}{
		{"up", func(s *Service) {}, nil, main + " " + log},
		{"down", func(s *Service) { s.Down = true }, nil, log},
		{"log down", func(s *Service) { s.LogDown = true }, nil, main},
		{"gone", func(s *Service) { s.Gone = true }, nil, ""},
		{"there", func(s *Service) {}, func(unit string) (UnitFile, bool) {
			return UnitFile{"/usr/lib/systemd/system/x", "\n"}, !strings.Contains(unit, "log")
		}, log},
	} {
		s := base
		c.change(&s)
		_, links := Generate([]Service{s}, c.look)
		want := map[string]string{}
		for _, link := range strings.Fields(c.want) {
			_, unit, _ := strings.Cut(link, "/")
			want[link] = "../" + unit
		}
		if diff := cmp.Diff(want, links); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
}

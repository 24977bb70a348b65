package differential

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/network"
)

// resolver is the name server of resolv.conf in this namespace.
const resolver = "127.0.0.53"

// resolverZone is what it knows.
var resolverZone = network.Zone{
	network.Reverse("127.0.1.1"): {"one.example.org"}, "one.example.org": {"127.0.1.1"},
	network.Reverse("127.0.1.2"): {"liar.example.org"}, "liar.example.org": {"127.0.1.1"},
	network.Reverse("127.0.0.1"): {"Localhost"}, "localhost": {"127.0.0.1"},
	"here.search.example": {"127.0.0.77"},
	"4.3.2.1.one.example": {`"listed`, "127.0.0.2"},
}

// ownNames gives this mount namespace a resolv.conf and the name server in it,
// and no hosts file, which the originals do not read.
func ownNames() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for path, content := range map[string]string{
		"/etc/resolv.conf": "nameserver " + resolver + "\nsearch search.example\n",
		"/etc/hosts":       "",
	} {
		file, err := os.CreateTemp("", "names")
		if err != nil {
			return err
		}
		file.WriteString(content)
		file.Chmod(0o644)
		file.Close()
		if err := unix.Mount(file.Name(), path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		os.Remove(file.Name()) // which the mount outlives
	}
	_, err := network.ListenNames(resolver, resolverZone)
	return err
}

// hostNames are those that hosts in random zones have. Others are not taken by
// ours.
var hostNames = []string{"mail.example.org", "Mail.Example.ORG", "x", "example", "a-b.c-d.example", "under_score.example", "2.example",
	strings.Repeat("long-label.", 8) + "example", strings.Repeat("a123456789.", 18) + "example"}

// zone returns what a name server may know of ips and of names.
func zone(r *rand.Rand, ips []string, names ...string) network.Zone {
	z := network.Zone{}
	know := func(name, ip string) {
		name = strings.ToLower(name)
		if _, known := z[name]; known {
			return
		}
		switch r.IntN(8) {
		case 0: // no such name
		case 1:
			z[name] = pick(r, nil, []string{"::1"}, []string{`"text`})
		case 2:
			z[name] = []string{pick(r, "192.0.2.1", "127.0.0.99")}
		case 3:
			z[name] = []string{"192.0.2.1", ip, "192.0.2.2"}
		case 4:
			z[name], z["alias.example"] = []string{"= alias.example"}, []string{ip}
		default:
			z[name] = []string{ip}
		}
	}
	for _, ip := range ips {
		name := pick(r, hostNames...)
		switch r.IntN(8) {
		case 0:
		case 1:
			z[network.Reverse(ip)] = pick(r, nil, []string{"127.0.0.1"}, []string{`"text`})
		case 2:
			z[network.Reverse(ip)] = []string{name, pick(r, hostNames...)}
			know(name, ip)
		case 3:
			z[network.Reverse(ip)], z["delegated.example"] = []string{"= delegated.example"}, []string{name}
			know(name, ip)
		default:
			z[network.Reverse(ip)] = []string{name}
			know(name, ip)
		}
	}
	for _, name := range names {
		know(name, pick(r, ips...))
	}
	return z
}

// withNames returns a run beside which a name server answers at ip, and that
// tells what was asked too.
func withNames(ip string, z network.Zone, run func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error)) func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
	return func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
		var server *network.NameServer
		err := listen(func() (err error) {
			server, err = network.ListenNames(ip, z)
			return err
		})
		if err != nil {
			return "", err
		}
		defer server.Close()
		observed, err := run(ctx, cmd, dir)
		for _, question := range server.Asked() {
			// Ours asks for IPv6 addresses of a host too, and also tries the
			// search list where a name with dots is unknown.
			if !strings.HasPrefix(question, "28 ") && !strings.HasSuffix(question, ".search.example") {
				observed += "asked " + question + "\n"
			}
		}
		return observed, err
	}
}

// TestSearchList has a host without dots.
func TestSearchList(t *testing.T) {
	for _, host := range []string{"here", "nowhere"} {
		c := Case{
			Args: []string{"tcpclient", "-vRHl0", host, "7000", "true"}, Env: []string{"DNSCACHEIP="},
			Run: func(_ context.Context, cmd *exec.Cmd, _ string) (string, error) {
				return meet(cmd, "127.0.0.77", server{port: "7000"})
			},
		}
		if diff := c.differs(t, sides(t)); diff != "" {
			t.Errorf("%s (-original +ours):\n%s", c, diff)
		}
	}
}

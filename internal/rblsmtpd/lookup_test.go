package rblsmtpd

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"qmail-smtpd/internal/inet"
)

// TestIPv6 shows under which name a list has an IPv6 address (RFC 5782,
// section 2.4).
func TestIPv6(t *testing.T) {
	for ip, want := range map[string]string{
		"2001:db8:1:2:3:4:567:89ab": "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.list.",
		"::1":                       "1." + strings.Repeat("0.", 31) + "list.",
		"::ffff:1.2.3.4":            "4.0.3.0.2.0.1.0.f.f.f.f." + strings.Repeat("0.", 20) + "list.",
		"fe80::1%eth0":              "1." + strings.Repeat("0.", 27) + "0.8.e.f.list.",
	} {
		if got, ok := queryName(ip, "list"); got != want || !ok {
			t.Errorf("%s: %s, %v; want %s", ip, got, ok, want)
		}
	}
}

func FuzzQueryName(f *testing.F) {
	for _, ip := range []string{"1.2.3.4", "2001:db8::1", "", "::ffff:1.2.3.4", "fe80::1%a.b"} {
		f.Add(ip, "list.example.org")
	}
	f.Fuzz(func(t *testing.T, ip, base string) {
		name, ok := queryName(ip, base)
		if ok && (len(name) > 254 || strings.Contains(name, "..") || !strings.HasSuffix(name, ".")) {
			t.Errorf("%q %q: %q", ip, base, name)
		}
	})
}

func setCache(t *testing.T, ip string) *net.Resolver {
	t.Setenv("DNSCACHEIP", ip)
	return inet.NewResolver()
}

// variables is an environment.
func variables(ip string) func(string) (string, bool) {
	return func(name string) (string, bool) { return ip, name == "TCPREMOTEIP" }
}

// TestListsAreAskedAtTheSameTime has a nameserver that answers nothing before
// it was asked for everything.
func TestListsAreAskedAtTheSameTime(t *testing.T) {
	names := []string{"1.0.0.127.list.hit", "1.0.0.127.list.other", "1.0.0.127.list.good"}
	all := make(chan struct{})
	var mu sync.Mutex
	missing := map[string]bool{names[0]: true, names[1]: true, names[2]: true}
	nameserver := serveNames(t, func(name string, kind uint16) *record {
		mu.Lock()
		if delete(missing, name); len(missing) == 0 {
			select {
			case <-all:
			default:
				close(all)
			}
		}
		mu.Unlock()
		<-all
		return testLists(name, kind)
	})
	o, _ := parse([]string{"rblsmtpd", "-a", "list.unknown", "-r", "list.other", "-r", "list.hit", "-a", "list.good", "true"})
	o.lists = o.lists[1:]
	reply, rejected := o.judge(context.Background(), setCache(t, nameserver.ip), variables("127.0.0.1"))
	if reply != "451 other" || !rejected {
		t.Errorf("%q, %v", reply, rejected)
	}
}

// TestFailures shows which answers leave open what a list says.
func TestFailures(t *testing.T) {
	nameserver := serveNames(t, testLists)
	resolver := setCache(t, nameserver.ip)
	for flags, want := range map[string]string{
		"-c -r list.fail":                  "451 temporary RBL lookup error",
		"-c -r list.refused":               "451 temporary RBL lookup error",
		"-c -r list.nothing":               "",
		"-c -r list.unknown":               "",
		"-a list.fail -r list.minus":       "",
		"-c -a list.fail -r list.minus":    "451 -minus ",
		"-b -r list.refused -r list.minus": "451 -minus ",
		"-b -r list.unknown -r list.minus": "553 -minus ",
		"-c -r list.truncated":             "451 by TCP",
	} {
		o, _ := parse(append(append([]string{"rblsmtpd"}, strings.Fields(flags)...), "true"))
		if reply, _ := o.judge(context.Background(), resolver, variables("1.2.3.4")); reply != want {
			t.Errorf("%s: %q, want %q", flags, reply, want)
		}
	}
}

// TestDecidedBeforeLaterAnswers shows that nobody waits for a list that
// cannot change the decision any more.
func TestDecidedBeforeLaterAnswers(t *testing.T) {
	nameserver := serveNames(t, testLists)
	resolver := setCache(t, nameserver.ip)
	start := time.Now()
	for flags, want := range map[string]string{
		"-r list.hit -r list.silent":     "451 Blocked - see http://list.example/?4.3.2.1",
		"-a list.good -a list.silent":    "",
		"-c -r list.fail -a list.silent": "451 temporary RBL lookup error",
	} {
		o, _ := parse(append(append([]string{"rblsmtpd"}, strings.Fields(flags)...), "true"))
		if reply, _ := o.judge(context.Background(), resolver, variables("1.2.3.4")); reply != want {
			t.Errorf("%s: %q, want %q", flags, reply, want)
		}
	}
	// A resolver asks twice and waits five seconds each time, see resolv.conf(5).
	if lasted := time.Since(start); lasted > 9*time.Second {
		t.Errorf("after %v", lasted)
	}
}

// TestSilence shows that a list without an answer has failed, and that all
// such lists together are waited for once.
func TestSilence(t *testing.T) {
	nameserver := serveNames(t, testLists)
	resolver := setCache(t, nameserver.ip)
	for flags, want := range map[string]string{
		"-r list.silent -r list.silent.b -r list.silent.c -b -r list.hit": "451 Blocked - see http://list.example/?4.3.2.1",
		"-a list.silent -r list.hit":                                      "",
		"-c -a list.silent -r list.silent":                                "451 temporary RBL lookup error",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		o, _ := parse(append(append([]string{"rblsmtpd"}, strings.Fields(flags)...), "true"))
		answers := ask(ctx, resolver, o.lists, "1.2.3.4")
		if reply, _ := weigh(o.lists, answers); reply != want {
			t.Errorf("%s: %q, want %q", flags, reply, want)
		}
		cancel()
	}
}

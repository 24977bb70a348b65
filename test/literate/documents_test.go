package literate

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

// source is where an administrator has the source tree, or what make deb has
// made there.
const source = "/root/qmail-smtpd"

// TestDocuments executes all documents, on both kinds of machines at once.
func TestDocuments(t *testing.T) {
	used := map[*entry]bool{}
	var classic, systemd []block
	for _, path := range documents(t) {
		for _, b := range read(t, path) {
			e := find(b)
			used[e] = true
			onClassic, onSystemd := kinds(b)
			if onClassic && e.skip == "" {
				classic = append(classic, b)
			}
			if onSystemd && e.skip == "" {
				systemd = append(systemd, b)
			}
		}
	}
	for i := range table {
		if !used[&table[i]] {
			t.Errorf("no block of %s begins with %q", table[i].document, table[i].first)
		}
	}
	t.Run("systemd", func(t *testing.T) {
		t.Parallel()
		m := bootWithPackages(t)
		for _, b := range systemd {
			execute(t, m, b, find(b))
		}
	})
	t.Run("classic", func(t *testing.T) {
		t.Parallel()
		var m *machine.Machine
		last := ""
		for _, b := range classic {
			if b.document != last { // each document has a machine of its own
				m, last = startWithSvscan(t), b.document
			}
			execute(t, m, b, find(b))
		}
	})
}

// find returns the entry of the table for a block.
func find(b block) *entry {
	for i := range table {
		e := &table[i]
		if e.document == b.document && strings.HasPrefix(b.text, e.first) && (e.heading == "" || e.heading == b.heading) {
			return e
		}
	}
	return &entry{}
}

// kinds tells on which machines a block is for.
func kinds(b block) (classic, systemd bool) {
	where := b.heading + " " + b.lead
	switch {
	case find(b).classic:
		return true, false
	case strings.Contains(b.lead, "Both ways"):
		return true, true
	case regexp.MustCompile("(?i)with daemontools").MatchString(where):
		return true, false
	case b.document != "docs/QMAIL-CONF.md", regexp.MustCompile("(?i)with systemd").MatchString(b.lead):
		return false, true
	}
	return true, true
}

// execute runs a block and holds what it does against its entry.
func execute(t *testing.T, m *machine.Machine, b block, e *entry) {
	t.Helper()
	start := time.Now()
	script := func(name, text string) {
		t.Helper()
		if text == "" {
			return
		}
		if out, code := m.Try("set -e\n" + text); code != 0 {
			t.Errorf("%s\n%s: exit status %d\n%s", b, name, code, out)
		}
	}
	script("before", e.before)
	text := b.text
	for _, line := range e.without {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s: no line %q", b, line)
		}
		text = strings.Replace(text, line+"\n", "", 1)
	}
	in := e.in
	if in == "" {
		in = source
	}
	m.WriteFile("/tmp/text", text, 0o644)
	m.WriteFile("/tmp/block", "set -eu -o pipefail\ncd "+in+"\n"+text, 0o644)
	run := "bash /tmp/block </dev/null"
	if e.as != "" {
		run = e.as
	}
	var out string
	code := 0
	if e.during == "" {
		out, code = m.Try(run)
	} else {
		m.WriteFile("/tmp/run", run, 0o644)
		m.Sh("setsid bash /tmp/run >/tmp/out 2>&1 & echo $! >/tmp/pid")
		script("during", await(e.during))
		script("end", "kill -- -$(cat /tmp/pid)")
		out = m.Sh("cat /tmp/out")
	}
	if code != e.exit {
		t.Errorf("%s\nexit status %d\n%s", b, code, out)
	}
	if !regexp.MustCompile(e.prints).MatchString(out) {
		t.Errorf("%s\nprints %q, not %q", b, out, e.prints)
	}
	if e.after != "" {
		script("after", await(e.after))
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Logf("%s: %v", b, took)
	}
}

// await is a script that waits until another succeeds, for half a minute.
func await(script string) string {
	return "export s=" + quote("set -e\n"+script) + `
end=$((SECONDS + 30))
while [ $SECONDS -lt $end ]; do out=$(bash -uc "$s" 2>&1) && exit; sleep 0.1; done
echo "$out"
exit 1`
}

func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// bootWithPackages boots a machine with the packages that make deb makes lying
// where it puts them, as on the machine of a newcomer.
func bootWithPackages(t *testing.T) *machine.Machine {
	t.Helper()
	dist := t.TempDir()
	build := exec.Command("make", "-s", "deb")
	build.Dir = programs.Root(t)
	build.Env = append(build.Environ(), "DIST="+dist)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make deb: %v\n%s", err, out)
	}
	m := machine.Boot(t)
	m.CopyDir(dist, source+"/dist")
	m.CopyDir(programs.Originals(t), "/opt/classic")
	m.Sh(`
rm -f /usr/sbin/policy-rc.d /var/lib/man-db/auto-update
hostname mail
echo 127.0.0.1 mail.example.org mail >>/etc/hosts
rm -rf /var/qmail /service
` + common)
	return m
}

// startWithSvscan starts a machine without systemd, with our programs in the
// path, svscan, and what qmail has before its first service.
func startWithSvscan(t *testing.T) *machine.Machine {
	t.Helper()
	m := machine.Start(t)
	m.AddQmailAccounts()
	m.CopyDir(programs.Ours(t), "/usr/local/bin")
	m.Sh(`
rm -rf /var/qmail /service
mkdir -p /service /var/qmail/bin /var/qmail/control /var/qmail/service
echo mail.example.org | tee /var/qmail/control/me >/var/qmail/control/rcpthosts
mkdir -p ` + source + `
setsid svscan /service >/tmp/svscan.log 2>&1 &
` + common)
	return m
}

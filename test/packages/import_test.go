package packages

import (
	_ "embed"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

//go:embed testdata/list.py
var listServer string

// TestImportOld installs beside an SMTP service as it was set up for twenty
// years, imports that, frees the port as the preflight says, and holds the
// service to the old rules.
func TestImportOld(t *testing.T) {
	t.Parallel()
	m := boot(t, debs)
	m.CopyDir(filepath.Join(programs.Originals(t), "../../deb"), classic)
	m.CopyDir(filepath.Join(programs.Supervisors(t), "deb"), "/packages/supervisors")
	m.AddQmailAccounts()
	for name, content := range map[string]string{
		"/var/qmail/bin/qmail-smtpd":               "#!/bin/sh\necho 220 old\n",
		"/var/qmail/control/me":                    "mail.example.org\n",
		"/var/qmail/control/rcpthosts":             "example.org\n",
		"/var/qmail/control/concurrencyincoming":   "20\n",
		"/etc/tcp.smtp":                            "127.0.0.1:allow,RELAYCLIENT=\"\"\n127.0.0.3:deny\n:allow\n",
		"/var/qmail/supervise/qmail-smtpd/log/run": "#!/bin/sh\nexec setuidgid qmaill multilog t s100000 n20 /var/log/qmail/smtpd\n",
		"/var/qmail/supervise/qmail-smtpd/run": `#!/bin/sh
QMAILDUID=` + "`id -u qmaild`" + `
NOFILESGID=` + "`id -g qmaild`" + `
MAXSMTPD=` + "`cat /var/qmail/control/concurrencyincoming`" + `
LOCAL=` + "`head -1 /var/qmail/control/me`" + `
if [ -z "$QMAILDUID" -o -z "$NOFILESGID" -o -z "$MAXSMTPD" -o -z "$LOCAL" ]; then
    echo QMAILDUID, NOFILESGID, MAXSMTPD or LOCAL is not set
    exit 1
fi
if [ ! -f /var/qmail/control/rcpthosts ]; then
    echo no rcpthosts
    exit 1
fi
export DNSCACHEIP=127.0.0.1
exec softlimit -m 50000000 \
    tcpserver -v -R -H -l "$LOCAL" -x /etc/tcp.smtp.cdb -c "$MAXSMTPD" \
        -u "$QMAILDUID" -g "$NOFILESGID" 0 smtp \
        rblsmtpd -b -r list.example /var/qmail/bin/qmail-smtpd 2>&1
`,
	} {
		m.Sh("mkdir -p " + filepath.Dir(name))
		m.WriteFile(name, content, 0o755)
	}
	m.WriteFile("/root/list.py", listServer, 0o644)
	m.Sh(`
systemd-run -q --unit=list python3 /root/list.py
mkdir -p /var/log/qmail/smtpd
chown qmaill /var/log/qmail/smtpd
cp /packages/supervisors/daemontools-run_* ` + classic + `
` + apt + ` ` + classic + `/*.deb >&2
tcprules /etc/tcp.smtp.cdb /etc/tcp.smtp.tmp </etc/tcp.smtp
ln -s /var/qmail/supervise/qmail-smtpd /etc/service/`)
	m.Await(soon, "read -r line </dev/tcp/127.0.0.1/25 && test \"$line\" = '220 old'")

	said := do(m, "dpkg -i", debs)
	held := regexp.MustCompile(`port 25 is held by tcpserver \(pid \d+, service directory /var/qmail/supervise/qmail-smtpd.*; to free it: (.*)`).FindStringSubmatch(said)
	if held == nil {
		t.Fatalf("the installation said %s", said)
	}
	state := "cd /var/qmail/service; find smtpd -type f -not -path '*/log/main/*' | sort | xargs sha256sum"
	before := m.Sh(state)
	report := m.Sh("qmail-smtpd-conf --import")
	for _, line := range []string{
		"taken    env/CONCURRENCY is 20: -c in line 16 of run, from /var/qmail/control/concurrencyincoming",
		"taken    env/DNSCACHEIP is 127.0.0.1: the variable in line 14 of run",
		"taken    rblsmtpd -r list.example is in run: line 18 of run",
		"taken    tcp is /etc/tcp.smtp, 3 records",
		"differs  the log is in log/main of the new directory, and no longer in /var/log/qmail/smtpd: line 2 of log/run",
		"writes   log/env/MAXFILESIZE log/env/MAXLOGFILES env/DATALIMIT env/CONCURRENCY tcp run env/DNSCACHEIP",
	} {
		if !strings.Contains(report, "    "+line+"\n") {
			t.Errorf("it does not say %q:\n%s", line, report)
		}
	}
	if strings.Contains(report, "lost ") || strings.Contains(report, "kept ") || m.Sh(state) != before {
		t.Errorf("changed without --apply, or not all was taken:\n%s", report)
	}
	m.Sh("qmail-smtpd-conf --import --apply")
	after := m.Sh(state)
	if out := m.Sh("qmail-smtpd-conf --import --apply"); !strings.Contains(out, "\nthere was nothing to change\n") || m.Sh(state) != after {
		t.Errorf("again: %s", out)
	}
	m.Sh("cd /var/qmail/service/smtpd; sha256sum --quiet -c imported")

	m.Sh(held[1])
	m.Await(soon, "qmail-smtpd-preflight")
	m.Sh("systemctl enable --now qmail-smtpd.socket")
	checkRunning(m)
	m.Await(soon, "grep -q 'tcpserver: status: 0/20' /service/smtpd/log/main/current")

	const mail = "swaks --server 127.0.0.1 --from a@client.example --local-interface "
	m.Sh(mail + "127.0.0.1 --to b@elsewhere.example >&2")
	m.Sh(mail + "127.0.0.2 --to b@example.org >&2")
	for client, want := range map[string]string{
		"127.0.0.2": "553 sorry",
		"127.0.0.3": "closed connection",
		"127.0.0.4": "553 listed",
	} {
		to := "b@example.org"
		if client == "127.0.0.2" {
			to = "b@elsewhere.example"
		}
		if out, code := m.Try(mail + client + " --to " + to + " 2>&1"); code == 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d %s", client, code, out)
		}
	}

	// What is edited afterwards stays.
	m.Sh("echo 33 >/service/smtpd/env/CONCURRENCY; echo 127.0.0.5:deny >>/etc/tcp.smtp")
	if out, code := m.Try("qmail-smtpd-conf --import=/var/qmail/supervise/qmail-smtpd --apply"); code != 1 ||
		!strings.Contains(out, `kept     env/CONCURRENCY as it is, since somebody has edited it: it is "33", and would be "20"`) ||
		!strings.Contains(out, "writes   tcp\n") {
		t.Errorf("%d %s", code, out)
	}
	m.Sh("cd /service/smtpd; grep -x 33 env/CONCURRENCY; TCPREMOTEIP=127.0.0.5 tcprulescheck tcp.cdb | grep deny")
}

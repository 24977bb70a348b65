package machine

// AddQmailAccounts adds the users and groups of qmail.
func (m *Machine) AddQmailAccounts() {
	m.t.Helper()
	m.Sh(`
cat >>/etc/group <<EOT
nofiles:x:7801:
qmail:x:7802:
EOT
cat >>/etc/passwd <<EOT
alias:x:7810:7801::/var/qmail/alias:/bin/true
qmaild:x:7811:7801::/var/qmail:/bin/true
qmaill:x:7812:7801::/var/qmail:/bin/true
qmailp:x:7813:7801::/var/qmail:/bin/true
qmailq:x:7814:7802::/var/qmail:/bin/true
qmailr:x:7815:7802::/var/qmail:/bin/true
qmails:x:7816:7802::/var/qmail:/bin/true
EOT
`)
}

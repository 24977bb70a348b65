package packages

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReadme types the four commands of the README's first screen.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)as root:\n\n((?:    [^\n]+\n)+)`).FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no commands for an administrator")
	}
	var commands []string
	for _, line := range strings.Split(strings.TrimSpace(string(block[1])), "\n") {
		commands = append(commands, strings.TrimSpace(line))
	}
	if len(commands) != 4 || commands[0] != "make deb" || slices.Index(strings.Split(string(readme), "\n"), "    make deb") > 30 {
		t.Fatalf("the README's commands are %q", commands)
	}

	m := boot(t, debs) // by make deb
	m.Sh("ln -s /packages/deb /root/dist")
	for _, command := range commands[1:3] {
		m.Sh("cd /root; " + command + " 2>&1 </dev/null")
	}
	// svscan looks every five seconds
	m.Await(soon, commands[3]+` | grep -Ec '^/service/smtpd(/log)?: up \(pid [0-9]+\) [0-9]+ seconds$' | grep -x 2`)
	send(m, "readme")
	m.Sh("tai64nlocal </service/smtpd/log/main/current | grep 'tcpserver: status: 0/40'")
}

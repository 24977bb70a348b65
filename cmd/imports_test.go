// Package cmd has no code of its own; its test holds what each binary is made
// of.
package cmd

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports holds that no program contains code that its job does not need:
// a banned word is a package with all below it, or, after a slash, a part of
// any import path.
func TestImports(t *testing.T) {
	for program, banned := range map[string]string{
		"multilog":         "net crypto/ /dbus /go-systemd /units /svcompat",
		"qmail-queue":      "/dbus /units /svcompat /smtp",
		"qmail-smtpd-conf": "/dbus /svcompat /smtp",
		"svcompat":         "net crypto/ /dbus /go-systemd /units fmt os/exec",
		"svscan":           "/queue /smtp /tcpserver",
		"tcpserver":        "/dbus /units /svcompat",
	} {
		out, err := exec.Command("go", "list", "-deps", "./"+program).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		paths := strings.Fields(string(out))
		if len(paths) < 10 {
			t.Fatalf("%s: %q", program, paths)
		}
		for _, path := range paths {
			for _, word := range strings.Fields(banned) {
				if path == word || strings.HasPrefix(path, strings.TrimSuffix(word, "/")+"/") || word[0] == '/' && strings.Contains(path+"/", word+"/") {
					t.Errorf("%s contains %s", program, path)
				}
			}
		}
	}
}

package queue

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Limits that softlimit handed on are set on a queue program that is not
// ours, which does not see that they were handed on.
func TestProgramGetsHandedLimits(t *testing.T) {
	path := t.TempDir() + "/program"
	// The limits come right after the start of the program.
	script := "#!/bin/sh\nulimit -t 20\nuntil test $(ulimit -S -c) = 8; do :; done\n" +
		"echo \"D$(ulimit -S -d) $(env | grep -c LIMITS)\" >&6\ncat >/dev/null\ncat <&1 >/dev/null\nexit 82\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	env := command.HandLimits(os.Environ(), []command.Limit{
		{Resource: unix.RLIMIT_DATA, Soft: 50000000},
		{Resource: unix.RLIMIT_CORE, Soft: 4096},
	})
	result := commit(t, &Program{Home: t.TempDir(), Path: path, Env: env})
	if result.Code != 82 || result.Text != "D48828 0\n" {
		t.Errorf("got %d %q", result.Code, result.Text)
	}
}

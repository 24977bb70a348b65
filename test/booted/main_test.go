package booted

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"qmail-smtpd/test/machine"
	"qmail-smtpd/test/programs"
)

// system is the one that machines boot: that of this machine, or Debian 13.
var system = ""

// TestMain runs all tests on each system that SYSTEMS names, by default on both.
func TestMain(m *testing.M) {
	systems := []string{"here", "debian13"}
	if words := strings.Fields(os.Getenv("SYSTEMS")); len(words) > 0 {
		systems = words
	}
	code := 0
	for _, system = range systems {
		fmt.Println("booting", system)
		code = max(code, m.Run())
	}
	os.Exit(code)
}

// boot starts a machine. Machines do not disturb each other, so their tests
// run beside each other.
func boot(t *testing.T) *machine.Machine {
	t.Helper()
	t.Parallel()
	t.Log("on", system)
	switch system {
	case "here":
		return machine.Boot(t)
	case "debian13":
		return machine.BootOn(t, programs.Debian13(t))
	}
	t.Fatalf("there is no system %q", system)
	return nil
}

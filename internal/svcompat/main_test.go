package svcompat

import (
	"flag"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/supervision"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random input that ours and the originals get")

var commands = command.Table{
	"envdir":        Envdir,
	"envuidgid":     Envuidgid,
	"fghack":        Fghack,
	"pgrphack":      Pgrphack,
	"readproctitle": Readproctitle,
	"setlock":       Setlock,
	"setuidgid":     Setuidgid,
	"softlimit":     Softlimit,
	"supervise":     Supervise,
	"svc":           Svc,
	"svls":          Svls,
	"svok":          Svok,
	"svstat":        Svstat,
	"svwait":        Svwait,
}

// ours is a directory that holds our commands.
var ours string

func TestMain(m *testing.M) { supervision.Main(m, commands, &ours) }

type result = supervision.Result

func random(t *testing.T) *rand.Rand {
	t.Helper()
	t.Logf("to repeat: -seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// readStatus returns the status of a service directory.
func readStatus(t testing.TB, dir string) Status {
	t.Helper()
	content, err := os.ReadFile(dir + "/supervise/status")
	if err != nil {
		t.Fatal(err)
	}
	if len(content) != StatusSize {
		t.Fatalf("status has %d bytes", len(content))
	}
	status, err := ParseStatus(content)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// bothOf returns the directories of the originals and of ours.
func bothOf(t testing.TB) map[string]string {
	t.Helper()
	return map[string]string{"original": programs.Originals(t), "ours": ours}
}

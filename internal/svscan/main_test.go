package svscan

import (
	"testing"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/svcompat"
	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/supervision"
)

var commands = command.Table{
	".svscan-finish": SvscanFinish,
	".svscan-run":    SvscanRun,
	"readproctitle":  svcompat.Readproctitle,
	"supervise":      svcompat.Supervise,
	"svc":            svcompat.Svc,
	"svok":           svcompat.Svok,
	"svscan":         Svscan,
	"svscanboot":     Svscanboot,
	"svstat":         svcompat.Svstat,
}

// ours is a directory that holds our commands.
var ours string

func TestMain(m *testing.M) { supervision.Main(m, commands, &ours) }

// bothOf returns the directories of the originals and of ours.
func bothOf(t testing.TB) map[string]string {
	t.Helper()
	return map[string]string{"original": programs.Originals(t), "ours": ours}
}

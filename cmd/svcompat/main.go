package main

import (
	"os"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/generator"
	"qmail-smtpd/internal/migrate"
	"qmail-smtpd/internal/svcompat"
)

func main() {
	os.Exit(command.Table{
		"envdir":           svcompat.Envdir,
		"envuidgid":        svcompat.Envuidgid,
		"fghack":           svcompat.Fghack,
		"pgrphack":         svcompat.Pgrphack,
		"readproctitle":    svcompat.Readproctitle,
		"setlock":          svcompat.Setlock,
		"setuidgid":        svcompat.Setuidgid,
		"softlimit":        svcompat.Softlimit,
		"supervise":        svcompat.Supervise,
		"svc":              svcompat.Svc,
		"svcompat-migrate": migrate.Main,
		"svls":             svcompat.Svls,
		"svok":             svcompat.Svok,
		"svscan":           svcompat.Svscan,
		"svscanboot":       svcompat.Svscanboot,
		"svscan-generator": generator.SvscanGenerator,
		".svscan-run":      svcompat.SvscanRun,
		".svscan-finish":   svcompat.SvscanFinish,
		"svstat":           svcompat.Svstat,
		"svwait":           svcompat.Svwait,
	}.Run(os.Args))
}

package main

import (
	"os"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/svcompat"
)

func main() {
	os.Exit(command.Table{
		"envdir":        svcompat.Envdir,
		"envuidgid":     svcompat.Envuidgid,
		"fghack":        svcompat.Fghack,
		"pgrphack":      svcompat.Pgrphack,
		"readproctitle": svcompat.Readproctitle,
		"setlock":       svcompat.Setlock,
		"setuidgid":     svcompat.Setuidgid,
		"softlimit":     svcompat.Softlimit,
		"supervise":     svcompat.Supervise,
		"svc":           svcompat.Svc,
		"svls":          svcompat.Svls,
		"svok":          svcompat.Svok,
		"svstat":        svcompat.Svstat,
		"svwait":        svcompat.Svwait,
	}.Run(os.Args))
}

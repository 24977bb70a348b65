package main

import (
	"os"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/svcompat"
)

func main() {
	os.Exit(command.Table{
		"envdir":    svcompat.Envdir,
		"envuidgid": svcompat.Envuidgid,
		"pgrphack":  svcompat.Pgrphack,
		"setlock":   svcompat.Setlock,
		"setuidgid": svcompat.Setuidgid,
		"softlimit": svcompat.Softlimit,
		"supervise": svcompat.Supervise,
		"svc":       svcompat.Svc,
		"svok":      svcompat.Svok,
		"svscan":    svcompat.Svscan,
		"svstat":    svcompat.Svstat,
	}.Run(os.Args))
}

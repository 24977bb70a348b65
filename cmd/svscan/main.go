package main

import (
	"os"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/generator"
	"qmail-smtpd/internal/migrate"
	"qmail-smtpd/internal/svscan"
)

func main() {
	os.Exit(command.Table{
		".svscan-finish":   svscan.SvscanFinish,
		".svscan-run":      svscan.SvscanRun,
		"svcompat-migrate": migrate.Main,
		"svscan":           svscan.Svscan,
		"svscan-generator": generator.SvscanGenerator,
		"svscanboot":       svscan.Svscanboot,
	}.Run(os.Args))
}

package main

import (
	"os"

	"qmail-smtpd/internal/command"
)

func main() {
	os.Exit(command.Table{}.Run(os.Args))
}

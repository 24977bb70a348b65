package main

import (
	"os"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/queue"
)

func main() {
	os.Exit(command.Table{
		"qmail-queue":  queue.Main,
		"qmail-queued": queue.ServiceMain,
	}.Run(os.Args))
}

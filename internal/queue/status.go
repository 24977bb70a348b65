package queue

import (
	"os"
	"time"

	"qmail-smtpd/internal/command"
)

const (
	commandName = "qmail-queue"

	// statusTime is how long qmail-queue --status waits for the service.
	statusTime = 10 * time.Second
)

// printStatus is qmail-queue --status.
func printStatus(home string) int {
	text, err := Status(home)
	if err != nil {
		return command.Fatal(commandName, "unable to ask the queue service", err)
	}
	if _, err := os.Stdout.Write(text); err != nil {
		return command.Fatal(commandName, "unable to write output", err)
	}
	return 0
}

// Status asks the queue service of home how it is: lines for a person, which
// qmail-queue(8) describes. It waits ten seconds at most.
func Status(home string) ([]byte, error) {
	conn, err := dial(home + "/" + socketName)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(statusTime))
	if _, err := conn.Write(appendHeader([]byte{streamVersion}, statusMark)); err != nil {
		return nil, err
	}
	_, text, err := readReply(conn)
	return text, err
}

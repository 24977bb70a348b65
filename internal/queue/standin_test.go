package queue

import (
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// standIn is a queue program that records what it gets in the directory
// RECORD and behaves as the variables EXIT, TEXT, SIGNAL and EARLY say.
func standIn(args []string) int {
	record := os.Getenv("RECORD")
	write := func(name, data string) { os.WriteFile(record+"/"+name, []byte(data), 0o644) }
	dir, _ := os.Getwd()
	write("dir", dir)
	write("pid", strconv.Itoa(os.Getpid()))
	write("args", strings.Join(args, " "))
	code, _ := strconv.Atoi(os.Getenv("EXIT"))
	if os.Getenv("EARLY") != "" {
		return code
	}
	message, _ := io.ReadAll(os.Stdin)
	write("message", string(message))
	envelope, _ := io.ReadAll(os.Stdout)
	write("envelope", string(envelope))
	io.WriteString(os.NewFile(6, "text"), os.Getenv("TEXT"))
	if signal, err := strconv.Atoi(os.Getenv("SIGNAL")); err == nil {
		unix.Kill(os.Getpid(), unix.Signal(signal))
		select {}
	}
	if !strings.HasSuffix(string(envelope), "\x00\x00") {
		return 54
	}
	return code
}

// Recorder is a queue program for tests: it keeps the message and the
// envelope in files of the directory $RECDIR, and ends as $RECERR, $RECSIG
// and $RECEXIT say. It starts fast, having few packages.
package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	message, err := io.ReadAll(os.Stdin)
	check(err)
	envelope, err := io.ReadAll(os.Stdout)
	check(err)
	earlier, err := os.ReadDir(os.Getenv("RECDIR"))
	check(err)
	name := os.Getenv("RECDIR") + "/" + strconv.Itoa(len(earlier)/2)
	check(os.WriteFile(name+".message", message, 0o666))
	check(os.WriteFile(name+".envelope", envelope, 0o666))
	if text := os.Getenv("RECERR"); text != "" {
		_, err := os.NewFile(6, "text").WriteString(text)
		check(err)
	}
	if signal := os.Getenv("RECSIG"); signal != "" {
		n, err := strconv.Atoi(signal)
		check(err)
		check(syscall.Kill(os.Getpid(), syscall.Signal(n)))
		select {}
	}
	if !strings.HasSuffix(string(envelope), "\x00\x00") {
		os.Exit(54)
	}
	if exit := os.Getenv("RECEXIT"); exit != "" {
		code, err := strconv.Atoi(exit)
		check(err)
		os.Exit(code)
	}
}

func check(err error) {
	if err != nil {
		os.Stderr.WriteString("recorder: " + err.Error() + "\n")
		os.Exit(81)
	}
}

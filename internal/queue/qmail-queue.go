package queue

import (
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/control"
)

// maxRawEnvelope is the longest envelope, in bytes, that qmail-queue takes:
// it is held in memory, and is enough for a million recipients.
const maxRawEnvelope = 64 << 20

// Main is qmail-queue: it reads a message from descriptor 0 and its envelope
// from descriptor 1, submits it to the queue service, or where there is no
// socket writes it to the queue itself, and answers by its exit code. It
// prints nothing. With --status it prints how the queue service is.
func Main(args []string) int {
	if len(args) == 2 && args[1] == "--status" {
		return printStatus(control.Home())
	}
	obeySignals()
	time.AfterFunc(lifetime, func() { os.Exit(52) })
	if wasClosed(os.Stdin) {
		return 54
	}
	message := begin(control.Home())
	if _, err := io.CopyBuffer(struct{ io.Writer }{message}, struct{ io.Reader }{os.Stdin}, make([]byte, maxChunk)); err != nil {
		message.Abandon()
		return 54
	}
	envelope, err := readEnvelope(os.Stdout, maxRawEnvelope)
	if err != nil {
		message.Abandon()
		return 51
	}
	return message.commitEnvelope(envelope).Code
}

// begin opens the submission of this process's only message.
func begin(home string) interface {
	Submission
	commitEnvelope([]byte) Result
} {
	if client := NewClient(home); client.present() {
		return client.begin()
	}
	unix.Umask(0o033)
	return NewDisk(home).begin(uint32(os.Getuid()))
}

// wasClosed tells whether f was no open descriptor when the process began.
// The runtime has then put /dev/null there, for reading and writing.
func wasClosed(f *os.File) bool {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return true
	}
	var stat unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &stat)
	return err == nil && stat.Mode&unix.S_IFMT == unix.S_IFCHR && stat.Rdev == unix.Mkdev(1, 3) && flags&unix.O_ACCMODE == unix.O_RDWR
}

// obeySignals treats signals as qmail-queue does: some do nothing, ALRM and
// those of a fault have exit codes, all others kill.
func obeySignals() {
	signal.Ignore(unix.SIGPIPE, unix.SIGVTALRM, unix.SIGPROF, unix.SIGQUIT, unix.SIGINT, unix.SIGHUP, unix.SIGXCPU, unix.SIGXFSZ)
	got := make(chan os.Signal, 1)
	signal.Notify(got, unix.SIGALRM, unix.SIGILL, unix.SIGABRT, unix.SIGFPE, unix.SIGBUS, unix.SIGSEGV, unix.SIGSYS, unix.SIGUSR1, unix.SIGUSR2)
	go func() {
		switch <-got {
		case unix.SIGALRM:
			os.Exit(52)
		case unix.SIGUSR1, unix.SIGUSR2:
			unix.Kill(os.Getpid(), unix.SIGTERM) // by default the runtime would ignore them
		default:
			os.Exit(81)
		}
	}()
}

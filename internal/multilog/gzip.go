package multilog

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/tai64"
)

// Gzip is the command multilog-gzip: it compresses the logs of a log
// directory that are done, @LABEL.s to @LABEL.s.gz, the oldest first. It
// returns command.ExitTemporary where it cannot; the log that it failed on and
// the newer ones are unchanged then.
func Gzip(args []string) int {
	const name = "multilog-gzip"
	if len(args) != 2 {
		return command.Usage(name, "multilog-gzip dir")
	}
	unix.Setpriority(unix.PRIO_PROCESS, 0, 10) // the log is more urgent
	dir, err := os.Open(args[1])
	if err != nil {
		return command.Fatal(name, "unable to open directory "+args[1], err)
	}
	defer dir.Close()
	// One at a time in a directory: what is done twice may be done wrong.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return command.Fatal(name, "unable to lock directory "+args[1], err)
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return command.Fatal(name, "unable to read "+args[1], err)
	}
	slices.Sort(names)
	for _, log := range names {
		if log[0] != '@' || len(log) != tai64.LabelSize+2 || !strings.HasSuffix(log, ".s") {
			continue
		}
		if err := compressLog(args[1], log); err != nil && !os.IsNotExist(err) {
			return command.Fatal(name, "unable to compress "+args[1]+"/"+log, err)
		}
	}
	dir.Sync() // not every file system can
	return 0
}

// compressLog puts the log name, compressed and on disk, in the place of
// itself. Its file compressed does not count as a log.
func compressLog(dir, name string) error {
	log := filepath.Join(dir, name)
	in, err := os.Open(log)
	if err != nil {
		return err // os.ErrNotExist: the log was removed as one too many
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "compressed")
	if err := writeGzip(tmp, in); err != nil {
		return err
	}
	os.Chtimes(tmp, info.ModTime(), info.ModTime())
	if _, err := os.Lstat(log); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, log+".gz"); err != nil {
		return err
	}
	return os.Remove(log)
}

// writeGzip writes what in holds to the file path, which is complete and on
// disk where there is no error.
func writeGzip(path string, in io.Reader) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, modeOpen)
	if err != nil {
		return err
	}
	defer out.Close()
	compressed := gzip.NewWriter(out)
	_, err = io.Copy(compressed, in)
	if err == nil {
		err = compressed.Close()
	}
	if err == nil {
		err = out.Sync()
	}
	if err == nil {
		err = out.Chmod(modeComplete)
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}

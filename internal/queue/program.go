package queue

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// maxText is how much of a queue program's own text is kept.
const maxText = 255

// A Program is a program with qmail-queue's interface: it reads the message
// from descriptor 0, then the envelope from descriptor 1, may write a text
// for the client to descriptor 6, and answers by its exit code. Descriptor 2
// is this process's own.
type Program struct {
	Home string   // qmail's home directory, in which it runs
	Path string   // the program; a relative path begins at Home
	Env  []string // its environment; nil is this process's
}

// Begin starts the program. It fails where no process or pipe can be had; a
// program that cannot be executed, or a Home that cannot be entered, is told
// by Commit as codes 120 and 61.
func (p *Program) Begin() (Submission, error) {
	var pipes [6]*os.File
	closeAll := func() {
		for _, f := range pipes {
			if f != nil {
				f.Close()
			}
		}
	}
	for i := 0; i < len(pipes); i += 2 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll()
			return nil, err
		}
		pipes[i], pipes[i+1] = r, w
	}
	messageR, messageW := pipes[0], pipes[1]
	envelopeR, envelopeW := pipes[2], pipes[3]
	textR, textW := pipes[4], pipes[5]

	env := p.Env
	if env == nil {
		env = os.Environ()
	}
	limits, env := command.LimitsFor(p.file(), env)
	process, err := os.StartProcess(p.Path, []string{p.Path}, &os.ProcAttr{
		Dir:   p.Home,
		Env:   env,
		Files: []*os.File{messageR, envelopeR, os.Stderr, nil, nil, nil, textW},
	})
	if err != nil {
		closeAll()
		return p.notStarted(err)
	}
	messageR.Close()
	envelopeR.Close()
	textW.Close()
	command.SetLimits(process.Pid, limits)
	return &programSubmission{process: process, message: messageW, envelope: envelopeW, text: textR}, nil
}

// file is the path of the program from anywhere.
func (p *Program) file() string {
	if filepath.IsAbs(p.Path) {
		return p.Path
	}
	return filepath.Join(p.Home, p.Path)
}

// notStarted sorts out why the program did not start.
func (p *Program) notStarted(err error) (Submission, error) {
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return nil, err
	}
	if enterable(p.Home) != nil {
		return failed(61), nil
	}
	return failed(120), nil
}

// enterable tells whether this process could make dir its working directory.
func enterable(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "chdir", Path: dir, Err: unix.ENOTDIR}
	}
	return unix.Access(dir, unix.X_OK)
}

// failed is a submission that is lost from the start, with its exit code.
type failed int

func (f failed) Write(p []byte) (int, error) { return len(p), nil }
func (f failed) Number() int                 { return 0 }
func (f failed) Commit(Envelope) Result      { return Result{Code: int(f)} }
func (f failed) Abandon()                    {}

type programSubmission struct {
	process                 *os.Process
	message, envelope, text *os.File
	broken                  bool // something could not be written to it
}

func (s *programSubmission) Write(p []byte) (int, error) {
	if !s.broken {
		_, err := s.message.Write(p)
		s.broken = err != nil
	}
	return len(p), nil
}

func (s *programSubmission) Number() int { return s.process.Pid }

func (s *programSubmission) Commit(e Envelope) Result {
	s.message.Close()
	if !s.broken {
		_, err := s.envelope.Write(appendEnvelope(nil, e))
		s.broken = err != nil
	}
	s.envelope.Close()
	return s.wait()
}

func (s *programSubmission) Abandon() {
	s.message.Close()
	s.envelope.Close()
	s.wait()
}

// wait takes the program's text and its end.
func (s *programSubmission) wait() Result {
	result := Result{Number: s.process.Pid}
	result.Text = readText(s.text)
	s.text.Close()
	state, err := s.process.Wait()
	if err != nil {
		result.Code = WaitFailed
		return result
	}
	switch status := state.Sys().(syscall.WaitStatus); {
	case status.Signaled():
		result.Code = Crashed
	case status.ExitStatus() == 0 && s.broken:
		result.Code = 54 // it cannot have taken what was not written
	default:
		result.Code = status.ExitStatus()
	}
	return result
}

// readText reads to the end, so that the program never waits for a reader,
// and keeps the first maxText bytes.
func readText(f *os.File) string {
	var kept []byte
	var buffer [512]byte
	for {
		n, err := f.Read(buffer[:])
		kept = append(kept, buffer[:min(n, maxText-len(kept))]...)
		if err != nil {
			return string(kept)
		}
	}
}

package tcpserver

import "qmail-smtpd/internal/command"

// A failure is what went wrong in the words of the log, and why.
type failure struct {
	what string
	err  error // may be nil
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.what
	}
	return f.what + ": " + command.ErrText(f.err)
}

func (f *failure) Unwrap() error { return f.err }

// failed returns the failure of what, or nil where err is nil.
func failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{what, err}
}

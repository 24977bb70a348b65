package units

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Service is what the units of one service directory depend on.
type Service struct {
	Name    string            // of the entry in /service, or of the directory
	Dir     string            // absolute path of the directory
	Base    string            // base name of the units, without suffix
	Down    bool              // a file down is there: not started by itself
	Log     bool              // a directory log is there
	Listen  []Listen          // addresses that systemd is to listen on
	Backlog string            // of the sockets, from env/BACKLOG; empty: ours
	Env     map[string]string // the variables of env/ that units depend on
	Service string            // text of systemd/service.conf
	Socket  string            // text of systemd/socket.conf
	LogConf string            // text of log/systemd/service.conf
}

// A Listen is one address of systemd/listen.
type Listen struct {
	Address string // as ListenStream= takes it
	Name    string // of the descriptor; empty: systemd's default
}

// Read reads the service directory dir, which the scan directory knows as
// name. What is missing below dir is no error.
func Read(dir, name string) (Service, error) {
	s := Service{Name: name, Dir: dir, Env: map[string]string{}}
	if info, err := os.Stat(dir); err != nil {
		return s, err
	} else if !info.IsDir() {
		return s, fmt.Errorf("%s: not a directory", dir)
	}
	_, err := os.Stat(filepath.Join(dir, "down"))
	s.Down = err == nil
	_, err = os.Stat(filepath.Join(dir, "log"))
	s.Log = err == nil

	for _, name := range []string{"IP", "PORT", "BACKLOG", "REMOTENAME", "REMOTEINFO"} {
		value, set, err := readVariable(filepath.Join(dir, "env", name))
		if err != nil {
			return s, err
		}
		if set {
			s.Env[name] = value
		}
	}
	s.Backlog = s.Env["BACKLOG"]

	base, err := readOptional(filepath.Join(dir, "systemd/unit"))
	if err != nil {
		return s, err
	}
	s.Base = strings.TrimSpace(base)
	if s.Base == "" {
		s.Base = DefaultBase(name)
	} else if err := validBase(s.Base); err != nil {
		return s, fmt.Errorf("%s/systemd/unit: %w", dir, err)
	}

	listen, err := readOptional(filepath.Join(dir, "systemd/listen"))
	if err != nil {
		return s, err
	}
	if s.Listen, err = ParseListen(listen, s.Env); err != nil {
		return s, fmt.Errorf("%s/systemd/listen: %w", dir, err)
	}
	for _, f := range []struct {
		name string
		text *string
	}{
		{"systemd/service.conf", &s.Service},
		{"systemd/socket.conf", &s.Socket},
		{"log/systemd/service.conf", &s.LogConf},
	} {
		if *f.text, err = readOptional(filepath.Join(dir, f.name)); err != nil {
			return s, err
		}
	}
	return s, nil
}

func readOptional(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return "", nil
	}
	return string(content), err
}

// readVariable reads a file of env/ as envdir does; an empty file is a
// variable that is not set.
func readVariable(path string) (value string, set bool, err error) {
	content, err := readOptional(path)
	if err != nil || content == "" {
		return "", false, err
	}
	line, _, _ := strings.Cut(content, "\n")
	return strings.ReplaceAll(strings.TrimRight(line, " \t"), "\x00", "\n"), true, nil
}

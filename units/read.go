package units

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Service is what the units of one service directory depend on.
type Service struct {
	Name    string            // of the entry in the scan directory that it was first seen as
	Dir     string            // absolute path of the directory, without links
	Dev     uint64            // identity of the directory
	Ino     uint64            // identity of the directory
	Base    string            // base name of the units, without suffix
	Gone    bool              // held, but not in the scan directory any more: not started by itself
	Down    bool              // a file down is there: not started by itself
	Log     bool              // a directory log is there
	LogDown bool              // a file log/down is there
	RBL     bool              // run names rblsmtpd, which looks clients up
	Listen  []Listen          // addresses that systemd is to listen on
	Backlog string            // of the sockets, from env/BACKLOG; empty: ours
	Env     map[string]string // the variables of env/ that units depend on
	Service string            // text of systemd/service.conf
	Socket  string            // text of systemd/socket.conf
	LogConf string            // text of log/systemd/service.conf

	Extras           // of the directory
	LogExtras Extras // of its log
}

// A Listen is one address of systemd/listen.
type Listen struct {
	Address string // as ListenStream= takes it
	Name    string // of the descriptor; empty: systemd's default
}

// Settings are the files and directories of a service directory that its
// units depend on, relative to it: where none of them has changed, by stat,
// and no name has come or gone in the directory or its log, its units are
// what they were.
var Settings = [...]string{
	"run", "env/IP", "env/PORT", "env/BACKLOG", "env/REMOTENAME", "env/REMOTEINFO",
	"systemd", "systemd/unit", "systemd/listen", "systemd/service.conf", "systemd/socket.conf",
	"log/systemd/service.conf",
	"timeout-kill", "down-signal", "notification-fd",
	"log/timeout-kill", "log/down-signal", "log/notification-fd",
}

// Read reads the service directory dir, an absolute path, which the scan
// directory knows as name. What is missing below dir is no error. Where the
// directory makes no units, or somebody else than root can change what would
// run, the error is a Refusal.
func Read(dir, name string) (Service, error) {
	t := trust{}
	real, n, err := t.walk(dir)
	if err != nil {
		return Service{Name: name, Dir: dir}, refusal(name, dir, err)
	}
	s := Service{Name: name, Dir: real, Dev: n.dev, Ino: n.ino}
	if err := s.read(t, n, ""); err != nil {
		return s, refusal(name, dir, err)
	}
	return s, nil
}

// read reads all but the identity of s, whose directory is n. Where base is
// not empty, it is that of the units, whatever the directory says.
func (s *Service) read(t trust, n node, base string) error {
	if n.kind() != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	dir, err := t.open(s.Dir, "")
	if err != nil {
		return err
	}
	if s.Extras, err = readExtras(dir); err != nil {
		return err
	}
	s.Down = dir.exists("down")
	if err := s.readEnv(dir); err != nil {
		return err
	}
	if err := s.readSystemd(dir); err != nil {
		return err
	}
	if err := s.readLog(dir); err != nil {
		return err
	}
	switch {
	case base != "":
		s.Base = base
	case s.Base == "":
		s.Base = DefaultBase(s.Name)
		if err := validBase(s.Base); err != nil {
			return err
		}
	}
	return s.checkNames()
}

func (s *Service) readEnv(dir *folder) error {
	s.Env = map[string]string{}
	env, err := dir.folder("env")
	if err != nil || env == nil {
		return err
	}
	if err := env.trusted(); err != nil {
		return err
	}
	for _, name := range []string{"IP", "PORT", "BACKLOG", "REMOTENAME", "REMOTEINFO"} {
		value, set, err := env.variable(name)
		if err != nil {
			return err
		}
		if set {
			s.Env[name] = value
		}
	}
	s.Backlog = s.Env["BACKLOG"]
	if strings.Trim(s.Backlog, "0123456789") != "" || len(s.Backlog) > 9 {
		return env.at("BACKLOG", errors.New("not a number: "+s.Backlog))
	}
	return nil
}

func (s *Service) readSystemd(dir *folder) error {
	systemd, err := dir.folder("systemd")
	if err != nil || systemd == nil {
		return err
	}
	if err := systemd.trusted(); err != nil {
		return err
	}
	base, err := systemd.text("unit")
	if err != nil {
		return err
	}
	if s.Base = strings.TrimSpace(base); s.Base != "" {
		if err := validBase(s.Base); err != nil {
			return systemd.at("unit", err)
		}
	}
	listen, err := systemd.text("listen")
	if err != nil {
		return err
	}
	if s.Listen, err = ParseListen(listen, s.Env); err != nil {
		return systemd.at("listen", err)
	}
	if s.Service, err = systemd.text("service.conf"); err != nil {
		return err
	}
	if s.Socket, err = systemd.text("socket.conf"); err != nil {
		return err
	}
	run, err := dir.text("run")
	s.RBL = strings.Contains(run, "rblsmtpd")
	return err
}

func (s *Service) readLog(dir *folder) error {
	log, err := dir.folder("log")
	if err != nil || log == nil {
		return err
	}
	s.Log = true
	s.LogDown = log.exists("down")
	if s.LogExtras, err = readExtras(log); err != nil {
		return err
	}
	env, err := log.folder("env")
	if err == nil && env != nil {
		err = env.trusted()
	}
	if err != nil {
		return err
	}
	systemd, err := log.folder("systemd")
	if err != nil || systemd == nil {
		return err
	}
	if err := systemd.trusted(); err != nil {
		return err
	}
	s.LogConf, err = systemd.text("service.conf")
	return err
}

// checkNames refuses names that systemd or the file system does not take, and
// two units of one name.
func (s *Service) checkNames() error {
	units := s.Units()
	for i, unit := range units {
		if len(unit)+len(".d") > 255 {
			return errors.New("name too long")
		}
		if slices.Contains(units[:i], unit) {
			return at("systemd/listen", fmt.Errorf("%s is another unit of the service", unit))
		}
	}
	return nil
}

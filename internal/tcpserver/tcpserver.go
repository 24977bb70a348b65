package tcpserver

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/inet"
	"qmail-smtpd/internal/rules"
	"qmail-smtpd/internal/systemd"
	"qmail-smtpd/internal/ucspi"
)

// Command is the body of tcpserver. A program that the command line names and
// that is a link to the running binary is served by the builtin of its base
// name, or by the filter of its base name if the program that it goes on with
// is served so; every other program is run for each connection.
func Command(builtins map[string]ucspi.Builtin, filters map[string]ucspi.Filter) command.Main {
	return func(args []string) int {
		o, ok := parse(args)
		if !ok {
			return command.ExitUsage
		}
		s := &server{
			options:  o,
			log:      &logger{verbosity: o.verbosity},
			names:    newNames(),
			clients:  newClients(),
			stopping: make(chan struct{}),
		}
		s.room = sync.NewCond(&s.mu)
		// Else a builtin's line to os.Stderr would end the process once nobody
		// reads the log. Programs would inherit it if the signal were ignored.
		signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
		if err := s.open(builtins, filters); err != nil {
			return s.log.fatal(err)
		}
		return s.run()
	}
}

// open does what can fail before the first connection is accepted.
func (s *server) open(builtins map[string]ucspi.Builtin, filters map[string]ucspi.Filter) error {
	if err := s.listen(); err != nil {
		return err
	}
	if err := dropPrivileges(s.uid, s.gid); err != nil {
		return err
	}
	if s.printPort {
		fmt.Println(s.listeners[0].address.Port())
	}
	if err := closeStandardStreams(); err != nil {
		return &failure{"unable to open /dev/null", err}
	}
	if !s.alwaysExec {
		var err error
		if s.handler, s.refuser, err = handlerOf(s.program, builtins, filters); err != nil {
			return err
		}
	}
	s.children = newChildren(s.program)
	s.environ = connectionEnviron(os.Environ())
	if s.rulesGiven {
		s.rulesFile = rules.NewFile(s.rules)
	}
	s.loadRules()
	return nil
}

// listen finds the sockets to serve: those that systemd handed over, else
// one that it binds to the address on the command line.
func (s *server) listen() error {
	port, ok := inet.Port(s.port)
	if !ok {
		return &failure{"unable to figure out port number for " + s.port, nil}
	}
	var err error
	if s.listeners, err = handedListeners(); err != nil {
		return err
	}
	if len(s.listeners) == 0 {
		host, err := hostAddress(s.names.resolver, s.host)
		if err != nil {
			return err
		}
		l, err := listen(host, port, s.backlog)
		if err != nil {
			return err
		}
		s.listeners = []*listener{l}
	} else if host, known := inet.Literal(s.host); !slices.ContainsFunc(s.listeners, func(l *listener) bool {
		return fits(l.address, host, known, port)
	}) {
		s.log.warn(fmt.Sprintf("serving %s that was handed over, not %s port %s as the command line says",
			addresses(s.listeners), s.host, s.port))
	}
	if s.noDelay {
		for _, l := range s.listeners {
			l.setNoDelay()
		}
	}
	return nil
}

// handedListeners returns the sockets of the internet that systemd handed
// over.
func handedListeners() ([]*listener, error) {
	sockets, err := systemd.Sockets()
	if err != nil {
		return nil, &failure{"unable to take sockets", err}
	}
	var list []*listener
	for _, socket := range sockets {
		fd, err := unix.FcntlInt(socket.File.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		socket.File.Close()
		if err != nil {
			return nil, &failure{"unable to take sockets", err}
		}
		l, err := newListener(fd)
		if err != nil {
			return nil, err
		}
		if l.address.IsValid() {
			list = append(list, l)
		} else {
			l.close()
		}
	}
	return list, nil
}

func addresses(list []*listener) string {
	var texts []string
	for _, l := range list {
		texts = append(texts, l.address.String())
	}
	return strings.Join(texts, " ")
}

// closeStandardStreams points standard input and output at /dev/null, so that
// no connection can ever get their numbers.
func closeStandardStreams() error {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	for fd := range 2 {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return err
		}
	}
	return nil
}

// connectionEnviron is the environment of the server without what concerns
// the server alone, and without what it says about each connection. Limits
// stay in it, for the programs at the end of the chain.
func connectionEnviron(environ []string) []string {
	drop := append([]string{"NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}, variables...)
	return slices.DeleteFunc(environ, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(drop, name)
	})
}

// run serves until it is told to stop, and returns the exit code.
func (s *server) run() int {
	terms := make(chan os.Signal, 2)
	signal.Notify(terms, unix.SIGTERM)
	hups := make(chan os.Signal, 1)
	if !signal.Ignored(unix.SIGHUP) {
		signal.Notify(hups, unix.SIGHUP)
	}
	sessions, endSessions := context.WithCancel(context.Background())
	defer endSessions()
	s.sessions = sessions
	if os.Getenv("NOTIFY_SOCKET") != "" {
		s.changed = make(chan struct{}, 1)
	}
	status := s.statusText() // which waits for the log once the server started
	s.start()
	systemd.Notify(systemd.Ready, status)
	if s.changed != nil {
		go s.reportStatus()
	}
	s.reloadUntil(terms, hups)
	systemd.Notify(systemd.Stopping)
	ended := make(chan struct{})
	go func() {
		s.stop()
		endSessions()
		s.serving.Wait()
		close(ended)
	}()
	s.drain(terms, ended)
	return 0
}

// reloadUntil reads anew at each of hups, until the first of terms.
func (s *server) reloadUntil(terms, hups <-chan os.Signal) {
	for {
		select {
		case <-terms:
			return
		case <-hups:
			systemd.Notify(systemd.ReloadingNow())
			s.loadRules()
			s.names.forget()
			systemd.Notify(systemd.Ready)
		}
	}
}

// drain waits until ended is closed, as long as DRAIN allows and no other
// signal to stop comes. It ends in time also when nobody reads the log.
func (s *server) drain(terms <-chan os.Signal, ended <-chan struct{}) {
	seconds := drainSeconds()
	select {
	case <-ended:
	case <-terms:
	case <-time.After(time.Duration(seconds) * time.Second):
		logged := make(chan struct{})
		go func() {
			s.log.warn(fmt.Sprintf("stopping without waiting longer than %d seconds for connections", seconds))
			close(logged)
		}()
		select {
		case <-logged:
		case <-time.After(time.Second):
		}
	}
}

func drainSeconds() uint64 {
	if text, ok := os.LookupEnv("DRAIN"); ok {
		return min(number(text), 1<<31)
	}
	return 10
}

// reportStatus tells the service manager how many connections there are, not
// more than once a second.
func (s *server) reportStatus() {
	for range s.changed {
		systemd.Notify(s.statusText())
		time.Sleep(time.Second)
	}
}

func (s *server) statusText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return systemd.Status(string(appendCount(nil, s.active, s.limit)))
}

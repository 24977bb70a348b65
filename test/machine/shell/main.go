// Shell boots a machine of its own, installs the packages that it is given,
// and runs an interactive shell in it. All of the machine is gone at its end.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"qmail-smtpd/test/machine"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(packages []string) (code int) {
	s := &session{}
	defer s.end()
	defer func() {
		if failed, ok := recover().(failure); ok {
			fmt.Fprintln(os.Stderr, "shell: fatal: "+string(failed))
			code = 111
		}
	}()
	m := machine.Boot(s)
	for _, path := range packages {
		content, err := os.ReadFile(path)
		if err != nil {
			s.Fatal(err)
		}
		m.WriteFile("/root/"+filepath.Base(path), string(content), 0o644)
	}
	if len(packages) > 0 {
		fmt.Print(m.Sh("rm -f /usr/sbin/policy-rc.d; cd /root; dpkg -i *.deb 2>&1"))
	}
	fmt.Println(strings.TrimSpace(`
This is a machine with systemd of its own; try
  systemctl status 'qmail-*'
  svstat /service/*
  swaks --server 127.0.0.1 --to you@machine
It is gone when you leave the shell.`))
	shell := m.Command("bash", "-i")
	shell.Args = append(shell.Args[:len(shell.Args)-2], "TERM="+os.Getenv("TERM"), "bash", "-i")
	shell.Stdin, shell.Stdout, shell.Stderr = os.Stdin, os.Stdout, os.Stderr
	shell.Run()
	return 0
}

// session stands where a test does otherwise: it ends the machine.
type session struct{ cleanups []func() }

type failure string

func (s *session) Helper()                           {}
func (s *session) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (s *session) Fatal(args ...any)                 { panic(failure(fmt.Sprint(args...))) }
func (s *session) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }
func (s *session) Cleanup(f func())                  { s.cleanups = append(s.cleanups, f) }

func (s *session) TempDir() string {
	dir, err := os.MkdirTemp("", "machine-")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *session) end() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
}

// Shell boots a machine of its own, installs the packages that it is given,
// puts other files that it is given into /root, and runs an interactive shell
// or a script in it. All of the machine is gone at its end.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"qmail-smtpd/test/machine"
)

func main() {
	script := flag.String("script", "", "what to run, with /root as its directory, in place of an interactive shell")
	flag.Parse()
	os.Exit(run(*script, flag.Args()))
}

func run(script string, files []string) (code int) {
	s := &session{}
	defer s.end()
	defer func() {
		if failed, ok := recover().(failure); ok {
			fmt.Fprintln(os.Stderr, "shell: fatal: "+string(failed))
			code = 111
		}
	}()
	m := machine.Boot(s)
	packages := false
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			s.Fatal(err)
		}
		m.WriteFile("/root/"+filepath.Base(path), string(content), 0o755)
		packages = packages || strings.HasSuffix(path, ".deb")
	}
	if packages {
		fmt.Print(m.Sh("rm -f /usr/sbin/policy-rc.d; cd /root; dpkg -i *.deb 2>&1"))
	}
	if script != "" {
		command := m.Command("bash", "-c", "cd /root; "+script)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		if err := command.Run(); err != nil {
			s.Fatal(err)
		}
		return 0
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

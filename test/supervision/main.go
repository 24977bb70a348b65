package supervision

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"qmail-smtpd/internal/command"
)

// Main is a TestMain that makes the test binary all of commands, under their
// names, in a directory of which it tells in ours. Every user may run them.
func Main(m *testing.M, commands command.Table, ours *string) {
	if body, ok := commands[filepath.Base(os.Args[0])]; ok {
		os.Exit(body(os.Args))
	}
	dir, err := install(commands)
	if err != nil {
		panic(err)
	}
	*ours = dir
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" {
		flag.Set("test.parallel", "40") // they wait for seconds to pass, not for processors
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func install(commands command.Table) (string, error) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "supervision")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(dir+"/test-binary", self, 0o755); err != nil {
		return "", err
	}
	for name := range commands {
		if err := os.Symlink("test-binary", dir+"/"+name); err != nil {
			return "", err
		}
	}
	return dir, nil
}

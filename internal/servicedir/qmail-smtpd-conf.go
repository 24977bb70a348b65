package servicedir

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/control"
)

// QMailSMTPDConf is the command qmail-smtpd-conf: it makes a service
// directory for the SMTP service, or with --import brings the settings of an
// older one into it.
func QMailSMTPDConf(args []string) int {
	const name = "qmail-smtpd-conf"
	if len(args) > 1 && strings.HasPrefix(args[1], "--") {
		return importMain(args)
	}
	if len(args) < 4 || !strings.HasPrefix(args[3], "/") {
		return command.Usage(name, "qmail-smtpd-conf acct logacct /smtpd [ ip ]")
	}
	s := SMTPD{Account: args[1], LogUser: args[2], Dir: args[3], IP: "0", Home: control.Home()}
	if len(args) > 4 {
		s.IP = args[4]
	}
	uid, code := accountUID(name, s.LogUser)
	if code != 0 {
		return code
	}
	s.LogUID = uid
	me := filepath.Join(s.Home, "control/me")
	content, err := os.ReadFile(me)
	if err != nil {
		return command.Fatal(name, "unable to read "+me, err)
	}
	s.LocalName = firstLine(content)
	s.Programs, err = programs(args[0])
	if err != nil {
		return command.Fatal(name, "unable to find tcpserver beside "+args[0], err)
	}
	for _, word := range []string{s.Account, s.LogUser, s.Home, s.Programs} {
		if code := plainWord(name, word); code != 0 {
			return code
		}
	}
	unix.Umask(0o022)
	return report(name, s.Make())
}

// accountUID looks up an account; code is 0 where it exists.
func accountUID(name, account string) (uid, code int) {
	u, err := user.Lookup(account)
	if err != nil {
		return 0, command.Fatal(name, "unknown account "+account, nil)
	}
	uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		return 0, command.Fatal(name, "unknown account "+account, nil)
	}
	return uid, 0
}

// firstLine is how qmail reads a control file of one line.
func firstLine(content []byte) string {
	line, _, _ := strings.Cut(string(content), "\n")
	return strings.TrimRight(line, " \t")
}

// programs is the directory that this program was called from: its siblings
// are there under their own names, and a link keeps its place over upgrades.
func programs(called string) (string, error) {
	path, err := exec.LookPath(called)
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return "", err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(path)
	_, err = os.Stat(filepath.Join(dir, "tcpserver"))
	return dir, err
}

// plainWord refuses a word that would need quoting in the scripts; code is 0
// where it needs none.
func plainWord(name, word string) (code int) {
	if plain(word) {
		return 0
	}
	return command.Permanent(name, "unable to use "+strconv.Quote(word)+" in a run script: special characters", nil)
}

// plain tells whether a word needs no quoting in a script.
func plain(word string) bool {
	return word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@%+=:,-") == ""
}

// report prints what went wrong, if anything, and returns the exit code.
func report(name string, err error) int {
	if err == nil {
		return 0
	}
	var step *StepError
	if errors.As(err, &step) {
		return command.Fatal(name, step.What, step.Err)
	}
	return command.Fatal(name, "unable to make the service directory", err)
}

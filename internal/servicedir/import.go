package servicedir

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/control"
	"qmail-smtpd/internal/runscript"
	"qmail-smtpd/units"
)

const importUsage = "qmail-smtpd-conf --import[=old] [ --apply ] [ --rules=file ] [ /smtpd ]"

// places are where the service directory of an older SMTP service may be.
var places = []string{"/service/*/run", "/etc/service/*/run", "/var/service/*/run", "/var/qmail/supervise/*/run"}

// importMain is qmail-smtpd-conf with --import: it tells what an older service
// of tcpserver and qmail-smtpd comes to as a service directory of ours, and
// with --apply makes it, or brings it into the one that is there. It returns 0,
// 1 where files stay as they are because they were edited or the rules are not
// known, 100 or 111.
func importMain(args []string) int {
	const name = "qmail-smtpd-conf"
	old, rules, given, apply, words := "", "", false, false, 0
	g := command.NewGetopt(args, "")
	g.Long = []string{"import", "import=", "apply", "rules="}
	for {
		option, argument, more := g.Next()
		if !more {
			break
		}
		words++
		switch option {
		case "import":
			old, given = argument, true
		case "apply":
			apply = true
		case "rules":
			rules = argument
		default:
			return command.Usage(name, importUsage)
		}
	}
	home := control.Home()
	dir := home + "/service/smtpd"
	rest := g.Rest()
	unknown := len(args) - 1 - words - len(rest)
	switch {
	case !given, unknown > 0 && args[1+words] != "--":
		return command.Usage(name, importUsage)
	case len(rest) == 1 && strings.HasPrefix(rest[0], "/"):
		dir = filepath.Clean(rest[0])
	case len(rest) > 0:
		return command.Usage(name, importUsage)
	}
	called, err := programs(args[0])
	if err != nil {
		return command.Fatal(name, "unable to find tcpserver beside "+args[0], err)
	}
	for _, word := range []string{home, called} {
		if code := plainWord(name, word); code != 0 {
			return code
		}
	}
	if old == "" {
		var why string
		if old, why = findOld(dir); why != "" {
			return command.Permanent(name, why, nil)
		}
	} else if info, err := os.Stat(old); err != nil {
		return command.Fatal(name, "unable to read "+old, err)
	} else if info.IsDir() {
		old = filepath.Join(old, "run")
	}
	im := newImporter(thisSystem, home, called, dir)
	if why := im.read(old, rules); why != "" {
		return command.Permanent(name, why, nil)
	}
	unix.Umask(0o022)
	p, err := im.plan()
	if err != nil {
		return report(name, err)
	}
	fmt.Print(im.report(old, p))
	switch {
	case apply:
		if err := p.apply(); err != nil {
			return report(name, err)
		}
		fmt.Printf("\n%s\n", p.next())
	case len(p.writes)+len(p.removes) > 0:
		fmt.Print("\nnothing has been changed; --apply makes the changes\n")
	default:
		fmt.Print("\nthere is nothing to change\n")
	}
	if len(p.kept) > 0 || im.rulesLost {
		return 1
	}
	return 0
}

// findOld finds the run script of an older SMTP service, which is not in dir
// and not made by these makers. It is empty where there is none but rules.
func findOld(dir string) (old, why string) {
	var found, real []string
	for _, pattern := range places {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			at, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil || slices.Contains(real, at) || at == dir {
				continue
			}
			if _, err := os.Stat(at + "/systemd/listen"); err == nil {
				continue // it is one of ours
			}
			content, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(content), "tcpserver") && strings.Contains(string(content), "qmail-smtpd") {
				found, real = append(found, filepath.Dir(path)), append(real, at)
			}
		}
	}
	switch {
	case len(found) > 1:
		return "", "there is more than one service to import: " + strings.Join(found, ", ") + ": name one with --import="
	case len(found) == 1:
		return found[0] + "/run", ""
	}
	if _, err := os.Stat(classicRules); err != nil {
		return "", "there is nothing to import: no " + strings.Join(places, ", ") + " runs tcpserver and qmail-smtpd, and there is no " + classicRules
	}
	return "", ""
}

// classicRules is where the rules of qmail are by custom.
const classicRules = "/etc/tcp.smtp"

// A system is the machine that is read.
type system struct {
	runscript.System
	ReadDir   func(path string) (names []string)
	Newer     func(path, than string) bool
	AccountOf func(uid string) (name, gid string, ok bool)
	Ours      func(path string) bool // whether a program is of this package
}

var thisSystem = system{
	System: runscript.System{
		ReadFile: readFile,
		Exists: func(path, kind string) bool {
			info, err := os.Stat(path)
			switch {
			case err != nil:
				return false
			case kind == "d":
				return info.IsDir()
			case kind == "f":
				return info.Mode().IsRegular()
			case kind == "s":
				return info.Size() > 0
			case kind == "x":
				return info.Mode()&0o111 != 0
			}
			return true
		},
		Account: func(name string) (uid, gid string, ok bool) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", "", false
			}
			return u.Uid, u.Gid, true
		},
		Hostname: func() string {
			name, _ := os.Hostname()
			return name
		},
	},
	ReadDir: func(path string) (names []string) {
		entries, _ := os.ReadDir(path)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	},
	Newer: func(path, than string) bool {
		first, err := os.Stat(path)
		if err != nil {
			return false
		}
		second, err := os.Stat(than)
		return err == nil && first.ModTime().After(second.ModTime())
	},
	AccountOf: func(uid string) (name, gid string, ok bool) {
		u, err := user.LookupId(uid)
		if err != nil {
			return "", "", false
		}
		return u.Username, u.Gid, true
	},
	Ours: command.Ours,
}

// maxRead is more than any file has that is read here.
const maxRead = 16 << 20

func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = unix.EINVAL
	}
	if err == nil && info.Size() > maxRead {
		err = unix.EFBIG
	}
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(path)
	return string(content), err
}

// report says what is taken from where, and what becomes of the files.
func (im *importer) report(old string, p *plan) string {
	var b strings.Builder
	if old == "" {
		old = im.home
	}
	fmt.Fprintf(&b, "%s -> %s\n", units.Printable(old), units.Printable(im.smtpd.Dir))
	line := func(word, text string) { fmt.Fprintf(&b, "    %-8s %s\n", word, units.Printable(text)) }
	for _, word := range []string{taken, differs, lost} {
		for _, f := range im.findings {
			if f.word == word {
				line(word, f.text)
			}
		}
	}
	for _, text := range p.kept {
		line("kept", text)
	}
	if len(p.removes) > 0 {
		line("removes", strings.Join(p.removes, " "))
	}
	switch {
	case p.fresh:
		line("makes", p.dir)
	case len(p.writes) > 0:
		line("writes", strings.Join(p.names(), " "))
	}
	return b.String()
}

package servicedir

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/rules"
	"qmail-smtpd/internal/runscript"
)

// The words that findings begin with.
const (
	taken   = "taken"   // it does the same
	differs = "differs" // it does something else
	lost    = "lost"    // it is not done
)

// A finding is a line of what an import tells.
type finding struct{ word, text string }

// An importer finds the settings of an older service.
type importer struct {
	system
	home     string
	smtpd    SMTPD
	env      map[string]string // files of env/, without the line end
	logEnv   map[string]string // files of log/env/
	logUser  string            // of the old log; empty: not known
	rules    string
	findings []finding

	rulesLost bool // they are not known

	dir       string   // of the old run script
	files     []string // that it has read
	paranoid  bool     // -p
	names     bool     // not -H
	ident     bool     // not -R
	identTime string
	verbose   bool
	rulesFile string // of -x
	uid       *runscript.Word
	gid       *runscript.Word
}

// newImporter prepares to import into dir, with qmail's home and the directory
// of our programs.
func newImporter(s system, home, programs, dir string) *importer {
	im := &importer{
		system: s, home: home, names: true, ident: true,
		env: map[string]string{}, logEnv: map[string]string{},
		smtpd: SMTPD{Dir: dir, Account: "qmaild", LogUser: "qmaill", IP: "0", Home: home, Programs: programs},
	}
	if me, err := s.ReadFile(home + "/control/me"); err == nil {
		im.smtpd.LocalName = firstLine([]byte(me))
	}
	return im
}

func (im *importer) find(word, format string, args ...any) {
	f := finding{word, fmt.Sprintf(format, args...)}
	if !slices.Contains(im.findings, f) {
		im.findings = append(im.findings, f)
	}
}

// of says where a word of the script is from.
func of(w runscript.Word) string {
	text := at(w.Line, w.File)
	from := slices.DeleteFunc(slices.Clone(w.From), func(file string) bool { return file == w.File })
	if len(from) > 0 {
		text += ", from " + strings.Join(from, " and ")
	}
	return text
}

func at(line int, file string) string {
	if file == "" {
		file = "run"
	}
	return fmt.Sprintf("line %d of %s", line, file)
}

// read reads the old run script, or nothing but rules where run is empty.
// rulesFile is read in place of what the script says. It tells why nothing can
// be imported.
func (im *importer) read(run, rulesFile string) (why string) {
	if run == "" {
		im.env["DATALIMIT"] = "250000"
		im.rulesFile = classicRules + ".cdb"
		if n, err := im.ReadFile(im.home + "/control/concurrencyincoming"); err == nil {
			im.number("CONCURRENCY", runscript.Word{Text: firstLine([]byte(n))}, im.home+"/control/concurrencyincoming")
		}
		im.names, im.ident = false, false
		im.program([]runscript.Word{{Text: im.home + "/bin/qmail-smtpd"}})
	} else {
		text, err := im.ReadFile(run)
		if err != nil {
			return "unable to read " + run + ": " + command.ErrText(err)
		}
		im.dir = filepath.Dir(run)
		s := runscript.Find(text, im.dir, "tcpserver", im.System)
		for _, n := range s.Notes {
			im.find(lost, "%s: %s", at(n.Line, n.File), n.Text)
		}
		if len(s.Command) == 0 {
			why := run + " does not come to a tcpserver"
			if n := len(s.Notes); n > 0 {
				why += ": " + at(s.Notes[n-1].Line, s.Notes[n-1].File) + ": " + s.Notes[n-1].Text
			}
			return why
		}
		im.files = s.Read
		rest := im.before(s.Command)
		if rest = im.tcpserver(rest); !im.program(rest) {
			return run + " has tcpserver run something else than qmail-smtpd"
		}
		im.exported(s.Env)
		im.log(path.Join(im.dir, "log"))
	}
	im.lookUps()
	im.account()
	im.readRules(rulesFile)
	im.control()
	return ""
}

// lookUps says which look-ups there are.
func (im *importer) lookUps() {
	switch {
	case im.names && im.paranoid:
		im.env["REMOTENAME"] = "p"
		im.find(taken, "env/REMOTENAME is p: -p without -H")
	case im.names:
		im.env["REMOTENAME"] = "h"
		im.find(taken, "env/REMOTENAME is h: there is no -H")
	default:
		im.env["REMOTENAME"] = ""
	}
	switch {
	case im.ident && im.identTime != "" && strings.Trim(im.identTime, "0123456789") == "":
		im.env["REMOTEINFO"] = im.identTime
		im.find(taken, "env/REMOTEINFO is %s: -t without -R", im.identTime)
	case im.ident:
		im.env["REMOTEINFO"] = "r"
		im.find(taken, "env/REMOTEINFO is r: there is no -R")
	default:
		im.env["REMOTEINFO"] = ""
	}
}

// setAccount takes the account that serves.
func (im *importer) setAccount(name, source string) {
	if !plain(name) {
		im.find(lost, "the account %s: it has special characters", name)
		return
	}
	im.smtpd.Account = name
	im.find(taken, "the account is %s: %s", name, source)
}

// account finds the account of -u and -g.
func (im *importer) account() {
	if im.uid == nil {
		if im.gid != nil {
			im.find(lost, "-g %s in %s: there is no -u", im.gid.Text, of(*im.gid))
		}
		return
	}
	name, gid, ok := im.AccountOf(im.uid.Text)
	if !ok || im.uid.Text == "0" {
		im.find(lost, "-u %s in %s: no account is that, %s serves", im.uid.Text, of(*im.uid), im.smtpd.Account)
		return
	}
	im.setAccount(name, "-u in "+of(*im.uid))
	if im.gid != nil && im.gid.Text != gid {
		im.find(differs, "the group is %s, that of %s, in place of %s: -g in %s", gid, name, im.gid.Text, of(*im.gid))
	}
}

// readRules reads the text of the rules.
func (im *importer) readRules(file string) {
	if file == "" && im.rulesFile == "" {
		im.find(taken, "tcp is empty: there is no -x")
		return
	}
	compiled := ""
	if file == "" {
		compiled = im.rulesFile
		if !path.IsAbs(compiled) {
			compiled = path.Join(im.dir, compiled)
		}
		file = strings.TrimSuffix(compiled, ".cdb")
	}
	text, err := im.ReadFile(file)
	im.rulesLost = true
	if err != nil || file == compiled {
		why := "it is not known where their text is"
		if err != nil {
			why = "unable to read " + file + ": " + command.ErrText(err)
		}
		im.find(lost, "the rules of %s: %s; name it with --rules=", compiled, why)
		return
	}
	records := 0
	if err := rules.Compile(strings.NewReader(text), func(key, data []byte) error {
		records++
		return nil
	}); err != nil {
		im.find(lost, "the rules of %s: %s", file, err)
		return
	}
	im.rules, im.rulesLost = text, false
	im.find(taken, "tcp is %s, %d %s", file, records, map[bool]string{true: "record", false: "records"}[records == 1])
	if compiled != "" && im.Newer(file, compiled) {
		im.find(differs, "%s has changed since %s was made: the changes act now", file, compiled)
	}
	if strings.Contains(text, "QMAILQUEUE=") {
		im.find(differs, "rules set QMAILQUEUE, which runs confined: a program that is setuid or writes elsewhere needs a drop-in, see qmail-smtpd.socket(8)")
	}
}

// The control files that qmail-smtpd reads, and those of the usual patches.
var (
	controlFiles = []string{"badmailfrom", "databytes", "localiphost", "me", "morercpthosts.cdb", "rcpthosts", "smtpgreeting", "timeoutsmtpd"}
	patchFiles   = []string{"badhelo", "badloadertypes", "badmailfromnorelay", "badmailto", "badmimetypes", "badrcptpatterns", "badrcptto",
		"blacklists", "brtlimit", "chkuser", "dnsbllist", "goodmailaddr", "greetdelay", "maxrcpt", "mfcheck", "qmail-greyd", "rbllist", "relaymailfrom",
		"servercert.pem", "signatures", "spamt", "spfbehavior", "spfexp", "spfguess", "spfrules", "tarpitcount", "tarpitdelay", "validrcptto.cdb", "tlsserverciphers"}
)

// control tells which control files are read and which are not.
func (im *importer) control() {
	var read, not []string
	for _, name := range controlFiles {
		if im.Exists(im.home+"/control/"+name, "e") {
			read = append(read, name)
		}
	}
	for _, name := range patchFiles {
		file := im.home + "/control/" + name
		if im.Exists(file, "e") && !slices.Contains(im.files, file) {
			not = append(not, name)
		}
	}
	if len(read) > 0 {
		im.find(taken, "in %s/control, where they are: %s", im.home, strings.Join(read, " "))
	}
	if len(not) > 0 {
		im.find(lost, "in %s/control, for patches of qmail-smtpd: %s", im.home, strings.Join(not, " "))
	}
	if !slices.Contains(read, "rcpthosts") {
		im.find(differs, "there is no control/rcpthosts: everybody may relay")
	}
}

// log reads the script of the old log service.
func (im *importer) log(dir string) {
	text, err := im.ReadFile(dir + "/run")
	if err != nil {
		im.find(differs, "the log is in log/main: the old service had no log")
		return
	}
	s := runscript.Find(text, dir, "multilog", im.System)
	if len(s.Command) == 0 {
		im.find(differs, "the log is in log/main, by multilog: log/run does not come to a multilog")
		return
	}
	words := s.Command
	for len(words) > 0 && filepath.Base(words[0].Text) != "multilog" {
		if filepath.Base(words[0].Text) == "setuidgid" && len(words) > 1 && plain(words[1].Text) {
			im.logUser = words[1].Text
		}
		words = words[1:]
	}
	for _, w := range words[1:] {
		name, value := "", ""
		if w.Text != "" && im.known(w, "an action of multilog") {
			switch w.Text[0] {
			case 's':
				name, value = "MAXFILESIZE", w.Text[1:]
			case 'n':
				name, value = "MAXLOGFILES", w.Text[1:]
			case '!':
				name, value = "PROCESSOR", w.Text[1:]
			case '/', '.':
				im.find(differs, "the log is in log/main of the new directory, and no longer in %s: line %d of log/run", w.Text, w.Line)
			case 't':
			default:
				im.find(lost, "the action %s of multilog: line %d of log/run", w.Text, w.Line)
			}
		}
		if name != "" {
			im.logEnv[name] = value
			im.find(taken, "log/env/%s is %s: line %d of log/run", name, value, w.Line)
		}
	}
}

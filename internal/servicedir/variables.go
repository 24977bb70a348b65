package servicedir

import (
	"path"
	"slices"
	"sort"
	"strings"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/runscript"
)

// ownFiles are those of env/ that have a meaning of their own.
var ownFiles = []string{"BACKLOG", "CONCURRENCY", "DATALIMIT", "IP", "LOCALNAME", "PORT", "QMAILHOME", "REMOTEINFO", "REMOTENAME"}

// variable takes a variable of the service.
func (im *importer) variable(name string, w runscript.Word) {
	switch {
	case slices.Contains(ownFiles, name), name == "", strings.ContainsAny(name, "/\x00"), name[0] == '.':
		im.find(lost, "the variable %s of %s: env/ has another use for that name", name, of(w))
	case name == "PATH" || name == "UID" || name == "GID":
	case im.known(w, "the variable "+name):
		im.set(name, w, "the variable")
		if name == "QMAILQUEUE" {
			im.find(differs, "QMAILQUEUE=%s runs confined: if it is setuid or writes elsewhere it needs a drop-in, see qmail-smtpd.socket(8)", w.Text)
		}
	}
}

// exported takes the variables that the script exports.
func (im *importer) exported(env map[string]runscript.Word) {
	var names []string
	for name := range env {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		im.variable(name, env[name])
	}
}

// envdir takes the variables of a directory.
func (im *importer) envdir(w runscript.Word) {
	if !im.known(w, "the directory of envdir") {
		return
	}
	dir := w.Text
	if !path.IsAbs(dir) {
		dir = path.Join(im.dir, dir)
	}
	for _, name := range im.ReadDir(dir) {
		content, err := im.ReadFile(path.Join(dir, name))
		if err != nil {
			im.find(lost, "the variable %s: unable to read %s: %s", name, path.Join(dir, name), command.ErrText(err))
			continue
		}
		value := w
		value.Text, value.From = firstLine([]byte(content)), []string{path.Join(dir, name)}
		im.variable(name, value)
	}
}

// set takes a file of env/ from a word.
func (im *importer) set(name string, w runscript.Word, what string) {
	im.env[name] = w.Text
	im.find(taken, "env/%s is %s: %s in %s", name, w.Text, what, of(w))
}

// number takes a file of env/ that has to be a number.
func (im *importer) number(name string, w runscript.Word, source string) {
	if w.Text == "" || strings.Trim(w.Text, "0123456789") != "" {
		im.find(lost, "env/%s: %q of %s is not a number", name, w.Text, source)
		return
	}
	im.env[name] = w.Text
	im.find(taken, "env/%s is %s: %s", name, w.Text, source)
}

// known tells whether a word can be used, and says so where it cannot.
func (im *importer) known(w runscript.Word, what string) bool {
	if w.Lost() != "" {
		im.find(lost, "%s in %s: it is not known %s", what, of(w), notKnown(w.Lost()))
		return false
	}
	if strings.ContainsAny(w.Text, "\n\x00") {
		im.find(lost, "%s in %s: it has more than one line", what, of(w))
		return false
	}
	return true
}

func notKnown(lost string) string {
	if strings.HasPrefix(lost, "what ") || strings.HasPrefix(lost, "a ") {
		return lost
	}
	return "what " + lost + " is"
}

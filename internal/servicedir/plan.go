package servicedir

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

const (
	// record is a file of a service directory that lists, in the format of
	// sha256sum, what an import has written there.
	record = "imported"
	// installed lists what the packages have made, in the same format.
	installed = "/var/lib/qmail-smtpd/made"
)

// A plan is what an import does to a service directory. What somebody has
// edited stays.
type plan struct {
	dir     string
	smtpd   SMTPD
	fresh   bool    // dir is not there
	all     []entry // of a directory that is made
	writes  []entry
	removes []string
	kept    []string // what stays as it is, and why
	record  map[string]string
}

// entries are those of the directory as the import wants it.
func (im *importer) entries() []entry {
	contents := map[string]string{"tcp": im.rules}
	for name, value := range im.env {
		contents["env/"+name] = line(value)
	}
	for name, value := range im.logEnv {
		contents["log/env/"+name] = line(value)
	}
	entries := im.smtpd.entries()
	for i := range entries {
		if content, ok := contents[entries[i].name]; ok {
			entries[i].content = content
			delete(contents, entries[i].name)
		}
	}
	var more []string
	for name := range contents {
		more = append(more, name)
	}
	sort.Strings(more)
	for _, name := range more {
		entries = append(entries, file(name, 0o644, contents[name]))
	}
	return entries
}

// line is the content of a file of env/.
func line(value string) string {
	if value == "" {
		return ""
	}
	return value + "\n"
}

// plan compares the directory with what the import wants.
func (im *importer) plan() (*plan, error) {
	dir := im.smtpd.Dir
	p := &plan{dir: dir, record: map[string]string{}}
	_, err := os.Lstat(dir)
	p.fresh = err != nil
	if p.fresh {
		if uid, _, ok := im.Account(im.logUser); ok && plain(im.logUser) {
			im.smtpd.LogUser = im.logUser
			im.smtpd.LogUID = atoi(uid)
		} else if uid, _, ok := im.Account(im.smtpd.LogUser); ok {
			im.smtpd.LogUID = atoi(uid)
		} else {
			return nil, &StepError{"unknown account " + im.smtpd.LogUser, fs.ErrNotExist}
		}
		p.all = im.entries()
		for _, e := range p.all {
			if !e.folder && e.name != "log/status" {
				p.writes = append(p.writes, e)
			}
		}
		p.smtpd = im.smtpd
		return p, nil
	}
	p.smtpd = im.smtpd
	made := sums(installed, dir+"/")
	before := sums(dir+"/"+record, "")
	plain := SMTPD{Dir: dir, Account: "qmaild", LogUser: im.smtpd.LogUser, IP: "0", LocalName: im.smtpd.LocalName, Home: im.home, Programs: im.smtpd.Programs}
	usual := map[string]string{}
	for _, e := range plain.entries() {
		usual[e.name] = e.content
	}
	wanted := map[string]bool{}
	for _, e := range im.entries() {
		if e.folder || e.name == "log/status" {
			continue
		}
		wanted[e.name] = true
		if e.name == "tcp" && im.rulesLost {
			continue
		}
		content, err := os.ReadFile(dir + "/" + e.name)
		there := err == nil
		if err != nil && !os.IsNotExist(err) {
			return nil, &StepError{"unable to read " + dir + "/" + e.name, err}
		}
		sum := sumOf(string(content))
		standard, is := usual[e.name]
		untouched := !there || before[e.name][sum] || made[e.name][sum] || is && string(content) == standard
		_, imported := before[e.name]
		switch {
		case there && string(content) == e.content:
			if imported {
				p.record[e.name] = sum
			}
		case is && e.content == standard && !(imported && untouched && there):
			// nothing is taken for it
		case untouched:
			p.writes = append(p.writes, e)
			p.record[e.name] = sumOf(e.content)
		default:
			p.kept = append(p.kept, e.name+" as it is, since somebody has edited it"+instead(string(content), e.content))
		}
	}
	for name, known := range before {
		content, err := os.ReadFile(dir + "/" + name)
		if !wanted[name] && strings.HasPrefix(name, "env/") && err == nil && known[sumOf(string(content))] {
			p.removes = append(p.removes, name)
		}
	}
	sort.Strings(p.removes)
	return p, nil
}

// instead tells what two files of a line are and would be.
func instead(is, would string) string {
	is, would = strings.TrimSuffix(is, "\n"), strings.TrimSuffix(would, "\n")
	if strings.Contains(is+would, "\n") || len(is)+len(would) > 200 {
		return ""
	}
	return fmt.Sprintf(": it is %q, and would be %q", is, would)
}

func atoi(text string) (n int) {
	fmt.Sscanf(text, "%d", &n)
	return n
}

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// sums reads a list of sha256sum: for each name after prefix its sums.
func sums(path, prefix string) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	content, _ := os.ReadFile(path)
	for _, line := range strings.Split(string(content), "\n") {
		sum, name, ok := strings.Cut(line, "  ")
		if name, is := strings.CutPrefix(name, prefix); ok && is && filepath.IsLocal(name) {
			if all[name] == nil {
				all[name] = map[string]bool{}
			}
			all[name][sum] = true
		}
	}
	return all
}

func (p *plan) names() (names []string) {
	for _, e := range p.writes {
		names = append(names, e.name)
	}
	return names
}

// apply does what the plan says; each file is replaced as a whole.
func (p *plan) apply() error {
	if p.fresh {
		if err := makeDir(p.dir, p.all); err != nil {
			return err
		}
		for _, e := range p.writes {
			p.record[e.name] = sumOf(e.content)
		}
		return p.finish()
	}
	for _, e := range p.writes {
		if err := replace(p.dir+"/"+e.name, e.mode, e.content); err != nil {
			return &StepError{"unable to write " + p.dir + "/" + e.name, err}
		}
	}
	for _, name := range p.removes {
		if err := os.Remove(p.dir + "/" + name); err != nil {
			return &StepError{"unable to remove " + p.dir + "/" + name, err}
		}
	}
	if len(p.writes)+len(p.removes) == 0 {
		return nil
	}
	return p.finish()
}

// finish compiles the rules, and records what was written.
func (p *plan) finish() error {
	if slices.Contains(p.names(), "tcp") {
		rules, err := os.Open(p.dir + "/tcp")
		if err != nil {
			return &StepError{"unable to read " + p.dir + "/tcp", err}
		}
		defer rules.Close()
		cmd := exec.Command(p.smtpd.Programs+"/tcprules", "tcp.cdb", "tcp.tmp")
		cmd.Dir, cmd.Stdin, cmd.Stderr = p.dir, rules, os.Stderr
		if err := cmd.Run(); err != nil {
			return &StepError{"unable to compile " + p.dir + "/tcp", err}
		}
	}
	var names []string
	for name := range p.record {
		names = append(names, name)
	}
	sort.Strings(names)
	var list strings.Builder
	for _, name := range names {
		list.WriteString(p.record[name] + "  " + name + "\n")
	}
	if err := replace(p.dir+"/"+record, 0o644, list.String()); err != nil {
		return &StepError{"unable to write " + p.dir + "/" + record, err}
	}
	return nil
}

// replace puts a file in the place of another, whole or not at all.
func replace(path string, mode fs.FileMode, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// next tells what is left to do.
func (p *plan) next() string {
	unit := "qmail-" + filepath.Base(p.dir)
	switch {
	case !p.fresh && len(p.writes)+len(p.removes) == 0:
		return "there was nothing to change"
	case p.dir == "/var/qmail/service/smtpd":
		return "done; a service that runs takes it over by: svc -t " + p.dir + "\n" +
			"when the port is free, as qmail-smtpd-preflight tells: systemctl enable --now " + unit + ".socket"
	}
	return "done; a service that runs takes it over by: svc -t " + p.dir + "\n" +
		"when the port is free, as qmail-smtpd-preflight tells: ln -s " + p.dir + " /service"
}

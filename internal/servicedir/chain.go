package servicedir

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qmail-smtpd/internal/inet"
	"qmail-smtpd/internal/runscript"
)

const softlimitOptions = "a:c:d:f:l:m:o:p:r:s:t:"

// before reads the programs before tcpserver, and returns the words from there
// on.
func (im *importer) before(words []runscript.Word) []runscript.Word {
	limited := false
	for len(words) > 0 {
		w := words[0]
		program := filepath.Base(w.Text)
		words = words[1:]
		switch {
		case program == "tcpserver":
			if !limited {
				im.env["DATALIMIT"] = ""
				im.find(taken, "env/DATALIMIT is empty: there is no softlimit")
			}
			return words
		case program == "softlimit":
			limited = true
			var list []option
			list, words = options(words, softlimitOptions)
			im.env["DATALIMIT"] = ""
			for _, o := range list {
				switch {
				case !o.argument || !im.known(o.word, "an option of softlimit"):
				case o.letter == 'd':
					im.set("DATALIMIT", o.word, "softlimit -d")
				default:
					word := fmt.Sprintf("-%c%s", o.letter, o.word.Text)
					im.smtpd.Limits = append(im.smtpd.Limits, word)
					im.find(taken, "softlimit %s is in run: %s; programs of this package are exempt", word, of(o.word))
				}
			}
		case (program == "setuidgid" || program == "envuidgid") && len(words) > 0:
			if im.known(words[0], "the account of "+program) {
				im.setAccount(words[0].Text, program+" in "+of(words[0]))
			}
			words = words[1:]
		case program == "envdir" && len(words) > 0:
			im.envdir(words[0])
			words = words[1:]
		case program == "env":
			for len(words) > 0 && (strings.Contains(words[0].Text, "=") || strings.HasPrefix(words[0].Text, "-")) {
				if name, value, ok := strings.Cut(words[0].Text, "="); ok && !strings.HasPrefix(name, "-") {
					word := words[0]
					word.Text = value
					im.variable(name, word)
				} else {
					im.find(lost, "env %s: %s", words[0].Text, of(words[0]))
				}
				words = words[1:]
			}
		case slices.Contains([]string{"exec", "command", "pgrphack", "fghack"}, program):
		default:
			im.find(lost, "%s before tcpserver: %s", w.Text, of(w))
			for len(words) > 0 && !slices.Contains([]string{"tcpserver", "softlimit", "setuidgid", "envuidgid", "envdir", "env"}, filepath.Base(words[0].Text)) {
				words = words[1:]
			}
		}
	}
	return nil
}

const tcpserverOptions = "dDvqQhHrR1UXx:t:u:g:l:b:B:c:pPoO"

// tcpserver reads the options of tcpserver, its host and its port, and returns
// the words of the program.
func (im *importer) tcpserver(words []runscript.Word) []runscript.Word {
	list, rest := im.options("tcpserver", words, tcpserverOptions, isAddress)
	for _, o := range list {
		what := fmt.Sprintf("-%c", o.letter)
		if o.argument && !im.known(o.word, what) {
			continue
		}
		switch o.letter {
		case 'v':
			im.verbose = true
		case 'q', 'Q':
			im.verbose = false
		case 'h', 'H':
			im.names = o.letter == 'h'
		case 'p', 'P':
			im.paranoid = o.letter == 'p'
		case 'r', 'R':
			im.ident = o.letter == 'r'
		case 't':
			im.identTime = o.word.Text
		case 'c', 'b':
			im.number(map[byte]string{'c': "CONCURRENCY", 'b': "BACKLOG"}[o.letter], o.word, what+" in "+of(o.word))
		case 'l':
			im.set("LOCALNAME", o.word, "-l")
		case 'x':
			im.rulesFile = o.word.Text
		case 'u':
			im.uid = &o.word
		case 'g':
			im.gid = &o.word
		case 'o', 'B':
			word := what
			if o.argument {
				word += o.word.Text
			}
			im.smtpd.Options = append(im.smtpd.Options, word)
			im.find(taken, "tcpserver %s is in run: %s", word, of(o.word))
		}
	}
	if !im.verbose {
		im.find(differs, "the log has a line for each connection: the old tcpserver had no -v")
	}
	if _, given := im.env["LOCALNAME"]; !given && im.smtpd.LocalName != "" {
		im.find(differs, "env/LOCALNAME is %s, of control/me: without -l tcpserver has looked it up", im.smtpd.LocalName)
	}
	if len(rest) < 2 {
		return nil
	}
	if host := rest[0]; im.known(host, "the address of tcpserver") {
		if isAddress(host) {
			if host.Text == "" || host.Text == "0.0.0.0" {
				host.Text = "0"
			}
			im.set("IP", host, "the address")
		} else {
			im.find(lost, "the address %s of tcpserver in %s: env/IP has to be an address", host.Text, of(host))
		}
	}
	if port := rest[1]; im.known(port, "the port of tcpserver") {
		if n, ok := inet.Port(port.Text); ok {
			port.Text = strconv.Itoa(int(n))
			im.set("PORT", port, "the port")
		} else {
			im.find(lost, "the port %s of tcpserver in %s: it is not known", port.Text, of(port))
		}
	}
	return rest[2:]
}

func isAddress(w runscript.Word) bool {
	_, ok := inet.Literal(w.Text)
	return ok || w.Text == "0" || w.Text == ""
}

// program reads the filters and the program that tcpserver runs for a
// connection; ok is false where that is not a qmail-smtpd.
func (im *importer) program(words []runscript.Word) (ok bool) {
	ours := im.smtpd.Home + "/bin/qmail-smtpd"
	isSMTPD := func(w runscript.Word) bool { return strings.HasPrefix(filepath.Base(w.Text), "qmail-smtpd") }
	at := slices.IndexFunc(words, isSMTPD)
	if at < 0 {
		return false
	}
	filters := im.filters(words[:at])
	smtpd := words[at]
	if !im.Ours(ours) {
		ours = path.Join(im.smtpd.Programs, "qmail-smtpd")
		im.find(differs, "the program is %s in place of %s: what patches added to that is not there", ours, smtpd.Text)
	}
	if len(filters) > 0 || ours != im.smtpd.Home+"/bin/qmail-smtpd" {
		im.smtpd.Smtpd = append(filters, ours)
	}
	if rest := words[at+1:]; len(rest) > 0 {
		var args []string
		for _, w := range rest {
			args = append(args, w.Text)
		}
		im.find(lost, "%s after qmail-smtpd: %s; it takes no arguments, and has no AUTH", strings.Join(args, " "), of(rest[0]))
	}
	return true
}

// filters returns the words of the programs before qmail-smtpd.
func (im *importer) filters(words []runscript.Word) (filters []string) {
	known := func(w runscript.Word) bool {
		return slices.Contains([]string{"rblsmtpd", "recordio", "fixcrio"}, filepath.Base(w.Text))
	}
	for len(words) > 0 {
		w := words[0]
		if !known(w) {
			other := words
			if next := slices.IndexFunc(words, known); next >= 0 {
				other = words[:next]
			}
			words = words[len(other):]
			var texts []string
			for _, w := range other {
				if im.known(w, "a word of the program") {
					texts = append(texts, w.Text)
				}
			}
			filters = append(filters, texts...)
			im.find(differs, "%s is in run: %s; a unit confines it, see qmail-smtpd.socket(8), and each connection is a process", strings.Join(texts, " "), of(w))
			continue
		}
		name := filepath.Base(w.Text)
		words = words[1:]
		filters = append(filters, path.Join(im.smtpd.Programs, name))
		im.find(taken, "%s is in run: %s", name, of(w))
		if name != "rblsmtpd" {
			continue
		}
		var list []option
		list, words = im.options(name, words, "bBcCt:r:a:", func(w runscript.Word) bool {
			return known(w) || strings.Contains(w.Text, "/")
		})
		for _, o := range list {
			word := fmt.Sprintf("-%c", o.letter)
			if !o.argument {
				filters = append(filters, word)
			} else if im.known(o.word, "rblsmtpd "+word) {
				filters = append(filters, word+o.word.Text)
				im.find(taken, "rblsmtpd %s %s is in run: %s", word, o.word.Text, of(o.word))
			}
		}
	}
	return filters
}

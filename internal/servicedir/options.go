package servicedir

import (
	"strings"

	"qmail-smtpd/internal/runscript"
)

// An option of a program, with its argument.
type option struct {
	letter   byte
	word     runscript.Word // the argument, or the word of the letter
	argument bool
}

// options splits the options off the words after a program. It understands
// those of spec, as command.Getopt does.
func options(words []runscript.Word, spec string) (list []option, rest []runscript.Word) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		if len(w.Text) < 2 || w.Text[0] != '-' {
			return list, words[i:]
		}
		if w.Text == "--" {
			return list, words[i+1:]
		}
		for at := 1; at < len(w.Text); at++ {
			letter := w.Text[at]
			known := strings.IndexByte(spec, letter)
			if known < 0 || letter == ':' || known+1 == len(spec) || spec[known+1] != ':' {
				list = append(list, option{letter: letter, word: w})
				continue
			}
			argument := w
			if argument.Text = w.Text[at+1:]; argument.Text == "" {
				if i++; i >= len(words) {
					return list, nil
				}
				argument = words[i]
			}
			list = append(list, option{letter, argument, true})
			break
		}
	}
	return list, nil
}

// options is the function options, without the letters that are not known: the
// word after one may be its argument, where that cannot be the next program.
func (im *importer) options(program string, words []runscript.Word, spec string, next func(runscript.Word) bool) (known []option, rest []runscript.Word) {
	for {
		list, rest := options(words, spec)
		unknown := false
		for _, o := range list {
			at := strings.IndexByte(spec, o.letter)
			if unknown = at < 0 || o.letter == ':'; !unknown {
				known = append(known, o)
				continue
			}
			im.find(lost, "%s -%c in %s: it is not known here", program, o.letter, of(o.word))
		}
		if !unknown || len(rest) == 0 || next(rest[0]) {
			return known, rest
		}
		im.find(lost, "%s in %s: it seems to belong to -%c", rest[0].Text, of(rest[0]), list[len(list)-1].letter)
		words = rest[1:]
	}
}

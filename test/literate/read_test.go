package literate

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

// A block is a piece of a document in which a reader finds commands.
type block struct {
	document string // its path in the source tree
	heading  string // the last one before it
	lead     string // the last paragraph before it
	line     int
	text     string
}

func (b block) String() string {
	return fmt.Sprintf("%s:%d: %s", b.document, b.line, first(b.text))
}

func first(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// documents lists the paths of all documents, in the order in which they are
// executed.
func documents(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md", "docs/PACKAGES.md", "docs/QMAIL-CONF.md", "docs/TROUBLESHOOTING.md", "docs/MIGRATION.md"}
	known := map[string]bool{}
	for _, path := range list {
		known[path] = true
	}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/man/*.[1-8]"} {
		paths, err := filepath.Glob(filepath.Join(programs.Root(t), pattern))
		if err != nil || len(paths) == 0 {
			t.Fatal(pattern, err)
		}
		for _, path := range paths {
			if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink != 0 {
				continue
			}
			path, _ = filepath.Rel(programs.Root(t), path)
			if !known[path] {
				list = append(list, path)
			}
		}
	}
	return list
}

// read returns the blocks of a document.
func read(t *testing.T, path string) []block {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(programs.Root(t), path))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	if strings.HasSuffix(path, ".md") {
		return readMarkdown(path, lines)
	}
	return readPage(path, lines)
}

// readMarkdown takes blocks that are indented or fenced.
func readMarkdown(path string, lines []string) (blocks []block) {
	var heading, lead string
	fenced := false
	within := func(line string) bool { return fenced || strings.HasPrefix(line, "    ") }
	for i := 0; i < len(lines); i++ {
		if strings.HasPrefix(lines[i], "```") {
			fenced = !fenced
			continue
		}
		switch {
		case within(lines[i]) && (fenced || i > 0 && lines[i-1] == ""):
			b := block{path, heading, lead, i + 1, ""}
			for ; i < len(lines) && within(lines[i]) && !strings.HasPrefix(lines[i], "```"); i++ {
				b.text += strings.TrimPrefix(lines[i], "    ") + "\n"
			}
			i--
			blocks = append(blocks, b)
		case strings.HasPrefix(lines[i], "#"):
			heading, lead = strings.TrimLeft(lines[i], "# "), ""
		case lines[i] != "" && i > 0 && lines[i-1] == "":
			lead = lines[i]
		case lines[i] != "":
			lead += " " + lines[i]
		}
	}
	return blocks
}

var escapes = strings.NewReplacer(`\e`, `\`, `\(dq`, `"`, `\(aq`, `'`, `\-`, `-`, `\&`, ``)

// readPage takes the displays in the EXAMPLES of a man page. Where a line
// begins with a prompt, the lines that do not are what is printed.
func readPage(path string, lines []string) (blocks []block) {
	var heading string
	var b *block
	display := false
	for i, line := range lines {
		text, single := strings.CutPrefix(line, ".Dl ")
		switch {
		case strings.HasPrefix(line, ".Sh "):
			heading, b = strings.TrimPrefix(line, ".Sh "), nil
			continue
		case heading != "EXAMPLES":
			continue
		case strings.HasPrefix(line, ".Bd -literal"):
			display, b = true, nil
			continue
		case line == ".Ed":
			display, b = false, nil
			continue
		case !display && !single:
			b = nil
			continue
		}
		if b == nil {
			blocks = append(blocks, block{document: path, heading: heading, line: i + 1})
			b = &blocks[len(blocks)-1]
		}
		b.text += escapes.Replace(text) + "\n"
	}
	prompt := regexp.MustCompile(`(?m)^[$#] (.*\n)`)
	for i := range blocks {
		if typed := prompt.FindAllStringSubmatch(blocks[i].text, -1); typed != nil {
			blocks[i].text = ""
			for _, line := range typed {
				blocks[i].text += line[1]
			}
		}
	}
	return blocks
}

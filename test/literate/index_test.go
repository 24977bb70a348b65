package literate

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

// TestReferences follows each link in the documents, and has docs/README.md
// name every document and man page.
func TestReferences(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	named := map[string]bool{}
	for _, path := range documents(t) {
		if !strings.HasSuffix(path, ".md") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(programs.Root(t), path))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range link.FindAllStringSubmatch(string(content), -1) {
			if strings.Contains(at[1], "://") {
				continue
			}
			target := filepath.Join(filepath.Dir(path), at[1])
			if _, err := os.Stat(filepath.Join(programs.Root(t), target)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if path == "docs/README.md" {
				named[target] = true
			}
		}
	}
	for _, path := range documents(t) {
		if strings.HasPrefix(path, "docs/") && path != "docs/README.md" && !named[path] {
			t.Errorf("docs/README.md does not name %s", path)
		}
	}
}

// TestBlocks reads a document with each kind of block.
func TestBlocks(t *testing.T) {
	got := readMarkdown("x.md", strings.Split("# A\n\nRun\nthis:\n\n    one\n    two\n\n- item\n    not a block\n\n```\nthree\n```\n", "\n"))
	if len(got) != 2 || got[0] != (block{"x.md", "A", "Run this:", 6, "one\ntwo\n"}) || got[1].text != "three\n" {
		t.Errorf("of Markdown: %q", got)
	}
	got = readPage("x.1", strings.Split(".Sh NAME\n.Dl no\n.Sh EXAMPLES\n.Dl a \\(dqb\\(dq\n.Dl c\n.Pp\n.Bd -literal\n$ d\nout\n.Ed\n", "\n"))
	if len(got) != 2 || got[0].text != "a \"b\"\nc\n" || got[1].text != "d\n" {
		t.Errorf("of a man page: %q", got)
	}
}

// TestFirstScreen has the README begin with what installs and shows a service.
func TestFirstScreen(t *testing.T) {
	first := read(t, "README.md")[0]
	if lines := strings.Split(strings.TrimSpace(first.text), "\n"); first.line > 30 || len(lines) != 4 || lines[0] != "make deb" {
		t.Errorf("the first commands are %q in line %d", lines, first.line)
	}
}

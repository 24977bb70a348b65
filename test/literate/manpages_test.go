package literate

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

// elsewhere are the pages of others that ours refer to and that need not be
// installed here.
var elsewhere = []string{"sd_listen_fds.3", "sd_notify.3"}

// pages lists the man pages by their file names, links included.
func pages(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(programs.Root(t), "docs/man/*.[1-8]"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	return paths
}

// TestPagesLint holds the pages to mandoc's rules of style, and references
// to pages that exist.
func TestPagesLint(t *testing.T) {
	out, _ := exec.Command("mandoc", append([]string{"-Tlint", "-Wstyle"}, pages(t)...)...).Output()
	reference := regexp.MustCompile(`referenced manual not found: Xr (\S+) (\d)`)
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if at := reference.FindStringSubmatch(line); at != nil {
			page := at[1] + "." + at[2]
			if _, err := os.Stat(filepath.Join(programs.Root(t), "docs/man", page)); err == nil || slices.Contains(elsewhere, page) {
				continue
			}
		}
		if line != "" {
			t.Error(line)
		}
	}
}

// TestPagesFound has man's index of the pages, and looks each up there:
// every command, every name of a page, and all that is about qmail.
func TestPagesFound(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for _, path := range pages(t) {
		page := filepath.Base(path)
		names = append(names, strings.TrimSuffix(page, filepath.Ext(page)))
		section := filepath.Join(dir, "man"+page[len(page)-1:])
		if err := os.MkdirAll(section, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-P", path, section).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	bins, err := os.ReadDir(programs.Ours(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range bins {
		if name := command.Name(); !slices.Contains(names, name) {
			t.Errorf("the command %s has no man page", name)
		}
	}
	if out, err := exec.Command("mandb", "-c", "-q", "-u", dir).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("mandb: %v: %s", err, out)
	}
	found := func(word string) string {
		t.Helper()
		out, err := exec.Command("man", "-M", dir, "-k", word).CombinedOutput()
		if err != nil {
			t.Fatalf("man -k %s: %v: %s", word, err, out)
		}
		return string(out)
	}
	all := found(".")
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` \(`).MatchString(all) {
			t.Errorf("man -k does not know %s", name)
		}
	}
	about := found("qmail")
	for _, name := range []string{"qmail-smtpd (8)", "qmail-smtpd.service (8)", "qmail-control (5)", "qmail-queue (8)"} {
		if !strings.Contains(about, name) {
			t.Errorf("man -k qmail does not find %s:\n%s", name, about)
		}
	}
}

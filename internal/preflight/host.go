package preflight

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A host is the machine that is looked at.
type host struct {
	root   string // the directory that has its files; empty: this machine
	output func(program string, args ...string) string
}

// output returns what a program prints, without white space at the end; it is
// empty where the program is not there, fails, or does not answer.
func output(program string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// read returns the text of a file, empty where it cannot be read.
func (h host) read(path string) string {
	content, err := os.ReadFile(h.root + path)
	if err != nil {
		return ""
	}
	return string(content)
}

// link returns where a link leads to, empty where that cannot be seen.
func (h host) link(path string) string {
	target, err := os.Readlink(h.root + path)
	if err != nil {
		return ""
	}
	return target
}

// same tells whether two paths lead to one file.
func (h host) same(a, b string) bool {
	first, err := os.Stat(h.root + a)
	if err != nil {
		return false
	}
	second, err := os.Stat(h.root + b)
	return err == nil && os.SameFile(first, second)
}

func (h host) exists(path string) bool {
	_, err := os.Stat(h.root + path)
	return err == nil
}

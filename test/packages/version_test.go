package packages

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"qmail-smtpd/test/programs"
)

// TestVersion asks for the version of packages built from a repository.
func TestVersion(t *testing.T) {
	t.Parallel()
	script := exec.Command("sh", "-eux", "-c", `
git init -q . && git config user.name test && git config user.email test@example.org
mkdir -p packaging/deb && cp "$0/packaging/build" packaging && cp "$0/packaging/deb/changelog" packaging/deb
git add . && git commit -qm first && packaging/build version
git tag v1.2.3 && packaging/build version
git tag v1.3-rc1 && git tag -d v1.2.3 >&2 && packaging/build version
git commit -qm second --allow-empty && packaging/build version
VERSION=7 packaging/build version
rm -r .git && packaging/build version`, programs.Root(t))
	script.Dir = t.TempDir()
	var said strings.Builder
	script.Stderr = &said
	out, err := script.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	want := regexp.MustCompile(`^(\d+\.\d+\.\d+)\n1\.2\.3\n1\.3~rc1\n1\.3~rc1\+1\.g[0-9a-f]+\n7\n(\d+\.\d+\.\d+)\n$`)
	if f := want.FindStringSubmatch(string(out)); f == nil || f[1] != f[2] {
		t.Errorf("versions %q", out)
	}
}

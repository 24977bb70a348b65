package packages

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/test/programs"
)

// completed are the commands whose words the shells complete.
func completed(t *testing.T) []string {
	t.Helper()
	var names []string
	files, err := filepath.Glob(programs.Root(t) + "/packaging/completions/*.zsh")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		names = append(names, strings.Fields(line)[1:]...)
	}
	return names
}

// longOptions are those in the synopses of the man pages, by command.
func longOptions(t *testing.T) map[string][]string {
	t.Helper()
	pages, err := filepath.Glob(programs.Root(t) + "/docs/man/*.[18]")
	if err != nil || len(pages) == 0 {
		t.Fatal(err, pages)
	}
	synopsis := regexp.MustCompile(`(?s)\nSYNOPSIS\n(.*?)\nDESCRIPTION\n`)
	long := regexp.MustCompile(`--[a-z]+(?:-[a-z]+)*=?`)
	overstruck := regexp.MustCompile(`.\x08`)
	options := map[string][]string{}
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), filepath.Ext(page))
		text := synopsis.FindStringSubmatch(overstruck.ReplaceAllString(run(t, "mandoc", "-T", "ascii", "-O", "width=200", page), ""))
		if text == nil {
			continue // of a unit
		}
		plain := text[1]
		if name == "svwait" {
			plain = strings.ReplaceAll(plain, "--program", "") // what follows its --
		}
		if list := long.FindAllString(plain, -1); list != nil {
			slices.Sort(list)
			options[name] = slices.Compact(list)
		}
	}
	return options
}

//go:embed testdata/complete.bash
var bashScript string

//go:embed testdata/complete.zsh
var zshScript string

// TestCompletion asks both shells for the long options of each command that
// has any, and for service directories.
func TestCompletion(t *testing.T) {
	t.Parallel()
	root := unpack(t, debs.files(t))
	ask := map[string]func(words ...string) []string{
		"bash": func(words ...string) []string {
			return complete(t, exec.Command("bash", append([]string{"-c", bashScript, "bash", root + "/usr/share/bash-completion/completions"}, words...)...))
		},
		"zsh": func(words ...string) []string {
			return complete(t, exec.Command("zsh", append([]string{"-fc", zshScript, "zsh", root + "/usr/share/zsh/vendor-completions"}, words...)...))
		},
	}
	options := longOptions(t)
	if len(options) < 7 {
		t.Errorf("the man pages have long options of %d commands", len(options))
	}
	dir := t.TempDir()
	for _, name := range []string{"service", "serving"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for shell, ask := range ask {
		for command, list := range options {
			want := slices.Clone(list)
			if shell == "zsh" { // = is not part of the option
				for i, option := range want {
					want[i] = strings.TrimSuffix(option, "=")
				}
			}
			if diff := cmp.Diff(want, ask(command, "--")); diff != "" {
				t.Errorf("%s completes %s -- otherwise than its man page: %s", shell, command, diff)
			}
		}
		for _, command := range []string{"svc", "svok", "svstat", "svls", "supervise"} {
			if diff := cmp.Diff([]string{dir + "/service", dir + "/serving"}, ask(command, dir+"/serv")); diff != "" {
				t.Errorf("%s completes directories of %s: %s", shell, command, diff)
			}
		}
	}
}

// complete returns what a script prints, one completion a line, without the
// space or slash that a shell adds.
func complete(t *testing.T, cmd *exec.Cmd) []string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("%q: %v\n%s%s", cmd.Args[3:], err, out, stderr.String())
	}
	list := strings.Fields(string(out))
	for i := range list {
		list[i] = strings.TrimSuffix(list[i], "/")
	}
	slices.Sort(list)
	return list
}

// TestFail2ban has fail2ban read a log that qmail-smtpd, tcpserver and
// rblsmtpd have written through multilog.
func TestFail2ban(t *testing.T) {
	t.Parallel()
	dir := programs.Fail2ban(t)
	filter := unpack(t, debs.files(t)) + "/etc/fail2ban/filter.d/qmail-smtpd.conf"
	for mode, want := range map[string][]string{
		"normal":     {"192.0.2.2", "192.0.2.3"},
		"aggressive": {"192.0.2.2", "192.0.2.3", "192.0.2.6", "2001:db8::7", "192.0.2.8", "192.0.2.10"},
	} {
		cmd := exec.Command("python3", dir+"/usr/bin/fail2ban-regex", "-o", "ip", "-c", dir+"/etc/fail2ban", "testdata/smtpd.log", filter+"[mode="+mode+"]")
		cmd.Env = append(os.Environ(), "PYTHONPATH="+dir+"/usr/lib/python3/dist-packages")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("fail2ban-regex: %v\n%s", err, out)
		}
		if diff := cmp.Diff(want, strings.Fields(string(out))); diff != "" {
			t.Errorf("%s: %s", mode, diff)
		}
	}
}

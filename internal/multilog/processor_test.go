package multilog

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

const overflow = 2500 // a line of this size is a log of 4096

func TestProcessor(t *testing.T) {
	line := func(c string) string { return strings.Repeat(c, overflow-1) + "\n" }
	for _, test := range []struct {
		input  string
		script []string
	}{
		{line("a") + line("b") + "c\n", []string{"s4096", "!tr a-z A-Z", "./m"}},
		{line("a") + line("b") + "c\n", []string{"s4096", "!", "./m"}},
		{line("a") + line("b"), []string{"s4096", "./m", "!tr a-z A-Z", "./n"}},
		{line("a") + line("b") + line("c"), []string{"s4096", "n2", "!cat <&4; wc -c; echo more >&5; cat <&4 >&5", "./m"}},
		{line("a"), []string{"s4096", "!pwd | sed 's,.*/,,'; ls; umask", "./m"}},
		{line("a"), []string{"s4096", "!cat >&3 && echo open; cat", "./m"}},
		{line("a"), []string{"s4096", "!trap - TERM; kill -TERM $$; echo no", "e", "-*", "./m"}},
	} {
		compare(t, nil, test.input, test.script...)
	}
}

// TestProcessorFails lets a processor fail, crash, and then succeed.
func TestProcessorFails(t *testing.T) {
	for how, want := range map[string]string{
		"exit 3":     "multilog: warning: processor failed in ./m, pausing\n",
		"kill -9 $$": "multilog: warning: processor crashed in ./m, pausing: killed\n",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			input := strings.Repeat("x", overflow) + "\n"
			_, stderr, code := ours.run(t, dir, input, "multilog", "s4096",
				"!echo half; echo state >&5; if [ ! -e failed ]; then >failed; "+how+"; fi; cat; cat <&4", "./m")
			if stderr != want || code != 0 {
				t.Errorf("exit %d, %q", code, stderr)
			}
			must(t, os.Remove(dir+"/m/failed"))
			if got, want := tree(t, dir), strings.Join([]string{
				" drwxr-xr-x",
				"/m drwx------",
				`/m/@1.s -rwxr--r-- "half\n` + strings.Repeat("x", overflow) + `\n"`,
				`/m/current -rwxr--r-- ""`,
				`/m/lock -rw------- ""`,
				`/m/state -rw-r--r-- "state\n"`,
				"",
			}, "\n"); got != want {
				t.Errorf("%s\nnot\n%s", got, want)
			}
		})
	}
}

// TestProcessorEnvironment checks what a processor inherits.
func TestProcessorEnvironment(t *testing.T) {
	dir := t.TempDir()
	cmd := ours.command(t, dir, "multilog", "s4096", "!echo $COLOUR; grep -a SigIgn /proc/self/status; grep -a SigBlk /proc/self/status", "./m")
	cmd.Env = append(os.Environ(), "COLOUR=blue")
	cmd.Stdin = strings.NewReader(strings.Repeat("x", overflow) + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	must(t, cmd.Start())
	if code := wait(t, cmd); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
	// glibc's posix_spawn, and so make, leaves its own signals 32 and 33 ignored
	const internal = 1<<31 | 1<<32
	var colour string
	var ignored, blocked uint64
	got := read(t, logs(t, dir+"/m")[0])
	if _, err := fmt.Sscanf(got, "%s\nSigIgn:\t%x\nSigBlk:\t%x\n", &colour, &ignored, &blocked); err != nil ||
		colour != "blue" || ignored&^internal != 0 || blocked != 0 {
		t.Errorf("got %q, %v", got, err)
	}
}

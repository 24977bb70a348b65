package svcompat

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/supervision"
)

// TestReadproctitle compares what process lists show with what the original
// shows, for random pieces of input, and when and how both end.
func TestReadproctitle(t *testing.T) {
	t.Parallel()
	r := random(t)
	for _, size := range []int{5, 6, 20, 400, 5000} {
		var pieces []string
		for range 12 {
			pieces = append(pieces, piece(r, size))
		}
		shown := make(map[string][]string)
		for which, bin := range bothOf(t) {
			shown[which] = titles(t, bin+"/readproctitle", strings.Repeat(".", size), pieces)
		}
		for i := range shown["original"] {
			if original, got := shown["original"][i], shown["ours"][i]; original != got {
				t.Errorf("after %q: original %q, ours %q", pieces[:i], original, got)
				break
			}
		}
	}
	for _, script := range []string{
		"$B/readproctitle", "$B/readproctitle x", "$B/readproctitle ....", "$B/readproctitle x ''",
		"$B/readproctitle ..... </dev/null", "$B/readproctitle x ...... </", "$B/readproctitle x abcdef </dev/null", "echo x | $B/readproctitle a b abcdef",
	} {
		results := make(map[string]result)
		for which, bin := range bothOf(t) {
			results[which] = supervision.Run(t, "", "sh", "-c", "B="+bin+"; "+script)
		}
		if results["original"] != results["ours"] {
			t.Errorf("%s: original %+v, ours %+v", script, results["original"], results["ours"])
		}
	}
}

// piece returns random input without upper case letters.
func piece(r *rand.Rand, size int) string {
	text := make([]byte, r.IntN(2*min(size, 2000)))
	for i := range text {
		if text[i] = byte(r.IntN(1 + r.IntN(256))); text[i] >= 'A' && text[i] <= 'Z' {
			text[i] = '\n'
		}
	}
	return string(text)
}

// titles starts a readproctitle with a title, feeds it the pieces, and returns
// the arguments that are shown before and after each.
func titles(t *testing.T, program, title string, pieces []string) (shown []string) {
	t.Helper()
	cmd := exec.Command(program, "some", "errors:", title)
	stdin, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	cmd.Stdin = stdin
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	defer func() {
		writer.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	arguments := func() string {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(line), "\x00")
		return rest
	}
	supervision.Await(t, "the program", func() bool { return strings.HasSuffix(arguments(), ".....\x00") })
	shown = append(shown, arguments())
	for i, text := range pieces {
		mark := fmt.Sprintf("%c", 'A'+i%26)
		if _, err := writer.WriteString(text + mark); err != nil {
			t.Fatal(err)
		}
		// The pipe is empty when all has been read, and the mark stands at
		// the end when all has been shown.
		supervision.Await(t, "the input to be read", func() bool {
			waiting, err := unix.IoctlGetInt(int(writer.Fd()), unix.TIOCINQ)
			return err == nil && waiting == 0 && strings.HasSuffix(arguments(), mark+"\x00")
		})
		shown = append(shown, arguments())
	}
	return shown
}

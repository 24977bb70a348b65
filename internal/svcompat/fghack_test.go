package svcompat

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/supervision"
)

// TestFghack compares messages, exit codes, and the descriptors that the
// program finds. The daemons of the last three keep the pipe open.
func TestFghack(t *testing.T) {
	t.Parallel()
	const descriptors = `for f in /proc/$$/fd/*; do n=${f##*/}; [ $n -gt 60 ] || echo $n $(readlink $f | sed s/:.*//); done`
	for _, line := range []string{
		"",
		"nonexistent",
		"/",
		"-x",
		"sh -c 'exit 7'",
		"sh -c 'kill -9 $$'",
		"sh -c '" + descriptors + "'",
		"sh -c 'exec 4>/dev/null 12>&1; " + descriptors + "'",
		"sh -c 'echo discarded >&3; echo shown; exit 3'",
		"sh -c '(sleep 0.3; echo daemon ends; exit 2) & exit 4'",
		"sh -c 'exec 3>&-; (exec 5>&-; sleep 0.3; echo daemon ends) &'",
		"sh -c '(sleep 0.3; echo daemon ends) & kill -9 $$'",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			results := make(map[string]result)
			for which, bin := range bothOf(t) {
				// Descriptors of the tests must not be in the way.
				results[which] = supervision.Run(t, "", "sh", "-c", "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-; "+bin+"/fghack "+line+"; echo ended $?")
			}
			if results["original"] != results["ours"] {
				t.Errorf("%s: original %+v, ours %+v", line, results["original"], results["ours"])
			}
			if got := results["ours"]; strings.Contains(line, "daemon ends") && !strings.HasPrefix(got.Stdout, "daemon ends\nended ") {
				t.Errorf("%s: it did not wait: %+v", line, got)
			}
		})
	}
}

// TestFghackWaits shows that the end of the program is not enough.
func TestFghackWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mkfifo(dir+"/hold", 0o600); err != nil {
		t.Fatal(err)
	}
	d := supervision.Start(t, dir, nil, ours+"/fghack", "sh", "-c", "(: <hold) & echo $$ >pid.new; mv pid.new pid; exit 5")
	supervision.Await(t, "the program", func() bool {
		_, err := os.Stat(dir + "/pid")
		return err == nil
	})
	select {
	case <-d.Ended:
		t.Fatal("ended with the program, before its offspring")
	case <-time.After(200 * time.Millisecond):
	}
	if got := supervision.Run(t, dir, "sh", "-c", ": >hold"); got.Exit != 0 {
		t.Fatalf("%+v", got)
	}
	if exit := d.Wait(t); exit != 5 {
		t.Errorf("exit code %d", exit)
	}
}

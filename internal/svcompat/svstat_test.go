package svcompat

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/test/programs"
	"qmail-smtpd/test/supervision"
)

// stateFiles makes a service directory of a supervise that runs.
func stateFiles(t *testing.T, dir string, status Status) {
	t.Helper()
	b := status.Bytes()
	superviseFiles(t, dir, b[:])
}

// Words that look like options are directories, as in the original.
func TestSvstatWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"-x", "--", "-opid", "--json=1", "-u", "-"} {
		stateFiles(t, filepath.Join(dir, name), Status{Since: time.Now(), PID: 4711, Want: WantUp})
	}
	compareSvstat(t, dir, []string{"-x", "--", "-opid", "--json=1", "-u", "-", "-a", "-o", "--json", "--all-up"})
	compareSvstat(t, dir, []string{"--", "-o", "pid", "x"})
	compareSvstat(t, dir, []string{"-opid"})
	compareSvstat(t, dir, nil)
}

func TestSvstatOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	stateFiles(t, dir+"/up", Status{Since: since, PID: 4711, Want: WantUp})
	stateFiles(t, dir+"/paused", Status{Since: since, PID: 4712, Want: WantDown, Paused: true})
	stateFiles(t, dir+"/down", Status{Since: since, Want: WantOnce})
	stateFiles(t, dir+"/a\tb\\\n", Status{Since: since, PID: 1, Want: 'x'})
	stateFiles(t, dir+"/odd", Status{Since: time.Unix(1<<60, 0), PID: 1, Want: WantUp})
	stateFiles(t, dir+"/broken", Status{})
	for path, content := range map[string]string{
		"up/supervise/starts": "", "down/down": "", "broken/supervise/status": "short",
		"alone/run": "", "left/run": "", "left/supervise/ok": "",
	} {
		if err := os.MkdirAll(filepath.Dir(dir+"/"+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for _, ago := range []time.Duration{2 * time.Hour, time.Minute, time.Second} {
		if err := RecordStart(dir+"/up", now.Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	const usage = "svstat: usage: svstat [ -o field,... ] [ --json ] [ --all-up ] [ dir ... ]\n"
	for _, c := range []struct {
		args string
		want result
	}{
		{"-o pid up down", result{Stdout: "4711\n-\n"}},
		{"-o name,state,want,normally,paused,since up paused down", result{Stdout: "up\tup\tup\tup\tfalse\t2026-03-01T12:00:00Z\n" +
			"paused\tup\tdown\tup\ttrue\t2026-03-01T12:00:00Z\ndown\tdown\tonce\tdown\tfalse\t2026-03-01T12:00:00Z\n"}},
		{"-o want -o since,pid odd", result{Stdout: "-\t1\n"}},
		{"-o state,error,pid broken", result{
			Stdout: "unknown\tunable to read supervise/status: bad format\t-\n",
			Stderr: "svstat: warning: broken: unable to read supervise/status: bad format\n"}},
		{"-o normally,state none", result{Stdout: "-\tunknown\n", Stderr: "svstat: warning: none: unable to chdir: file does not exist\n"}},
		{"-o", result{Stderr: usage, Exit: 100}},
		{"--all-up", result{Stderr: usage, Exit: 100}},
		{"-o pid,x up", result{Stderr: "svstat: fatal: unknown field \"x\"\n", Exit: 100}},
		{"-o ,pid up", result{Stderr: "svstat: fatal: unknown field \"\"\n", Exit: 100}},
		{"--all-up -o state up paused", result{Stdout: "up\nup\n"}},
		{"--all-up -o state up down", result{Stdout: "up\ndown\n", Exit: 1}},
		{"--all-up -o state --json down up", result{Stdout: "[\n{\"state\": \"down\"},\n{\"state\": \"up\"}\n]\n", Exit: 1}},
		{"--all-up none", result{Stdout: "none: unable to chdir: file does not exist\n", Exit: 1}},
		{"--json", result{Stdout: "[\n]\n"}},
	} {
		got := supervision.Run(t, dir, append([]string{ours + "/svstat"}, strings.Fields(c.args)...)...)
		if got != c.want {
			t.Errorf("%s: %s", c.args, cmp.Diff(c.want, got))
		}
	}
	if got := supervision.Run(t, dir, ours+"/svstat", "-o", "name,want", "a\tb\\\n"); got != (result{Stdout: "a\\tb\\\\\\n\t-\n"}) {
		t.Errorf("an odd name: %+v", got)
	}
	for args, want := range map[string]result{"up": {}, "-o pid up": {Stderr: "svstat: fatal: unable to write output: out of disk space\n", Exit: 111}} {
		if got := supervision.Run(t, dir, "/bin/sh", "-c", ours+"/svstat "+args+" >/dev/full"); got != want {
			t.Errorf("%s to a full disk: %+v", args, got)
		}
	}
}

func TestSvstatJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	since := time.Now().Add(-time.Hour).Truncate(time.Second)
	stateFiles(t, dir+"/up \"x\"", Status{Since: since, PID: 4711, Want: WantUp})
	if err := RecordStart(dir+"/up \"x\"", since); err != nil {
		t.Fatal(err)
	}
	got := supervision.Run(t, dir, ours+"/svstat", "--json", "up \"x\"", "none")
	var services []map[string]any
	if err := json.Unmarshal([]byte(got.Stdout), &services); err != nil || got.Exit != 0 || got.Stderr != "" {
		t.Fatalf("%v; %+v", err, got)
	}
	if seconds, ok := services[0]["seconds"].(float64); !ok || seconds < 3600 || seconds > 3700 {
		t.Errorf("seconds: %v", services[0]["seconds"])
	}
	delete(services[0], "seconds")
	want := []map[string]any{{
		"name": `up "x"`, "state": "up", "pid": 4711., "want": "up", "normally": "up", "paused": false,
		"since": since.UTC().Format(time.RFC3339), "restarts": 0., "error": nil,
	}, {
		"name": "none", "state": "unknown", "pid": nil, "want": nil, "normally": nil, "paused": nil,
		"since": nil, "seconds": nil, "restarts": nil, "error": "unable to chdir: file does not exist",
	}}
	if diff := cmp.Diff(want, services); diff != "" {
		t.Error(diff)
	}
}

// A service whose supervise has gone has a state that nobody vouches for.
func TestSvstatUnsupervised(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	service := supervision.ServiceDir(t, dir, "s", "exec sleep 100\n")
	supervise := supervision.Start(t, "", nil, ours+"/supervise", service)
	supervision.AwaitUp(t, service, 0)
	supervise.Process.Kill()
	supervise.Wait(t)
	for args, want := range map[string]result{
		"-o state,pid,want,normally,restarts": {Stdout: "unsupervised\t-\t-\tup\t-\n"},
		"--all-up":                            {Stdout: "s: supervise not running\n", Exit: 1},
	} {
		if got := supervision.Run(t, dir, append(append([]string{ours + "/svstat"}, strings.Fields(args)...), "s")...); got != want {
			t.Errorf("%s: %+v, want %+v", args, got, want)
		}
	}
}

// Descriptors may be few.
func TestSvstatFewDescriptors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 60 {
		stateFiles(t, dir+"/s"+strconv.Itoa(i), Status{Since: time.Now().Add(time.Hour), PID: uint32(i), Want: WantUp})
	}
	const script = "ulimit -n 12; exec %s/svstat s*"
	want := supervision.Run(t, dir, "/bin/sh", "-c", fmt.Sprintf(script, programs.Originals(t)))
	if got := supervision.Run(t, dir, "/bin/sh", "-c", fmt.Sprintf(script, ours)); got != want || strings.Count(got.Stdout, "(pid ") != 59 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func FuzzJSONString(f *testing.F) {
	f.Add("a\"\\\n\x00\x7f\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendJSONString(nil, s), &got); err != nil || got != string([]rune(s)) {
			t.Errorf("%q became %q: %v", s, got, err)
		}
	})
}

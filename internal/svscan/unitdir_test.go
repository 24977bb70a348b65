package svscan

import (
	"os"
	"testing"
	"time"

	"qmail-smtpd/internal/svcompat"
	"qmail-smtpd/internal/systemd/manager"
)

// TestOperations asks for operations while another one is being done: what is
// left to do is what comes out in the end.
func TestOperations(t *testing.T) {
	for _, c := range []struct {
		letters string
		want    operation
	}{
		{"u", operation{start: true}},
		{"uu", operation{start: true}},
		{"d", operation{stop: true}},
		{"du", operation{stop: true, start: true}},
		{"ud", operation{stop: true}},
		{"dud", operation{stop: true}},
		{"udu", operation{stop: true, start: true}},
		{"o", operation{start: true}},
		{"pchaikz\x00", operation{}},
	} {
		s := &unitDir{service: &bridged{bridge: &bridge{}}, busy: true}
		s.service.main = s
		for _, letter := range []byte(c.letters) {
			s.letter(letter)
		}
		if s.pending != c.want {
			t.Errorf("%s: got %+v, want %+v", c.letters, s.pending, c.want)
		}
	}
}

// TestSettle turns what systemd says, one state after the other, into a
// status.
func TestSettle(t *testing.T) {
	started := time.UnixMicro(1_700_000_000_000_001)
	ended := started.Add(time.Hour)
	before := svcompat.Status{Since: started.Add(-time.Hour), PID: 7, Want: svcompat.WantUp}
	running := manager.State{Active: "active", Sub: "running", MainPID: 7, Started: before.Since}
	again := manager.State{Active: "active", Sub: "running", MainPID: 8, Started: started}
	stopping := manager.State{Active: "deactivating", Sub: "stop-sigterm", MainPID: 7, Started: started}
	inactive := manager.State{Active: "inactive", Sub: "dead", Started: started, Ended: ended}
	failed := manager.State{Active: "failed", Sub: "failed", Started: started, Ended: ended}
	waiting := manager.State{Active: "activating", Sub: "auto-restart", Started: started, Ended: ended}
	for _, c := range []struct {
		name   string
		old    svcompat.Status
		states []manager.State
		want   svcompat.Status
	}{
		{"running", before, []manager.State{running, again}, svcompat.Status{Since: started, PID: 8, Want: svcompat.WantUp}},
		{"started by systemctl", svcompat.Status{Want: svcompat.WantDown}, []manager.State{inactive, again}, svcompat.Status{Since: started, PID: 8, Want: svcompat.WantUp}},
		{"started after once", svcompat.Status{Want: svcompat.WantOnce}, []manager.State{inactive, again}, svcompat.Status{Since: started, PID: 8, Want: svcompat.WantUp}},
		{"restarted in once", svcompat.Status{PID: 7, Want: svcompat.WantOnce}, []manager.State{running, stopping, again}, svcompat.Status{Since: started, PID: 8, Want: svcompat.WantUp}},
		{"another process is not paused", svcompat.Status{PID: 7, Paused: true, Want: svcompat.WantUp}, []manager.State{running, again}, svcompat.Status{Since: started, PID: 8, Want: svcompat.WantUp}},
		{"the same process stays paused", svcompat.Status{PID: 8, Paused: true, Want: svcompat.WantUp}, []manager.State{again}, svcompat.Status{Since: started, PID: 8, Paused: true, Want: svcompat.WantUp}},
		{"once stays once", svcompat.Status{PID: 8, Want: svcompat.WantOnce}, []manager.State{again}, svcompat.Status{Since: started, PID: 8, Want: svcompat.WantOnce}},
		{"being stopped", before, []manager.State{running, stopping}, svcompat.Status{Since: started, PID: 7, Want: svcompat.WantUp}},
		{"stopped by systemctl", before, []manager.State{running, stopping, inactive}, svcompat.Status{Since: ended, Want: svcompat.WantDown}},
		{"stopped by systemctl with a failure", before, []manager.State{running, stopping, failed}, svcompat.Status{Since: ended, Want: svcompat.WantDown}},
		{"stopped while it waits", before, []manager.State{waiting, inactive}, svcompat.Status{Since: ended, Want: svcompat.WantDown}},
		{"cannot be started again", before, []manager.State{running, waiting, failed}, svcompat.Status{Since: ended, Want: svcompat.WantUp}},
		{"waits for its restart", before, []manager.State{running, waiting}, svcompat.Status{Since: ended, Want: svcompat.WantUp}},
		{"inactive with a job", before, []manager.State{running, {Active: "inactive", Job: true, Started: started, Ended: ended}}, svcompat.Status{Since: ended, Want: svcompat.WantUp}},
		{"unloaded since", svcompat.Status{Since: ended, Want: svcompat.WantDown}, []manager.State{{Active: "inactive"}}, svcompat.Status{Since: ended, Want: svcompat.WantDown}},
		{"never ran", svcompat.Status{Since: started, PID: 3, Want: svcompat.WantDown}, []manager.State{{Active: "failed", Down: ended}}, svcompat.Status{Since: ended, Want: svcompat.WantDown}},
	} {
		dir := t.TempDir()
		held, err := svcompat.OpenSuperviseDir(dir, dir)
		if err != nil {
			t.Fatal(err)
		}
		s := &unitDir{service: &bridged{bridge: &bridge{said: map[string]string{}}}, dir: dir, unit: "testing.service", held: held, status: c.old}
		s.service.main = s
		for _, state := range c.states {
			s.live = s.live || s.state.Active == "" && isLive(&state)
			s.state = state
			s.settle()
			if s.live && !isLive(&state) && !state.Job {
				s.down() // what systemd is asked about before
			}
		}
		held.Close()
		if !sameStatus(s.status, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, s.status, c.want)
		}
		content, err := os.ReadFile(dir + "/supervise/status")
		if err != nil && s.status != c.old {
			t.Errorf("%s: %v", c.name, err)
		} else if got, _ := svcompat.ParseStatus(content); err == nil && !sameStatus(got, c.want) {
			t.Errorf("%s: the file says %+v, want %+v", c.name, got, c.want)
		}
	}
}

// sameStatus compares to the microsecond, which is what systemd tells.
func sameStatus(a, b svcompat.Status) bool {
	return a.Since.Truncate(time.Microsecond).Equal(b.Since.Truncate(time.Microsecond)) && a.PID == b.PID && a.Paused == b.Paused && a.Want == b.Want
}

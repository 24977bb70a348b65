package svcompat

import (
	"os"
	"testing"
	"time"

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
	before := Status{Since: started.Add(-time.Hour), PID: 7, Want: WantUp}
	running := manager.State{Active: "active", Sub: "running", MainPID: 7, Started: before.Since}
	again := manager.State{Active: "active", Sub: "running", MainPID: 8, Started: started}
	stopping := manager.State{Active: "deactivating", Sub: "stop-sigterm", MainPID: 7, Started: started}
	inactive := manager.State{Active: "inactive", Sub: "dead", Started: started, Ended: ended}
	failed := manager.State{Active: "failed", Sub: "failed", Started: started, Ended: ended}
	waiting := manager.State{Active: "activating", Sub: "auto-restart", Started: started, Ended: ended}
	for _, c := range []struct {
		name   string
		old    Status
		states []manager.State
		want   Status
	}{
		{"running", before, []manager.State{running, again}, Status{Since: started, PID: 8, Want: WantUp}},
		{"started by systemctl", Status{Want: WantDown}, []manager.State{inactive, again}, Status{Since: started, PID: 8, Want: WantUp}},
		{"started after once", Status{Want: WantOnce}, []manager.State{inactive, again}, Status{Since: started, PID: 8, Want: WantUp}},
		{"restarted in once", Status{PID: 7, Want: WantOnce}, []manager.State{running, stopping, again}, Status{Since: started, PID: 8, Want: WantUp}},
		{"another process is not paused", Status{PID: 7, Paused: true, Want: WantUp}, []manager.State{running, again}, Status{Since: started, PID: 8, Want: WantUp}},
		{"the same process stays paused", Status{PID: 8, Paused: true, Want: WantUp}, []manager.State{again}, Status{Since: started, PID: 8, Paused: true, Want: WantUp}},
		{"once stays once", Status{PID: 8, Want: WantOnce}, []manager.State{again}, Status{Since: started, PID: 8, Want: WantOnce}},
		{"being stopped", before, []manager.State{running, stopping}, Status{Since: started, PID: 7, Want: WantUp}},
		{"stopped by systemctl", before, []manager.State{running, stopping, inactive}, Status{Since: ended, Want: WantDown}},
		{"stopped by systemctl with a failure", before, []manager.State{running, stopping, failed}, Status{Since: ended, Want: WantDown}},
		{"stopped while it waits", before, []manager.State{waiting, inactive}, Status{Since: ended, Want: WantDown}},
		{"cannot be started again", before, []manager.State{running, waiting, failed}, Status{Since: ended, Want: WantUp}},
		{"waits for its restart", before, []manager.State{running, waiting}, Status{Since: ended, Want: WantUp}},
		{"inactive with a job", before, []manager.State{running, {Active: "inactive", Job: true, Started: started, Ended: ended}}, Status{Since: ended, Want: WantUp}},
		{"unloaded since", Status{Since: ended, Want: WantDown}, []manager.State{{Active: "inactive"}}, Status{Since: ended, Want: WantDown}},
		{"never ran", Status{Since: started, PID: 3, Want: WantDown}, []manager.State{{Active: "failed", Down: ended}}, Status{Since: ended, Want: WantDown}},
	} {
		dir := t.TempDir()
		held, err := OpenSuperviseDir(dir, dir)
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
		} else if got, _ := ParseStatus(content); err == nil && !sameStatus(got, c.want) {
			t.Errorf("%s: the file says %+v, want %+v", c.name, got, c.want)
		}
	}
}

// sameStatus compares to the microsecond, which is what systemd tells.
func sameStatus(a, b Status) bool {
	return a.Since.Truncate(time.Microsecond).Equal(b.Since.Truncate(time.Microsecond)) && a.PID == b.PID && a.Paused == b.Paused && a.Want == b.Want
}

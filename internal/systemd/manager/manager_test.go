package manager

import (
	"context"
	"testing"

	"github.com/godbus/dbus/v5"
)

// TestJobOrder has the end of a job come before and after the answer that
// names it.
func TestJobOrder(t *testing.T) {
	conn, err := dbus.NewConn(nopConn{})
	if err != nil {
		t.Fatal(err)
	}
	m := &Manager{conn: conn, jobs: map[dbus.ObjectPath][]*Job{}, finished: map[dbus.ObjectPath]string{}}
	removed := func(path dbus.ObjectPath, result string) {
		m.jobRemoved(&dbus.Signal{Body: []any{uint32(1), path, "x.service", result}})
	}
	begun := func() *Job {
		m.asked++
		return &Job{m, make(chan error, 1)}
	}
	named := func(job *Job, path dbus.ObjectPath) {
		job.named(&dbus.Call{Body: []any{path}}, "StartUnit")
	}
	first, second, same := begun(), begun(), begun()
	removed("/job/2", "failed")
	named(first, "/job/1")
	named(second, "/job/2")
	named(same, "/job/1") // systemd has it already
	removed("/job/1", "done")
	removed("/job/3", "done") // of somebody else
	if err := first.Wait(context.Background()); err != nil {
		t.Error(err)
	}
	if err := same.Wait(context.Background()); err != nil {
		t.Error(err)
	}
	if err := second.Wait(context.Background()); err == nil || err.Error() != "systemd says failed" {
		t.Errorf("got %v", err)
	}
	if len(m.jobs) != 0 || len(m.finished) != 0 || m.asked != 0 {
		t.Errorf("left: %v %v %d", m.jobs, m.finished, m.asked)
	}
}

type nopConn struct{}

func (nopConn) Read([]byte) (int, error)    { select {} }
func (nopConn) Write(b []byte) (int, error) { return len(b), nil }
func (nopConn) Close() error                { return nil }

// TestStateSet reads properties, of the right type and of a wrong one.
func TestStateSet(t *testing.T) {
	var s State
	for name, value := range map[string]any{
		"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "MainPID": uint32(7),
		"Job": []any{uint32(3), dbus.ObjectPath("/x")}, "ExecMainStartTimestamp": uint64(1_000_001), "ExecMainExitTimestamp": uint64(0),
		"Other": 1,
	} {
		s.set(name, value)
	}
	if s.Load != "loaded" || s.Active != "active" || s.Sub != "running" || s.MainPID != 7 || !s.Job || s.Started.UnixMicro() != 1_000_001 || !s.Ended.IsZero() {
		t.Errorf("got %+v", s)
	}
	s.set("Job", []any{uint32(0), dbus.ObjectPath("/")})
	s.set("MainPID", "7")
	if s.Job || s.MainPID != 0 {
		t.Errorf("got %+v", s)
	}
}

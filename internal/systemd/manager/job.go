package manager

import (
	"context"
	"errors"

	"github.com/godbus/dbus/v5"
)

// A Mode is what happens to other units with the one that is started,
// stopped or restarted.
type Mode string

const (
	WithDependencies Mode = "replace"
	Alone            Mode = "ignore-dependencies"
)

// A Job is something that systemd has been asked to do.
type Job struct {
	m      *Manager
	result chan error // has room for one
}

var errEnded = errors.New("the connection to systemd has ended")

// Start begins to start a unit.
func (m *Manager) Start(unit string, mode Mode) *Job {
	return m.begin("StartUnit", unit, mode)
}

// Restart begins to restart a unit, which starts it where it is down.
func (m *Manager) Restart(unit string, mode Mode) *Job {
	return m.begin("RestartUnit", unit, mode)
}

// Stop begins to stop a unit. A unit that is not loaded is stopped.
func (m *Manager) Stop(unit string) *Job {
	return m.begin("StopUnit", unit, WithDependencies)
}

// begin asks for a job. It does not wait for an answer; jobs begin in the
// order in which they were asked for.
func (m *Manager) begin(method, unit string, mode Mode) *Job {
	job := &Job{m, make(chan error, 1)}
	m.mu.Lock()
	m.asked++
	m.mu.Unlock()
	call := m.conn.Object(busName, managerPath).Go(managerInterface+"."+method, 0, nil, unit, string(mode))
	go job.named(<-call.Done, method)
	return job
}

// named takes over systemd's answer: the name of the job, or why there is
// none.
func (j *Job) named(answer *dbus.Call, method string) {
	m := j.m
	var path dbus.ObjectPath
	err := answer.Store(&path)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked--
	var failure dbus.Error
	switch result, finished := m.finished[path]; {
	case err != nil && method == "StopUnit" && errors.As(err, &failure) && failure.Name == busName+".NoSuchUnit":
		j.result <- nil
	case err != nil:
		j.result <- err
	case finished:
		j.result <- jobError(result)
	default:
		m.jobs[path] = append(m.jobs[path], j)
	}
	if m.asked == 0 {
		clear(m.finished)
	}
}

func (m *Manager) jobRemoved(signal *dbus.Signal) {
	var id uint32
	var path dbus.ObjectPath
	var unit, result string
	if dbus.Store(signal.Body, &id, &path, &unit, &result) != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, job := range m.jobs[path] {
		job.result <- jobError(result)
	}
	delete(m.jobs, path)
	if m.asked > 0 {
		m.finished[path] = result
	}
}

// jobError is nil for a job that another one took the place of as well:
// somebody wants something else by now.
func jobError(result string) error {
	if result == "done" || result == "canceled" {
		return nil
	}
	return errors.New("systemd says " + result)
}

// Wait returns when the job is finished, with an error where it failed. It
// can be called once.
func (j *Job) Wait(ctx context.Context) error {
	select {
	case err := <-j.result:
		return err
	case <-j.m.conn.Context().Done():
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Package manager is a client of the systemd manager of the machine: it
// watches units, and starts, stops and signals them. It knows nothing of
// service directories. Only this package imports a D-Bus library.
package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

const (
	busName       = "org.freedesktop.systemd1"
	unitInterface = busName + ".Unit"
	privateSocket = "unix:path=/run/systemd/private"
)

// A Manager is a connection to systemd. It is safe for concurrent use.
type Manager struct {
	conn    *sd.Conn
	signals *dbus.Conn
	bus     bool // by way of the system bus, which wants match rules
	changes chan Change

	mu    sync.Mutex
	units map[dbus.ObjectPath]*watched
}

type watched struct {
	name  string
	state State
}

// A Change tells that a unit that is watched may have changed. Without a
// Unit, systemd has read its unit files again, and any may have.
type Change struct {
	Unit  string
	State State
}

// Dial connects to systemd: by the system bus, or by systemd's own socket
// where no bus runs.
func Dial() (*Manager, error) {
	m, err := dial(true)
	if err == nil {
		return m, nil
	}
	m, privateErr := dial(false)
	if privateErr != nil {
		return nil, fmt.Errorf("no system bus (%w), no socket of systemd (%w)", err, privateErr)
	}
	return m, nil
}

func dial(bus bool) (*Manager, error) {
	m := &Manager{bus: bus, changes: make(chan Change), units: map[dbus.ObjectPath]*watched{}}
	conn, err := sd.NewConnection(func() (*dbus.Conn, error) {
		// The second connection is the one that signals come by.
		var err error
		m.signals, err = m.connect()
		return m.signals, err
	})
	if err != nil {
		return nil, err
	}
	m.conn = conn
	signals := make(chan *dbus.Signal, 64)
	m.signals.Signal(signals)
	m.match("type='signal',sender='" + busName + "',interface='" + busName + ".Manager',member='Reloading'")
	if err := m.signals.Object(busName, "/org/freedesktop/systemd1").Call(busName+".Manager.Subscribe", 0).Store(); err != nil {
		conn.Close()
		return nil, err
	}
	go m.dispatch(signals)
	return m, nil
}

func (m *Manager) connect() (*dbus.Conn, error) {
	order := dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())
	var conn *dbus.Conn
	var err error
	if m.bus {
		conn, err = dbus.SystemBusPrivate(order)
	} else {
		conn, err = dbus.Dial(privateSocket, order)
	}
	if err != nil {
		return nil, err
	}
	uid := strconv.Itoa(os.Getuid())
	if err = conn.Auth([]dbus.Auth{dbus.AuthExternal(uid)}); err == nil && m.bus {
		err = conn.Hello()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// match asks the bus for signals. systemd's own socket carries all of them
// unasked.
func (m *Manager) match(rule string) error {
	if !m.bus {
		return nil
	}
	return m.signals.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, rule).Store()
}

// Close ends the connection; Changes is closed soon after.
func (m *Manager) Close() { m.conn.Close() }

// Changes returns the channel that tells of changes, in their order; it must
// be read. It is closed when the connection has ended.
func (m *Manager) Changes() <-chan Change { return m.changes }

// Done is closed when the connection has ended.
func (m *Manager) Done() <-chan struct{} { return m.signals.Context().Done() }

func (m *Manager) dispatch(signals <-chan *dbus.Signal) {
	defer close(m.changes)
	for signal := range signals {
		switch signal.Name {
		case busName + ".Manager.Reloading":
			var begins bool
			if dbus.Store(signal.Body, &begins) == nil && !begins {
				m.changes <- Change{}
			}
		case "org.freedesktop.DBus.Properties.PropertiesChanged":
			if change, ok := m.changed(signal); ok {
				m.changes <- change
			}
		}
	}
	m.conn.Close()
}

// changed takes over the values that a signal carries. systemd sends those of
// a kind of unit first and those of all units last, so the second signal
// completes the change.
func (m *Manager) changed(signal *dbus.Signal) (Change, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	unit := m.units[signal.Path]
	var of string
	var values map[string]dbus.Variant
	var invalidated []string
	if unit == nil || dbus.Store(signal.Body, &of, &values, &invalidated) != nil {
		return Change{}, false
	}
	for name, value := range values {
		unit.state.set(name, value.Value())
	}
	return Change{unit.name, unit.state}, of == unitInterface
}

// Watch begins to watch a unit, loaded or not, and returns its state.
// Watching it again reads its state anew.
func (m *Manager) Watch(ctx context.Context, unit string) (State, error) {
	path := unitPath(unit)
	m.mu.Lock()
	known := m.units[path] != nil
	if !known {
		m.units[path] = &watched{name: unit}
	}
	m.mu.Unlock()
	if !known {
		if err := m.match("type='signal',sender='" + busName + "',member='PropertiesChanged',path='" + string(path) + "'"); err != nil {
			return State{}, err
		}
	}
	values, err := m.conn.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return State{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	state := &m.units[path].state
	for name, value := range values {
		state.set(name, value)
	}
	return *state, nil
}

// Sub returns the SubState of a unit at this moment.
func (m *Manager) Sub(ctx context.Context, unit string) (string, error) {
	property, err := m.conn.GetUnitPropertyContext(ctx, unit, "SubState")
	if err != nil {
		return "", err
	}
	sub, _ := property.Value.Value().(string)
	return sub, nil
}

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
	result <-chan string
}

// Start begins to start a unit.
func (m *Manager) Start(ctx context.Context, unit string, mode Mode) (*Job, error) {
	return m.job(ctx, m.conn.StartUnitContext, unit, mode)
}

// Restart begins to restart a unit, which starts it where it is down.
func (m *Manager) Restart(ctx context.Context, unit string, mode Mode) (*Job, error) {
	return m.job(ctx, m.conn.RestartUnitContext, unit, mode)
}

// Stop begins to stop a unit. A unit that is not loaded is stopped.
func (m *Manager) Stop(ctx context.Context, unit string) (*Job, error) {
	job, err := m.job(ctx, m.conn.StopUnitContext, unit, WithDependencies)
	var failure dbus.Error
	if errors.As(err, &failure) && failure.Name == busName+".NoSuchUnit" {
		done := make(chan string, 1)
		done <- "done"
		return &Job{m, done}, nil
	}
	return job, err
}

type startJob func(ctx context.Context, unit, mode string, result chan<- string) (int, error)

func (m *Manager) job(ctx context.Context, start startJob, unit string, mode Mode) (*Job, error) {
	result := make(chan string, 1)
	if _, err := start(ctx, unit, string(mode), result); err != nil {
		return nil, err
	}
	return &Job{m, result}, nil
}

// Wait returns when the job is finished, with an error where it failed. A job
// that another one took the place of has not failed: somebody wants something
// else by now.
func (j *Job) Wait(ctx context.Context) error {
	select {
	case word := <-j.result:
		if word == "done" || word == "canceled" {
			return nil
		}
		return errors.New("systemd says " + word)
	case <-j.m.Done():
		return errors.New("the connection to systemd has ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill sends a signal to the main process of a service.
func (m *Manager) Kill(ctx context.Context, unit string, signal unix.Signal) error {
	return m.conn.KillUnitWithTarget(ctx, unit, sd.Main, int32(signal))
}

// Reload makes systemd read all unit files again, and returns when that is
// done.
func (m *Manager) Reload(ctx context.Context) error {
	return m.conn.ReloadContext(ctx)
}

func unitPath(unit string) dbus.ObjectPath {
	return dbus.ObjectPath("/org/freedesktop/systemd1/unit/" + sd.PathBusEscape(unit))
}

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
	managerPath   = "/org/freedesktop/systemd1"
	privateSocket = "unix:path=/run/systemd/private"

	managerInterface = busName + ".Manager"
	unitInterface    = busName + ".Unit"
	serviceInterface = busName + ".Service"
	propertyGet      = "org.freedesktop.DBus.Properties.Get"
)

// A Manager is a connection to systemd. It is safe for concurrent use.
type Manager struct {
	conn    *dbus.Conn // for calls and signals, so that these keep their order
	changes chan Change

	mu       sync.Mutex
	units    map[dbus.ObjectPath]*watched
	jobs     map[dbus.ObjectPath][]*Job // more than one where systemd made one of them
	asked    int                        // jobs that systemd has not named yet
	finished map[dbus.ObjectPath]string // results of jobs that may be among them
}

type watched struct {
	name  string
	state State
}

// A Change tells the state of a unit that is watched. Without a Unit, systemd
// has read its unit files again, and what Load says may have changed.
type Change struct {
	Unit  string
	State State
}

// Dial connects to systemd by its own socket, which needs no bus and no match
// rules; or else by the system bus.
func Dial() (*Manager, error) {
	m, err := dial(false)
	if err == nil {
		return m, nil
	}
	m, busErr := dial(true)
	if busErr != nil {
		return nil, fmt.Errorf("no socket of systemd (%w), no system bus (%w)", err, busErr)
	}
	return m, nil
}

func dial(bus bool) (*Manager, error) {
	conn, err := connect(bus)
	if err != nil {
		return nil, err
	}
	m := &Manager{
		conn:     conn,
		changes:  make(chan Change),
		units:    map[dbus.ObjectPath]*watched{},
		jobs:     map[dbus.ObjectPath][]*Job{},
		finished: map[dbus.ObjectPath]string{},
	}
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	if bus {
		err = subscribe(conn)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	go m.dispatch(signals)
	return m, nil
}

func connect(bus bool) (*dbus.Conn, error) {
	order := dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())
	var conn *dbus.Conn
	var err error
	if bus {
		conn, err = dbus.SystemBusPrivate(order)
	} else {
		conn, err = dbus.Dial(privateSocket, order)
	}
	if err != nil {
		return nil, err
	}
	uid := strconv.Itoa(os.Getuid())
	if err = conn.Auth([]dbus.Auth{dbus.AuthExternal(uid)}); err == nil && bus {
		err = conn.Hello()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// subscribe asks the bus for systemd's signals. Its own socket carries all of
// them unasked.
func subscribe(conn *dbus.Conn) error {
	err := conn.BusObject().Call("org.freedesktop.DBus.AddMatch", 0,
		"type='signal',sender='"+busName+"',path_namespace='"+managerPath+"'").Err
	if err == nil {
		err = conn.Object(busName, managerPath).Call(managerInterface+".Subscribe", 0).Err
	}
	return err
}

// Close ends the connection; Changes is closed soon after.
func (m *Manager) Close() { m.conn.Close() }

// Changes returns the channel that tells of changes, in their order; it must
// be read. It is closed when the connection has ended. Once a job is finished,
// what it changed has been read from there.
func (m *Manager) Changes() <-chan Change { return m.changes }

func (m *Manager) dispatch(signals <-chan *dbus.Signal) {
	defer close(m.changes)
	for signal := range signals {
		switch signal.Name {
		case "org.freedesktop.DBus.Properties.PropertiesChanged":
			if change, ok := m.changed(signal); ok {
				m.changes <- change
			}
		case managerInterface + ".JobRemoved":
			m.jobRemoved(signal)
		case managerInterface + ".Reloading":
			var begins bool
			if dbus.Store(signal.Body, &begins) == nil && !begins {
				m.changes <- Change{}
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
	if unit == nil || len(signal.Body) < 2 {
		return Change{}, false
	}
	of, _ := signal.Body[0].(string)
	values, _ := signal.Body[1].(map[string]dbus.Variant)
	for name, value := range values {
		unit.state.set(name, value.Value())
	}
	return Change{unit.name, unit.state}, of == unitInterface
}

// Watch begins to watch units, loaded or not, and returns their states by
// name. Watching one again reads its state anew.
func (m *Manager) Watch(ctx context.Context, units []string) (map[string]State, error) {
	m.mu.Lock()
	for _, name := range units {
		if path := unitPath(name); m.units[path] == nil {
			m.units[path] = &watched{name: name}
		}
	}
	m.mu.Unlock()
	states, err := m.list(ctx, units)
	if err == nil {
		err = m.details(ctx, states)
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, state := range states {
		if unit := m.units[unitPath(name)]; unit != nil {
			unit.state = state
		}
	}
	return states, nil
}

// Unwatch ends the watch of units.
func (m *Manager) Unwatch(units ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range units {
		delete(m.units, unitPath(name))
	}
}

// list returns what systemd tells of many units in one answer.
func (m *Manager) list(ctx context.Context, units []string) (map[string]State, error) {
	var listed []struct {
		Name, Description, Load, Active, Sub, Following string
		Path                                            dbus.ObjectPath
		Job                                             uint32
		JobType                                         string
		JobPath                                         dbus.ObjectPath
	}
	states := make(map[string]State, len(units))
	if len(units) == 0 {
		return states, nil
	}
	err := m.conn.Object(busName, managerPath).CallWithContext(ctx, managerInterface+".ListUnitsByNames", 0, units).Store(&listed)
	if err != nil {
		return nil, err
	}
	for _, unit := range listed {
		states[unit.Name] = State{Load: unit.Load, Active: unit.Active, Sub: unit.Sub, Job: unit.Job != 0}
	}
	return states, nil
}

// details adds what systemd tells of units one by one. All questions are
// asked before the first answer is awaited.
func (m *Manager) details(ctx context.Context, states map[string]State) error {
	type question struct {
		unit, property string
		call           *dbus.Call
	}
	var questions []question
	ask := func(unit, of, property string) {
		object := m.conn.Object(busName, unitPath(unit))
		questions = append(questions, question{unit, property, object.GoWithContext(ctx, propertyGet, 0, nil, of, property)})
	}
	for unit, state := range states {
		if state.Load == "loaded" {
			ask(unit, unitInterface, "ConditionTimestamp")
		}
		if !isService(unit) || state.Load == "not-found" && state.Active == "inactive" {
			continue
		}
		if state.Active != "inactive" {
			ask(unit, serviceInterface, "MainPID")
			ask(unit, serviceInterface, "ExecMainStartTimestamp")
		}
		ask(unit, serviceInterface, "ExecMainExitTimestamp")
		ask(unit, unitInterface, "InactiveEnterTimestamp")
	}
	for _, q := range questions {
		<-q.call.Done
		var value dbus.Variant
		if err := q.call.Store(&value); err != nil {
			return fmt.Errorf("%s: %w", q.unit, err)
		}
		state := states[q.unit]
		state.set(q.property, value.Value())
		states[q.unit] = state
	}
	return nil
}

// Refresh reads Load, Active and Sub of all units that are watched, and
// returns those units of which one has changed.
func (m *Manager) Refresh(ctx context.Context) ([]Change, error) {
	m.mu.Lock()
	names := make([]string, 0, len(m.units))
	for _, unit := range m.units {
		names = append(names, unit.name)
	}
	m.mu.Unlock()
	states, err := m.list(ctx, names)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var changes []Change
	for name, now := range states {
		unit := m.units[unitPath(name)]
		if unit == nil {
			continue
		}
		old := unit.state
		unit.state.Load, unit.state.Active, unit.state.Sub, unit.state.Job = now.Load, now.Active, now.Sub, now.Job
		if unit.state != old {
			changes = append(changes, Change{name, unit.state})
		}
	}
	return changes, nil
}

// Sub returns the SubState of a unit at this moment.
func (m *Manager) Sub(ctx context.Context, unit string) (string, error) {
	var sub dbus.Variant
	err := m.conn.Object(busName, unitPath(unit)).CallWithContext(ctx, propertyGet, 0, unitInterface, "SubState").Store(&sub)
	text, _ := sub.Value().(string)
	return text, err
}

// Kill sends a signal to the main process of a service. It does not wait: the
// order of calls is that of signals, and done gets an error, or nil.
func (m *Manager) Kill(unit string, signal unix.Signal, done func(error)) {
	call := m.conn.Object(busName, managerPath).Go(managerInterface+".KillUnit", 0, nil, unit, "main", int32(signal))
	go func() { done((<-call.Done).Err) }()
}

// Reload makes systemd read all unit files again, and returns when that is
// done.
func (m *Manager) Reload(ctx context.Context) error {
	return m.conn.Object(busName, managerPath).CallWithContext(ctx, managerInterface+".Reload", 0).Err
}

// IsGone tells of an error whether it is the end of the connection.
func IsGone(err error) bool {
	return errors.Is(err, dbus.ErrClosed) || errors.Is(err, errEnded)
}

func unitPath(unit string) dbus.ObjectPath {
	return dbus.ObjectPath(managerPath + "/unit/" + sd.PathBusEscape(unit))
}

package manager

import (
	"context"

	"github.com/godbus/dbus/v5"
)

// A unitFileChange is what systemd says that it did to a unit file.
type unitFileChange struct{ Type, Path, Target string }

// Enable makes a unit start at boot.
func (m *Manager) Enable(ctx context.Context, unit string) error {
	var install bool
	var changes []unitFileChange
	return m.unitFiles(ctx, "EnableUnitFiles", []string{unit}, false, false).Store(&install, &changes)
}

// Disable makes a unit not start at boot. What runs goes on.
func (m *Manager) Disable(ctx context.Context, unit string) error {
	var changes []unitFileChange
	return m.unitFiles(ctx, "DisableUnitFiles", []string{unit}, false).Store(&changes)
}

// Mask makes a unit impossible to start. What runs goes on. It fails for a
// unit whose file is in /etc/systemd/system.
func (m *Manager) Mask(ctx context.Context, unit string) error {
	var changes []unitFileChange
	return m.unitFiles(ctx, "MaskUnitFiles", []string{unit}, false, false).Store(&changes)
}

func (m *Manager) unitFiles(ctx context.Context, method string, args ...any) *dbus.Call {
	return m.conn.Object(busName, managerPath).CallWithContext(ctx, managerInterface+"."+method, 0, args...)
}

// UnitFile returns the path of the file of a unit, empty where it has none,
// and whether it is enabled, in the words of systemctl is-enabled.
func (m *Manager) UnitFile(ctx context.Context, unit string) (path, enabled string, err error) {
	object := m.conn.Object(busName, unitPath(unit))
	if path, err = property[string](ctx, object, unitInterface, "FragmentPath"); err != nil {
		return "", "", err
	}
	enabled, err = property[string](ctx, object, unitInterface, "UnitFileState")
	return path, enabled, err
}

// DefaultLimit returns the resource limits that services get where their
// units name none. The name is that of LimitNOFILE= and so on after the word
// Limit; the largest number is no limit.
func (m *Manager) DefaultLimit(ctx context.Context, name string) (soft, hard uint64, err error) {
	object := m.conn.Object(busName, managerPath)
	if hard, err = property[uint64](ctx, object, managerInterface, "DefaultLimit"+name); err != nil {
		return 0, 0, err
	}
	soft, err = property[uint64](ctx, object, managerInterface, "DefaultLimit"+name+"Soft")
	return soft, hard, err
}

func property[T any](ctx context.Context, object dbus.BusObject, of, name string) (value T, err error) {
	var answer dbus.Variant
	if err = object.CallWithContext(ctx, propertyGet, 0, of, name).Store(&answer); err == nil {
		err = answer.Store(&value)
	}
	return value, err
}

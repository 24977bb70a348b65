package svscan

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"qmail-smtpd/units"
)

// bridgeOn makes a bridge that knows many service directories, half of them
// with a log, and has no systemd.
func bridgeOn(t testing.TB, many int) *bridge {
	t.Helper()
	b := &bridge{dir: t.TempDir(), services: map[identity]*bridged{}, said: map[string]string{}, soon: newSoon()}
	for i := range many {
		dir := b.dir + "/" + strconv.Itoa(i)
		for _, name := range []string{dir, dir + "/log", dir + "/env"}[:1+i%3] {
			if err := os.Mkdir(name, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		var info unix.Stat_t
		if err := unix.Stat(dir, &info); err != nil {
			t.Fatal(err)
		}
		read := units.Service{Name: strconv.Itoa(i), Dir: dir, Dev: info.Dev, Ino: info.Ino, Log: i%3 > 0}
		service := newBridged(b, read, false)
		service.read = read
		service.stamps.update(dir, &info)
		b.services[identity{info.Dev, info.Ino}] = service
	}
	return b
}

// TestSurvey notices each kind of change, once.
func TestSurvey(t *testing.T) {
	b := bridgeOn(t, 3)
	look := func(what string, want bool) {
		t.Helper()
		got := false
		for range thoroughEvery {
			got = b.survey() || got
		}
		if got != want {
			t.Errorf("%s: changed is %v", what, got)
		}
		for range thoroughEvery {
			if b.survey() {
				t.Errorf("%s: changed is true again", what)
			}
		}
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(b.dir+"/"+name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	look("nothing", false)
	write("0/down", "")
	look("a file down", true)
	write("2/env/PORT", "25")
	look("a new variable", true)
	write("2/env/PORT", "26 and more")
	look("a variable", true)
	write("2/env/OTHER", "1")
	look("a variable that units do not depend on", true) // the directory has changed
	write("2/env/OTHER", "2")
	look("its value", false)
	if err := os.Mkdir(b.dir+"/0/log", 0o755); err != nil {
		t.Fatal(err)
	}
	look("a log", true)
	write("1/log/notification-fd", "3")
	look("a setting of a log", true)
	if err := os.Rename(b.dir+"/0", b.dir+"/00"); err != nil {
		t.Fatal(err)
	}
	b.survey() // the name has come and gone in other directories only
	if err := os.Rename(b.dir+"/00", b.dir+"/.00"); err != nil {
		t.Fatal(err)
	}
	b.survey()
	for _, service := range b.services {
		if service.gone != (service.name == "0") {
			t.Errorf("%s: gone is %v", service.name, service.gone)
		}
	}
	if err := os.Rename(b.dir+"/.00", b.dir+"/new"); err != nil {
		t.Fatal(err)
	}
	if !b.survey() {
		t.Error("nobody notices the way back")
	}
}

// TestForgetNeverHeld gives up what is gone before anybody has held it, and
// nothing else.
func TestForgetNeverHeld(t *testing.T) {
	for _, c := range []struct{ gone, claimed, want bool }{
		{true, false, true},
		{true, true, false},
		{false, false, false},
	} {
		service := newBridged(&bridge{}, units.Service{Name: "s", Log: true, Gone: c.gone}, !c.claimed)
		if got := service.isOver(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	b := bridgeOn(t, 1)
	for _, service := range b.services {
		service.claimed = false
		if !service.main.hold() || !service.claimed {
			t.Error("it was not held")
		}
		service.gone = true
		service.main.letGo()
		if service.isOver() {
			t.Error("what was held and let go for a while is forgotten")
		}
	}
}

// BenchmarkLook1000 is the look every five seconds, in CPU time: of 1,000
// services, two thirds of them with a log.
func BenchmarkLook1000(b *testing.B) {
	bridge := bridgeOn(b, 1000)
	b.ReportAllocs()
	b.ResetTimer()
	var before, after unix.Rusage
	runtime.LockOSThread()
	unix.Getrusage(unix.RUSAGE_THREAD, &before)
	for range b.N {
		bridge.survey()
		for _, service := range bridge.services {
			service.visit()
		}
	}
	unix.Getrusage(unix.RUSAGE_THREAD, &after)
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/op")
}

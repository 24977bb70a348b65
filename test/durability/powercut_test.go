//go:build durability

package durability

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/internal/queue"
)

const (
	// cutsPerRun is how many cuts are made of one run of the queue service.
	cutsPerRun = 25

	// messages is about how many are accepted in a run.
	messages = 100
)

// TestPowerCut cuts the power of the file system of a queue that takes
// messages: what was accepted before is there after the service has been
// started again, complete, and once.
func TestPowerCut(t *testing.T) {
	for i, kind := range fileSystems {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			p := newPower(t, kind, uint64(*seed)+uint64(i))
			for n := 0; n < *cuts && !t.Failed(); n += cutsPerRun {
				p.record(t)
				p.cutOften(t, min(cutsPerRun, *cuts-n))
			}
			t.Logf("%d cuts, %d of them while the service recovered from another, in %d runs with %d accepted messages; seed %d",
				p.made, p.again, p.runs, p.accepted, *seed)
		})
	}
}

// TestPowerCutAtStart cuts the power at evenly spaced moments of a few starts
// of the service, with a message or two after each: after a kill, which leaves
// it something to recover, and after a stop, which leaves nothing.
func TestPowerCutAtStart(t *testing.T) {
	for i, kind := range fileSystems {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			p := newPower(t, kind, uint64(*seed)+uint64(i))
			d := newDisk(p.size, p.base.clone())
			path := p.mount(t, p.shelf, d)
			home := path + "/qmail"
			p.ledger = newLedger(d.position)
			for start, kill := range []bool{true, false, true, false, false} {
				service := startQueue(t, home)
				if start == 0 {
					d.forget()
				}
				client := queue.NewClient(home)
				l := newLoad(p.ledger)
				l.small = true
				for range 3 {
					l.add(bySocket{client}, p.random.Uint64(), 2)
				}
				l.wait()
				client.Close()
				if kill {
					service.kill()
				} else {
					service.stop(t)
				}
			}
			p.recorded = d.recorded()
			unmount(t, path)
			p.shelf.remove(d)
			c := newCutter(p.recorded)
			for n := 0; n <= *cuts && !t.Failed(); n++ {
				position := len(c.events) * n / *cuts
				f := fate{stay: float64(p.random.IntN(2))}
				left := c.cut(position, f, p.random)
				_, _, wrong := p.recover(t, left, p.ledger.at(position, nil), patient)
				p.report(t, fmt.Sprintf("cut after %d of %d events, unflushed writes %+v", position, len(c.events), f), left, wrong)
			}
			t.Logf("%d cuts in %d events", *cuts+1, len(c.events))
		})
	}
}

// TestPowerCutWithoutSync has queue services whose syncs do nothing, all or
// some of them: the cuts must find that out.
func TestPowerCutWithoutSync(t *testing.T) {
	for i, kind := range fileSystems {
		for _, when := range []string{"1+1", "3+3"} {
			t.Run(kind.name+" "+when, func(t *testing.T) {
				t.Parallel()
				p := newPower(t, kind, uint64(*seed)+uint64(i))
				p.behind = withoutSync(when)
				for made := 0; made < 200; {
					p.record(t)
					c := newCutter(p.recorded)
					for _, position := range p.positions(40) {
						made++
						left := c.cut(position, fate{}, p.random)
						if _, _, wrong := p.recover(t, left, p.ledger.at(position, nil), time.Second); wrong != nil {
							t.Logf("found by cut %d, after %d of %d events: %s", made, position, len(c.events), wrong[0])
							return
						}
					}
				}
				t.Error("a queue service without syncs has lost nothing")
			})
		}
	}
}

// A power makes power failures of a queue.
type power struct {
	fileSystem
	shelf  *shelf
	random *rand.Rand
	base   image    // with an empty queue
	behind []string // runs the queue service that is recorded

	ledger   *ledger // of the last run
	recorded record

	made, again, runs, accepted int
}

func newPower(t *testing.T, kind fileSystem, seed uint64) *power {
	t.Helper()
	p := &power{fileSystem: kind, shelf: newShelf(t), random: rand.New(rand.NewPCG(seed, 2))}
	d := kind.formatted(t, p.shelf)
	path := kind.mount(t, p.shelf, d)
	makeHome(t, path+"/qmail")
	unmount(t, path)
	p.base = d.now
	return p
}

// record runs the queue service under load. The service is killed and stopped
// at times, and in half of the runs messages are taken out of the queue.
func (p *power) record(t *testing.T) {
	t.Helper()
	p.runs++
	d := newDisk(p.size, p.base.clone())
	path := p.mount(t, p.shelf, d)
	home := path + "/qmail"
	service := startQueue(t, home, p.behind...)
	d.forget()
	p.ledger = newLedger(d.position)
	client := queue.NewClient(home)
	defer client.Close()
	l := newLoad(p.ledger)
	clients := 1 + p.random.IntN(8)
	for range clients {
		l.add(bySocket{client}, p.random.Uint64(), messages/clients+1)
	}
	var taking *delivery
	if p.random.IntN(2) == 0 {
		taking = deliver(t, p.ledger, home)
	}
	for at := p.random.IntN(50); at < messages; at += 1 + p.random.IntN(messages/2) {
		eventually(t, "messages are accepted", func() bool { return p.ledger.accepted() >= at })
		if p.random.IntN(2) == 0 {
			service.kill()
		} else {
			service.stop(t)
		}
		service = startQueue(t, home, p.behind...)
	}
	l.wait()
	if taking != nil {
		taking.finish()
	}
	service.kill()
	p.recorded = d.recorded()
	p.accepted += p.ledger.accepted()
	unmount(t, path)
	p.shelf.remove(d)
}

// positions returns at which events to cut the power: half of them just when
// a client had its answer.
func (p *power) positions(n int) []int {
	var answered []int
	for _, a := range p.ledger.attempts {
		if a.accepted != never {
			answered = append(answered, a.accepted)
		}
	}
	var at []int
	for i := range n {
		if i%2 == 0 {
			at = append(at, answered[p.random.IntN(len(answered))])
		} else {
			at = append(at, p.random.IntN(len(p.recorded.events)+1))
		}
	}
	slices.Sort(at)
	return at
}

// cutOften cuts the power of the last run n times; some of the times again
// while the service recovers.
func (p *power) cutOften(t *testing.T, n int) {
	t.Helper()
	c := newCutter(p.recorded)
	positions := p.positions(n)
	for i := 0; i < n && !t.Failed(); i++ {
		f := randomFate(p.sector, p.random)
		known := p.ledger.at(positions[i], nil)
		left := c.cut(positions[i], f, p.random)
		what := fmt.Sprintf("run %d, cut after %d of %d events, unflushed writes %+v", p.runs, positions[i], len(c.events), f)
		recovery, known, wrong := p.recover(t, left, known, patient)
		p.made++
		p.report(t, what, left, wrong)
		if i+1 < n && p.random.IntN(4) == 0 && wrong == nil {
			i++
			position := p.random.IntN(len(recovery.events) + 1)
			f = randomFate(p.sector, p.random)
			left = newCutter(recovery).cut(position, f, p.random)
			what += fmt.Sprintf(", and of its recovery after %d of %d, %+v", position, len(recovery.events), f)
			_, _, wrong = p.recover(t, left, known.at(position, nil), patient)
			p.made++
			p.again++
			p.report(t, what, left, wrong)
		}
	}
}

// recover mounts what is left, starts the queue service, waits for the
// messages, at most for limit, and tells what is wrong with the queue. It
// returns what happened to the disk meanwhile, and what was known then.
func (p *power) recover(t *testing.T, left image, known *ledger, limit time.Duration) (record, *ledger, []string) {
	t.Helper()
	d := newDisk(p.size, left.clone())
	known.position = d.position
	path, err := p.tryMount(t, p.shelf, d)
	if err != nil {
		return d.recorded(), known, []string{err.Error()}
	}
	home := path + "/qmail"
	service := startQueue(t, home)
	client := queue.NewClient(home)
	last := known.begin(1000, false)
	if err := (bySocket{client}).submit(last); err != nil {
		t.Fatalf("the service does not take messages again: %v; it said %q", err, service.said.String())
	}
	known.accept(last)
	client.Close()
	for deadline := time.Now().Add(limit); len(known.missing(home)) > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	service.stop(t)
	r := d.recorded()
	wrong := known.check(home, true)
	if wrong != nil && service.said.String() != "" {
		wrong = append(wrong, "the service said "+service.said.String())
	}
	unmount(t, path)
	p.shelf.remove(d)
	return r, known, wrong
}

func (p *power) report(t *testing.T, what string, left image, wrong []string) {
	t.Helper()
	if wrong == nil {
		return
	}
	t.Errorf("%s:\n%s", what, strings.Join(wrong, "\n"))
	if *keep != "" {
		path := filepath.Join(*keep, fmt.Sprintf("%s-%d-%d", p.name, *seed, p.made))
		must(t, left.save(path, p.size))
		t.Logf("the disk is in %s", path)
	}
}

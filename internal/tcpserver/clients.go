package tcpserver

import (
	"net/netip"
	"sync"
	"time"
)

// clients is what is remembered of the addresses that connect. An IPv6
// network of 64 bits, of which one client can use every address, counts as
// one address.
type clients struct {
	mu     sync.Mutex
	active map[netip.Addr]uint64 // connections that there are

	// due is, for an address whose rate is limited, when its last connection
	// would have come if it had kept to the rate. A time that is past is as
	// good as none.
	due     map[netip.Addr]time.Time
	sweepAt int // how many times there may be before those past are dropped
}

func newClients() *clients {
	return &clients{active: map[netip.Addr]uint64{}, due: map[netip.Addr]time.Time{}, sweepAt: 1024}
}

func clientOf(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return addr
	}
	return network.Addr()
}

// enter counts a connection from addr and returns how many there are now.
func (c *clients) enter(addr netip.Addr) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active[clientOf(addr)]++
	return c.active[clientOf(addr)]
}

// leave counts the end of a connection that was counted.
func (c *clients) leave(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr = clientOf(addr)
	if c.active[addr]--; c.active[addr] == 0 {
		delete(c.active, addr)
	}
}

// keepsRate tells whether a connection from addr at the time now is within
// the rate of so many a minute, and counts it if it is. The first ones may
// come all at once.
func (c *clients) keepsRate(addr netip.Addr, now time.Time, perMinute uint64) bool {
	if perMinute == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	addr = clientOf(addr)
	due := c.due[addr]
	if due.Before(now) {
		due = now
	}
	due = due.Add(time.Minute / time.Duration(min(perMinute, uint64(time.Minute))))
	if due.Sub(now) > time.Minute {
		return false
	}
	c.due[addr] = due
	if len(c.due) > c.sweepAt {
		c.sweep(now)
	}
	return true
}

func (c *clients) sweep(now time.Time) {
	for addr, due := range c.due {
		if due.Before(now) {
			delete(c.due, addr)
		}
	}
	c.sweepAt = max(1024, 2*len(c.due))
}

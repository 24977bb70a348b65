// Package network offers, for tests, services of the internet on loopback:
// names and ident, each at an address of its own, since they have fixed ports.
// It needs root.
package network

import (
	"fmt"
	"math/rand/v2"
)

// T is what a service needs of the test that it is for.
type T interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// Loopback returns an address of this machine that no other test is likely
// to use.
func Loopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 64+rand.N(64), rand.N(256), 1+rand.N(254))
}

package traffic

import (
	"testing"

	"qmail-smtpd/test/machine"
)

// TestUnfinished ends a test in the midst of its traffic, as one does that
// fails: that must not hang.
func TestUnfinished(t *testing.T) {
	m := machine.Start(t)
	t.Run("test", func(t *testing.T) {
		tr := Start(t, m, 2)
		tr.mu.Lock()
		defer tr.mu.Unlock()
		for len(tr.Refused) == 0 {
			tr.cond.Wait()
		}
	})
	m.Sh("! pgrep python3")
}

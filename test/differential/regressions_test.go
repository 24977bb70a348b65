package differential

import (
	"strings"
	"testing"
)

// TestRegressions has the differences that were found once.
func TestRegressions(t *testing.T) {
	both := sides(t)
	for name, c := range map[string]Case{
		"tcpserver names a bad port before a missing program": {Args: []string{"tcpserver", "127.0.0.1", "nosuchport"}},
		"tcpclient names a bad port before a missing program": {Args: []string{"tcpclient", "127.0.0.1", "nosuchport"}},
		"fixcrio passes on what a program wrote that reads nothing and ends at once": {
			Args: []string{"fixcrio", "sh", "-c", `printf 'a\nb\r\nc'; exit 3`}, Stdin: "a\r\r\r\n",
		},
		"multilog keeps nothing of what an empty processor gets": {
			Args: []string{"multilog", "s4096", "!", "./log"}, Stdin: "z\n" + strings.Repeat("y", 4095) + "\n", Normal: logged,
		},
	} {
		if diff := c.differs(t, both); diff != "" {
			t.Errorf("%s: %s (-original +ours):\n%s", name, c, diff)
		}
	}
}

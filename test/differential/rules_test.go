package differential

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ruleLine returns a line of rules, good or bad.
func ruleLine(r *rand.Rand) string {
	address := pick(r, "", "1.2.3.4", "1.2.3.", "1.2.", "1.", "10.0.0.1-5", "10.0.250-260.", "5-3.", "1-x.", "=", "=.example.org",
		"=host.example.org", "info@1.2.3.4", "@1.2.3.4", "i-5@1.2.3.4", "=a-b", "10.0.0.0/8", "-", "1-2-3", "1.2.3.4 ", " 1.2.3.4", "127.", "::1",
		"99999999999-1.", "#1", "1.2.3.0-255")
	instruction := pick(r, "allow", "deny", "allow", "deny", "allo", "", "ALLOW", "allowx", "denyfoo", "allow,", "deny,A")
	for range r.IntN(3) {
		instruction += pick(r, `,A="b"`, `,RELAYCLIENT=""`, `,B=/x y/`, `,A==x=`, `,C="`, `,="x"`, `,D="x"y`, `,E=,,`, `, F="x"`, ",G=\"\xff\x01\"")
	}
	line := address + pick(r, ":", ":", ":", ":", ":", "") + instruction + pick(r, "", "", "", " ", "\t ", "\r", "\x00")
	return pick(r, "", "", "", "", "", "#") + line
}

func ruleText(r *rand.Rand, good int) string {
	var b strings.Builder
	for range r.IntN(12) {
		if r.IntN(100) < good {
			fmt.Fprintf(&b, "%s:%s%s\n", pick(r, "1.2.3.4", "1.2.3.", "1.2.", "=.example.org", "=", "", "info@1.2.3.4", "info@=a.example.org", "10.0.0.1-3", "127."),
				pick(r, "allow", "deny"), pick(r, "", `,A="b"`, `,A="1",B="2"`))
		} else {
			b.WriteString(ruleLine(r) + "\n")
		}
	}
	if r.IntN(10) == 0 {
		b.WriteString("1.2.3.4:deny")
	}
	return b.String()
}

func TestTcprules(t *testing.T) {
	fuzz(t, func(r *rand.Rand) Case {
		c := Case{Args: []string{"tcprules"}, Stdin: ruleText(r, 85), User: pick(r, uint32(0), nobody)}
		c.Args = append(c.Args, pick(r, "tcp.cdb", "tcp.cdb", "tcp.cdb", "directory", "missing/x", ""))
		c.Args = append(c.Args, pick(r, "tcp.tmp", "tcp.tmp", "tcp.tmp", "directory", "missing/x", "readonly", ""))
		c.Args = c.Args[:pick(r, 3, 3, 3, 3, 3, 3, 3, 2, 1)]
		c.Args = append(c.Args, pick(r, nil, nil, nil, []string{"more"})...)
		c.Files = []File{
			{Path: "tcp.cdb", Mode: 0o600, Content: "old"},
			{Path: "directory", Mode: fs.ModeDir | 0o755},
			{Path: "readonly", Mode: 0o444},
		}
		return c
	})
}

func TestTcprulescheck(t *testing.T) {
	original := sides(t)[0]
	fuzz(t, func(r *rand.Rand) Case {
		c := Case{Args: []string{"tcprulescheck", pick(r, "tcp.cdb", "tcp.cdb", "tcp.cdb", "tcp.cdb", "missing", "")}}
		c.Env = append(c.Env, pick(r, nil, []string{"TCPREMOTEIP=" + pick(r, "1.2.3.4", "1.2.3.9", "1.9.9.9", "127.0.0.1", "10.0.0.2", "::1", "", "x", "1.2.3.4.5", ".")})...)
		c.Env = append(c.Env, pick(r, nil, []string{"TCPREMOTEHOST=" + pick(r, "a.example.org", "host.example.org", "x", "", ".", "..org")})...)
		c.Env = append(c.Env, pick(r, nil, []string{"TCPREMOTEINFO=" + pick(r, "info", "", "i@x")})...)
		content := string(compiled(t, original, ruleText(r, 100)))
		switch r.IntN(8) {
		case 0:
			content = spoilt(r, content)
		case 1:
			content = content[:r.IntN(len(content)+1)]
		}
		c.Files = []File{{Path: "tcp.cdb", Mode: 0o644, Content: content}}
		c.Excused = func(original, ours Outcome) bool {
			// Ours also looks where prefixes would be.
			return original.Status == "signal 11" || original.Status == "signal 7" || strings.HasSuffix(ours.Stderr, ": protocol error\n")
		}
		if r.IntN(30) == 0 {
			c.Args = c.Args[:1]
		}
		return c
	})
}

// spoilt changes numbers in a cdb.
func spoilt(r *rand.Rand, content string) string {
	b := []byte(content)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(b)/4) * 4
		if len(b) > 2048 && r.IntN(2) == 0 {
			at = 2048 + r.IntN((len(b)-2048)/4+1)*4
		}
		if at+4 <= len(b) {
			binary.LittleEndian.PutUint32(b[at:], pick(r, 0, 1, 2048, uint32(len(b)), uint32(len(b))-1, 1<<31, 1<<32-1, r.Uint32N(4096)))
		}
	}
	return string(b)
}

// compiled returns the cdb of rules.
func compiled(t *testing.T, s side, rules string) []byte {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, "tcprules"), "tcp.cdb", "tcp.tmp")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%q: %v %s", rules, err, out)
	}
	cdb, _ := os.ReadFile(dir + "/tcp.cdb")
	return cdb
}

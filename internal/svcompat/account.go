package svcompat

import (
	"os"
	"strconv"
	"strings"
)

const passwdFile = "/etc/passwd"

// An account is what setuidgid and envuidgid need of a line of the passwd
// file.
type account struct{ uid, gid uint32 }

// lookUp finds the account name in the passwd file.
func lookUp(name string) (account, bool) {
	content, err := os.ReadFile(passwdFile)
	if err != nil {
		return account{}, false
	}
	return findAccount(string(content), name)
}

// findAccount finds name in the text of a passwd file, see passwd(5). It
// passes over lines without a uid and a gid, and those of "+" and "-", which
// stand for other sources. As in the C library, the fields after the gid may
// be missing.
func findAccount(passwd, name string) (account, bool) {
	if name == "" || name[0] == '+' || name[0] == '-' {
		return account{}, false
	}
	var line string
	for passwd != "" {
		line, passwd, _ = strings.Cut(passwd, "\n")
		rest, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		fields := strings.Split(rest, ":")
		if len(fields) < 3 {
			continue
		}
		uid, err1 := strconv.ParseUint(fields[1], 10, 32)
		gid, err2 := strconv.ParseUint(fields[2], 10, 32)
		if err1 == nil && err2 == nil {
			return account{uint32(uid), uint32(gid)}, true
		}
	}
	return account{}, false
}

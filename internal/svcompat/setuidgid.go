package svcompat

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Setuidgid runs a program under the uid and gid of an account.
func Setuidgid(args []string) int {
	const name = "setuidgid"
	if len(args) < 3 {
		return command.Usage(name, "setuidgid account child")
	}
	to, ok := lookUp(args[1])
	if !ok {
		return command.Fatal(name, "unknown account "+args[1], nil)
	}
	if !to.isCurrent() {
		if err := setGroups(int(to.gid)); err != nil {
			return command.Fatal(name, "unable to setgid", err)
		}
		if err := syscall.Setuid(int(to.uid)); err != nil {
			return command.Fatal(name, "unable to setuid", err)
		}
	}
	err := command.Exec(args[2:], os.Environ())
	return command.Fatal(name, "unable to run "+args[2], err)
}

// isCurrent tells whether this process runs as a already, in every respect
// that set*id calls change but the supplementary groups: whoever started it
// as that account may lack the privilege for any such call.
func (a account) isCurrent() bool {
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	return [...]int{ruid, euid, suid} == [...]int{int(a.uid), int(a.uid), int(a.uid)} &&
		[...]int{rgid, egid, sgid} == [...]int{int(a.gid), int(a.gid), int(a.gid)}
}

// setGroups makes gid the only group of this process.
func setGroups(gid int) error {
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return err
	}
	return syscall.Setgid(gid)
}

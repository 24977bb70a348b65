package tcpserver

import "syscall"

// dropPrivileges changes the group, with the supplementary groups, and the
// user of the whole process; 0 leaves one as it is. What the process has
// already is not set again: under a sandbox even the attempt is fatal.
func dropPrivileges(uid, gid uint32) error {
	if gid != 0 && !(same(gid, syscall.Getgid(), syscall.Getegid()) && syscall.Geteuid() != 0) {
		err := syscall.Setgroups([]int{int(gid)})
		if err == nil {
			err = syscall.Setgid(int(gid))
		}
		if err != nil {
			return &failure{"unable to set gid", err}
		}
	}
	if uid != 0 && !same(uid, syscall.Getuid(), syscall.Geteuid()) {
		return failed("unable to set uid", syscall.Setuid(int(uid)))
	}
	return nil
}

func same(id uint32, real, effective int) bool {
	return int(id) == real && int(id) == effective
}

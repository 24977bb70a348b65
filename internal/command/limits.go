package command

import (
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Limit is a soft resource limit to be set on a program.
type Limit struct {
	Resource int    // unix.RLIMIT_DATA and so on
	Soft     uint64 // in the unit of the resource
}

// limitsVariable carries limits through our own programs. A memory limit of
// the classic sizes, such as the 250000 bytes of a stock env/DATALIMIT, kills
// every Go program before its first instruction; it is meant for the program
// at the end of the chain.
const limitsVariable = "SVCOMPAT_LIMITS"

// HandLimits returns env with limits added to those that Exec sets on the
// first program of the chain that is not ours.
func HandLimits(env []string, limits []Limit) []string {
	all := append(HandedLimits(env), limits...)
	words := make([]string, len(all))
	for i, limit := range all {
		words[i] = strconv.Itoa(limit.Resource) + "=" + strconv.FormatUint(limit.Soft, 10)
	}
	return Setenv(env, limitsVariable, strings.Join(words, ","))
}

// HandedLimits returns the limits that env hands on, in the order in which
// they are to be set; nil where there are none.
func HandedLimits(env []string) []Limit {
	var limits []Limit
	for _, entry := range env {
		list, ok := strings.CutPrefix(entry, limitsVariable+"=")
		if !ok {
			continue
		}
		for _, word := range strings.Split(list, ",") {
			resource, soft, _ := strings.Cut(word, "=")
			r, err1 := strconv.Atoi(resource)
			s, err2 := strconv.ParseUint(soft, 10, 64)
			if err1 == nil && err2 == nil {
				limits = append(limits, Limit{r, s})
			}
		}
	}
	return limits
}

// WithoutLimits returns env without the limits that it hands on.
func WithoutLimits(env []string) []string {
	return Unsetenv(env, limitsVariable)
}

// LimitsFor tells how to start the program at path with the environment env:
// which limits to set on it, and its environment. One of ours gets none but
// env as it is, to hand them on; any other gets those that env hands on, and
// env without them.
func LimitsFor(path string, env []string) (limits []Limit, own []string) {
	limits = HandedLimits(env)
	if limits == nil || Ours(path) {
		return nil, env
	}
	return limits, WithoutLimits(env)
}

// SetLimits sets limits on the process pid, clamped to its hard limits; what
// cannot be set is passed over, as in softlimit.
func SetLimits(pid int, limits []Limit) {
	for _, limit := range limits {
		var old unix.Rlimit
		if unix.Prlimit(pid, limit.Resource, nil, &old) != nil {
			continue
		}
		unix.Prlimit(pid, limit.Resource, &unix.Rlimit{Cur: min(limit.Soft, old.Max), Max: old.Max}, nil)
	}
}

// execUnder sets limits on this process and replaces it by the program at
// path. Once they are set nothing may allocate: they may be below what this
// process has mapped already.
func execUnder(limits []Limit, path string, args, env []string) error {
	pathPointer, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	argPointers, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return err
	}
	envPointers, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	restoreOpenFiles()
	old := make([]unix.Rlimit, len(limits))
	set := make([]unix.Rlimit, len(limits))
	for i, limit := range limits {
		if err := unix.Getrlimit(limit.Resource, &old[i]); err != nil {
			return err
		}
		set[i] = unix.Rlimit{Cur: min(limit.Soft, old[i].Max), Max: old[i].Max}
	}
	for i, limit := range limits {
		syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, uintptr(limit.Resource), uintptr(unsafe.Pointer(&set[i])), 0, 0, 0)
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(pathPointer)),
		uintptr(unsafe.Pointer(&argPointers[0])), uintptr(unsafe.Pointer(&envPointers[0])))
	for i, limit := range limits {
		syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, uintptr(limit.Resource), uintptr(unsafe.Pointer(&old[i])), 0, 0, 0)
	}
	return errno
}

// restoreOpenFiles puts back the soft limit of open files that the Go runtime
// raised at the start. It does so itself in every exec that it is asked for;
// one that cannot succeed serves those that it does not see.
func restoreOpenFiles() {
	unix.Exec("", []string{""}, nil)
}

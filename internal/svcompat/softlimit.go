package svcompat

import (
	"math"
	"os"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// softlimitResources are the resources that each option of softlimit limits.
var softlimitResources = map[string][]int{
	"a": {unix.RLIMIT_AS},
	"c": {unix.RLIMIT_CORE},
	"d": {unix.RLIMIT_DATA},
	"f": {unix.RLIMIT_FSIZE},
	"l": {unix.RLIMIT_MEMLOCK},
	"m": {unix.RLIMIT_DATA, unix.RLIMIT_STACK, unix.RLIMIT_MEMLOCK, unix.RLIMIT_AS},
	"o": {unix.RLIMIT_NOFILE},
	"p": {unix.RLIMIT_NPROC},
	"r": {unix.RLIMIT_RSS},
	"s": {unix.RLIMIT_STACK},
	"t": {unix.RLIMIT_CPU},
}

// Softlimit runs a program under soft resource limits. Those that a Go
// program cannot live under are handed on to the first program of the chain
// that is not one of ours.
func Softlimit(args []string) int {
	const name = "softlimit"
	options := command.NewGetopt(args, "a:c:d:f:l:m:o:p:r:s:t:")
	var limits, handed []command.Limit
	for {
		option, argument, ok := options.Next()
		if !ok {
			break
		}
		resources, known := softlimitResources[option]
		soft, valid := softLimit(argument)
		if !known || !valid {
			return softlimitUsage()
		}
		for _, resource := range resources {
			limit := command.Limit{Resource: resource, Soft: soft}
			switch resource {
			case unix.RLIMIT_DATA, unix.RLIMIT_STACK, unix.RLIMIT_AS:
				handed = append(handed, limit)
			default:
				limits = append(limits, limit)
			}
		}
	}
	child := options.Rest()
	if len(child) == 0 {
		return softlimitUsage()
	}
	for _, limit := range limits {
		var rlimit unix.Rlimit
		if err := unix.Getrlimit(limit.Resource, &rlimit); err != nil {
			return command.Fatal(name, "getrlimit failed", err)
		}
		rlimit.Cur = min(limit.Soft, rlimit.Max)
		if err := unix.Setrlimit(limit.Resource, &rlimit); err != nil {
			return command.Fatal(name, "setrlimit failed", err)
		}
	}
	env := os.Environ()
	if handed != nil {
		env = command.HandLimits(env, handed)
	}
	err := command.Exec(child, env)
	return command.Fatal(name, "unable to run "+child[0], err)
}

func softlimitUsage() int {
	return command.Usage("softlimit", "softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child")
}

// softLimit reads the argument of an option: a number, or "=" for the hard
// limit.
func softLimit(argument string) (soft uint64, ok bool) {
	if argument == "=" {
		return math.MaxUint64, true
	}
	soft, taken := command.ScanNumber(argument)
	return soft, taken == len(argument)
}

package svcompat

import (
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// exitTimeout is the exit code of svwait when time is up, as in s6.
const exitTimeout = 99

// Svwait waits until services are up, down or restarted.
func Svwait(args []string) int {
	const name = "svwait"
	const usage = "svwait -u|-d|-r seconds dir ... [ -- program ]"
	options := command.NewGetopt(args, "u:d:r:")
	goal, seconds := "", uint64(0)
	for {
		option, argument, ok := options.Next()
		if !ok {
			break
		}
		if option == "?" || goal != "" {
			return command.Usage(name, usage)
		}
		var taken int
		goal = option
		if seconds, taken = command.ScanNumber(argument); taken == 0 || taken < len(argument) || seconds > math.MaxInt32 {
			return command.Permanent(name, "not a number of seconds: "+argument, nil)
		}
	}
	dirs, program := options.Rest(), []string(nil)
	if at := slices.Index(dirs, "--"); at >= 0 {
		dirs, program = dirs[:at], dirs[at+1:]
		if len(program) == 0 {
			return command.Usage(name, usage)
		}
	}
	if goal == "" || len(dirs) == 0 {
		return command.Usage(name, usage)
	}

	end := time.Now().Add(time.Duration(seconds) * time.Second)
	w, what, why := newWaiter(goal, dirs)
	if what == "" && program != nil {
		what, why = runProgram(program)
	}
	if what == "" {
		what, why = w.wait(end)
	}
	switch {
	case what != "":
		return command.Fatal(name, what, why)
	case w.missing > 0:
		w.explain(name, seconds)
		return exitTimeout
	}
	return 0
}

// runProgram runs a program to its end. It returns what failed and why, or
// nothing.
func runProgram(args []string) (what string, why error) {
	path, err := command.Find(args[0])
	if err != nil {
		return "unable to run " + args[0], err
	}
	pid, _, err := StartProcess(path, args, os.Environ(), "", 0, 1)
	if err != nil {
		return "unable to run " + args[0], err
	}
	var status unix.WaitStatus
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Wait4(pid, &status, 0, nil)
	}
	switch {
	case err != nil:
		return "unable to wait for " + args[0], err
	case status.Signaled():
		return args[0] + " was killed by signal " + strconv.Itoa(int(status.Signal())), nil
	case status.ExitStatus() != 0:
		return args[0] + " failed with exit code " + strconv.Itoa(status.ExitStatus()), nil
	}
	return "", nil
}

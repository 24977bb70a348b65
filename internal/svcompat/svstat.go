package svcompat

import (
	"os"
	"time"

	"qmail-smtpd/internal/command"
)

// Svstat prints the state of services, one line each. Options that the
// classic does not have print fields or JSON instead, or have the exit code
// tell whether all are up.
func Svstat(args []string) int {
	options, exit := parseSvstat(args)
	if exit != 0 {
		return exit
	}
	var reader stateReader
	var service namedState // one for all: it escapes
	var failed error
	out := make([]byte, 0, 4<<10)
	write := func() {
		if _, err := os.Stdout.Write(out); err != nil && failed == nil {
			failed = err
		}
		out = out[:0]
	}
	if options.json {
		out = append(out, '[')
	}
	for i, dir := range options.dirs {
		service = namedState{dir, reader.read(dir), time.Now()}
		if options.allUp && !service.isUp() {
			exit = 1
		}
		switch {
		case options.json:
			if i > 0 {
				out = append(out, ',')
			}
			out = service.appendJSON(append(out, '\n'), options.fields)
		case options.fields != nil:
			out = service.appendFields(out, options.fields)
			if service.failed != "" {
				command.Warning("svstat", dir+": "+service.failed, service.why)
			}
		default:
			out = append(append(out, dir...), ": "...)
			out = append(service.appendText(out, service.now), '\n')
		}
		if len(out) > cap(out)*3/4 {
			write()
		}
	}
	if options.json {
		out = append(out, "\n]\n"...)
	}
	write()
	if failed != nil && !options.classic() {
		return command.Fatal("svstat", "unable to write output", failed)
	}
	return exit
}

type svstatOptions struct {
	fields      []field // nil: lines in the words of the classic
	json, allUp bool
	dirs        []string
}

func (o *svstatOptions) classic() bool { return o.fields == nil && !o.allUp }

// parseSvstat reads the command line. The classic has no options, so any word
// but ours is a directory. exit is not 0 where the line is wrong.
func parseSvstat(args []string) (options svstatOptions, exit int) {
	const name = "svstat"
	const usage = "svstat [ -o field,... ] [ --json ] [ --all-up ] [ dir ... ]"
	o := &options
	for o.dirs = args[1:]; len(o.dirs) > 0; o.dirs = o.dirs[1:] {
		switch o.dirs[0] {
		case "--json":
			o.json = true
			continue
		case "--all-up":
			o.allUp = true
			continue
		case "-o":
			if len(o.dirs) == 1 {
				return options, command.Usage(name, usage)
			}
			var unknown string
			if o.fields, unknown = parseFields(o.dirs[1]); unknown != "" {
				return options, command.Permanent(name, "unknown field "+unknown, nil)
			}
			o.dirs = o.dirs[1:]
			continue
		}
		break
	}
	if o.allUp && len(o.dirs) == 0 {
		return options, command.Usage(name, usage)
	}
	if o.json && o.fields == nil {
		o.fields = allFields
	}
	return options, 0
}

package svcompat

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Svls prints a table of services and their logs, for people.
func Svls(args []string) int {
	const name = "svls"
	const usage = "svls [ -d scandir | dir ... ]"
	options := command.NewGetopt(args, "d:")
	scandir := ""
	for {
		option, argument, ok := options.Next()
		if !ok {
			break
		}
		if option == "?" {
			return command.Usage(name, usage)
		}
		scandir = argument
	}
	dirs := options.Rest()
	if scandir != "" && len(dirs) > 0 {
		return command.Usage(name, usage)
	}
	var services []listed
	if len(dirs) > 0 {
		for _, dir := range dirs {
			services = append(services, listed{dir, dir})
		}
	} else {
		if scandir == "" {
			scandir = "/service"
		}
		var err error
		if services, err = scan(scandir); err != nil {
			return command.Fatal(name, "unable to read directory "+scandir, err)
		}
	}
	out := table(services, time.Now()).appendText(nil, terminalOf(unix.Stdout))
	if _, err := os.Stdout.Write(out); err != nil {
		return command.Fatal(name, "unable to write output", err)
	}
	return 0
}

// A listed is a service directory of svls.
type listed struct {
	name string // in the table
	dir  string
}

// scan returns the service directories in a scan directory, those that svscan
// sees there, by name.
func scan(scandir string) ([]listed, error) {
	names, err := readDirNames(scandir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var services []listed
	for _, name := range names {
		if dir := scandir + "/" + name; name[0] != '.' && isDirectory(dir) {
			services = append(services, listed{name, dir})
		}
	}
	return services, nil
}

func isDirectory(path string) bool {
	var info unix.Stat_t
	return unix.Stat(path, &info) == nil && info.Mode&unix.S_IFMT == unix.S_IFDIR
}

// table makes the rows of services, each followed by that of its log.
func table(services []listed, now time.Time) rows {
	var reader stateReader
	rows := rows{{
		name: "NAME", state: "STATE", pid: "PID", since: "SINCE", restarts: "RESTARTS", last: "LAST LOG LINE",
	}}
	for _, service := range services {
		main := newRow(namedState{service.dir, reader.read(service.dir), now})
		main.name = visible(service.name)
		log := service.dir + "/log"
		if !isDirectory(log) {
			rows = append(rows, main)
			continue
		}
		if main.last == "" {
			main.last = visible(localLine(lastLine(log)))
		}
		row := newRow(namedState{log, reader.read(log), now})
		row.name = main.name + "/log"
		rows = append(rows, main, row)
	}
	reader.flush()
	return rows
}

// A row is a line of the table, of printable ASCII alone.
type row struct {
	name, state, pid, since, restarts string
	last                              string // line of the log, or what is wrong
	mood                              mood
}

// A mood is how a service does at a glance.
type mood int

const (
	plain mood = iota
	fine
	unusual
	bad
)

func newRow(service namedState) row {
	r := row{state: service.word(), pid: "-", since: "-", restarts: "-"}
	if service.failed != "" {
		r.mood = bad
		r.last = service.failed + ": " + command.ErrText(service.why)
		return r
	}
	if !service.supervised {
		r.mood = bad
		return r
	}
	r.since = localTime(service.Since)
	if restarts, err := Restarts(service.name, service.now.Add(-restartsWindow)); err == nil {
		r.restarts = strconv.Itoa(restarts)
	}
	up := service.PID != 0
	if up {
		r.pid = strconv.FormatUint(uint64(service.PID), 10)
		r.mood = fine
	}
	remark := func(applies bool, text string, mood mood) {
		if applies {
			r.state += ", " + text
			r.mood = max(r.mood, mood)
		}
	}
	remark(up && !service.normallyUp, "normally down", unusual)
	remark(up && service.Paused, "paused", unusual)
	remark(up && service.Want == WantDown, "want down", unusual)
	remark(!up && service.normallyUp, "normally up", bad)
	remark(!up && service.Want == WantUp, "want up", bad)
	return r
}

func localTime(t time.Time) string { return t.Local().Format(time.DateTime) }

// rows are a table with its heading.
type rows []row

// appendText appends the table as it suits the terminal.
func (rows rows) appendText(b []byte, terminal terminal) []byte {
	const columns = 5
	var widths [columns]int
	for _, r := range rows {
		for i, cell := range r.cells() {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, cell := range r.cells() {
			space := strings.Repeat(" ", widths[i]-len(cell))
			if i == 2 || i == 4 { // numbers
				cell, space = space+cell, ""
			}
			line.WriteString(cell + space + "  ")
		}
		text := strings.TrimRight(line.String()+r.last, " ")
		if terminal.width > 0 && len(text) > terminal.width {
			text = text[:terminal.width]
		}
		b = terminal.appendColoured(b, text, widths[0]+2, len(r.state), r.mood)
		b = append(b, '\n')
	}
	return b
}

func (r *row) cells() [5]string {
	return [...]string{r.name, r.state, r.pid, r.since, r.restarts}
}

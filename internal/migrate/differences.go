package migrate

import (
	"bufio"
	"context"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"qmail-smtpd/internal/systemd/manager"
	"qmail-smtpd/units"
)

// general is what differs for every service of a kind.
func general(k *kind) []string {
	all := []string{
		"standard error that run does not send elsewhere goes to the journal: journalctl -u UNIT",
		"a service that does not end within 90 seconds after svc -d is killed; timeout-kill in its directory changes that",
	}
	switch k {
	case daemontools:
		all = append(all, "readproctitle shows no errors: journalctl -u svscan does")
	case runit:
		all = append(all,
			"sv does not work: svc, svstat and svok do",
			"the control letters q, 1 and 2 are not known: systemctl kill --signal=QUIT UNIT sends any signal",
			"supervise/stat and supervise/pid are not kept: svstat -o pid,state tells")
	case s6:
		all = append(all,
			"s6-svc, s6-svstat and s6-svwait do not work: svc and svstat do",
			"event/ is not served")
	}
	return all
}

var (
	opensStderr  = regexp.MustCompile(`/dev/(stderr|fd/2)\b|/proc/self/fd/2\b`)
	opensStdout  = regexp.MustCompile(`/dev/(stdout|fd/1)\b|/proc/self/fd/1\b`)
	callsSv      = regexp.MustCompile(`(^|[\s;&|/])sv\s+(-\S+\s+(\d+\s+)?)*(up?|d|down|o|once|t|term|s|status|stop|start|restart|reload|check|hup|h)\s`)
	callsS6      = regexp.MustCompile(`\bs6-(svc|svwait|svstat|svlisten1?)\b`)
	merges       = regexp.MustCompile(`2>&1|fdmove -c 2 1|redirfd .*2`)
	ofSystemd    = regexp.MustCompile(`^(INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|NOTIFY_SOCKET|LISTEN_.*|WATCHDOG_.*|MAINPID|MANAGERPID|MEMORY_PRESSURE_.*|CREDENTIALS_DIRECTORY)=`)
	ofShells     = regexp.MustCompile(`^(PATH|PWD|OLDPWD|SHLVL|_|TERM)=`)
	ofEverywhere = regexp.MustCompile(`^(LANG|LC_.*)=`)
)

// compare finds out what differs for the service, and what is lost. m may be
// nil.
func (s *service) compare(m *manager.Manager) {
	run := text(s.Dir + "/run")
	if s.Log && !merges.MatchString(run) {
		s.differs = append(s.differs, "standard error goes to the journal: journalctl -u "+s.Base)
	}
	if !s.Log {
		s.differs = append(s.differs, "standard output goes to the journal: journalctl -u "+s.Base)
	}
	s.readScript("run", run, s.Log)
	if s.Log {
		s.readScript("log/run", text(s.Dir+"/log/run"), false)
	}
	s.readKind()
	s.readProcess(m)
	for _, ignored := range slices.Concat(s.Extras.Ignored, s.LogExtras.Ignored) {
		if s.main.kind != runit || !strings.HasPrefix(ignored, "control:") {
			s.lost = append(s.lost, ignored)
		}
	}
	if s.main.once {
		s.differs = append(s.differs, "it runs once (svc -o): moving it ends that run, and it stays down")
	}
	if s.main.paused {
		s.differs = append(s.differs, "it is paused: moving it starts it again")
	}
}

func text(path string) string {
	content, err := os.ReadFile(path)
	if err != nil || len(content) > 1<<20 {
		return ""
	}
	return string(content)
}

// readScript looks for what a script may do that does not work in a unit.
func (s *service) readScript(name, script string, piped bool) {
	if opensStderr.MatchString(script) {
		s.differs = append(s.differs, name+" opens its standard error by a path, which fails: write >&2")
	}
	if !piped && opensStdout.MatchString(script) {
		s.differs = append(s.differs, name+" opens its standard output by a path, which fails: write >&1")
	}
	if callsSv.MatchString(script) || strings.Contains(script, "/lib/runit/invoke-run") {
		s.lost = append(s.lost, name+" calls sv, which does not control units")
	}
	if callsS6.MatchString(script) {
		s.lost = append(s.lost, name+" calls programs of s6 that do not control units")
	}
}

// readKind looks for files that the old supervisor takes otherwise.
func (s *service) readKind() {
	if s.Finish {
		switch s.main.kind {
		case daemontools:
			s.differs = append(s.differs, "finish is run, which supervise did not do")
		case runit:
			s.differs = append(s.differs, "finish gets 256 in place of -1 for a run that was killed, and the name of the service as third argument")
		}
	}
	if s.main.kind == runit {
		scripts, _ := filepath.Glob(s.Dir + "/control/[a-z12]")
		for _, script := range scripts {
			s.lost = append(s.lost, "control/"+filepath.Base(script)+" is not run")
		}
	}
}

// readProcess looks for what the old supervisor hands on to the service and a
// unit does not.
func (s *service) readProcess(m *manager.Manager) {
	p := s.main.process
	if p.pid == 0 {
		return
	}
	for _, variable := range p.environ() {
		if ofSystemd.MatchString(variable) || ofShells.MatchString(variable) || ofEverywhere.MatchString(variable) {
			continue
		}
		s.lost = append(s.lost, "the variable "+variable)
	}
	for _, dir := range searchPath(p.environ()) {
		if _, err := os.Stat(dir); err == nil && !slices.Contains(s.unitPath(), dir) {
			s.lost = append(s.lost, "the directory "+dir+" of PATH")
		}
	}
	if umask := field(p.pid, "status", "Umask:"); umask != "" && umask != "0022" {
		s.differs = append(s.differs, "umask becomes 0022: it was "+umask)
	}
	if m != nil {
		s.readLimits(m, p.pid)
	}
}

func searchPath(environ []string) []string {
	for _, variable := range environ {
		if list, ok := strings.CutPrefix(variable, "PATH="); ok {
			return strings.Split(list, ":")
		}
	}
	return nil
}

// unitPath returns the search path that the unit gives to the service.
func (s *service) unitPath() []string {
	var environ []string
	for _, line := range strings.Split(units.Render(s.Service)[s.Base+".service"], "\n") {
		if variable, ok := strings.CutPrefix(strings.TrimSpace(line), "Environment="); ok {
			environ = append(environ, variable)
		}
	}
	return searchPath(environ)
}

// limits are the rows of /proc/PID/limits and systemd's names.
var limits = []struct{ row, name string }{
	{"Max cpu time", "CPU"}, {"Max file size", "FSIZE"}, {"Max data size", "DATA"},
	{"Max stack size", "STACK"}, {"Max core file size", "CORE"}, {"Max resident set", "RSS"},
	{"Max processes", "NPROC"}, {"Max open files", "NOFILE"}, {"Max locked memory", "MEMLOCK"},
	{"Max address space", "AS"},
}

func (s *service) readLimits(m *manager.Manager, pid int) {
	for _, limit := range limits {
		words := strings.Fields(field(pid, "limits", limit.row))
		if len(words) < 2 {
			continue
		}
		soft, hard, err := m.DefaultLimit(context.Background(), limit.name)
		if err != nil {
			continue
		}
		if was, now := words[0]+":"+words[1], limitText(soft)+":"+limitText(hard); was != now {
			s.differs = append(s.differs, "Limit"+limit.name+" becomes "+now+": it was "+was)
		}
	}
}

func limitText(n uint64) string {
	if n == math.MaxUint64 {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// field returns what follows a word at the beginning of a line in a file of
// a process.
func field(pid int, file, word string) string {
	f, err := os.Open(procFile(pid, file))
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), word); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

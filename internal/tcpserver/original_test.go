package tcpserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qmail-smtpd/test/network"
	"qmail-smtpd/test/programs"
)

// both runs a test with the original tcpserver and with ours, and compares
// what it returns.
func both(t *testing.T, run func(t *testing.T, tcpserver string) string) {
	t.Helper()
	original := run(t, filepath.Join(programs.Originals(t), "tcpserver"))
	ours := run(t, filepath.Join(programs.Ours(t), "tcpserver"))
	if diff := cmp.Diff(original, ours); diff != "" {
		t.Errorf("original -, ours +:\n%s", diff)
	}
}

// normal replaces in the log what differs from run to run: the pids by their
// order, the server's port, and the port of the client.
type normal struct {
	port string
	pids map[string]string
}

var (
	pidInLine  = regexp.MustCompile(`^(tcpserver: (?:pid|ok|deny|end) )(\d+)`)
	portsOfEnd = regexp.MustCompile(`:\d+$`)
)

func (n *normal) line(line string) string {
	line = pidInLine.ReplaceAllStringFunc(line, func(found string) string {
		part := pidInLine.FindStringSubmatch(found)
		if n.pids[part[2]] == "" {
			n.pids[part[2]] = fmt.Sprint("PID", len(n.pids)+1)
		}
		return part[1] + n.pids[part[2]]
	})
	if strings.Contains(line, ": ok ") || strings.Contains(line, ": deny ") {
		line = portsOfEnd.ReplaceAllString(line, ":CLIENT")
	}
	return strings.ReplaceAll(line, n.port, "PORT")
}

func normalLog(p *process, lines []string) string {
	n := normal{p.port, map[string]string{}}
	for i, line := range lines {
		lines[i] = n.line(line)
	}
	return strings.Join(lines, "\n")
}

// A service is a way to run tcpserver, and a client's way to use it.
type service struct {
	options []string
	program []string // nil: report
	host    string   // empty: 127.0.0.1
	from    []string // addresses of the clients, one after the other; nil: 127.0.0.2
	environ []string
	rules   string // to be compiled; empty: none
}

// cdbName stands in options for the compiled rules.
const cdbName = "RULES"

// run serves each client, and returns what they got and the log.
func (s service) run(t *testing.T, tcpserver, tcprules string) string {
	t.Helper()
	args := []string{"-1v"}
	for _, option := range s.options {
		if option == cdbName {
			option = compileRules(t, tcprules, s.rules)
		}
		args = append(args, option)
	}
	host := s.host
	if host == "" {
		host = "127.0.0.1"
	}
	program := s.program
	if program == nil {
		program = []string{self(t, "report"), "x", "y z"}
	}
	from := s.from
	if from == nil {
		from = []string{"127.0.0.2"}
	}
	cmd := exec.Command(tcpserver, append(append(args, host, "0"), program...)...)
	cmd.Dir = "/"
	cmd.Env = environ(s.environ...)
	p := start(t, cmd)
	lines := p.expect("tcpserver: status: 0/.*")
	var got strings.Builder
	for _, ip := range from {
		c := p.connect("127.0.0.1", ip)
		text := strings.ReplaceAll(c.all(), "TCPREMOTEPORT="+port(c)+"\n", "TCPREMOTEPORT=CLIENT\n") // the server may have the same port
		text = strings.ReplaceAll(text, p.port, "PORT")
		fmt.Fprintf(&got, "client %s:\n%s\n", ip, text)
		lines = append(lines, p.expect("tcpserver: status: 0/.*")...)
	}
	p.cmd.Process.Kill()
	lines = append(lines, p.rest()...)
	log := normalLog(p, lines)
	// The directory of the link to this binary differs from run to run.
	return regexp.MustCompile(`/tmp/\S*/`).ReplaceAllString(got.String()+log, "/tmp/DIR/")
}

// compileRules returns the name of a cdb. Text of one byte is itself the file.
func compileRules(t *testing.T, tcprules, text string) string {
	t.Helper()
	switch text {
	case "":
		return "/nonexistent/tcp.cdb"
	case "corrupt":
		return writeFile(t, "tcp.cdb", "x")
	}
	cdb := filepath.Join(t.TempDir(), "tcp.cdb")
	cmd := exec.Command(tcprules, cdb, cdb+".tmp")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tcprules: %v\n%s", err, out)
	}
	return cdb
}

// TestOriginalServices compares all that a client, a program and the reader
// of the log can see. Each tcpserver obeys rules that the other side's
// tcprules compiled.
func TestOriginalServices(t *testing.T) {
	const rules = "127.0.0.2:allow,X_RULE=\"a b\",TCPREMOTEIP=\"9.9.9.9\",X_EMPTY=\"\"\n" +
		"127.0.0.3:deny\n" +
		"127.0.0.4:deny,X_RULE=\"no\"\n" +
		":allow,X_RULE=\"default\"\n"
	clients := []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}
	notExecutable := writeFile(t, "program", "#!/bin/sh\n")
	badInterpreter := writeFile(t, "program", "#!/nonexistent/interpreter\n")
	if err := os.Chmod(badInterpreter, 0o755); err != nil {
		t.Fatal(err)
	}
	services := map[string]service{
		"plain":             {options: []string{"-HRl0"}},
		"every address":     {options: []string{"-HRl0"}, host: "0"},
		"empty host":        {options: []string{"-HRl0"}, host: ""},
		"local name":        {options: []string{"-HR", "-l", "mx.example.org"}},
		"empty local name":  {options: []string{"-HR", "-l", ""}},
		"odd local name":    {options: []string{"-HR", "-l", "a b:c%\x7fé" + strings.Repeat("x", 92)}},
		"99 bytes of name":  {options: []string{"-HR", "-l", strings.Repeat("x", 99)}},
		"100 bytes of name": {options: []string{"-HR", "-l", strings.Repeat("x", 100)}},
		"banner":            {options: []string{"-HRl0", "-B", "220 wait\r\n"}},
		"no delay":          {options: []string{"-DHRl0"}},
		"delay":             {options: []string{"-DdHRl0"}},
		"keep options":      {options: []string{"-oHRl0"}},
		"limit":             {options: []string{"-HRl0", "-c", "3x"}},
		"large limit":       {options: []string{"-HRl0", "-c18446744073709551615"}},
		"wrapped limit":     {options: []string{"-HRl0", "-c18446744073709551617"}},
		"backlog":           {options: []string{"-HRl0", "-b1"}},
		"inherited": {options: []string{"-HRl0"}, environ: []string{
			"PROTO=X", "TCPREMOTEHOST=liar", "TCPREMOTEINFO=liar", "TCPLOCALHOST=liar", "TCPREMOTEIP=liar", "X_OTHER=kept"}},
		"rules":                   {options: []string{"-HRl0", "-x", cdbName}, rules: rules, from: clients},
		"rules and banner":        {options: []string{"-HRl0", "-Bhello\n", "-x", cdbName}, rules: rules, from: clients},
		"no rules":                {options: []string{"-HRl0", "-x", cdbName}},
		"no rules, errors":        {options: []string{"-HRl0", "-x", cdbName}},
		"optional rules":          {options: []string{"-XHRl0", "-x", cdbName}},
		"corrupt rules":           {options: []string{"-XHRl0", "-x", cdbName}, rules: "corrupt"},
		"empty rules name":        {options: []string{"-HRl0", "-x", ""}},
		"exit code":               {options: []string{"-HRl0"}, program: []string{"sh", "-c", "exit 3"}},
		"killed":                  {options: []string{"-HRl0"}, program: []string{"sh", "-c", "kill -9 $$"}},
		"no program":              {options: []string{"-HRl0"}, program: []string{"./noexist"}},
		"no program in PATH":      {options: []string{"-HRl0"}, program: []string{"noexist"}},
		"PATH unset":              {options: []string{"-HRl0"}, program: []string{"noexist"}, environ: []string{"PATH="}},
		"not executable":          {options: []string{"-HRl0"}, program: []string{notExecutable}},
		"no interpreter":          {options: []string{"-HRl0"}, program: []string{badInterpreter}},
		"a directory":             {options: []string{"-HRl0"}, program: []string{"/tmp"}},
		"signals":                 {options: []string{"-HRl0"}, program: []string{"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}},
		"paranoid without names":  {options: []string{"-pHRl0"}},
		"user":                    {options: []string{"-HRl0", "-u", "4321", "-g", "1234"}, program: []string{"sh", "-c", "id -u; id -g; id -G"}},
		"group":                   {options: []string{"-HRl0", "-g", "1234"}, program: []string{"sh", "-c", "id -u; id -g; id -G"}},
		"envuidgid":               {options: []string{"-HRl0U"}, environ: []string{"UID=4321", "GID=1234x"}, program: []string{"sh", "-c", "id -u; id -g; id -G"}},
		"envuidgid overridden":    {options: []string{"-HRl0U", "-u4322"}, environ: []string{"UID=4321", "GID=1234x"}, program: []string{"sh", "-c", "id -u; id -g; id -G"}},
		"overridden by envuidgid": {options: []string{"-HRl0", "-u4322U"}, environ: []string{"UID=4321", "GID=1234x"}, program: []string{"sh", "-c", "id -u; id -g; id -G"}},
	}
	for name, service := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, tcpserver string) string {
				tcprules := filepath.Join(programs.Originals(t), "tcprules")
				if filepath.Dir(tcpserver) == programs.Originals(t) {
					tcprules = filepath.Join(programs.Ours(t), "tcprules")
				}
				return service.run(t, tcpserver, tcprules)
			})
		})
	}
}

// TestOriginalNames compares what becomes of the names of the domain name
// system.
func TestOriginalNames(t *testing.T) {
	server := network.ServeNames(t, network.Zone{
		network.Reverse("127.0.0.1"): {"localhost"}, // as /etc/hosts has it
		network.Reverse("127.1.0.1"): {"good.test"}, "good.test": {"10.0.0.1", "127.1.0.1"},
		network.Reverse("127.1.0.2"): {"liar.test"}, "liar.test": {"10.0.0.1"},
		network.Reverse("127.1.0.3"): {"nowhere.test"},
		network.Reverse("127.1.0.4"): {"First.Test", "second.test"}, "first.test": {"127.1.0.4"},
		network.Reverse("127.1.0.6"): {"under_score.test"}, "under_score.test": {"127.1.0.6"},
		network.Reverse("127.1.0.7"): {strings.Repeat("long.", 30) + "test"},
	})
	clients := []string{"127.1.0.1", "127.1.0.2", "127.1.0.3", "127.1.0.4", "127.1.0.5", "127.1.0.6", "127.1.0.7"}
	const rules = "=good.test:allow,X_RULE=\"good\"\n=.test:allow,X_RULE=\"test\"\n=:allow,X_RULE=\"named\"\n:deny\n"
	for _, options := range [][]string{{"-R"}, {"-Rp"}, {"-RP"}, {"-RpP"}, {"-RpH"}, {"-Rp", "-x", cdbName}, {"-Rh", "-llocal", "-x", cdbName}} {
		t.Run(fmt.Sprint(options), func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, tcpserver string) string {
				return service{options: options, from: clients, rules: rules, environ: []string{"DNSCACHEIP=" + server}}.
					run(t, tcpserver, filepath.Join(programs.Originals(t), "tcprules"))
			})
		})
	}
}

// identAnswers are what ident services may send before they close.
var identAnswers = []string{
	"1 , 2 : USERID : UNIX : joe\r\n",
	"1 , 2 : USERID : UNIX : j o\te: e%\r\n",
	"1,2:USERID:UNIX:\r\n",
	"1,2:ERROR:NO-USER\r\n",
	"1,2:ERROR:NO:USER\r\n",
	"1,2:USERID:UNIX:no newline",
	"\n",
	":::x\ny\n",
	"1,2:USERID:UNIX:" + strings.Repeat("a", 99) + "\n",
	"1,2:USERID:UNIX:" + strings.Repeat("a", 100) + "\n",
	"1,2:USERID:UNIX:" + strings.Repeat("a", 256) + "\n",
	"1,2:USERID:UNIX:" + strings.Repeat("a", 257),
	"1,2:USERID:UNIX:" + strings.Repeat("a", 300) + "\n",
	"1,2" + strings.Repeat("x ", 2500) + ":::joe\n",
	":::" + strings.Repeat(" ", 2000) + "joe\n",
	":::\x01\x7f\xff\x80\n",
}

// TestOriginalIdent compares what becomes of the answers of ident services.
func TestOriginalIdent(t *testing.T) {
	for _, answer := range identAnswers {
		t.Run(fmt.Sprintf("%.40q", answer), func(t *testing.T) {
			t.Parallel()
			ip, questions := network.ServeIdent(t, answer)
			both(t, func(t *testing.T, tcpserver string) string {
				got := service{
					options: []string{"-Hl0", "-x", cdbName},
					from:    []string{ip},
					rules:   "joe@" + ip + ":allow,X_RULE=\"joe\"\n@" + ip + ":allow,X_RULE=\"empty\"\n",
				}.run(t, tcpserver, filepath.Join(programs.Originals(t), "tcprules"))
				if question := <-questions; !regexp.MustCompile(`^\d+ , \d+\r\n$`).MatchString(question) {
					t.Errorf("question %q", question)
				}
				return got
			})
		})
	}
}

// TestOriginalIdentTimeout shows that a silent ident service costs no more
// than the timeout.
func TestOriginalIdentTimeout(t *testing.T) {
	t.Parallel()
	ip, _ := network.ServeIdent(t, "")
	both(t, func(t *testing.T, tcpserver string) string {
		begin := time.Now()
		defer func() {
			if passed := time.Since(begin); passed > 20*time.Second { // the default is 26
				t.Errorf("%s: %v", tcpserver, passed)
			}
		}()
		return service{options: []string{"-Hl0", "-t1"}, from: []string{ip}}.run(t, tcpserver, "")
	})
}

// TestOriginalMistakes compares how wrong command lines, and what cannot be
// had, are answered.
func TestOriginalMistakes(t *testing.T) {
	taken := start(t, exec.Command(self(t, "tcpserver"), "-1vHRl0", "127.0.0.1", "0", "true"))
	nobody := []string{"setpriv", "--reuid", "1", "--clear-groups"}
	for _, test := range []struct {
		under []string
		args  string
	}{
		{nil, ""},
		{nil, "-q"},
		{nil, "-q 0"},
		{nil, "-q -z"},
		{nil, "-z -q"},
		{nil, "-q -c"},
		{nil, "-z 0 0 true"},
		{nil, "-c"},
		{nil, "-vc"},
		{nil, "0"},
		{nil, "0 0"},
		{nil, "-v -- 0 0"},
		{nil, "--wrong 0"},
		{nil, "0 nosuch true"},
		{nil, "0 25x true"},
		{nil, "-q 0 nosuch true"},
		{nil, "-Q 0 nosuch true"},
		{nil, "192.0.2.1 0 true"},
		{nil, "-v nosuch.invalid 0 true"},
		{nil, "-q nosuch.invalid 0 true"},
		{nil, "127.0.0.1 " + taken.port + " true"},
		{nil, "-q 127.0.0.1 " + taken.port + " true"},
		{nobody, "127.0.0.1 25 true"},
		{nobody, "-u 5 127.0.0.1 0 true"},
		{nobody, "-g 5 127.0.0.1 0 true"},
		{nobody, "-g 5 -u 5 127.0.0.1 0 true"},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			server := network.ServeNames(t, network.Zone{})
			both(t, func(t *testing.T, tcpserver string) string {
				args := append(append(test.under, tcpserver), strings.Fields(test.args)...)
				cmd := exec.Command(args[0], args[1:]...)
				cmd.Env = environ("DNSCACHEIP=" + server)
				out, _ := cmd.CombinedOutput()
				return fmt.Sprintf("%s%d", out, cmd.ProcessState.ExitCode())
			})
		})
	}
}

// TestOriginalVerbosity compares what is logged without -v.
func TestOriginalVerbosity(t *testing.T) {
	for _, option := range []string{"-Q", "-q", "-vQ", "-vq", "-qQ"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, tcpserver string) string {
				cmd := exec.Command(tcpserver, option, "-1HRl0", "-x", "/nonexistent/tcp.cdb", "127.0.0.1", "0", "true")
				p := start(t, cmd)
				for range 3 {
					p.connect("127.0.0.1", "").all()
				}
				// The end of the connection follows the warning.
				p.cmd.Process.Kill()
				return strings.Join(p.rest(), "\n")
			})
		})
	}
}

// TestOriginalLimit compares what happens to clients beyond the limit, and
// at SIGTERM.
func TestOriginalLimit(t *testing.T) {
	both(t, func(t *testing.T, tcpserver string) string {
		p := start(t, exec.Command(tcpserver, "-1vHRl0", "-c2", "127.0.0.1", "0", self(t, "cat")))
		var lines []string
		var clients []*client
		for i := range 4 {
			c := p.connect("127.0.0.1", fmt.Sprintf("127.0.0.%d", i+1))
			clients = append(clients, c)
			if i < 2 {
				c.say("one")
				c.hear("one")
				lines = append(lines, p.expect("tcpserver: ok .*")...)
			}
		}
		for i := range 2 {
			clients[i].Close()
			lines = append(lines, p.expect("tcpserver: end .*")...)
			lines = append(lines, p.expect("tcpserver: ok .*")...)
			clients[i+2].say("two")
			clients[i+2].hear("two")
		}
		p.signal(15)
		code := p.wait()
		clients[2].say("still there")
		clients[2].hear("still there")
		clients[2].Close()
		clients[3].Close()
		return fmt.Sprint(normalLog(p, append(lines, p.rest()...)), "\nexit ", code)
	})
}

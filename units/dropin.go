package units

import "strings"

// adapt returns the drop-in that the unit file of unit needs to do what the
// directory of s says; empty: none. What does not come from a package is the
// administrator's, who says all there is to say.
func adapt(s Service, unit string, file UnitFile, rendered map[string]string) string {
	if strings.TrimSpace(file.Text) == "" || strings.HasPrefix(file.Path, "/etc/") || strings.HasPrefix(file.Path, "/run/") {
		return ""
	}
	conf := s.conf(unit)
	if !says(conf, file.Text) {
		conf = ""
	}
	return conf + environment(s, unit, file.Text+conf, rendered)
}

// conf is the text of the directory that becomes the drop-in of a unit, with
// a newline at its end.
func (s Service) conf(unit string) string {
	var text string
	switch {
	case unit == s.Base+".service":
		text = s.Service
	case unit == s.Base+"-log.service":
		text = s.LogConf
	case unit != s.Base+"-log.socket":
		text = s.Socket
	}
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return strings.TrimRight(text, "\n") + "\n"
}

// says tells whether a drop-in has settings that a unit has not.
func says(conf, unit string) bool {
	has := map[string]bool{}
	for _, line := range strings.Split(unit, "\n") {
		has[strings.TrimSpace(line)] = true
	}
	for _, line := range strings.Split(conf, "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.ContainsAny(line[:1], "#;[") && !has[line] {
			return true
		}
	}
	return false
}

// environment returns what env/, and run, add to a unit.
func environment(s Service, unit, text string, rendered map[string]string) string {
	if strings.HasSuffix(unit, ".socket") {
		has, wants := socketSettings(text), socketSettings(rendered[unit])
		if wants != has {
			return "[Socket]\nListenStream=\n" + wants
		}
		return ""
	}
	if unit == s.Base+".service" && s.NeedsNetwork() && setting(text, "PrivateNetwork") == "yes" {
		return "[Service]\nPrivateNetwork=no\n"
	}
	return ""
}

// socketSettings returns the lines of a socket unit that env/ can change.
func socketSettings(text string) string {
	var b strings.Builder
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "ListenStream=") || strings.HasPrefix(line, "Backlog=") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// NeedsNetwork tells whether the service looks clients up, by DNS or by the
// ident protocol, as env/REMOTENAME, env/REMOTEINFO and run say.
func (s Service) NeedsNetwork() bool {
	name, info := s.Env["REMOTENAME"], s.Env["REMOTEINFO"]
	return s.RBL || name == "h" || name == "p" ||
		info == "r" || info != "" && info[0] >= '0' && info[0] <= '9'
}

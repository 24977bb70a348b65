package preflight

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// superServer finds, where the process is an inetd or xinetd, the file that
// has it listen on the port, and the command after which that file has it no
// more.
func (h host) superServer(pid process, port uint16) (file, command string) {
	names := h.portNames(port)
	switch h.comm(pid) {
	case "inetd", "inetutils-inetd":
		const file = "/etc/inetd.conf"
		if words := inetdServices(h.read(file), names); len(words) > 0 {
			command := "sed -i"
			for _, word := range words {
				command += " -e " + quoted(`s/^`+strings.NewReplacer(".", `\.`, "*", `\*`, "[", `\[`).Replace(word)+`[[:space:]]/#&/`)
			}
			return file, command + " " + file
		}
	case "xinetd":
		entries, _ := os.ReadDir(h.root + "/etc/xinetd.d")
		for _, entry := range entries {
			path := filepath.Join("/etc/xinetd.d", entry.Name())
			// xinetd passes over names with a dot
			if !strings.Contains(entry.Name(), ".") && xinetdOnly(h.read(path), names) {
				return path, "mv " + quoted(path) + " " + quoted(path+".off")
			}
		}
	}
	return "", ""
}

// portNames returns the number of a TCP port and its names in /etc/services.
func (h host) portNames(port uint16) []string {
	number := strconv.Itoa(int(port))
	names := []string{number}
	for _, line := range strings.Split(h.read("/etc/services"), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[1] == number+"/tcp" {
			names = append(append(names, fields[0]), fields[2:]...)
		}
	}
	return names
}

// inetdServices returns the first words of the lines in the text of
// /etc/inetd.conf that are about a TCP service of one of the names.
func inetdServices(text string, names []string) (words []string) {
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 6 || strings.HasPrefix(line, "#") || !strings.HasPrefix(fields[2], "tcp") {
			continue
		}
		service := fields[0][strings.LastIndex(fields[0], ":")+1:]
		if slices.Contains(names, service) && strings.HasPrefix(line, fields[0]) && !slices.Contains(words, fields[0]) && !strings.Contains(fields[0], "/") {
			words = append(words, fields[0])
		}
	}
	return words
}

// xinetdOnly tells whether a file of xinetd is about a single service, which is
// on and of one of the names or ports.
func xinetdOnly(text string, names []string) bool {
	services, is, on := 0, false, true
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(strings.Replace(line, "=", " = ", 1))
		switch {
		case len(fields) > 1 && fields[0] == "service":
			services++
			is = is || slices.Contains(names, fields[1])
		case len(fields) > 2 && fields[0] == "port":
			is = slices.Contains(names, fields[2])
		case len(fields) > 2 && fields[0] == "disable":
			on = fields[2] != "yes"
		}
	}
	return services == 1 && is && on
}

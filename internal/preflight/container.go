package preflight

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A container is where the server behind a port runs.
type container struct {
	what     string
	hint     string
	commands []string
}

var ofContainer = regexp.MustCompile(`^(docker|libpod)-([0-9a-f]{64})\.scope$`)

// containerOf tells whether the process is in a container, or holds the port
// for one: as its proxy, or as the keeper of its ports.
func (h host) containerOf(pid process, port uint16) (c container, ok bool) {
	switch h.comm(pid) {
	case "docker-proxy", "dockerd":
		names := strings.Fields(h.output("docker", "ps", "--filter", fmt.Sprintf("publish=%d/tcp", port), "--format", "{{.Names}}"))
		if len(names) == 0 {
			return container{
				what: "the proxy of a container",
				hint: fmt.Sprintf("docker ps --filter publish=%d tells which, docker stop stops it", port),
			}, true
		}
		return docker(names), true
	case "conmon":
		return h.podman(pid, pid), true
	}
	if strings.HasSuffix(h.arguments(pid)[0], "rootlessport") {
		return h.podman(pid, h.conmonOf(pid)), true
	}
	cgroup := cgroupOf(h.read(proc(pid, "cgroup")))
	for i, part := range cgroup {
		id, engine := "", ""
		if match := ofContainer.FindStringSubmatch(part); match != nil {
			engine, id = match[1], match[2]
		} else if i > 0 && cgroup[i-1] == "docker" && len(part) == 64 {
			engine, id = "docker", part
		}
		switch engine {
		case "docker":
			name := strings.TrimPrefix(h.output("docker", "inspect", "--format", "{{.Name}}", id), "/")
			if name == "" {
				name = id[:12]
			}
			return docker([]string{name}), true
		case "libpod":
			for _, other := range h.processes() {
				if h.comm(other) == "conmon" && option(h.arguments(other), "-c") == id {
					return h.podman(pid, other), true
				}
			}
			return container{what: "container " + id[:12], commands: []string{"podman stop " + id[:12]}}, true
		}
	}
	return c, false
}

// docker is for containers that are known by name.
func docker(names []string) container {
	all := strings.Join(names, " ")
	what := "container "
	if len(names) > 1 {
		what = "containers "
	}
	return container{what: what + all, commands: []string{"docker update --restart=no " + all, "docker stop " + all}}
}

// podman is for the container that the process conmon watches, if that is
// known; pid is the one that has the port.
func (h host) podman(pid, conmon process) container {
	if conmon == 0 {
		return container{what: "the ports of a container", hint: h.as(pid, "podman ps") + " tells which, podman stop stops it"}
	}
	arguments := h.arguments(conmon)
	name := option(arguments, "-n")
	if name == "" {
		name = option(arguments, "-c")
	}
	if unit := serviceOf(h.read(proc(conmon, "cgroup"))); unit != "" {
		return container{what: "container " + name + " of " + unit, commands: []string{h.stop(unit)}}
	}
	return container{what: "container " + name, commands: []string{h.as(conmon, "podman stop "+quoted(name))}}
}

// option returns the argument that follows an option.
func option(arguments []string, name string) string {
	if i := slices.Index(arguments, name); i >= 0 && i+1 < len(arguments) {
		return arguments[i+1]
	}
	return ""
}

// conmonOf finds the conmon that shares a pipe with the process, by which one
// learns of the other's end; 0: none, or more than one.
func (h host) conmonOf(pid process) process {
	own := h.descriptors(pid)
	var found process
	for _, other := range h.processes() {
		if h.comm(other) != "conmon" {
			continue
		}
		shares := slices.ContainsFunc(h.descriptors(other), func(target string) bool {
			return strings.HasPrefix(target, "pipe:[") && slices.Contains(own, target)
		})
		if shares && found != 0 {
			return 0
		}
		if shares {
			found = other
		}
	}
	return found
}

// as is a command that the owner of the process has to give.
func (h host) as(pid process, command string) string {
	uid := ""
	for _, line := range strings.Split(h.read(proc(pid, "status")), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Uid:" {
			uid = fields[1]
		}
	}
	if uid == "" || uid == "0" {
		return command
	}
	for _, line := range strings.Split(h.read("/etc/passwd"), "\n") {
		if fields := strings.Split(line, ":"); len(fields) > 2 && fields[2] == uid {
			return "su - " + quoted(fields[0]) + " -c " + quoted(command)
		}
	}
	return command
}

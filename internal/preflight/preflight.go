// Package preflight tells, before the SMTP service is put on a port, who holds
// that port already. It looks and changes nothing.
package preflight

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"qmail-smtpd/internal/command"
)

// Main is the command qmail-smtpd-preflight: it tells whether
// a TCP port, by default 25, is free on this machine, and otherwise who holds
// it and what frees it. It exits 0 when the port is free and 1 when it is
// not.
func Main(args []string) int {
	const name = "qmail-smtpd-preflight"
	port := uint16(25)
	switch len(args) {
	case 1:
	case 2:
		n, err := strconv.ParseUint(args[1], 10, 16)
		if err != nil || n == 0 {
			return command.Permanent(name, "not a port number: "+args[1], nil)
		}
		port = uint16(n)
	default:
		return command.Usage(name, "qmail-smtpd-preflight [ port ]")
	}
	sockets, err := listening(port)
	if err != nil {
		return command.Fatal(name, "unable to see who listens", err)
	}
	if len(sockets) == 0 {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: port %d is held by %s\n", name, port, holder(port, sockets))
	return 1
}

// A listeningSocket is a line of /proc/net/tcp.
type listeningSocket struct{ inode, uid string }

// listening returns the sockets, of IPv4 and IPv6, that listen on the port at
// any address.
func listening(port uint16) ([]listeningSocket, error) {
	var sockets []listeningSocket
	suffix := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if errors.Is(err, fs.ErrNotExist) && table == "/proc/net/tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			const listen = "0A"
			if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == listen {
				sockets = append(sockets, listeningSocket{inode: fields[9], uid: fields[7]})
			}
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	return sockets, nil
}

// holder says who holds one of the sockets, and what frees the port.
func holder(port uint16, sockets []listeningSocket) string {
	pids := holders(sockets)
	activated := pids[1]
	delete(pids, 1)
	if activated {
		program, units := "systemd (pid 1", socketUnits(port)
		if pid := eldest(pids); pid != 0 {
			program = fmt.Sprintf("%s (pid %d", comm(pid), pid)
		}
		if len(units) == 0 {
			return program + ", a socket unit)"
		}
		return fmt.Sprintf("%s, %s); to free it: systemctl disable --now %s", program, units[0], strings.Join(units, " "))
	}
	pid := eldest(pids)
	if pid == 0 {
		return "a process of uid " + sockets[0].uid + " that cannot be seen from here"
	}
	held := fmt.Sprintf("%s (pid %d", comm(pid), pid)
	if dir := supervisedDir(pid); dir != "" {
		return fmt.Sprintf("%s, service directory %s); to free it: touch %s/down; svc -d %s", held, dir, dir, dir)
	}
	if unit := unitOf(pid); unit != "" {
		return fmt.Sprintf("%s, %s); to free it: systemctl disable --now %s", held, unit, unit)
	}
	return fmt.Sprintf("%s); to free it: kill %d", held, pid)
}

// holders finds the processes that have one of the sockets open.
func holders(sockets []listeningSocket) map[int]bool {
	pids := make(map[int]bool)
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil {
			continue // closed, ended, or not ours to see
		}
		for _, socket := range sockets {
			if target == "socket:["+socket.inode+"]" {
				pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
				pids[pid] = true
			}
		}
	}
	return pids
}

// eldest returns the process whose parent is not one of them: the server, not
// the children that it forked. It is 0 where there is none.
func eldest(pids map[int]bool) int {
	found := 0
	for pid := range pids {
		if !pids[parent(pid)] && (found == 0 || pid < found) {
			found = pid
		}
	}
	return found
}

func parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// the name, in parentheses, may hold anything
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

func comm(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "a process"
	}
	return strings.TrimSuffix(string(name), "\n")
}

// supervisedDir is the service directory that the process runs in, where
// supervise and not systemd restarts it.
func supervisedDir(pid int) string {
	if comm(parent(pid)) != "supervise" {
		return ""
	}
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(dir, "supervise/control")); err != nil {
		return ""
	}
	return dir
}

// unitOf is the service unit that the process belongs to, by its cgroup;
// empty where it belongs to none that could be stopped for it alone.
func unitOf(pid int) string {
	cgroups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	return serviceOf(string(cgroups))
}

// serviceOf finds the service unit in the text of a file /proc/PID/cgroup.
func serviceOf(cgroups string) string {
	for _, line := range strings.Split(cgroups, "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) < 3 || fields[1] != "" && fields[1] != "name=systemd" {
			continue
		}
		for _, part := range strings.Split(fields[2], "/") {
			if !strings.HasSuffix(part, ".service") {
				continue
			}
			if strings.HasPrefix(part, "user@") {
				break // the services of a user
			}
			if part == "postfix@-.service" {
				return "postfix.service" // which starts the other
			}
			return part
		}
	}
	return ""
}

// socketUnits returns the socket unit that listens on the port, and what it
// starts.
func socketUnits(port uint16) []string {
	list, err := exec.Command("systemctl", "list-sockets", "--no-legend", "--no-pager", "--full", "--plain").Output()
	if err != nil {
		return nil
	}
	for _, line := range strings.Split(string(list), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasSuffix(fields[0], ":"+strconv.Itoa(int(port))) {
			return fields[1:]
		}
	}
	return nil
}

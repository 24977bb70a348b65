package preflight

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestServiceOf(t *testing.T) {
	for cgroups, want := range map[string]string{
		"0::/system.slice/exim4.service\n":                                      "exim4.service",
		"0::/system.slice/system-postfix.slice/postfix@-.service\n":             "postfix.service",
		"0::/system.slice/system-postfix.slice/postfix@second.service\n":        "postfix@second.service",
		"0::/system.slice/app.service/sub/child\n":                              "app.service",
		"2:cpu:/x.service\n1:name=systemd:/system.slice/exim4.service\n0::/\n":  "exim4.service",
		"0::/user.slice/user-0.slice/session-3.scope\n":                         "",
		"0::/user.slice/user-1.slice/user@1.service/app.slice/server.service\n": "",
		"0::/init.scope\n": "",
		"0::/\n":           "",
		"":                 "",
		"broken":           "",
	} {
		if got := serviceOf(cgroups); got != want {
			t.Errorf("%q: %q, want %q", cgroups, got, want)
		}
	}
}

// A tree is the files of a host: path → content, or "-> target" for a link.
type tree map[string]string

// listen adds a socket at an address.
func (r tree) listen(inode int, address string) {
	table, header := "/proc/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	a := netip.MustParseAddrPort(address)
	ip := a.Addr().AsSlice()
	if a.Addr().Is6() {
		table += "6"
	}
	for i := 0; i < len(ip); i += 4 {
		slices.Reverse(ip[i : i+4]) // as on the machines that have these servers
	}
	local := fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(ip)), a.Port())
	if r[table] == "" {
		r[table] = header
	}
	r[table] += fmt.Sprintf("   0: %s 00000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 %d 1 0000000000000000 100 0 0 10 0\n", local, inode)
}

// process adds one with descriptors, such as "socket:[1]".
func (r tree) process(pid, parent int, exe, cgroup string, arguments string, fds ...string) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	comm := filepath.Base(exe)
	r[dir+"comm"] = comm[:min(len(comm), 15)] + "\n"
	r[dir+"stat"] = fmt.Sprintf("%d (%s) S %d %d %d 0 -1", pid, comm, parent, pid, pid)
	r[dir+"cgroup"] = "0::" + cgroup + "\n"
	r[dir+"cmdline"] = strings.ReplaceAll(arguments, " ", "\x00") + "\x00"
	r[dir+"exe"] = "-> " + exe
	for i, fd := range fds {
		r[fmt.Sprintf("%sfd/%d", dir, i+3)] = "-> " + fd
	}
}

// host writes the tree to a directory. said has what programs print, by their
// command lines.
func (r tree) host(t *testing.T, said map[string]string) host {
	t.Helper()
	root := t.TempDir()
	for path, content := range r {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(target, root+path)
		} else {
			err = os.WriteFile(root+path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return host{root: root, output: func(program string, args ...string) string {
		return said[program+" "+strings.Join(args, " ")]
	}}
}

const (
	listSockets = "systemctl list-sockets --no-legend --no-pager --full --plain"
	showState   = "systemctl show -p UnitFileState -p SourcePath "
	services    = "discard 9/udp sink null\nsmtp\t\t25/tcp\t\tmail # Simple Mail\nsubmission 587/tcp msa\n"
	containerID = "4f66ad9a0b2e4f66ad9a0b2e4f66ad9a0b2e4f66ad9a0b2e4f66ad9a0b2e4f66"
)

func TestHolders(t *testing.T) {
	ours := map[string]string{"docker": "/system.slice/docker.service", "shell": "/user.slice/user-0.slice/session-3.scope"}
	for _, c := range []struct {
		name string
		make func(r tree)
		said map[string]string
		want []string
	}{
		{"nobody", func(r tree) { r.listen(7, "127.0.0.1:26") }, nil, nil},
		{"sendmail of a script of System V", func(r tree) {
			r.listen(7, "127.0.0.1:25")
			r.process(900, 1, "/usr/libexec/sendmail/sendmail", "/system.slice/sendmail.service", "sendmail: MTA", "socket:[7]")
			r["/proc/900/comm"] = "sendmail-mta\n"
		}, map[string]string{showState + "sendmail.service": "UnitFileState=generated\nSourcePath=/etc/init.d/sendmail"},
			[]string{"sendmail-mta (pid 900, sendmail.service) at 127.0.0.1; to free it: systemctl disable sendmail.service; systemctl stop sendmail.service"}},
		{"workers, with the socket and without", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r.listen(8, "[::]:25")
			r.process(900, 1, "/usr/sbin/smtpd", "/system.slice/opensmtpd.service", "smtpd")
			r.process(901, 900, "/usr/sbin/smtpd", "/system.slice/opensmtpd.service", "smtpd", "socket:[7]", "socket:[8]")
			r.process(902, 901, "/usr/sbin/smtpd", "/system.slice/opensmtpd.service", "smtpd", "socket:[7]")
		}, nil, []string{"smtpd (pid 900, opensmtpd.service) at 0.0.0.0 and ::; to free it: systemctl disable --now opensmtpd.service"}},
		{"two at different addresses", func(r tree) {
			r.listen(7, "127.0.0.1:25")
			r.listen(8, "[2001:db8::1]:25")
			r.listen(9, "192.0.2.1:25")
			r.process(900, 1, "/usr/sbin/exim4", "/system.slice/exim4.service", "exim4", "socket:[7]")
			r.process(901, 1, "/usr/lib/postfix/sbin/master", "/system.slice/system-postfix.slice/postfix@-.service", "master", "socket:[8]")
		}, nil, []string{
			"exim4 (pid 900, exim4.service) at 127.0.0.1; to free it: systemctl disable --now exim4.service",
			"a process of uid 107 that cannot be seen from here at 192.0.2.1",
			"master (pid 901, postfix.service) at 2001:db8::1; to free it: systemctl disable --now postfix.service",
		}},
		{"generated, transient and static units", func(r tree) {
			for i, unit := range []string{"generated", "transient", "static"} {
				r.listen(i, fmt.Sprintf("192.0.2.%d:25", i+1))
				r.process(900+i, 1, "/usr/bin/server", "/system.slice/"+unit+".service", "server", fmt.Sprintf("socket:[%d]", i))
			}
		}, map[string]string{
			showState + "generated.service": "UnitFileState=generated\nSourcePath=/etc/containers/systemd/x.container",
			showState + "transient.service": "UnitFileState=transient\nSourcePath=",
			showState + "static.service":    "SourcePath=\nUnitFileState=static",
		}, []string{
			"server (pid 900, generated.service) at 192.0.2.1; to free it: systemctl mask --now generated.service",
			"server (pid 901, transient.service) at 192.0.2.2; to free it: systemctl stop transient.service",
			"server (pid 902, static.service) at 192.0.2.3; to free it: systemctl mask --now static.service",
		}},
		{"socket units", func(r tree) {
			r.listen(7, "127.0.0.1:25")
			r.listen(8, "[::]:25")
			r.process(1, 0, "/usr/lib/systemd/systemd", "/init.scope", "init", "socket:[7]", "socket:[8]")
			r.process(900, 1, "/usr/sbin/exim4", "/system.slice/first.service", "exim4", "socket:[7]")
		}, map[string]string{listSockets: "/run/x:25 x.socket x.service\n127.0.0.1:25 first.socket first.service\n[::]:25 second.socket -\n[::]:125 third.socket third.service"},
			[]string{
				"exim4 (pid 900, first.socket) at 127.0.0.1; to free it: systemctl disable --now first.socket first.service",
				"systemd (pid 1, second.socket) at ::; to free it: systemctl disable --now second.socket",
			}},
		{"systemd that cannot be asked", func(r tree) {
			r.listen(7, "127.0.0.1:25")
			r.process(1, 0, "/usr/lib/systemd/systemd", "/init.scope", "init", "socket:[7]")
		}, nil, []string{"systemd (pid 1, a socket unit) at 127.0.0.1"}},
		{"process 1 of a container", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r.process(1, 0, "/usr/sbin/exim", "/", "exim", "socket:[7]")
		}, nil, []string{"exim (pid 1) at 0.0.0.0; to free it: kill 1"}},
		{"inetd", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r["/etc/services"] = services
			r["/etc/inetd.conf"] = "#smtp stream tcp nowait root /old old\nsmtp\tstream  tcp nowait mail /usr/sbin/exim exim -bs\n127.0.0.1:25 stream tcp nowait mail /usr/sbin/exim exim -bs\nsmtp dgram udp wait root /x x\n"
			r.process(900, 1, "/usr/sbin/inetd", "/system.slice/inetd.service", "inetd", "socket:[7]")
		}, map[string]string{"systemctl show --value -p CanReload inetd.service": "yes"},
			[]string{"inetd (pid 900, inetd.service) at 0.0.0.0; it is configured in /etc/inetd.conf; to free it: " +
				`sed -i -e 's/^smtp[[:space:]]/#&/' -e 's/^127\.0\.0\.1:25[[:space:]]/#&/' /etc/inetd.conf; systemctl reload inetd.service`}},
		{"inetd without a unit", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r["/etc/services"] = services
			r["/etc/inetd.conf"] = "mail stream tcp nowait mail /usr/sbin/exim exim -bs\n"
			r.process(900, 1, "/usr/sbin/inetd", ours["shell"], "inetd", "socket:[7]")
		}, nil, []string{"inetd (pid 900) at 0.0.0.0; it is configured in /etc/inetd.conf; to free it: " +
			`sed -i -e 's/^mail[[:space:]]/#&/' /etc/inetd.conf; kill -HUP 900`}},
		{"inetd of another configuration", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r.process(900, 1, "/usr/sbin/inetd", "/system.slice/inetd.service", "inetd", "socket:[7]")
		}, nil, []string{"inetd (pid 900, inetd.service) at 0.0.0.0; to free it: systemctl disable --now inetd.service"}},
		{"xinetd", func(r tree) {
			r.listen(7, "[::]:25")
			r["/etc/services"] = services
			r["/etc/xinetd.d/daytime"] = "service daytime\n{\n}\n"
			r["/etc/xinetd.d/mail"] = "# ours\nservice smtp\n{\n\tdisable = no\n\tserver=/usr/sbin/exim\n}\n"
			r.process(900, 1, "/usr/sbin/xinetd", "/system.slice/xinetd.service", "xinetd", "socket:[7]")
		}, map[string]string{"systemctl show --value -p CanReload xinetd.service": "yes"},
			[]string{"xinetd (pid 900, xinetd.service) at ::; it is configured in /etc/xinetd.d/mail; to free it: " +
				"mv /etc/xinetd.d/mail /etc/xinetd.d/mail.off; systemctl reload xinetd.service"}},
		{"tcpserver under svscan, by a shell", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r.process(800, 1, "/usr/bin/svscan", "/system.slice/daemontools.service", "svscan /service")
			r.process(801, 800, "/usr/bin/supervise", "/system.slice/daemontools.service", "supervise qmail-smtpd")
			r.process(802, 801, "/bin/dash", "/system.slice/daemontools.service", "sh ./run")
			r.process(803, 802, "/usr/bin/tcpserver", "/system.slice/daemontools.service", "tcpserver", "socket:[7]")
			for _, pid := range []string{"802", "803"} {
				r["/proc/"+pid+"/stat"] = strings.Replace(r["/proc/"+pid+"/stat"], pid+" "+pid, "700 700", 1)
			}
			r["/proc/800/cwd"], r["/proc/801/cwd"] = "-> /service", "-> /var/qmail/supervise/qmail-smtpd"
			r["/service/qmail-smtpd"] = "-> ../var/qmail/supervise/qmail-smtpd"
			r["/var/qmail/supervise/qmail-smtpd/log/run"] = ""
		}, nil, []string{"tcpserver (pid 803, service directory /var/qmail/supervise/qmail-smtpd) at 0.0.0.0; " + migrate +
			"; to free it: rm /service/qmail-smtpd; svc -dx /var/qmail/supervise/qmail-smtpd /var/qmail/supervise/qmail-smtpd/log"}},
		{"tcpserver in a directory of /service itself", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r.process(800, 1, "/usr/bin/svscan", "/", "svscan /service")
			r.process(801, 800, "/usr/bin/supervise", "/", "supervise smtp")
			r.process(802, 801, "/usr/bin/tcpserver", "/", "tcpserver", "socket:[7]")
			r["/proc/800/cwd"], r["/proc/801/cwd"] = "-> /service", "-> /service/smtp"
			r["/service/smtp/run"] = ""
		}, nil, []string{"tcpserver (pid 802, service directory /service/smtp) at 0.0.0.0; " + migrate +
			"; to free it: mv /service/smtp /service/.smtp; svc -dx /service/.smtp"}},
		{"runit, s6, and a login of a supervised sshd", func(r tree) {
			for i, keeper := range []string{"runsv", "s6-supervise", "supervise"} {
				r.listen(i, fmt.Sprintf("192.0.2.%d:25", i+1))
				r.process(10*i+801, 1, "/usr/bin/"+keeper, "/", keeper)
				r[fmt.Sprintf("/proc/%d/cwd", 10*i+801)] = "-> /etc/sv/it's"
				r.process(10*i+803, 10*i+801, "/usr/bin/server", "/", "server", fmt.Sprintf("socket:[%d]", i))
			}
			r.process(822, 821, "/usr/bin/sshd", "/", "sshd")
			r["/proc/823/stat"] = "823 (server) S 822 823 823"
		}, nil, []string{
			"server (pid 803, service directory /etc/sv/it's) at 192.0.2.1; " + migrate + `; to free it: touch '/etc/sv/it'\''s/down'; sv down '/etc/sv/it'\''s'`,
			"server (pid 813, service directory /etc/sv/it's) at 192.0.2.2; " + migrate + `; to free it: touch '/etc/sv/it'\''s/down'; s6-svc -d '/etc/sv/it'\''s'`,
			"server (pid 823) at 192.0.2.3; to free it: kill 823",
		}},
		{"docker", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r.listen(8, "[::]:25")
			r.process(800, 1, "/usr/bin/dockerd", ours["docker"], "/usr/bin/dockerd -H fd://", "socket:[7]")
			r.process(900, 800, "/usr/bin/docker-proxy", ours["docker"], "/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 25 -container-ip 172.17.0.2 -container-port 25", "socket:[7]")
			r.process(901, 800, "/usr/bin/docker-proxy", ours["docker"], "/usr/bin/docker-proxy -proto tcp -host-ip :: -host-port 25 -container-ip 172.17.0.2 -container-port 25", "socket:[8]")
		}, map[string]string{"docker ps --filter publish=25/tcp --format {{.Names}}": "mailhub"}, []string{
			"docker-proxy (pid 900, container mailhub) at 0.0.0.0; to free it: docker update --restart=no mailhub; docker stop mailhub",
			"docker-proxy (pid 901, container mailhub) at ::; to free it: docker update --restart=no mailhub; docker stop mailhub",
		}},
		{"docker that cannot be asked", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r.process(900, 800, "/usr/bin/docker-proxy", ours["docker"], "docker-proxy", "socket:[7]")
		}, nil, []string{"docker-proxy (pid 900, the proxy of a container) at 0.0.0.0; docker ps --filter publish=25 tells which, docker stop stops it"}},
		{"a container in the network of the host", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r.process(900, 800, "/usr/sbin/exim", "/system.slice/docker-"+containerID+".scope", "exim", "socket:[7]")
			r.listen(8, "127.0.0.1:25")
			r.process(910, 909, "/usr/sbin/exim", "/machine.slice/libpod-"+containerID+".scope/container", "exim", "socket:[8]")
			r.process(909, 1, "/usr/bin/conmon", "/machine.slice/libpod-conmon-"+containerID+".scope", "/usr/bin/conmon --api-version 1 -c "+containerID+" -u "+containerID+" -n relay")
		}, nil, []string{
			"exim (pid 900, container 4f66ad9a0b2e) at 0.0.0.0; to free it: docker update --restart=no 4f66ad9a0b2e; docker stop 4f66ad9a0b2e",
			"exim (pid 910, container relay) at 127.0.0.1; to free it: podman stop relay",
		}},
		{"podman's conmon, and of a unit", func(r tree) {
			r.listen(7, "0.0.0.0:25")
			r.process(900, 1, "/usr/bin/conmon", "/machine.slice/libpod-conmon-x.scope", "/usr/bin/conmon -c "+containerID+" -n relay", "socket:[7]")
			r.listen(8, "127.0.0.1:25")
			r.process(901, 1, "/usr/bin/conmon", "/system.slice/hub.service/runtime", "/usr/bin/conmon -c "+containerID+" -n systemd-hub", "socket:[8]")
		}, map[string]string{showState + "hub.service": "UnitFileState=generated\nSourcePath=/etc/containers/systemd/hub.container"}, []string{
			"conmon (pid 900, container relay) at 0.0.0.0; to free it: podman stop relay",
			"conmon (pid 901, container systemd-hub of hub.service) at 127.0.0.1; to free it: systemctl mask --now hub.service",
		}},
		{"podman of a user", func(r tree) {
			user := "/user.slice/user-1000.slice/user@1000.service/user.slice/"
			r.listen(7, "[::]:25")
			r.process(900, 1, "/usr/lib/podman/rootlessport", user+"podman.scope", "rootlessport", "socket:[7]", "pipe:[41]")
			r.process(901, 1, "/usr/bin/conmon", user+"a.scope", "/usr/bin/conmon -c 1 -n other", "pipe:[40]")
			r.process(902, 1, "/usr/bin/conmon", user+"b.scope", "/usr/bin/conmon -c 2 -n relay", "pipe:[41]")
			r["/proc/902/status"] = "Name:\tconmon\nUid:\t1000\t1000\t1000\t1000\n"
			r["/etc/passwd"] = "root:x:0:0::/root:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\n"
		}, nil, []string{"rootlessport (pid 900, container relay) at ::; to free it: su - joe -c 'podman stop relay'"}},
		{"podman of a user, unknown which", func(r tree) {
			r.listen(7, "[::]:25")
			r.process(900, 1, "/usr/lib/podman/rootlessport", "/", "rootlessport", "socket:[7]", "pipe:[41]")
			r["/proc/900/status"] = "Uid:\t1000\t1000\t1000\t1000\n"
			r["/etc/passwd"] = "joe:x:1000:1000::/home/joe:/bin/sh\n"
		}, nil, []string{"rootlessport (pid 900, the ports of a container) at ::; su - joe -c 'podman ps' tells which, podman stop stops it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := tree{"/proc/net/tcp": ""}
			c.make(r)
			holders, err := r.host(t, c.said).holders(25)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range holders {
				got = append(got, h.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestPackageOf asks about this very process, and about one whose program is
// gone.
func TestPackageOf(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	sleep, err := os.ReadFile("/bin/sleep")
	if err == nil {
		err = os.WriteFile(program, sleep, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	gone := process(cmd.Process.Pid)
	for _, c := range []struct {
		pid  process
		said map[string]string
		want string
	}{
		{process(os.Getpid()), map[string]string{"dpkg -S " + self: "exim4-daemon-light: " + self}, "exim4-daemon-light"},
		{process(os.Getpid()), map[string]string{"dpkg -S " + self: "diversion by other from: " + self + "\nlibc6:amd64: " + self}, "libc6"},
		{process(os.Getpid()), map[string]string{"dpkg -S " + self: "first, second: " + self}, ""},
		{process(os.Getpid()), map[string]string{"rpm -qf --qf %{NAME}\n " + self: "postfix"}, "postfix"},
		{process(os.Getpid()), map[string]string{"rpm -qf --qf %{NAME}\n " + self: "first\nsecond"}, ""},
		{process(os.Getpid()), nil, ""},
		{gone, map[string]string{"dpkg -S " + program: "coreutils: " + program}, "coreutils"},
		{0, map[string]string{"dpkg -S ": "none: "}, ""},
	} {
		h := host{output: func(program string, args ...string) string { return c.said[program+" "+strings.Join(args, " ")] }}
		if got := h.packageOf(c.pid); got != c.want {
			t.Errorf("%d, %q: %q, want %q", c.pid, c.said, got, c.want)
		}
	}
}

"""Random sequences of letters, systemctl verbs, kills and ends of svscan, on
services that systemd runs and on twins that the original supervise runs: after
each step both must be in the same state.

twins.py SEED STEPS: works on /service/rN and /twin/rN, each in a thread.
"""
import os, random, re, signal, subprocess, sys, threading, time

seed, steps = sys.argv[1], int(sys.argv[2])
names = sorted(os.listdir("/twin"))
failures = []
svscan = threading.Condition()
ending = False
begun = 0  # steps that svscan may not have seen: what comes to a dying one is lost, as with a dying supervise


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60).stdout.decode()


def status(path):
    """pid and want byte of a service directory."""
    with open(path + "/supervise/status", "rb") as f:
        b = f.read()
    return int.from_bytes(b[12:16], "little"), b[17]


def texts(svstat, paths):
    """What svstat says of service directories, without pids and seconds."""
    return [re.sub(r"\d+", "N", line.split(": ", 1)[1]) for line in run(svstat, *paths).splitlines()]


class Service:
    """A service directory, or its log, with its twin."""

    def __init__(self, name, log):
        below = "/log" if log else ""
        self.ours, self.twin = "/service/" + name + below, "/twin/" + name + below
        self.unit = "svc-" + name + ("-log.service" if log else ".service")
        self.log = None

    def runs_once(self):
        pid, want = status(self.twin)
        return pid != 0 and want == 0

    def await_supervision(self):
        """Waits until both are supervised, again where x has ended that."""
        for path in self.ours, self.twin:
            while subprocess.run(["svok", path]).returncode:
                time.sleep(0.1)

    def letters(self, word):
        run("svc", "-" + word, self.ours)
        run("/opt/classic/svc", "-" + word, self.twin)

    def start(self):
        run("systemctl", "start", self.unit)
        run("/opt/classic/svc", "-u", self.twin)
        if self.log:  # which the unit wants
            run("/opt/classic/svc", "-u", self.log.twin)

    def stop(self):
        run("systemctl", "stop", self.unit)
        run("/opt/classic/svc", "-d", self.twin)

    def restart(self):
        run("systemctl", "restart", self.unit)
        run("/opt/classic/svc", "-dtu", self.twin)
        if self.log:
            run("/opt/classic/svc", "-u", self.log.twin)

    def kill_unit(self, word, letter):
        run("systemctl", "kill", "-s", word, "--kill-whom=main", self.unit)
        run("/opt/classic/svc", "-" + letter, self.twin)

    def kill(self):
        for path in self.ours, self.twin:
            pid = status(path)[0]
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


def seen(step):
    """Takes a step while svscan is there, and gives it time to see."""
    global begun
    with svscan:
        svscan.wait_for(lambda: not ending)
        begun += 1
    step()
    time.sleep(0.7)
    with svscan:
        begun -= 1
        svscan.notify_all()


def end_svscan(how):
    global ending
    with svscan:
        svscan.wait_for(lambda: not ending)
        ending = True
        svscan.wait_for(lambda: begun == 0)
        old = run("systemctl", "show", "-P", "MainPID", "svscan")
        if how == "kill":
            run("systemctl", "kill", "-s", "KILL", "svscan")
        else:
            run("systemctl", "restart", "svscan")
        while run("systemctl", "show", "-P", "MainPID", "svscan") in (old, "0\n") or run("systemctl", "is-active", "svscan") != "active\n":
            time.sleep(0.1)
        ending = False
        svscan.notify_all()


def settled(services, history):
    """Waits until all are in the states of their twins, for a while."""
    deadline, calm = time.time() + 60, 0
    ours, twins = [s.ours for s in services], [s.twin for s in services]
    while calm < 2:
        time.sleep(0.2)
        states = texts("/opt/classic/svstat", ours + twins)
        same = states[:len(ours)] == states[len(ours):]
        if same and calm == 1:
            states = texts("svstat", ours + twins)
            same = states[:len(ours)] == states[len(ours):]
        calm = calm + 1 if same else 0
        if time.time() > deadline:
            failures.append("%s, after %s: ours and the twins are %r" % (ours[0], history[-8:], states))
            return False
    return True


def work(name):
    choice = random.Random(seed + name)
    main = Service(name, False)
    services = [main]
    if os.path.isdir(main.ours + "/log"):
        main.log = Service(name, True)
        services.append(main.log)
    history = []
    try:
        if not settled(services, ["the start"]):
            return
        for step in range(steps):
            s = choice.choice(services)
            verbs = [lambda l: s.letters(l)] * 6 + [lambda l: s.stop(), lambda l: s.kill_unit("TERM", "t"), lambda l: s.kill_unit("KILL", "k"), lambda l: s.kill()]
            words = ["letters"] * 6 + ["stop", "term", "unit kill", "kill"]
            verbs += [lambda l: s.start(), lambda l: s.restart(), lambda l: end_svscan("kill"), lambda l: end_svscan("restart")]
            words += ["start", "restart", "svscan kill", "svscan restart"]
            i = choice.randrange(len(verbs))
            word = choice.choice(["u", "d", "o", "t", "k", "h", "a", "i", "p", "c", "du", "ud", "pc", "uo", "od", "z", "dx", "p"])
            if words[i] in ("start", "restart") and any(t.runs_once() for t in services):
                continue  # what systemd does not do, nobody notices
            if words[i].startswith("svscan") and choice.random() < 0.5:
                continue
            history.append((s.ours, words[i], word if words[i] == "letters" else ""))
            if words[i].startswith("svscan"):
                verbs[i](word)
            else:
                s.await_supervision()
                seen(lambda: verbs[i](word))
            if not settled(services, history):
                return
    except Exception as e:
        failures.append("%s, after %s: %r" % (main.ours, history[-8:], e))


threads = [threading.Thread(target=work, args=(name,)) for name in names]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("\n".join(failures) or "same")

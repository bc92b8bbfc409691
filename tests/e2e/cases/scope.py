"""`checkpoint --pid --scope`: which processes belong together, and what the four answers disagree on."""
import os
import pathlib
import signal
import subprocess

from harness import PATIENCE_S, Skip, check, lives, reap_all, wait_until

# A leader with three others: a child, the same in a process group of its own, and an orphan of the leader's session and group.
# Each writes a line when it begins and at each SIGUSR1.
PROGRAM = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
def work(name):
    out = open(sys.argv[1], "a")
    number = 0
    while True:
        print(name, number, os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0), file=out, flush=True)
        signal.sigwait([signal.SIGUSR1])
        number += 1
def child(name, own_group=False):
    if os.fork() == 0:
        if own_group:
            os.setpgid(0, 0)
        work(name)
child("child")
child("apart", own_group=True)
between = os.fork()
if between == 0:
    child("orphan")
    os._exit(0)
os.waitpid(between, 0)
work("leader")
"""


class Family:
    def __init__(self, sandbox):
        self.sandbox, self.out = sandbox, sandbox.write("family", "")
        self.image = sandbox.base / "image"
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM, str(self.out)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                        **sandbox.spawn_options())
        sandbox.keepers.append(self)
        self.pids = {name: line[0] for name, line in self.lines(0).items()}

    def lines(self, number, names=("leader", "child", "apart", "orphan")):
        """What each wrote as its line `number`: pid, parent, group, session."""
        def written():
            found = {}
            for line in self.out.read_text().splitlines():
                name, at, *numbers = line.split()
                if int(at) == number:
                    found[name] = [int(n) for n in numbers]
            return found if set(names) <= set(found) else None
        return wait_until(written, lambda: f"line {number} of {names}: {self.out.read_text()}")

    def step(self, number, names, pids=None):
        for name in names:
            os.kill((pids or self.pids)[name], signal.SIGUSR1)
        return self.lines(number, names)

    def kill(self):
        for pid in self.pids.values():
            if lives(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        wait_until(reap_all, "the end of the family")

    def call(self, *words):
        """`checkpoint --pid --scope`, with its stderr."""
        done = self.sandbox.call_raw(self.sandbox.argv("checkpoint", "--pid", self.process.pid, *words))
        check(done.returncode == 0, f"{words}: {done.stderr.decode()}")
        return done.stderr.decode()


def differences(report):
    return {(d["pid"], d["in"], d["not_in"]) for d in report["differences"]}


def case_report(sandbox):  # as root, too
    """Which process is in one and not in another, by number and name; nothing is touched, and no image made."""
    family = Family(sandbox)
    pid, orphan = family.process.pid, family.pids["orphan"]
    report = sandbox.json("checkpoint", "--pid", pid, "--scope", "tree")
    members = {scope: set(pids) for scope, pids in report["members"].items()}
    everybody = set(family.pids.values())
    check(members["tree"] == everybody - {orphan}, f"{members}")
    check(members["session"] == members["pgrp"] == everybody, f"children go with their parents: {members}")
    check({(orphan, "session", "tree"), (orphan, "pgrp", "tree")} <= differences(report), f"{report}")
    text = sandbox.call("checkpoint", "--pid", pid, "--scope", "session")
    check(f"{orphan} (python3) is in session, not in tree" in text and "(chosen: session)" in text, text)
    check("no process" in sandbox.refuses("checkpoint", "--pid", 2 ** 22 - 1, "--scope", "session"), "nobody")
    sandbox.refuses("checkpoint", "--pid", pid, "--scope", "family")
    check("--scope" in sandbox.refuses("checkpoint", "job", "--scope", "tree"), "the scope of a job")
    family.step(1, family.pids)


def saved_and_restored(sandbox, scope):
    family = Family(sandbox)
    said = family.call("--to", family.image, "--scope", scope)
    check(f"{family.pids['orphan']} (python3) is in {scope}, not in tree" in said, said)
    family.process.wait(PATIENCE_S)
    for name, pid in family.pids.items():
        wait_until(lambda pid=pid: not lives(pid), f"the end of {name}")
    wait_until(reap_all, "all of them")
    pid_file = sandbox.base / "pid"
    sandbox.call("restore", family.image, "--detach", "--pid-file", pid_file, *(() if sandbox.uid == 0 else ("--capsule",)))
    return family, int(pid_file.read_text())


def restored_pids(family):
    """As we see them; in a capsule their numbers are others here."""
    found = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        numbers = next((line.split()[1:] for line in text.splitlines() if line.startswith("NSpid:")), [])
        command = (status.parent / "cmdline").read_bytes() if (status.parent / "cmdline").exists() else b""
        if str(family.out).encode() not in command:
            continue
        for name, pid in family.pids.items():
            if numbers and int(numbers[-1]) == pid:
                found[name] = int(status.parent.name)
    return found


def kill_all(pids):
    """In a capsule the first one takes the others with it."""
    for pid in pids.values():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def goes_on(sandbox, scope):
    family, _ = saved_and_restored(sandbox, scope)
    pids = wait_until(lambda: found if len(found := restored_pids(family)) == 4 else None, "all four")
    before, after = family.lines(0), family.step(1, family.pids, pids)
    for name in family.pids:
        check([*after[name][:1], *after[name][2:]] == [*before[name][:1], *before[name][2:]], f"{name}: {before[name]} {after[name]}")
    check(after["child"][1] == after["leader"][0] != after["orphan"][1], f"another parent: {after}")
    kill_all(pids)
    wait_until(lambda: not any(map(lives, pids.values())) and reap_all(), "the end of the restored family")


def case_session(sandbox):  # as root, too
    goes_on(sandbox, "session")


def case_process_group(sandbox):  # as root, too
    goes_on(sandbox, "pgrp")


def case_baton_in_the_scope(sandbox):
    """A shell's session holds baton itself: said, and nothing is touched."""
    script = f'sleep 1000 & {sandbox.baton_path} checkpoint --pid $! --to {sandbox.base}/image --scope session; code=$?; kill $!; wait; exit $code'
    done = sandbox.call_raw(["/bin/sh", "-c", script], start_new_session=True)
    text = done.stderr.decode()
    check(done.returncode == 125 and "is this baton or one of its parents" in text and "(sleep)" not in text.split("chosen")[0], text)
    check(not (sandbox.base / "image").exists(), "an image")


def case_leader_outside(sandbox):
    """A process group whose session is led by somebody who is not in it: refused, as for trees."""
    family = Family(sandbox)
    apart = family.pids["apart"]
    text = sandbox.refuses("checkpoint", "--pid", apart, "--to", family.image, "--scope", "pgrp")
    check("--shell-job" in text and "session" in text, text)
    family.step(1, family.pids)


# The first of a pipeline: says a line when it begins and at each SIGUSR1.
SOURCE = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
number = 0
while True:
    os.write(1, b"line %d\\n" % number)
    signal.sigwait([signal.SIGUSR1])
    number += 1
"""


def case_pipeline_of_a_shell(sandbox):  # as root, too
    """A shell's job of two processes, in a group of its own, without the shell: their pipe stays theirs."""
    out = sandbox.write("out", "")
    source = sandbox.write("source.py", SOURCE)
    script = f'set -m; /usr/bin/python3 {source} | cat > {out} & jobs -p; wait'
    shell = subprocess.Popen(["/bin/bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             start_new_session=True, **sandbox.spawn_options())
    leader = int(shell.stdout.readline())
    try:
        wait_until(lambda: out.read_text() == "line 0\n", "the pipeline")
        image = sandbox.base / "image"
        report = sandbox.json("checkpoint", "--pid", leader, "--scope", "pgrp")
        check(len(report["members"]["pgrp"]) == 2 and len(report["members"]["tree"]) == 1, f"{report}")
        check((shell.pid, "session", "pgrp") in differences(report), f"{report}")
        sandbox.call("checkpoint", "--pid", leader, "--to", image, "--scope", "pgrp", "--shell-job")
        shell.wait(PATIENCE_S)
        pid_file = sandbox.base / "pid"
        sandbox.call("restore", image, "--detach", "--shell-job", "--pid-file", pid_file)
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGUSR1)
        wait_until(lambda: out.read_text() == "line 0\nline 1\n", lambda: f"another line: {out.read_text()}")
        os.kill(pid, signal.SIGKILL)
        wait_until(reap_all, "the end of the pipeline")
    finally:
        if shell.poll() is None:
            shell.kill()
            shell.wait()
        shell.stdout.close()


def case_control_group(sandbox):  # as root
    """Two processes that have nothing in common but their group, one of them in a group below it."""
    mounts = [pathlib.Path("/sys/fs/cgroup", name) for name in ("unified", "", "pids")]
    hierarchy = next((path for path in mounts if (path / "cgroup.procs").exists()), None)
    if hierarchy is None:
        raise Skip("there are no control groups here")
    first, second = Family(sandbox), subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True, stdin=subprocess.DEVNULL,
                                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    group = hierarchy / f"baton-e2e-scope-{first.process.pid}"
    below = group / "below"
    try:
        below.mkdir(parents=True)
        for pid in first.pids.values():
            (group / "cgroup.procs").write_text(str(pid))
        (below / "cgroup.procs").write_text(str(second.pid))
        report = sandbox.json("checkpoint", "--pid", first.process.pid, "--scope", "cgroup")
        check(set(report["members"]["cgroup"]) == {*first.pids.values(), second.pid}, f"{report}")
        check((second.pid, "cgroup", "session") in differences(report), f"{report}")
        sandbox.call("checkpoint", "--pid", first.process.pid, "--to", first.image, "--scope", "cgroup")
        second.wait(PATIENCE_S)
        first.process.wait(PATIENCE_S)
        wait_until(reap_all, "all of them")
        sandbox.call("restore", first.image, "--detach")
        after = first.step(1, first.pids)
        check(after["leader"][0] == first.process.pid and lives(second.pid), f"{after}")
        check(int((below / "cgroup.procs").read_text()) == second.pid, "it is not back in its group")
    finally:
        for pid in [*first.pids.values(), second.pid]:
            if lives(pid):
                os.kill(pid, signal.SIGKILL)
        wait_until(reap_all, "the end of all")
        for directory in (below, group):
            if directory.exists():
                wait_until(lambda path=directory: not (path / "cgroup.procs").read_text(), f"an empty {directory}")
                directory.rmdir()

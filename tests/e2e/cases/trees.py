"""Trees that Baton did not start: `baton checkpoint --pid` and `baton restore`, with all their options."""
import os
import pathlib
import pty
import re
import signal
import subprocess

from harness import PATIENCE_S, Skip, check, descendants, lives, reap_all, stat_comm, wait_until

# Appends a line to the file when a signal says so; SIGTERM ends it with exit code 7.
PROGRAM = """
import os, signal, sys
number = 0
out = open(sys.argv[1], "a")
signals = [signal.SIGUSR1, signal.SIGTERM]
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
while True:
    print(number, os.getpid(), file=out, flush=True)
    if signal.sigwait(signals) == signal.SIGTERM:
        sys.exit(7)
    number += 1
"""


class Tree:
    """The program, outside of any keeper; `spawn` says what it is given."""

    def __init__(self, sandbox, **spawn):
        self.sandbox, self.file = sandbox, sandbox.write("tree.out", "")
        for name in ("stdin", "stdout", "stderr"):
            spawn.setdefault(name, subprocess.DEVNULL)
        spawn.setdefault("start_new_session", True)
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM, str(self.file)], **{**sandbox.spawn_options(), **spawn})
        self.pid = self.process.pid
        self.image = sandbox.base / "image"
        sandbox.keepers.append(self)
        self.has_lines(1)

    def lines(self):
        return [line.split() for line in self.file.read_text().splitlines()]

    def has_lines(self, count):
        wait_until(lambda: len(self.lines()) >= count, lambda: f"{count} lines in {self.file}: {self.lines()}")
        check([line[0] for line in self.lines()] == [str(n) for n in range(count)], f"not {count} steps: {self.lines()}")

    def checkpoint(self, *words):
        self.sandbox.call("checkpoint", "--pid", self.pid, "--to", self.image, *words)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Restored:
    """`baton restore` in the foreground."""

    def __init__(self, sandbox, image, *words, **spawn):
        for name in ("stdin", "stdout"):
            spawn.setdefault(name, subprocess.DEVNULL)
        self.process = subprocess.Popen(sandbox.argv("restore", image, *words), **{**sandbox.spawn_options(), **spawn})

    def ends_with(self, code):
        seen = self.process.wait(PATIENCE_S)
        check(seen == code, f"exit code {seen}, not {code}")


def step(tree, target, count):
    """One more line, by the program that stands behind `target` (a keeper hands no SIGUSR1 on: its job's own number)."""
    os.kill(target, signal.SIGUSR1)
    tree.has_lines(count)


def case_foreground_ends_with_the_exit_code(sandbox):  # as root, too
    tree = Tree(sandbox)
    tree.checkpoint()
    check(tree.process.wait(PATIENCE_S) == -signal.SIGKILL, "without --leave-running it is killed")
    restored = Restored(sandbox, tree.image)
    # It has not written its next line yet: SIGTERM is handed on once it runs.
    job = wait_until(lambda: children_named(restored.process.pid, "python3"), "the restored program")
    step(tree, job, 2)
    restored.process.send_signal(signal.SIGTERM)
    restored.ends_with(7)


def children_named(root, name):
    """The process below `root` that is called so, or 0."""
    return next((pid for pid in descendants(root) if stat_comm(pid).startswith(name) and sigwaits(pid)), 0)


def sigwaits(pid):
    """It waits in the system call in which it was saved."""
    try:
        with open(f"/proc/{pid}/wchan", encoding="ascii") as wchan, open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return "sigtimedwait" in wchan.read() or stat.read().rsplit(")", 1)[1].split()[0] == "S"
    except OSError:
        return False


def case_detach_and_pid_file(sandbox):  # as root, too
    tree = Tree(sandbox)
    tree.checkpoint("--leave-running")
    step(tree, tree.pid, 2)
    tree.kill()
    tree.file.write_text(tree.file.read_text().splitlines()[0] + "\n")
    pid_file = sandbox.base / "pid"
    shown = sandbox.call("restore", tree.image, "--detach", "--pid-file", pid_file)
    pid = int(pid_file.read_text())
    check(str(pid) in shown, f"--detach does not print the number: '{shown}'")
    check(lives(pid), "it is not running once --detach has returned")
    step(tree, pid, 2)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not lives(pid), "its end")
    if sandbox.uid == 0:
        check(tree.lines()[1][1] == str(tree.pid) == str(pid), f"the number has changed: {tree.lines()}, {pid}")
    wait_until(reap_all, "the end of the keeper")


def case_a_taken_number_is_named(sandbox):  # as root
    tree = Tree(sandbox)
    tree.checkpoint("--leave-running")
    text = sandbox.refuses("restore", tree.image, "--detach")
    check(str(tree.pid) in text and "python3" in text, f"the owner of the number is not named: {text}")
    step(tree, tree.pid, 2)


def case_capsule_beside_the_original(sandbox):  # as root, too
    tree = Tree(sandbox)
    tree.checkpoint("--leave-running")
    tree.kill()
    pid_file = sandbox.base / "pid"
    sandbox.call("restore", tree.image, "--capsule", "--detach", "--pid-file", pid_file)
    pid = int(pid_file.read_text())
    check(os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid"), "not in a pid namespace of its own")
    step(tree, pid, 2)
    check(tree.lines()[1][1] == str(tree.pid), f"the number seen inside has changed: {tree.lines()}")
    os.kill(pid, signal.SIGTERM)
    wait_until(reap_all, "the end of the keeper")


def case_pipe_to_outside(sandbox):  # as root, too
    """Refused; inherited from the restorer; closed."""
    ends = os.pipe()
    tree = Tree(sandbox, stdout=ends[1])
    os.close(ends[1])
    text = sandbox.refuses("checkpoint", "--pid", tree.pid, "--to", tree.image)
    check("--external" in text and "fd:1=" in text, f"the descriptor is not named: {text}")
    check(not tree.image.exists() or not list(tree.image.iterdir()), "a refused checkpoint leaves files")
    step(tree, tree.pid, 2)
    tree.checkpoint("--external", "fd:1=inherit")
    tree.process.wait(PATIENCE_S)
    os.close(ends[0])
    restores_with_standard_output(sandbox, tree)


def restores_with_standard_output(sandbox, tree):
    place = open(sandbox.write("stdout", ""), "rb+")  # pylint: disable=consider-using-with
    for words, expected in ((("--external", "fd:1=inherit"), str(place.name)), (("--external", "fd:1=close"), None)):
        pid_file = sandbox.base / "pid"
        with open(os.devnull, "rb") as null:
            done = sandbox.call_detached(sandbox.argv("restore", tree.image, *words, "--detach", "--pid-file", pid_file), null, place)
        check(done == 0, f"restore {words}: exit code {done}")
        pid = int(pid_file.read_text())
        has = os.readlink(f"/proc/{pid}/fd/1") if os.path.lexists(f"/proc/{pid}/fd/1") else None
        check(has == expected, f"{words}: descriptor 1 is {has}, not {expected}")
        os.kill(pid, signal.SIGKILL)
        wait_until(reap_all, "the end of the keeper")
    place.close()


def case_wrong_external_flags(sandbox):
    tree = Tree(sandbox)
    for words in (("--external", "fd:1"), ("--external", "fd:x=close"), ("--external", "fd:1=eat"), ("--external", "1=close")):
        sandbox.refuses("checkpoint", "--pid", tree.pid, "--to", tree.image, *words)
    sandbox.refuses("checkpoint", "--pid", tree.pid)
    sandbox.refuses("checkpoint", "--pid", 2 ** 22 + 1, "--to", tree.image)
    sandbox.refuses("checkpoint", "--pid", 0, "--to", tree.image)
    step(tree, tree.pid, 2)


def case_session_of_a_shell(sandbox):  # as root, too
    """Not a session leader, on the shell's terminal: refused, but for --shell-job."""
    ours, theirs = pty.openpty()
    if os.getuid() == 0:
        os.fchown(theirs, sandbox.uid, sandbox.uid)
    tree = Tree(sandbox, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=False)
    text = sandbox.refuses("checkpoint", "--pid", tree.pid, "--to", tree.image)
    check("--shell-job" in text, f"--shell-job is not named: {text}")
    tree.checkpoint("--shell-job")
    tree.process.wait(PATIENCE_S)
    restored = Restored(sandbox, tree.image, "--shell-job", stdin=theirs, stdout=theirs)
    job = wait_until(lambda: children_named(restored.process.pid, "python3"), "the restored program")
    check(os.readlink(f"/proc/{job}/fd/0") == os.ttyname(theirs), "its terminal is not the restorer's")
    step(tree, job, 2)
    restored.process.send_signal(signal.SIGTERM)
    restored.ends_with(7)
    os.close(ours)
    os.close(theirs)


def case_place_of_the_image(sandbox):  # as root, too
    """What is there is not overwritten; a place that cannot be written is said before anything is touched."""
    tree = Tree(sandbox)
    tree.image.mkdir()
    sandbox.own(tree.image)
    (tree.image / "precious").write_text("kept")
    sandbox.refuses("checkpoint", "--pid", tree.pid, "--to", tree.image)
    check((tree.image / "precious").read_text() == "kept", "a file that was there is gone")
    sandbox.refuses("checkpoint", "--pid", tree.pid, "--to", tree.file / "below")
    step(tree, tree.pid, 2)
    text = sandbox.refuses("restore", tree.image)
    check(re.search(r"image|manifest", text), f"it is not said that this is no image: {text}")
    sandbox.refuses("restore", sandbox.base / "nothing")


def case_control_group_that_is_gone(sandbox):  # as root
    """A warning, and it stays with who restores it."""
    mounts = [pathlib.Path("/sys/fs/cgroup", name) for name in ("unified", "", "pids")]
    hierarchy = next((path for path in mounts if (path / "cgroup.procs").exists()), None)
    if hierarchy is None:
        raise Skip("there are no control groups here")
    tree = Tree(sandbox)
    group = hierarchy / f"baton-e2e-{tree.pid}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(tree.pid))
        tree.checkpoint()
        tree.process.wait(PATIENCE_S)
    finally:
        tree.process.kill()
        tree.process.wait()
        wait_until(lambda: (group / "cgroup.procs").read_text() == "", "an empty group")
        group.rmdir()
    pid_file = sandbox.base / "pid"
    done = sandbox.call_raw(sandbox.argv("restore", tree.image, "--detach", "--pid-file", pid_file))
    check(done.returncode == 0 and group.name in done.stderr.decode(), f"no warning: {done}")
    pid = int(pid_file.read_text())
    step(tree, pid, 2)
    os.kill(pid, signal.SIGTERM)
    wait_until(reap_all, "the end of the restored program")


def case_hooks(sandbox):  # as root, too
    """Commands before, after and at the restore: of one that fails nothing is left."""
    tree = Tree(sandbox)
    said = sandbox.base / "said"
    say = f"echo $BATON_HOOK $BATON_PID $BATON_OUTCOME >> {said}"
    to = ("checkpoint", "--pid", tree.pid, "--to", tree.image, "--hook-after", say)
    text = sandbox.refuses(*to, "--hook-before", "exit 4")
    check("the before hook failed, exit code 4" in text and not tree.image.exists(), text)
    step(tree, tree.pid, 2)
    text = sandbox.refuses(*to, "--hook-before", "exec sleep 1000", "--hook-timeout", "100ms")
    check("has not ended within 100 ms" in text, text)
    sandbox.call(*to, "--hook-before", say)
    tree.process.wait(PATIENCE_S)
    pid = tree.pid
    check(said.read_text() == f"after {pid} failed\n" * 2 + f"before {pid}\nafter {pid} copied\n", said.read_text())
    text = sandbox.refuses("restore", tree.image, "--detach", "--hook-resume", "exit 5")
    check("the resume hook failed, exit code 5" in text, text)
    wait_until(reap_all, "the end of what was made")
    pid_file = sandbox.base / "pid"
    # In a capsule it sees the process by the number that the process knows.
    sandbox.call("restore", tree.image, "--detach", "--capsule", "--pid-file", pid_file, "--hook-resume", f"{say}; test -d /proc/{pid}")
    check(said.read_text().endswith(f"resume {pid} resumed\n"), said.read_text())
    step(tree, int(pid_file.read_text()), 3)
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    wait_until(reap_all, "the end of the keeper")

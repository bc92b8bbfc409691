#!/usr/bin/env python3
"""Runs one target program of the live tests through checkpoint and restore; the program checks itself (target.h).

  run_live.py --baton BATON --program PROGRAM [--case NAME] --mode MODE [--generations N] [--lend]

Modes:
  plain        no checkpoint at all: tests the program itself
  pid          as root: `baton checkpoint --pid`, processes gone, `baton restore`, same pids
  pid-running  as root: `--leave-running`, the original must pass; then it is gone and the image is restored
  capsule      as root: `baton checkpoint --pid`, `baton restore --capsule`
  user         as an ordinary user: `baton run`, `baton checkpoint NAME`, keeper killed, `baton run --resume`
  user-pid     as an ordinary user: `baton checkpoint --pid`, `baton restore`
  refuse       as root: `baton checkpoint --pid` must fail, its error must hold each line of the program's file `expect`,
               no image may be left, nothing of the program may have changed
  refuse-user  the same as an ordinary user

With --lend the user has ids lent by /etc/subuid, and BATON_LIVE_LENT names a copy of the program with one's setuid bit.

Exit code: 0 passed, 1 failed (the directory stays and is named), 77 cannot run here (the reason is printed).
BATON_LIVE_BATON in the environment is used instead of --baton. Started as root, the user modes run as uid BATON_LIVE_UID (1000), who needs no entry in /etc/passwd.
"""
import argparse
import ctypes
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True
import lent_ids  # noqa: E402
import reachable  # noqa: E402

SKIP = 77
FIRST_LENT_ID = 200000
STEP_SECONDS = float(os.environ.get("BATON_LIVE_STEP_SECONDS", "20"))
ROOT_MODES = ("pid", "pid-running", "capsule", "refuse")
USER_MODES = ("user", "user-pid", "refuse-user")
PR_SET_CHILD_SUBREAPER = 36


class Failure(Exception):
    """A step went wrong; the text says which and how."""


class Skip(Exception):
    """This mode cannot run here."""


# ---- processes: whatever a run starts comes back to this process, its subreaper, in the end ----


def become_subreaper():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise Failure("prctl(PR_SET_CHILD_SUBREAPER) failed")


def stat_fields(pid):
    """(state, ppid, start time) of a process, or None when it is gone. One whose first thread alone has ended lives ("L")."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2:].split()
    state = "L" if fields[0] in "ZX" and int(fields[17]) > 1 else fields[0]
    return state, int(fields[1]), int(fields[19])


def descendants(root):
    """Processes below `root`, as {pid: (state, start time)}."""
    children, facts = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat_fields(name)):
            children.setdefault(fields[1], []).append(int(name))
            facts[int(name)] = (fields[0], fields[2])
    found, todo = {}, [root]
    while todo:
        for pid in children.get(todo.pop(), []):
            found[pid] = facts[pid]
            todo.append(pid)
    return found


def reap():
    """Collects every child that has ended; returns {pid: wait status}."""
    ended = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def kill_all():
    deadline = time.monotonic() + 10
    while True:
        reap()
        left = descendants(os.getpid())
        if not left:
            return
        if time.monotonic() > deadline:
            raise Failure(f"processes that do not die: {sorted(left)}")
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.005)


def describe_status(status):
    if os.WIFSIGNALED(status):
        return f"killed by signal {os.WTERMSIG(status)}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"


# ---- what a checkpoint with --leave-running must leave as it was ----

STATUS_FIELDS = ("Name", "Umask", "State", "Tgid", "TracerPid", "Uid", "Gid", "FDSize", "Threads", "SigPnd", "ShdPnd",
                 "SigBlk", "SigIgn", "SigCgt", "CapEff", "CapPrm", "NoNewPrivs", "Seccomp", "Cpus_allowed")


def read_lines(path):
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def visible_state(pid):
    """Facts of a process by name: maps, descriptors, and of each thread the status that should not change."""
    root, facts = pathlib.Path(f"/proc/{pid}"), {}
    facts["maps"] = read_lines(root / "maps")
    try:
        facts["timers"] = [line for line in read_lines(root / "timers") if not line.startswith("signal")]
        for fd in os.listdir(root / "fd"):
            facts[f"fd {fd}"] = [os.readlink(root / "fd" / fd), *read_lines(root / "fdinfo" / fd)]
        for tid in os.listdir(root / "task"):
            lines = read_lines(root / "task" / tid / "status")
            facts |= {f"task {tid} {line.split(':')[0]}": [line] for line in lines
                      if line.split(":")[0] in STATUS_FIELDS}
    except OSError:
        pass
    return facts


def pending_set(line):
    return int(line.split()[-1], 16)


def same_line(name, old, new):
    """What goes on by itself at any time may have: the time left of a timerfd, its ticks (counted when somebody asks, too:
    timerfd_gettime(2)), signals that timers sent. But no tick may have been read, and no pending signal taken."""
    if name.endswith((" SigPnd", " ShdPnd")):
        return pending_set(old) & ~pending_set(new) == 0
    if name.startswith("fd ") and old.startswith("it_value:"):
        return new.startswith("it_value:")
    if name.startswith("fd ") and old.startswith("ticks:"):
        return new.startswith("ticks:") and int(new.split()[1]) >= int(old.split()[1])
    return old == new


def same_fact(name, old, new):
    return len(old) == len(new) and all(same_line(name, one, other) for one, other in zip(old, new))


def check_unchanged(steady, before, after):
    """Only facts that did not change by themselves before count; running and sleeping is the same to us."""
    for name, lines in before.items():
        if steady.get(name) == lines and name.split()[-1] != "State" and not same_fact(name, lines, after.get(name, [])):
            old, new = "; ".join(lines), "; ".join(after.get(name, ["nothing"]))
            if name == "maps":
                old = "; ".join(line for line in lines if line not in after.get(name, []))
                new = "; ".join(line for line in after.get(name, []) if line not in lines)
            raise Failure(f"the checkpoint changed {name}: before '{old}', after '{new}'")


# ---- the program's directory, for a mode that runs its check twice ----


def remember_files(directory):
    """{path: (content, stat)} of every regular file below."""
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path: (path.read_bytes(), path.stat()) for path in files}


def put_back_files(directory, before):
    """Content and time as they were, in the same inodes; what came later is removed."""
    for path in remember_files(directory):
        if path not in before:
            path.unlink()
    for path, (content, facts) in before.items():
        now = path.stat()
        if now.st_ino != facts.st_ino:
            raise Failure(f"{path} was replaced by the check: the program cannot be checked twice")
        if (now.st_mtime_ns, now.st_size) != (facts.st_mtime_ns, facts.st_size):
            with open(path, "r+b") as file:
                file.write(content)
                file.truncate(len(content))
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


# ---- one run ----


class Run:
    def __init__(self, options):
        self.options = options
        self.as_user = options.mode in USER_MODES and os.getuid() == 0
        self.uid = int(os.environ.get("BATON_LIVE_UID", "1000")) if self.as_user else os.getuid()
        parent = os.environ.get("BATON_LIVE_TMP", "/var/tmp")
        self.top = pathlib.Path(tempfile.mkdtemp(prefix=f"live-{options.program.name}-", dir=parent))
        self.dir = self.top / "work"
        self.top.chmod(0o755)
        self.dir.mkdir()
        self.ended = {}
        self.started = {}
        self.dead_seconds = 0.0  # upper bound; what CLOCK_REALTIME may show of it
        self.clock_hides_death = options.mode in ("capsule", *USER_MODES)
        if self.as_user:
            for path in (self.top, self.dir):
                os.chown(path, self.uid, self.uid)
        self.program = self.reachable(options.program)
        self.baton_path = self.reachable(options.baton) if options.mode != "plain" else None
        self.environment = self.make_environment()
        if options.lend:
            self.lend()

    def lend(self):
        lent_ids.lend(self.top, self.uid, FIRST_LENT_ID, 10)
        copy = lent_ids.setuid_copy(self.options.program, self.top / "lent", FIRST_LENT_ID + 3, FIRST_LENT_ID + 4)
        self.environment["BATON_LIVE_LENT"] = str(copy)

    def reachable(self, path):
        return reachable.reachable(path, self.top, self.uid) if self.as_user else path

    def make_environment(self):
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "BATON_LOG") if name in os.environ}
        return keep | {"BATON_LIVE_DIR": str(self.dir), "HOME": str(self.top), "BATON_STATE_DIR": str(self.top / "state")}

    def start(self, name, command):
        """A process in its own session, with files for its output; identified by the name in errors."""
        credentials = {"user": self.uid, "group": self.uid, "extra_groups": []} if self.as_user else {}
        with open(self.top / f"{name}.out", "ab") as out, open(self.top / f"{name}.err", "ab") as err:
            for stream in (out, err):
                os.fchown(stream.fileno(), self.uid, -1)  # it must be able to open them again by name
            process = subprocess.Popen(  # noqa: reaped by reap(), not by Popen
                [str(word) for word in command], cwd=self.dir, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, start_new_session=True, **credentials)
        process.returncode = 0  # keeps Popen from waiting for it by itself
        self.started[process.pid] = name
        return process.pid

    def output(self, name, stream):
        path = self.top / f"{name}.{stream}"
        return path.read_text(errors="replace")[-3000:].strip() if path.exists() else ""

    def start_program(self):
        pid = self.start("program", self.command())
        self.await_ready(pid)
        return pid

    def await_ready(self, pid):
        self.wait("start", lambda: (self.dir / "ready").exists() or self.result(), watch=[pid])
        if self.result().startswith("SKIP"):
            raise Skip(self.result())
        if self.result():
            raise Failure(f"start: {self.result()}")

    def wait(self, what, condition, watch=()):
        """Until condition() is true; a process of `watch` that ends before is a failure."""
        deadline = time.monotonic() + STEP_SECONDS
        while True:
            self.ended.update(reap())
            if condition():
                return
            for pid in watch:
                if pid in self.ended and not condition():
                    raise Failure(f"{what}: process {pid} ended: {describe_status(self.ended[pid])} {self.result()}")
            if time.monotonic() > deadline:
                raise Failure(f"{what}: not after {STEP_SECONDS:.0f} s")
            time.sleep(0.002)

    def result(self):
        path = self.dir / "result"
        return path.read_text().strip() if path.exists() else ""

    def baton(self, name, *arguments):
        """A command of Baton that must end well by itself."""
        pid = self.start(name, [self.baton_path, *arguments])
        self.wait(f"baton {shlex.join(map(str, arguments))}", lambda: pid in self.ended)
        if self.ended[pid] != 0:
            raise Failure(f"baton {shlex.join(map(str, arguments))}: {describe_status(self.ended[pid])}: "
                          f"{self.output(name, 'err')}")

    def command(self):
        return [self.program] + ([self.options.case] if self.options.case else [])

    def say_go(self):
        text = self.dir / "go.new"
        monotonic = 0 if self.clock_hides_death else self.dead_seconds
        text.write_text(f"{monotonic:.3f} {self.dead_seconds:.3f}\n")
        text.chmod(0o644)
        text.rename(self.dir / "go")

    def await_pass(self, what, watch=()):
        self.say_go()
        self.wait(what, lambda: self.result() != "", watch)
        if self.result() != "PASS":
            raise Failure(f"{what}: {self.result()}")

    def await_gone(self, pids, what):
        """Every process of {pid: (state, start time)} has ended; what is left names itself in the error."""
        def left():
            return [pid for pid, (_, start) in pids.items()
                    if (now := stat_fields(pid)) and now[2] == start and now[0] not in "ZX"]
        try:
            self.wait(what, lambda: not left())
        except Failure as failure:
            raise Failure(f"{failure}: {left()} are still there") from None

    # ---- modes ----

    def plain(self):
        pid = self.start_program()
        self.await_pass("check without checkpoint", watch=[pid])

    def checkpoint_pid(self, pid, image, *more):
        tree = {pid: (None, stat_fields(pid)[2])} | descendants(pid)
        self.baton(f"checkpoint-{image.name}", "checkpoint", "--pid", pid, "--to", image, *more)
        if "--leave-running" not in more:
            self.await_gone(tree, "after the checkpoint")
        elif (now := stat_fields(pid)) is None or now[0] in "ZX":
            raise Failure(f"--leave-running: {pid} is gone")

    def restore(self, image, *more):
        """The restored root process; `ended` forgets the process that had the same pid before."""
        self.ended.clear()
        pid_file = self.top / f"{image.name}.pid"
        self.baton(f"restore-{image.name}", "restore", image, "--detach", "--pid-file", pid_file, *more)
        pid = int(pid_file.read_text())
        self.ended.update(reap())
        if stat_fields(pid) is None and pid not in self.ended:
            raise Failure(f"the restored process {pid} of {pid_file.name} does not exist")
        return pid

    def pid_generations(self, same_pids, *restore_flags):
        pid = first = self.start_program()
        for number in range(1, self.options.generations + 1):
            image = self.top / f"image{number}"
            begin = time.monotonic()
            self.checkpoint_pid(pid, image)
            pid = self.restore(image, *restore_flags)
            if same_pids and pid != first:
                raise Failure(f"restored as {pid}, it was {first}")
            self.dead_seconds += time.monotonic() - begin
        self.await_pass(f"check after generation {self.options.generations}", watch=[pid])

    def pid(self):
        self.pid_generations(True)

    def capsule(self):
        self.pid_generations(False, "--capsule")

    def user_pid(self):
        self.pid_generations(False)

    def pid_running(self):
        begin = time.monotonic()
        first = self.start_program()
        image = self.top / "image1"
        states = [visible_state(first)]
        time.sleep(0.02)  # what changes within that time is the program's own doing
        states.append(visible_state(first))
        self.checkpoint_pid(first, image, "--leave-running")
        self.await_unchanged(states, first)
        tree = {first: (None, stat_fields(first)[2])} | descendants(first)
        files = remember_files(self.dir)
        self.dead_seconds = time.monotonic() - begin
        self.await_pass("original left running", watch=[first])
        self.wait("end of the original", lambda: first in self.ended)
        kill_all()
        self.await_gone(tree, "end of the original")
        put_back_files(self.dir, files)
        restored = self.restore(image)
        self.dead_seconds = time.monotonic() - begin
        self.await_pass("restored after the original ended", watch=[restored])

    def await_unchanged(self, states, pid):
        """A program that maps and unmaps all the time looks as before at some later moment; what we left would stay."""
        last = None

        def same():
            nonlocal last
            try:
                check_unchanged(*states, visible_state(pid))
                return True
            except Failure as failure:
                last = failure
                return False
        try:
            self.wait("state after the checkpoint", same)
        except Failure as failure:
            raise Failure(f"{failure}: {last}") from None

    def refuse(self):
        first = self.start_program()
        image, state = self.top / "image1", visible_state(first)
        self.environment["BATON_LOG"] = "all:info"
        pid = self.start("checkpoint", [self.baton_path, "checkpoint", "--pid", first, "--to", image])
        self.wait("baton checkpoint", lambda: pid in self.ended)
        error = self.output("checkpoint", "err")
        if self.ended[pid] == 0 or first in self.ended:
            raise Failure(f"not refused: {describe_status(self.ended[pid])}: {error}")
        for line in (self.dir / "expect").read_text().splitlines():
            if line not in error:
                raise Failure(f"the error does not say '{line}': {error}")
        if (self.dir / "once").exists() and "attempt" in error:
            raise Failure(f"tried again, which helps nothing: {error}")
        if image.exists():
            raise Failure(f"an image is left: {[path.name for path in image.iterdir()]}")
        check_unchanged(state, state, visible_state(first))
        self.await_pass("the program after the refusal", watch=[first])

    refuse_user = refuse

    def user(self):
        name = "live"
        keeper = self.start("keeper", [self.baton_path, "run", "--name", name, "--", *self.command()])
        self.await_ready(keeper)
        for number in range(1, self.options.generations + 1):
            begin = time.monotonic()
            self.baton(f"checkpoint{number}", "checkpoint", name)
            tree = {keeper: (None, stat_fields(keeper)[2])} | descendants(keeper)
            os.kill(keeper, signal.SIGKILL)
            self.await_gone(tree, "after the keeper was killed")
            self.ended.clear()
            resumed = f"resume{number}"
            keeper = self.start(resumed, [self.baton_path, "run", "--resume", name])
            try:
                self.wait("baton run --resume", lambda: "resumed from" in self.output(resumed, "err"), watch=[keeper])
            except Failure as failure:
                raise Failure(f"{failure}: {self.output(resumed, 'err')}") from None
            self.dead_seconds += time.monotonic() - begin
        self.await_pass(f"check after generation {self.options.generations}", watch=[keeper])
        self.wait("end of the keeper", lambda: keeper in self.ended)
        if self.ended[keeper] != 0:
            raise Failure(f"keeper after PASS: {describe_status(self.ended[keeper])}: {self.output(resumed, 'err')}")


def clean_up(one):
    """Objects that outlive processes, by the commands that the program has written into its file `cleanup`: those made in
    our own IPC namespace, which it may have left for another one."""
    file = one.dir / "cleanup"
    if one.options.mode == "user" or not file.exists():
        return
    for line in file.read_text().splitlines():
        words = shlex.split(line)
        if words[0] == "mq_unlink":
            ctypes.CDLL(None).mq_unlink(words[1].encode())
        else:
            subprocess.run(words, stderr=subprocess.DEVNULL, check=False)


def user_namespaces_reason():
    """Why an ordinary user can make no capsule here, or None."""
    probe = subprocess.run(["unshare", "--user", "true"], capture_output=True, text=True, check=False)
    return probe.stderr.strip() or "unshare --user failed" if probe.returncode != 0 else None


def run(options):
    if options.mode in ROOT_MODES and os.getuid() != 0:
        raise Skip(f"mode {options.mode} needs root")
    if options.mode in USER_MODES and (reason := user_namespaces_reason()):
        raise Skip(f"mode {options.mode} needs user namespaces: {reason}")
    if options.lend and (reason := lent_ids.reason_against()):
        raise Skip(reason)
    become_subreaper()
    os.umask(0o022)
    one = Run(options)
    try:
        getattr(one, options.mode.replace("-", "_"))()
        kill_all()
        clean_up(one)
    except Failure as failure:
        kill_all()
        clean_up(one)
        print(f"FAIL {options.mode} {shlex.join(map(str, one.command()))}: {failure}")
        print(f"directory: {one.top}\nagain: {shlex.join(sys.argv)}")
        return 1
    except Skip:
        kill_all()
        clean_up(one)
        shutil.rmtree(one.top)
        raise
    shutil.rmtree(one.top)
    print(f"PASS {options.mode} {shlex.join(map(str, one.command()))}")
    return 0


def main():
    parser = argparse.ArgumentParser(description="One live test; see the head of this file.")
    parser.add_argument("--baton", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--program", type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--case", help="passed to a program that holds several cases")
    parser.add_argument("--mode", choices=("plain", *ROOT_MODES, *USER_MODES), required=True)
    parser.add_argument("--generations", type=int, default=1)
    parser.add_argument("--lend", action="store_true")
    options = parser.parse_args()
    if "BATON_LIVE_BATON" in os.environ:
        options.baton = pathlib.Path(os.environ["BATON_LIVE_BATON"]).resolve()
    if options.mode != "plain" and (options.baton is None or not options.baton.exists()):
        parser.error(f"--baton: no such program: {options.baton}")
    try:
        sys.exit(run(options))
    except Skip as skip:
        print(f"SKIP {skip}")
        sys.exit(SKIP)


if __name__ == "__main__":
    main()

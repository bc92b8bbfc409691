"""What the fault tests share: a target and everything that can be seen of it, Baton with faults on demand."""
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True
import reachable  # noqa: E402

PATIENCE_S = 30
USER = int(os.environ.get("BATON_LIVE_UID", "1000"))
PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    """What is not as it must be; the text says where and how."""


def wait_until(what, condition):
    """`condition` returns True, or what it sees instead."""
    deadline = time.monotonic() + PATIENCE_S
    while (last := condition()) is not True:
        if time.monotonic() > deadline:
            raise Failed(f"{what}: {last}")
        time.sleep(0.002)


def read(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError as error:
        return f"<{error.strerror}>"


# ---- processes: all that a test starts, or that Baton leaves, comes to this process, its subreaper, in the end ----


def become_subreaper():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stat_fields(pid):
    """(state, ppid) of a process; None if it is gone."""
    text = read(f"/proc/{pid}/stat")
    fields = text[text.rindex(")") + 2:].split() if ")" in text else []
    return (fields[0], int(fields[1])) if fields else None


def descendants(root):
    parents = {int(name): fields[1] for name in os.listdir("/proc") if name.isdigit() and (fields := stat_fields(name))}
    found, todo = [], [root]
    while todo:
        parent = todo.pop()
        children = [pid for pid, ppid in parents.items() if ppid == parent]
        found += children
        todo += children
    return found


def reap_strangers(known):
    """Dead children of ours that we did not start: what Baton left to its reaper."""
    for name in os.listdir("/proc"):
        fields = stat_fields(name) if name.isdigit() else None
        if fields and fields == ("Z", os.getpid()) and int(name) not in known:
            os.waitpid(int(name), os.WNOHANG)


def kill_descendants():
    def none_left():
        reap_strangers(set())
        left = descendants(os.getpid())
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return True if not left else left
    wait_until("processes that do not die", none_left)


# ---- what must be the same before and after ----

STATUS_KEYS = {"Name", "Umask", "TracerPid", "Tgid", "Uid", "Gid", "Groups", "Threads", "SigPnd", "ShdPnd", "SigBlk",
               "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
               "Cpus_allowed", "Mems_allowed", "FDSize", "PPid", "NStgid", "NSpid", "NSpgid", "NSsid"}


def status_of(path):
    lines = read(path).splitlines()
    standing = [line for line in lines if line.startswith("State") and line.split()[1] in "tT"]
    return standing + [line for line in lines if line.split(":")[0] in STATUS_KEYS]


def fdinfo_of(pid):
    seen = {}
    try:
        for fd in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
            text = [line for line in read(f"/proc/{pid}/fdinfo/{fd}").splitlines() if not line.startswith("it_value")]
            seen[fd] = (os.readlink(f"/proc/{pid}/fd/{fd}"), text)
    except OSError as error:
        seen["list"] = error.strerror
    return seen


def tasks_of(pid):
    try:
        return sorted(os.listdir(f"/proc/{pid}/task"), key=int)
    except OSError:
        return []


def processes_of(pid):
    pids = [pid]
    for one in pids:
        for task in tasks_of(one):
            text = read(f"/proc/{one}/task/{task}/children")
            pids += [int(child) for child in text.split() if child.isdigit()]
    return pids


def picture(pid):
    """Everything of the tree that Baton may have touched."""
    seen = {}
    for one in processes_of(pid):
        seen[one, "maps"] = read(f"/proc/{one}/maps").splitlines()
        seen[one, "fdinfo"] = fdinfo_of(one)
        seen[one, "timers"] = read(f"/proc/{one}/timers").splitlines()
        for task in tasks_of(one):
            seen[one, task] = status_of(f"/proc/{one}/task/{task}/status")
            try:
                seen[one, task, "affinity"] = os.sched_getaffinity(int(task))
            except OSError as error:
                seen[one, task, "affinity"] = error.strerror
    return seen


def difference(before, after):
    for key in sorted(before.keys() | after.keys(), key=str):
        a, b = before.get(key), after.get(key)
        if a != b:
            if isinstance(a, list) and isinstance(b, list):
                return f"{key}: gone {[x for x in a if x not in b]}, new {[x for x in b if x not in a]}"
            return f"{key}: {a} became {b}"
    return True


# ---- target and Baton ----


class Target:
    """target.c, running by itself in its own session; or, with `run`, in whatever that starts it in."""

    def __init__(self, bench, spares=0, program=None):
        self.dir = os.path.join(bench.place, f"target{bench.next_number()}")
        os.mkdir(self.dir)
        self.command = [program or bench.program, self.dir, str(spares)]
        self.process = None

    def start(self):
        log = open(os.path.join(self.dir, "log"), "w")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True)
        self.pid = self.process.pid
        self.await_ready()
        return self

    def await_ready(self):
        wait_until("target is ready", lambda: os.path.exists(f"{self.dir}/ready") or "not yet")

    def check_unchanged(self, before, when):
        """No trace of Baton, and no process that was not there."""
        def same():
            reap_strangers({self.pid})
            strangers = set(descendants(os.getpid())) - set(processes_of(self.pid))
            return difference(before, picture(self.pid)) if not strangers else f"processes {strangers}"
        wait_until(f"{when}: as it was", same)

    def moves(self, pid=None):
        """Its threads go on."""
        def switches():
            lines = [read(f"/proc/{pid or self.pid}/task/{task}/status") for task in tasks_of(pid or self.pid)]
            return [line.split("voluntary_ctxt_switches:")[1].split()[0] for line in lines if "voluntary" in line]
        start = switches()
        wait_until("all threads go on", lambda: all(a != b for a, b in zip(start, switches())) or "stand still")

    def finish(self):
        pathlib.Path(self.dir, "go").touch()
        wait_until("result", lambda: os.path.exists(f"{self.dir}/result") or "none")
        return read(f"{self.dir}/result")

    def interrupts(self):
        return int(read(f"{self.dir}/interrupts"))

    def kill(self):
        """With all its children: they are in its group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Bench:
    """A place for one test, and Baton in it."""

    def __init__(self, arguments, place):
        self.baton, self.program, self.place = arguments.baton, arguments.target, place
        self.objects = getattr(arguments, "objects", None)
        self.root = os.geteuid() == 0
        self.number = 0
        os.mkdir(os.path.join(place, "tmp"))
        self.environment = {**os.environ, "BATON_STATE_DIR": os.path.join(place, "state"), "HOME": place,
                            "TMPDIR": os.path.join(place, "tmp"), "XDG_RUNTIME_DIR": os.path.join(place, "tmp")}

    def next_number(self):
        self.number += 1
        return self.number

    def start(self, *words, **environment):
        # To files, not pipes: what it leaves behind must not keep us waiting for the end of its output.
        self.output = os.path.join(self.place, f"output{self.next_number()}")
        with open(self.output, "w") as out:
            return subprocess.Popen([self.baton, *map(str, words)], env={**self.environment, **environment}, text=True,
                                    stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def finish(self, process):
        output = self.output
        process.wait(timeout=60)
        process.stderr = read(output)
        os.remove(output)
        return process

    def run(self, *words, **environment):
        return self.finish(self.start(*words, **environment))

    def must(self, *words, **environment):
        done = self.run(*words, **environment)
        if done.returncode != 0:
            raise Failed(f"{' '.join(map(str, words[:2]))}: {done.stderr}")
        return done

    def image_path(self):
        return os.path.join(self.place, "image")

    def forget_image(self):
        for name in os.listdir(self.place):
            if name.startswith("image"):
                shutil.rmtree(os.path.join(self.place, name))

    def check_no_image(self, when):
        left = [name for name in os.listdir(self.place) if name.startswith("image")]
        if left:
            raise Failed(f"{when}: left {left}")

    def expected(self, program=None):
        """The result of an undisturbed run."""
        target = Target(self, program=program).start()
        result = target.finish()
        target.process.wait()
        if "wrong 0 inside same" not in result or target.interrupts() != 0:
            raise Failed(f"the target itself: {result}")
        return result

    def trace_file(self):
        return os.path.join(self.place, f"trace{self.next_number()}")


def passages(trace):
    """From a trace of fail points: "name:n" of the first passage of each and of one in the middle, in order. How often
    one is passed is not always the same."""
    counts = {}
    for name in trace.split():
        counts[name] = counts.get(name, 0) + 1
    return [f"{name}:{n}" for name, count in counts.items() for n in sorted({1, count // 2 + 1})]


def places(total, count, first=1):
    """`count` numbers, spread evenly over first..total."""
    span = total - first
    return sorted({first + i * span // max(1, count - 1) for i in range(min(count, span + 1))})


def check_refusal(done, point):
    name = point.split(":")[0]
    if done.returncode == 0:
        raise Failed(f"{point}: the command succeeded")
    if done.returncode < 0:
        raise Failed(f"{point}: the command died of signal {-done.returncode}")
    if name not in done.stderr:
        raise Failed(f"{point}: the error does not name it: {done.stderr.strip()}")


def drop_privileges(place):
    os.chown(place, USER, USER)
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)


def remove_objects(place):
    """What outlives processes, by the commands that a target has written down."""
    for file in pathlib.Path(place).glob("target*/cleanup"):
        for words in map(str.split, file.read_text().splitlines()):
            if words[0] == "mq_unlink":
                ctypes.CDLL(None).mq_unlink(words[1].encode())
            else:
                subprocess.run(words, stderr=subprocess.DEVNULL, check=False)


def run_test(test, arguments):
    """In a place of its own, as an ordinary user if asked; the exit code."""
    place = tempfile.mkdtemp(prefix="baton-faults-", dir="/var/tmp")
    os.chmod(place, 0o755)
    become_subreaper()
    try:
        if arguments.user and os.geteuid() == 0:
            os.chdir(place)
            for name in ("baton", "target", "objects"):
                if path := getattr(arguments, name, None):
                    setattr(arguments, name, str(reachable.reachable(pathlib.Path(path), pathlib.Path(place), USER)))
            drop_privileges(place)
        test(Bench(arguments, place))
    except Failed as failure:
        print(f"FAIL: {failure}")
        return 1
    finally:
        kill_descendants()
        remove_objects(place)
        shutil.rmtree(place, ignore_errors=True)
    return 0

"""What the end-to-end cases stand on: a directory and state directories of their own, `baton` as an ordinary user or as
root, keepers in the background, a job that goes on step by step as the test says, and the check that nothing is left.
"""
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True
import reachable  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE_S = float(os.environ.get("BATON_E2E_PATIENCE_S", "60"))
POLL_S = 0.005
PR_SET_CHILD_SUBREAPER = 36


class Failure(Exception):
    """Something is not as it must be."""


class Skip(Exception):
    """This case cannot run here."""


def check(good, what):
    if not good:
        raise Failure(what)


def wait_until(condition, what, seconds=PATIENCE_S):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:g} s in vain for {what() if callable(what) else what}")
        time.sleep(POLL_S)
    return result


def stat_fields(pid):
    """Fields of /proc/PID/stat after the name, the state first; None when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2:].split()


def descendants(root):
    """Living processes below `root`."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat_fields(name)) and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(int(name))
    found = []
    todo = [root]
    while todo:
        for pid in children.get(todo.pop(), []):
            found.append(pid)
            todo.append(pid)
    return found


def ports_of(pids):
    """Where in the machine's /tmp jobs are shown their ports."""
    found = set()
    for pid in pids:
        try:
            mounts = pathlib.Path(f"/proc/{pid}/mountinfo").read_text()
        except OSError:
            continue
        found |= {line.split()[4] for line in mounts.splitlines() if line.split()[4].startswith("/tmp/.baton-")}
    return found


def lives(pid):
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


def reap_all():
    """Detached processes are ours now; True when none is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


class Keeper:
    """A `baton run` in the background. `merged`: its stdout and stderr are one file, as on a terminal."""

    def __init__(self, sandbox, argv, merged=False, **spawn):
        self.sandbox = sandbox
        self.number = sandbox.next_number()
        self.out_path = sandbox.base / f"keeper{self.number}.out"
        self.err_path = self.out_path if merged else self.out_path.with_suffix(".err")
        spawn.setdefault("stdin", subprocess.DEVNULL)
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out if merged else err, **{**sandbox.spawn_options(), **spawn})

    @property
    def out(self):
        return self.out_path.read_bytes()

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def wait(self):
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"the keeper does not end; its errors: {self.err}") from error

    def ends_with(self, code):
        seen = self.wait()
        check(seen == code, f"exit code {seen}, not {code}; errors: {self.err}")
        return self

    def says(self, text):
        """Waits until `text` is on its stderr."""
        return self.wait_for(text, lambda: self.err)

    def shows(self, text):
        """Waits until `text` is on its stdout."""
        return self.wait_for(text, lambda: self.out.decode(errors="replace"))

    def wait_for(self, text, shown):
        wait_until(lambda: text in shown() or self.process.poll() is not None, lambda: f"'{text}', stderr has: {self.err}")
        check(text in shown(), f"no '{text}'; stderr has: {self.err}")
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL; returns when the job is gone with it."""
        below = descendants(self.process.pid)
        for place in ports_of(below):  # an empty directory, left until the job is resumed
            self.sandbox.cleanups.append(lambda place=place: os.path.isdir(place) and os.rmdir(place))
        self.process.kill()
        self.process.wait()
        for pid in below:
            wait_until(lambda pid=pid: not lives(pid), f"the end of process {pid}, whose keeper was killed")
        return self


class Sandbox:
    """A case's own directory, in which `uid` runs baton."""

    def __init__(self, baton, name, uid):
        self.uid = uid
        self.base = pathlib.Path(tempfile.mkdtemp(prefix=f"baton-e2e-{name}-", dir="/var/tmp"))
        self.base.chmod(0o755)
        self.own(self.base)
        self.built = pathlib.Path(baton).parent  # what else the build has made
        self.baton_path = str(reachable.reachable(pathlib.Path(baton), self.base, uid))
        self.numbers = 0
        self.work = self.directory("work")
        self.store = self.base / "store"
        self.state = "state"
        self.environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.base), "LANG": "C.UTF-8"}
        self.keepers = []
        self.pools = []
        self.cleanups = []

    def next_number(self):
        self.numbers += 1
        return self.numbers

    def own(self, path):
        if os.getuid() == 0 and self.uid != 0:
            os.chown(path, self.uid, self.uid)

    def directory(self, name):
        path = self.base / name
        path.mkdir()
        self.own(path)
        return path

    def fifo(self, name):
        path = self.base / name
        os.mkfifo(path)
        self.own(path)
        return path

    def write(self, name, content, mode=0o644):
        path = self.base / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        self.own(path)
        return path

    def spawn_options(self):
        options = {"env": self.environment, "cwd": self.work}
        if os.getuid() == 0 and self.uid != 0:
            options |= {"user": self.uid, "group": self.uid, "extra_groups": []}
        return options

    def argv(self, *words, state=None):
        return [self.baton_path, "--state-dir", str(self.base / (state or self.state)), *map(str, words)]

    def call_raw(self, argv, **spawn):
        """Any program, with what it did."""
        spawn.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(argv, capture_output=True, timeout=PATIENCE_S, check=False, **{**self.spawn_options(), **spawn})

    def call(self, *words, code=0, state=None, **spawn):
        """baton WORDS; its stdout as text."""
        done = self.call_raw(self.argv(*words, state=state), **spawn)
        check(done.returncode == code, f"baton {' '.join(map(str, words))}: exit code {done.returncode}, not {code}: "
              f"{done.stderr.decode(errors='replace')}")
        return done.stdout.decode(errors="replace")

    def refuses(self, *words, code=125, state=None, **spawn):
        """baton WORDS fails; its stderr as text."""
        done = self.call_raw(self.argv(*words, state=state), **spawn)
        text = done.stderr.decode(errors="replace")
        check(done.returncode == code, f"baton {' '.join(map(str, words))}: exit code {done.returncode}, not {code}: {text}")
        check(text.startswith("baton: ") and text.count("\n") >= 1, f"no error text: '{text}'")
        return text

    def call_detached(self, argv, stdin, stdout):
        """A program that leaves processes behind; its exit code. Its errors go to a file."""
        with open(self.base / f"detached{self.next_number()}.err", "wb") as errors:
            return subprocess.run(argv, stdin=stdin, stdout=stdout, stderr=errors, timeout=PATIENCE_S, check=False,
                                  **self.spawn_options()).returncode

    def json(self, *words, **more):
        return json.loads(self.call(*words, "-o", "json", **more))

    def start(self, *words, state=None, **spawn):
        """baton run WORDS in the background, with our store."""
        keeper = Keeper(self, self.argv("run", "--store", self.store, *words, state=state), **spawn)
        self.keepers.append(keeper)
        return keeper

    def follow(self, *words):
        """baton WORDS in the background."""
        keeper = Keeper(self, self.argv(*words))
        self.keepers.append(keeper)
        return keeper

    def resume(self, name="job", *words, **more):
        keeper = self.start("--resume", name, *words, **more)
        keeper.says("--- resumed from checkpoint")
        return keeper

    def checkpoint(self, name="job", **more):
        """The number of the checkpoint made."""
        return self.json("checkpoint", name, **more)["number"]

    def show(self, name="job", **more):
        return self.json("show", name, **more)

    def clean(self):
        for keeper in self.keepers:
            if keeper.process.poll() is None:
                keeper.kill()
        for pool in self.pools:
            pool.clean()

    def remove(self):
        for cleanup in self.cleanups:
            cleanup()
        for path in self.base.rglob("*"):  # a case may have left what its owner cannot list
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(self.base)


class Steps:
    """The job jobs/steps.py: goes on as far as the test lets it. Step n appends "n" to `files`, writes, if n is a multiple
    of 3, "err n" to stderr, and last "out n" to stdout. `log`: where its output goes."""

    def __init__(self, sandbox, *files, log=None):
        self.sandbox, self.log = sandbox, log
        shutil.copy(HERE / "jobs" / "steps.py", sandbox.base / "steps.py")
        self.limit = sandbox.write("steps.limit", b"")
        self.command = ["/usr/bin/python3", str(sandbox.base / "steps.py"), str(self.limit), *map(str, files)]

    def allow(self, steps):
        """Lets it go on to step `steps` (never back)."""
        with open(self.limit, "ab") as file:
            file.write(b"." * (steps - os.path.getsize(self.limit)))

    def to(self, steps):
        """Lets it go on, and waits until it has done so (once more, after a resume)."""
        log = self.log or self.sandbox.base / self.sandbox.state / "runs" / "job" / "output"
        self.allow(steps)

        def done():
            for keeper in self.sandbox.keepers[-1:]:
                check(keeper.process.poll() is None, f"the keeper has ended before step {steps}: {keeper.err}")
            return log.exists() and b"out %d\n" % steps in log.read_bytes()
        wait_until(done, f"step {steps} in {log}")

    def end(self, steps):
        """Lets it do `steps` steps in all and end."""
        self.allow(steps)
        with open(self.limit, "ab") as file:
            file.write(b"E")

    @staticmethod
    def lines(steps):
        return "".join(f"{n}\n" for n in range(1, steps + 1))

    @staticmethod
    def output(steps):
        return "".join((f"err {n}\n" if n % 3 == 0 else "") + f"out {n}\n" for n in range(1, steps + 1))


def tree(directory):
    """{relative path: content or kind} of all that is in a directory."""
    found = {}
    for path in sorted(pathlib.Path(directory).rglob("*")):
        name = str(path.relative_to(directory))
        found[name] = os.readlink(path) if path.is_symlink() else "DIR" if path.is_dir() else path.read_text(errors="replace")
    return found


def run_case(function, baton, root):
    """Runs one case; its exit code for CTest."""
    if root and os.getuid() != 0:
        print("SKIP: needs root")
        return 77
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise Failure("prctl(PR_SET_CHILD_SUBREAPER) failed")
    uid = 0 if root else int(os.environ.get("BATON_LIVE_UID", "1000")) if os.getuid() == 0 else os.getuid()
    sandbox = Sandbox(baton, function.__name__, uid)
    try:
        function(sandbox)
        sandbox.clean()
        left = descendants(os.getpid())
        check(not left, "left running: " + ", ".join(f"{pid} ({stat_comm(pid)})" for pid in left))
    except Skip as skip:
        print(f"SKIP: {skip}")
        sandbox.remove()
        return 77
    except (Failure, subprocess.SubprocessError) as failure:
        import traceback
        traceback.print_exc()
        print(f"FAIL {function.__name__}: {failure}\ndirectory: {sandbox.base}\nagain: {' '.join(sys.argv)}")
        return 1
    finally:
        sandbox.clean()
        for pid in descendants(os.getpid()):  # of a case that failed
            os.kill(pid, signal.SIGKILL)
    sandbox.remove()
    return 0


def stat_comm(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"

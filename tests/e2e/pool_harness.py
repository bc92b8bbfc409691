"""A pool for the end-to-end cases: a controller and workers as daemons, each worker with a state directory of its own and
a proxy between it and the controller, by which it can be cut off; what dies is killed by pid."""
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import threading

from harness import HERE, PATIENCE_S, Failure, check, descendants, lives, wait_until


class Proxy:
    """Forwards connections at one UNIX socket to another. cut(): nothing goes through any more, in silence, as with a
    pulled cable; mend(): new connections go through again."""

    def __init__(self, listen, target, uid):
        self.target = str(target)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(listen))
        if os.getuid() == 0 and uid != 0:
            os.chown(listen, uid, uid)
        os.chmod(listen, 0o600)
        self.listener.listen(64)
        self.path = listen
        self.wake_out, self.wake_in = os.pipe()
        self.pairs, self.through, self.stop = {}, True, False
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def set(self, through):
        with self.lock:
            self.through = through
        os.write(self.wake_in, b".")

    def cut(self):
        self.set(False)

    def mend(self):
        self.set(True)

    def close(self):
        self.stop = True
        os.write(self.wake_in, b".")
        self.thread.join()
        self.listener.close()
        for fd in (self.wake_out, self.wake_in):
            os.close(fd)

    def drop(self, end):
        other = self.pairs.pop(end)
        self.pairs.pop(other, None)
        end.close()
        other.close()

    def accept(self):
        end, _ = self.listener.accept()
        other = socket.socket(socket.AF_UNIX)
        try:
            other.connect(self.target)
        except OSError:
            end.close()
            other.close()
            return
        self.pairs[end], self.pairs[other] = other, end

    def forward(self, end):
        try:
            data = end.recv(65536)
            if data:
                self.pairs[end].sendall(data)
                return
        except OSError:
            pass
        self.drop(end)

    def serve(self):
        while not self.stop:
            with self.lock:
                through = self.through
            watched = [self.wake_out] + ([self.listener, *self.pairs] if through else [])
            for ready in select.select(watched, [], [])[0]:
                if ready == self.wake_out:
                    os.read(self.wake_out, 4096)
                    if not through:  # what was open is dead when the cable is back
                        for end in list(self.pairs):
                            if end in self.pairs:
                                self.drop(end)
                elif ready is self.listener:
                    self.accept()
                elif ready in self.pairs:
                    self.forward(ready)
        for end in list(self.pairs):
            if end in self.pairs:
                self.drop(end)


class Daemon:
    """A controller or worker."""

    def __init__(self, pool, name, argv, environment=None, spawn=None):
        self.pool, self.name, self.argv, self.spawn = pool, name, argv, spawn or {}
        self.environment = environment or {}
        self.process = None

    def start(self, **environment):
        options = self.pool.sandbox.spawn_options()
        options["env"] = {**options["env"], **self.environment, **environment}
        with open(self.pool.base / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **{**options, **self.spawn})
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """As `systemctl stop` would."""
        self.process.terminate()
        check(self.process.wait(PATIENCE_S) == 0, f"{self.name} ended with {self.process.returncode}")

    @property
    def log(self):
        return (self.pool.base / f"{self.name}.log").read_text(errors="replace")


class Worker(Daemon):
    def __init__(self, pool, name, cpus, environment=None, options=(), store=None):
        sandbox = pool.sandbox
        self.directory = pool.base / name
        self.proxy = Proxy(pool.base / f"{name}.sock", pool.socket, sandbox.uid)
        super().__init__(pool, name, [sandbox.baton_path, "--state-dir", str(self.directory), "worker", "--name", name,
                                      "--controller", f"unix:{self.proxy.path}", "--store", str(store or pool.store), "--cpus", str(cpus),
                                      "--memory", "64G", *options], environment)

    def keepers(self):
        """Pids of its keepers, by unit."""
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
                is_keeper = (path.parent / "comm").read_text() == "baton-keeper\n"
            except OSError:
                continue
            if is_keeper and len(words) > 2 and words[1] == b"pool-keeper" and words[2].decode().startswith(f"{self.directory}/"):
                found[words[2].decode().rpartition("/")[2]] = int(path.parent.name)
        return found

    def keeper(self, unit):
        return wait_until(lambda: self.keepers().get(unit), f"a keeper of {unit} on {self.name}")

    def kill_all(self):
        """Daemon, keepers, and with them their units, as in a power cut; returns when nothing of it is left."""
        pids = list(self.keepers().values())
        below = [pid for keeper in pids for pid in descendants(keeper)]
        self.process.kill()
        for pid in pids:
            if lives(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for pid in pids + below:
            wait_until(lambda pid=pid: not lives(pid), f"the end of process {pid} of {self.name}")

    def clean(self):
        if self.process is not None and self.process.poll() is None:
            self.kill_all()
        for pid in self.keepers().values():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.keepers(), f"the end of the keepers of {self.name}")
        self.proxy.close()


class Pool:
    """With `workers` workers w1, w2 ... of one processor each."""

    def __init__(self, sandbox, workers=1, cpus=1, environment=None, options=(), user=None, name="pool"):
        self.sandbox = sandbox
        self.base = sandbox.directory(name)
        # Whose the controller is, and who calls it; the workers are those of the sandbox.
        self.user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        if user is not None:
            os.chown(self.base, user, user)
        self.store = self.base / "store"
        self.socket = self.base / "sock"
        self.address = f"unix:{self.socket}"
        self.workers, self.daemons = [], []
        self.controller = self.daemon("controller", [sandbox.baton_path, "--state-dir", str(self.base / "state"), "controller",
                                                     "--listen", self.address, "--store", str(self.store)], self.user)
        sandbox.pools.append(self)
        self.start_controller()
        for number in range(workers):
            self.add(f"w{number + 1}", cpus, environment, options)

    def start_controller(self, **environment):
        """Returns when it answers, or has ended."""
        path = self.base / "controller.log"
        before = path.read_bytes().count(b"listening at") if path.exists() else 0
        self.controller.start(**environment)
        wait_until(lambda: self.controller.log.count("listening at") > before or self.controller.process.poll() is not None,
                   "the controller")

    def daemon(self, name, argv, spawn=None):
        daemon = Daemon(self, name, list(map(str, argv)), spawn=spawn)
        self.daemons.append(daemon)
        return daemon

    def add(self, name, cpus=1, environment=None, options=(), store=None):
        worker = Worker(self, name, cpus, environment, options, store)
        self.workers.append(worker)
        worker.start()
        wait_until(lambda: any(w["worker"] == name and w["present"] for w in self.json("workers")), f"worker {name}")
        return worker

    def worker(self, name):
        return next(worker for worker in self.workers if worker.name == name)

    def clean(self):
        for worker in self.workers:
            worker.clean()
        self.workers = []
        for daemon in self.daemons:
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.kill()

    def call(self, *words, **more):
        return self.sandbox.call(words[0], "--controller", self.address, *words[1:], **{**self.user, **more})

    def refuses(self, *words, **more):
        return self.sandbox.refuses(words[0], "--controller", self.address, *words[1:], **{**self.user, **more})

    def json(self, *words, **more):
        return json.loads(self.call(words[0], "-o", "json", *words[1:], **more))

    def submit(self, *words, **more):
        return int(self.call("submit", *words, **more))

    def show(self, job):
        return self.json("show", job)

    def wait_for(self, job, good, what):
        """Until show(job) is as `good` says; it then."""
        last = {}

        def look():
            done = self.sandbox.call_raw(self.sandbox.argv("show", "--controller", self.address, "-o", "json", job), **self.user)
            if done.returncode == 0:
                last.clear()
                last.update(json.loads(done.stdout))
            return last if last and good(last) else None
        return wait_until(look, lambda: f"{what}; job {job}: {last}")

    def runs(self, job, attempt=None, worker=None):
        return self.wait_for(job, lambda shown: shown["state"] == "running" and attempt in (None, shown["attempt"]) and
                             worker in (None, shown["worker"]), f"attempt {attempt} to run on {worker}")

    def ends(self, job, code=0):
        """Waits for the job's end."""
        self.call("wait", job, code=code)
        return self.show(job)

    def log_path(self, job, attempt):
        return self.store / "logs" / f"{job}.{attempt}"


class PoolSteps:
    """jobs/steps.py as a job: its workspace gets the file `steps`."""

    def __init__(self, pool, name="steps"):
        self.pool = pool
        self.program = pool.sandbox.base / "steps.py"
        if not self.program.exists():
            shutil.copy(HERE / "jobs" / "steps.py", self.program)
        self.limit = pool.sandbox.write(f"{name}.limit", b"")
        self.command = ["--", "/usr/bin/python3", str(self.program), str(self.limit), "steps"]

    def submit(self, *words):
        self.job = self.pool.submit(*words, *self.command)
        return self.job

    def allow(self, steps):
        with open(self.limit, "ab") as file:
            file.write(b"." * (steps - os.path.getsize(self.limit)))

    def reached(self, steps, attempt):
        path = self.pool.log_path(self.job, attempt)
        return path.exists() and b"out %d\n" % steps in path.read_bytes()

    def to(self, steps, attempt=1):
        self.allow(steps)
        wait_until(lambda: self.reached(steps, attempt), f"step {steps} of attempt {attempt}")

    def end(self, steps):
        self.allow(steps)
        with open(self.limit, "ab") as file:
            file.write(b"E")

    def check_result(self, steps, name="result"):
        """What was fetched, and the log, are those of an undisturbed run."""
        directory = self.pool.base / f"{name}-{self.job}"
        self.pool.call("fetch", self.job, directory)
        lines = "".join(f"{n}\n" for n in range(1, steps + 1))
        check((directory / "steps").read_text() == lines, f"another result of job {self.job} in {directory}")
        output = "".join((f"err {n}\n" if n % 3 == 0 else "") + f"out {n}\n" for n in range(1, steps + 1))
        log = self.pool.call("logs", self.job)
        check(log == output, f"another log of job {self.job}: {log!r}, not {output!r}")

#!/usr/bin/env python3
"""./dev demo: jobs that outlive the machine under them.

Two programs run undisturbed, then as jobs of a pool of three workers, with a checkpoint every 2 s, both on one worker. In
mid-run everything of that worker (daemon, keepers, processes) is SIGKILLed at once, as a power cut would. The pool finds
out, hands the jobs over, and they go on on the other workers. Results are fetched and compared by SHA-256 with those of
the undisturbed runs; a line that a program writes only when it starts anew must stand in a log outside exactly once.

Runs as an ordinary user; started by root, it becomes one that has no name and no rights.
"""
import argparse
import glob
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

INTERVAL_S = 2.0
UNDISTURBED_S = 10.0  # how long each of the two programs is to run
POLL_S = 0.01
ORDINARY_UID = 20260
KILL_AT = 0.5  # of all steps
AGAIN_S = 15.0  # within which jobs run again
PYTHON = "/usr/bin/python3"


class Failure(Exception):
    """Something the demo shows is not so."""


class Witness:
    """Watches from outside how far a program is: one line of its progress file per step."""

    def __init__(self, find):
        self.find = find  # where the file is now
        self.samples = []  # (wall-clock time, steps), only changes
        self.offset = self.steps = 0

    def look(self):
        try:
            with open(self.find(), "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except (FileNotFoundError, IndexError):
            return
        self.offset += len(data)
        self.steps += data.count(b"\n")
        if self.steps and (not self.samples or self.steps != self.samples[-1][1]):
            self.samples.append((time.time(), self.steps))

    def time_of(self, step):
        return min(seen for seen, steps in self.samples if steps >= step)


class Job:
    """One of the two programs."""

    def __init__(self, base, name, command, steps, progress):
        self.base, self.name, self.steps, self.progress = base, name, steps, progress
        self.command = [c.replace("BIN", os.path.join(base, "bin")) for c in command]
        self.process = self.witness = self.number = None
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": base, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}

    def directory(self, stage):
        return os.path.join(self.base, stage, self.name)

    def log(self, stage):
        return os.path.join(self.base, f"{self.name}.{stage}.start")

    def argv(self, stage):
        return self.command + [self.log(stage), str(self.steps)]

    def start(self, stage):
        """The program by itself."""
        os.makedirs(self.directory(stage))
        path = os.path.join(self.directory(stage), self.progress)
        self.witness = Witness(lambda: path)
        with open(os.path.join(self.base, f"{self.name}.output"), "ab") as output:
            self.process = subprocess.Popen(self.argv(stage), cwd=self.directory(stage), stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, env=self.environment, start_new_session=True)

    def watch_attempt(self, pool, epoch):
        pattern = os.path.join(pool.state, "pool", "w*", "worker", "units", f"{self.number}.{epoch}", "own", "work", self.progress)
        self.witness = Witness(lambda: glob.glob(pattern)[0])

    def shown(self, pool):
        return json.loads(pool.baton("show", str(self.number), "-o", "json"))


class Pool:
    """`baton pool up`."""

    def __init__(self, base, environment):
        self.program, self.state, self.environment = os.path.join(base, "bin", "baton"), os.path.join(base, "state"), environment
        self.base = base

    def baton(self, *words):
        run = subprocess.run([self.program, "--state-dir", self.state, *words], env=self.environment, cwd=self.base,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise Failure(f"baton {' '.join(words)}: {run.stderr.strip()}")
        return run.stdout

    def submit(self, job):
        """With the program's own environment."""
        job.number = int(self.baton("submit", "--name", job.name, "--every", f"{INTERVAL_S:g}s", "--", *job.argv("pool")))
        job.watch_attempt(self, 1)

    def processes(self, worker):
        """Everything of one worker: daemon, keepers, and all below them."""
        here = os.path.join(self.state, "pool", worker)
        roots = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    words = file.read().decode(errors="replace").split("\0")
            except OSError:
                continue
            if any(word == here or word.startswith(here + "/") for word in words):
                roots.append(int(path.split("/")[2]))
        return descendants(roots)

    def kill(self, worker):
        """SIGKILL to all of it at once; afterwards none of it is left."""
        pids = self.processes(worker)
        when = time.time()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for pid in pids:
            wait_until(lambda pid=pid: zombie(pid), 10, f"the end of process {pid}")
        return when, len(pids)


def descendants(roots):
    """The processes and everything below them, parents first, each once."""
    found = list(dict.fromkeys(roots))
    for pid in found:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                    found += [int(word) for word in file.read().split() if int(word) not in found]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:g} s in vain for {what}")
        time.sleep(POLL_S)
    return result


def digest(job, stage):
    total = hashlib.sha256()
    for name in (job.progress, "final"):
        path = os.path.join(job.directory(stage), name)
        if not os.path.exists(path):
            raise Failure(f"{job.name}: no file {name} after the {stage} run")
        with open(path, "rb") as file:
            total.update(hashlib.sha256(file.read()).digest())
    return total.hexdigest()


def wait_for_ends(jobs, seconds, what):
    """Runs all to their end, watching how far they are."""
    def ended():
        for job in jobs:
            job.witness.look()
        return all(job.process.poll() is not None for job in jobs)

    wait_until(ended, seconds, what)
    for job in jobs:
        if job.process.returncode != 0:
            raise Failure(f"{job.name}: {what} ended with exit code {job.process.returncode}")


def measure(jobs, seconds):
    """Chooses steps that take about `seconds` on this machine, as busy as it is: a few are done to see."""
    for job in jobs:
        job.start("trial")
    wait_for_ends(jobs, 60, "the trial run")
    for job in jobs:
        (first, done), (last, all_done) = job.witness.samples[0], job.witness.samples[-1]
        rate = (all_done - done) / (last - first) if last > first else job.steps
        job.steps = max(job.steps, int(rate * seconds))


def start_pool(pool, jobs):
    """Both jobs on worker w1: the others take none until both run."""
    pool.baton("pool", "up", "--workers", "3", "--cpus", "2", "--memory", "4G")
    for worker in ("w2", "w3"):
        pool.baton("drain", worker)
    for job in jobs:
        pool.submit(job)
    for job in jobs:
        wait_until(lambda job=job: job.shown(pool)["worker"] == "w1" and job.shown(pool)["state"] == "running", 30, f"{job.name} to run")
    for worker in ("w2", "w3"):
        pool.baton("drain", worker, "--undo")


def run_until_killed(pool, jobs):
    """Until both are half-way and saved; when w1 was killed, and how many processes that were."""
    def half_way():
        for job in jobs:
            job.witness.look()
            if job.witness.steps >= job.steps:
                raise Failure(f"{job.name}: it was too fast to be killed")
        return all(job.witness.steps >= KILL_AT * job.steps for job in jobs)

    wait_until(half_way, 60, "both jobs to be half-way")
    wait_until(lambda: half_way() and all(job.shown(pool)["checkpoints"] for job in jobs), 60, "a checkpoint of both")
    killed = pool.kill("w1")
    for job in jobs:
        job.witness.look()
        job.first = job.witness
    return killed


def run_on(pool, jobs):
    """Both run again, elsewhere, and to their end."""
    for job in jobs:
        job.watch_attempt(pool, 2)

    def look():
        for job in jobs:
            job.witness.look()
        return all(len(job.witness.samples) > 1 for job in jobs)

    wait_until(look, 60, "both jobs to run again")
    waiting = [subprocess.Popen([pool.program, "--state-dir", pool.state, "wait", str(job.number)], env=pool.environment) for job in jobs]

    def ended():
        look()
        return all(process.poll() is not None for process in waiting)

    wait_until(ended, 120, "the ends of both jobs")
    os.makedirs(os.path.join(pool.base, "result"))
    for job, process in zip(jobs, waiting):
        if process.returncode != 0:
            raise Failure(f"{job.name}: exit code {process.returncode}")
        pool.baton("fetch", str(job.number), job.directory("result"))


def judge(job, pool, killed_at):
    """Checks everything that must hold, and returns what the timeline shows."""
    shown = job.shown(pool)
    attempts = shown["attempts"]
    if [a["state"] for a in attempts] != ["lost", "ended"]:
        raise Failure(f"{job.name}: {attempts}")
    step = job.witness.samples[0][1]
    again_at = next(seen for seen, steps in job.witness.samples if steps > step)
    lost_s = killed_at - job.first.time_of(min(step, job.first.steps))
    with open(job.log("pool"), encoding="ascii") as file:
        starts = file.read().count("start")
    checks = [(starts == 1, f"it started {starts} times"),
              (attempts[1]["worker"] != "w1", "it is where it was"),
              (again_at - killed_at <= AGAIN_S, f"it ran again {again_at - killed_at:.1f} s after the kill"),
              (lost_s <= INTERVAL_S + 2, f"{lost_s:.1f} s of work are done again, with a checkpoint every {INTERVAL_S:g} s"),
              (digest(job, "plain") == digest(job, "result"), "the result differs from the undisturbed run's")]
    for good, what in checks:
        if not good:
            raise Failure(f"{job.name}: {what}")
    return shown, step, again_at, lost_s


def show(job, shown, killed, step, again_at, lost_s):
    killed_at, processes = killed
    origin = job.first.samples[0][0]
    first, second = shown["attempts"]
    line = lambda when, text: print(f"  {when - origin:6.2f} s  {text}")  # noqa: E731
    print(f"\n{job.name}: {job.steps} steps")
    for checkpoint in shown["checkpoints"]:
        if checkpoint["checkpoint"].startswith("1."):
            line(checkpoint["created_ms"] / 1000, f"checkpoint {checkpoint['checkpoint']} on w1: paused {checkpoint['pause_ms']} ms, "
                 f"{checkpoint['bytes'] / 2**20:.1f} MiB")
    line(killed_at, f"all of w1 killed at step {job.first.steps} ({processes} processes: daemon, keepers, programs)")
    line(first["changed_ms"] / 1000, f"detected: w1 was silent until its lease was surely over ({first['changed_ms'] / 1000 - killed_at:.1f} s)")
    line(second["created_ms"] / 1000, f"handed over to {second['worker']}")
    line(again_at, f"goes on at step {step} of checkpoint {second['resumed_from']}: fetched in {second['fetch_ms']} ms, restored in "
         f"{second['restore_ms']} ms; lost {job.first.steps - step} steps ({lost_s:.2f} s)")
    print(f"            runs again {again_at - killed_at:.1f} s after the kill")
    line(job.witness.samples[-1][0], f"done; started once; SHA-256 {digest(job, 'result')[:16]}, as undisturbed")


def play(base, speed):
    jobs = [Job(base, "nbody", [PYTHON, "BIN/nbody.py"], 20, "energies"),
            Job(base, "threads", ["BIN/threads"], 100, "sums")]
    pool = Pool(base, jobs[0].environment)
    began = time.monotonic()
    try:
        measure(jobs, UNDISTURBED_S * speed)
        print("undisturbed runs ...", flush=True)
        for job in jobs:
            job.start("plain")
        wait_for_ends(jobs, 120, "the undisturbed run")
        print("the same as jobs of a pool of three workers, both on w1 ...", flush=True)
        start_pool(pool, jobs)
        killed = run_until_killed(pool, jobs)
        print("all of w1 killed ...", flush=True)
        run_on(pool, jobs)
        for job in jobs:
            shown, *rest = judge(job, pool, killed[0])
            show(job, shown, killed, *rest)
    except Failure as failure:
        print(f"demo: FAILED: {failure}", file=sys.stderr)
        return 1
    finally:
        for job in jobs:
            if job.process and job.process.poll() is None:
                job.process.kill()
                job.process.wait()
        subprocess.run([pool.program, "--state-dir", pool.state, "pool", "down"], env=pool.environment, check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    print(f"\ndemo: all results are right ({time.monotonic() - began:.0f} s)")
    return 0


def prepare(arguments):
    """A directory outside /tmp (a capsule has a /tmp of its own) with all that the ordinary user needs."""
    base = tempfile.mkdtemp(prefix="baton-demo-", dir="/var/tmp")
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    os.mkdir(os.path.join(base, "bin"))
    threads = os.path.join(os.path.dirname(os.path.abspath(arguments.baton)), "tests", "demo", "baton_demo_threads")
    for source, name in ((arguments.baton, "baton"), (threads, "threads"), (__file__, "demo.py"),
                         (os.path.join(here, "tests", "demo", "nbody.py"), "nbody.py")):
        shutil.copy(source, os.path.join(base, "bin", name))
    return base


def as_ordinary_user(base):
    if os.getuid() != 0:
        return []
    for directory, _, files in os.walk(base):
        for path in [directory] + [os.path.join(directory, name) for name in files]:
            os.chown(path, ORDINARY_UID, ORDINARY_UID)
    return ["setpriv", f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups", "--inh-caps=-all"]


def main():
    parser = argparse.ArgumentParser(description="shows a program going on after its death")
    parser.add_argument("--baton", default="build/release/baton")
    parser.add_argument("--speed", type=float, default=1, help="work to do, as a multiple of the usual")
    parser.add_argument("--base", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.base:
        return play(arguments.base, arguments.speed)
    base = prepare(arguments)
    result = subprocess.run(as_ordinary_user(base) + [PYTHON, os.path.join(base, "bin", "demo.py"), "--base", base,
                                                      "--speed", str(arguments.speed)], cwd=base, check=False).returncode
    if result == 0:
        shutil.rmtree(base)
    else:
        print(f"demo: everything is kept in {base}", file=sys.stderr)
    return result


if __name__ == "__main__":
    sys.exit(main())

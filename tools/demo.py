#!/usr/bin/env python3
"""./dev demo: programs that outlive their processes, their keeper and their files.

Two programs run undisturbed, then under `baton run` with a checkpoint every 2 s. In mid-run keeper and processes are
SIGKILLed; workspace and keeper's state are removed. Each is resumed from the store alone, in another directory, by a
new keeper with a new state directory. Results are compared by SHA-256 with those of the undisturbed runs; a line that a
program writes only when it starts anew must stand in a log outside exactly once.

Runs as an ordinary user; started by root, it becomes one that has no name and no rights.
"""
import argparse
import hashlib
import json
import os
import re
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
KILL_AT = 0.55  # of all steps
PYTHON = "/usr/bin/python3"


class Failure(Exception):
    """Something the demo shows is not so."""


class Witness:
    """Watches from outside how far a program is: one line of its progress file per step."""

    def __init__(self, path):
        self.path = path
        self.samples = []  # (wall-clock time, steps), only changes
        self.offset = self.steps = 0

    def look(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return
        self.offset += len(data)
        self.steps += data.count(b"\n")
        if self.steps and (not self.samples or self.steps != self.samples[-1][1]):
            self.samples.append((time.time(), self.steps))

    def step_at(self, when):
        """The last step seen by then."""
        return max((steps for seen, steps in self.samples if seen <= when), default=0)

    def time_of(self, step):
        return min(seen for seen, steps in self.samples if steps >= step)


class Job:
    def __init__(self, base, name, command, steps, progress):
        self.base, self.name, self.steps, self.progress = base, name, steps, progress
        self.command = [c.replace("BIN", os.path.join(base, "bin")) for c in command]
        self.store = os.path.join(base, "store")
        self.checkpoints = {}
        self.process = self.witness = self.killed_at = None
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": base, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}

    def directory(self, stage):
        return os.path.join(self.base, stage, self.name)

    def log(self, stage):
        return os.path.join(self.base, f"{self.name}.{stage}.start")

    def argv(self, stage):
        return self.command + [self.log(stage), str(self.steps)]

    def spawn(self, argv, cwd):
        with open(os.path.join(self.base, f"{self.name}.output"), "ab") as output:
            self.process = subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            env=self.environment, start_new_session=True)

    def watch(self, stage):
        self.witness = Witness(os.path.join(self.directory(stage), self.progress))

    def baton(self, *arguments):
        return [os.path.join(self.base, "bin", "baton"), *arguments]

    def start(self, stage):
        """The program by itself."""
        os.makedirs(self.directory(stage))
        self.watch(stage)
        self.spawn(self.argv(stage), self.directory(stage))

    def start_first(self):
        os.makedirs(self.directory("first"))
        self.watch("first")
        self.spawn(self.baton("--state-dir", self.directory("state1"), "run", "--name", self.name, "--every", f"{INTERVAL_S:g}s",
                              "--store", self.store, "--", *self.argv("baton")), self.directory("first"))

    def start_second(self):
        os.makedirs(self.directory("second"))
        self.watch("second")
        self.resumed_at = time.time()
        self.spawn(self.baton("--state-dir", self.directory("state2"), "run", "--resume", self.name, "--store", self.store,
                              "--workdir", self.directory("second")), self.base)

    def note_checkpoints(self, stage):
        """Asks the keeper what it has saved; it keeps its record of the last one only."""
        run = subprocess.run(self.baton("--state-dir", self.directory(stage), "show", self.name, "-o", "json"),
                             env=self.environment, capture_output=True, check=False)
        if run.returncode == 0:
            note = json.loads(run.stdout).get("last_checkpoint")
            if note:
                self.checkpoints[note["number"]] = note

    def kill_all(self):
        """SIGKILL to keeper and processes at once; afterwards none of them is left."""
        pids = descendants(self.process.pid)
        self.killed_at = time.time()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        for pid in pids:
            wait_until(lambda pid=pid: not os.path.exists(f"/proc/{pid}") or zombie(pid), 10, f"the end of process {pid}")

    def destroy(self):
        """All of it killed in mid-run, and its files and the keeper's removed."""
        self.kill_all()
        self.witness.look()
        self.first = self.witness
        shutil.rmtree(self.directory("first"))
        shutil.rmtree(self.directory("state1"))

    def output(self):
        with open(os.path.join(self.base, f"{self.name}.output"), encoding="utf-8", errors="replace") as file:
            return file.read()


def descendants(root):
    """The process and everything below it, parents first."""
    found = [root]
    for pid in found:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                    found += [int(word) for word in file.read().split()]
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
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:g} s in vain for {what}")
        time.sleep(POLL_S)


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
            if job.witness:
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
        job.witness = None


def run_until_killed(jobs):
    waiting, next_note = list(jobs), 0.0
    deadline = time.monotonic() + 120
    while waiting:
        for job in list(waiting):
            job.witness.look()
            if job.process.poll() is not None:
                raise Failure(f"{job.name}: ended by itself with {job.process.returncode} before it was to be killed")
            if job.witness.steps >= KILL_AT * job.steps and job.checkpoints:
                job.destroy()
                waiting.remove(job)
        if time.monotonic() > next_note:
            for job in waiting:
                job.note_checkpoints("state1")
            next_note = time.monotonic() + 0.25
        if time.monotonic() > deadline:
            raise Failure("no checkpoint within 120 s: " + ", ".join(job.name for job in waiting))
        time.sleep(POLL_S)


def resume(jobs):
    for job in jobs:
        job.start_second()
    left, deadline = list(jobs), time.monotonic() + 60
    while left:
        for job in list(left):
            job.witness.look()
            if len(job.witness.samples) > 1 or job.process.poll() is not None:
                job.note_checkpoints("state2")
                left.remove(job)
        if time.monotonic() > deadline:
            raise Failure("not resumed within 60 s: " + ", ".join(job.name for job in left))
        time.sleep(POLL_S)
    wait_for_ends(jobs, 120, "the resumed run")


def judge(job):
    """Checks everything that must hold, and returns what the timeline shows."""
    resumed = re.findall(r"resumed from checkpoint (\d+)", job.output())
    if not resumed:
        raise Failure(f"{job.name}: nothing says that it was resumed")
    number = int(resumed[-1])
    note = job.checkpoints.get(number)
    if not note:
        raise Failure(f"{job.name}: resumed from checkpoint {number}, which nobody announced")
    saved = job.first.step_at(note["taken_ms"] / 1000 - POLL_S)
    step = job.witness.samples[0][1]
    lost_s = job.killed_at - job.first.time_of(min(step, job.first.steps))
    with open(job.log("baton"), encoding="ascii") as file:
        starts = file.read().count("start")
    checks = [(starts == 1, f"it started {starts} times"),
              (saved > 0, "no step had been done at the checkpoint"),
              (step >= saved, f"resumed at step {step}, saved at {saved}"),
              (lost_s <= INTERVAL_S + 1, f"{lost_s:.1f} s of work are done again, with a checkpoint every {INTERVAL_S:g} s"),
              (digest(job, "plain") == digest(job, "second"), "the results differ from the undisturbed run's")]
    for good, what in checks:
        if not good:
            raise Failure(f"{job.name}: {what}")
    return number, step, lost_s


def show(job, number, step, lost_s):
    origin = job.first.samples[0][0]
    print(f"\n{job.name}: {job.steps} steps")
    for key, note in sorted(job.checkpoints.items()):
        taken = note["taken_ms"] / 1000
        if taken < job.killed_at:
            print(f"  {taken - origin:6.2f} s  checkpoint {key}: paused {note['pause_us'] / 1000:.1f} ms, "
                  f"{note['bytes'] / 2**20:.1f} MiB, {note['threads']} threads")
    print(f"  {job.killed_at - origin:6.2f} s  everything killed at step {job.first.steps}, files and state removed")
    print(f"  {job.resumed_at - origin:6.2f} s  new keeper, other directory, only the store")
    print(f"  {job.witness.samples[0][0] - origin:6.2f} s  goes on at step {step} of checkpoint {number}: resumed in "
          f"{job.witness.samples[1][0] - job.resumed_at:.2f} s; lost {job.first.steps - step} steps ({lost_s:.2f} s)")
    print(f"  {job.witness.samples[-1][0] - origin:6.2f} s  done; started once; SHA-256 {digest(job, 'second')[:16]}, as undisturbed")


def play(base, speed):
    jobs = [Job(base, "nbody", [PYTHON, "BIN/nbody.py"], 20, "energies"),
            Job(base, "threads", ["BIN/threads"], 100, "sums")]
    began = time.monotonic()
    try:
        measure(jobs, UNDISTURBED_S * speed)
        print("undisturbed runs ...", flush=True)
        for job in jobs:
            job.start("plain")
        wait_for_ends(jobs, 120, "the undisturbed run")
        print("runs under baton, to be killed half-way ...", flush=True)
        for job in jobs:
            job.start_first()
        run_until_killed(jobs)
        print("resumed runs ...", flush=True)
        resume(jobs)
        for job in jobs:
            show(job, *judge(job))
    except Failure as failure:
        for job in jobs:
            print(f"--- output of {job.name}\n" + job.output()[-2000:], file=sys.stderr)
        print(f"demo: FAILED: {failure}", file=sys.stderr)
        return 1
    finally:
        for job in jobs:
            if job.process and job.process.poll() is None:
                job.kill_all()
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

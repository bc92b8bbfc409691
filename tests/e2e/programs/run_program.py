#!/usr/bin/env python3
"""A real program under `baton run`, killed twice and resumed twice, must end with the results of an undisturbed run.

  run_program.py --baton BATON --name PROGRAM [--seed N] [--rounds N]

First the program (rows.py, more_rows.py) runs by itself: its processor time, exit code, output and files are the reference. Then it
runs under Baton, rootless: a checkpoint at a random moment; at least 5 s later, at a random moment between 10 and 90 % of
the run, SIGKILL to keeper and processes; the job's files and the keeper's state are removed. A new keeper with another
state directory, in another directory, resumes it from the store alone; it is saved, killed, and resumed by a third one.
How far a run is, is told by processor time, so that the load of the machine does not matter. The seed is printed;
without --seed it is chosen anew. Exit code 77: a program is not installed here.
"""
import argparse
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True
import more_rows  # noqa: E402
import reachable  # noqa: E402
import rows  # noqa: E402

SKIP = 77
ROWS = rows.ROWS | more_rows.ROWS
SECONDS_AFTER_CHECKPOINT = 5.0
LEAST_SECONDS = 7.5  # of processor time (for each processor), so that there is room for these 5
DEADLINE_SECONDS = 240.0
CHANCES = 3
TICKS = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """What went wrong, in which step."""


class TooLate(Exception):
    """The program needed so much less processor time than its undisturbed run (others may have shared its caches) that it had
    ended, or nearly, before the kill: no test of anything yet."""


def as_user():
    """Rootless: when root runs this, an ordinary user's credentials."""
    if os.getuid() != 0:
        return {}
    uid = int(os.environ.get("BATON_LIVE_UID", "1000"))
    return {"user": uid, "group": uid, "extra_groups": []}


def give_to_user(directory):
    if os.getuid() == 0:
        uid = as_user()["user"]
        for path in [directory, *directory.rglob("*")]:
            os.chown(path, uid, uid)


def hashes(directory):
    """{file: SHA-256} of all that a run has left."""
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(directory.rglob("*")) if path.is_file()}


def stat_fields(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2:].split()


def children_of(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, pathlib.Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def below(pid):
    """Processes below `pid`, parents first."""
    found = children_of(pid)
    for child in found:
        found += children_of(child)
    return found


def processor_seconds(keeper):
    """Of the job: its processes and those that they have waited for."""
    total = 0
    for pid in below(keeper):
        if fields := stat_fields(pid):
            total += sum(int(value) for value in fields[11:15])
    return total / TICKS


class Round:
    def __init__(self, options, seed):
        self.options, self.seed = options, seed
        self.row = ROWS[options.name]
        self.random = random.Random(seed)
        self.work = 1.0
        self.top = pathlib.Path(tempfile.mkdtemp(prefix=f"baton-program-{options.name}-", dir="/var/tmp"))
        self.top.chmod(0o755)
        self.store = self.top / "store"
        self.store.mkdir()
        give_to_user(self.top)
        self.baton = reachable.reachable(options.baton, self.top, as_user().get("user", 0))
        self.keeper = None
        self.expected_code = None
        self.generation = 0

    def fresh(self, name):
        directory = self.top / name
        directory.mkdir()
        rows.prepare(self.row, directory, self.work)
        give_to_user(directory)
        return directory

    def reference(self):
        """(processor seconds, real seconds, exit code, output, files) of an undisturbed run that is long enough."""
        while True:
            directory = self.fresh("reference")
            begin, before = time.monotonic(), os.times()
            done = subprocess.run(self.row.command(self.work), cwd=directory, env=self.environment(),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=DEADLINE_SECONDS, check=False, **as_user())
            real, after = time.monotonic() - begin, os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            seconds = min(used, real)
            if seconds >= LEAST_SECONDS:
                files = hashes(directory)
                shutil.rmtree(directory)
                return used, real, done.returncode, done.stdout, files
            self.work *= 1.2 * LEAST_SECONDS / seconds  # a faster machine than thought
            shutil.rmtree(directory)

    def environment(self):
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.top), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1",
                "BATON_STATE_DIR": str(self.top / f"state{self.generation}")}

    def start_keeper(self, *arguments, cwd):
        out = self.top / f"keeper{self.generation}.out"
        with open(out, "wb") as file:
            self.keeper = subprocess.Popen(
                [self.baton, "run", "--store", self.store, *arguments], cwd=cwd, env=self.environment(),
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, **as_user())

    def said(self):
        return (self.top / f"keeper{self.generation}.out").read_text(errors="replace")[-1500:]

    def call(self, *arguments):
        done = subprocess.run([self.baton, *arguments], env=self.environment(), capture_output=True,
                              timeout=DEADLINE_SECONDS, check=False, **as_user())
        if done.returncode != 0:
            raise Failure(f"baton {' '.join(arguments)}: exit code {done.returncode}: {done.stderr.decode()} {self.said()}")
        return done.stdout

    def wait_until(self, condition, what):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if self.keeper.poll() is not None:
                if self.keeper.returncode == self.expected_code:
                    raise TooLate(f"ended before {what}")
                raise Failure(f"ended with {self.keeper.returncode} before {what}: {self.said()}")
            if time.monotonic() > deadline:
                raise Failure(f"waited in vain for {what}: {self.said()}")
            time.sleep(0.01)

    def used(self):
        return processor_seconds(self.keeper.pid)

    def save(self, at_used):
        """A checkpoint; the processor time used by then."""
        self.wait_until(lambda: self.used() >= at_used, f"{at_used:.1f} s of processor time")
        self.call("checkpoint", "job")
        return self.used()

    def kill(self, at_used, not_before):
        """Everything at once; what had been used."""
        self.wait_until(lambda: self.used() >= at_used and time.monotonic() >= not_before, f"the kill at {at_used:.1f} s")
        used, victims = self.used(), [self.keeper.pid, *below(self.keeper.pid)]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.keeper.wait()
        deadline = time.monotonic() + 20
        while any((fields := stat_fields(pid)) and fields[0] not in "ZX" for pid in victims):
            if time.monotonic() > deadline:
                raise Failure("processes are left 20 s after their keeper's death")
            time.sleep(0.01)
        return used

    def resume(self, directory):
        """Only the store is left; Baton puts the job's files into another directory."""
        shutil.rmtree(directory)
        shutil.rmtree(self.top / f"state{self.generation}")
        self.generation += 1
        elsewhere = self.top / f"work{self.generation}"
        self.start_keeper("--resume", "job", "--workdir", elsewhere, cwd=self.top)
        self.wait_until(lambda: "--- resumed from checkpoint" in self.said(), "it is resumed")
        return elsewhere

    def check_end(self, directory, reference):
        _, _, code, output, files = reference
        seen = self.keeper.wait(DEADLINE_SECONDS)
        if seen != code:
            raise Failure(f"exit code {seen}, undisturbed {code}: {self.said()}")
        if (log := self.call("logs", "job")) != output:
            raise Failure(f"the output differs: {len(log)} bytes, undisturbed {len(output)}")
        now = hashes(directory)
        if different := [name for name in sorted({*now, *files}) if now.get(name) != files.get(name)]:
            raise Failure(f"files differ: {', '.join(different[:10])}")

    def run(self):
        reference = self.reference()
        total, real, self.expected_code = reference[:3]
        # How fast it can be at most, in processor seconds a second.
        speed = min(2.0, max(1.0, total / real))
        saved = self.random.uniform(0.03 * total, max(0.05 * total, 0.88 * total - speed * (SECONDS_AFTER_CHECKPOINT + 0.3)))
        directory = self.fresh("work0")
        self.start_keeper("--name", "job", "--", *self.row.command(self.work), cwd=directory)
        saved = self.save(saved)
        not_before = time.monotonic() + SECONDS_AFTER_CHECKPOINT
        killed = self.kill(self.random.uniform(max(saved, 0.1 * total), 0.88 * total), not_before) / total
        if not 0.1 <= killed <= 0.93:
            raise TooLate(f"killed at {killed:.0%} of the run, not between 10 and 90 %")
        directory = self.resume(directory)
        if self.options.name in more_rows.SAVED_ONCE:
            self.check_end(directory, reference)
            return f"{total:.1f} s of processor time in {real:.1f} s; saved once at {saved / total:.0%}, killed at {killed:.0%}"
        left = total - saved
        again = self.save(self.random.uniform(0.02, 0.4) * left)
        killed_again = self.kill(again + self.random.uniform(0, 0.2) * left, 0)
        directory = self.resume(directory)
        self.check_end(directory, reference)
        return (f"{total:.1f} s of processor time in {real:.1f} s; saved at {saved / total:.0%}, killed at {killed:.0%}; "
                f"saved again {again:.1f} s later and killed at {killed_again:.1f} s")

    def clean(self):
        if self.keeper and self.keeper.poll() is None:
            self.keeper.kill()
            self.keeper.wait()


def run_round(options, seed):
    for chance in range(CHANCES):
        one = Round(options, seed + chance * 10**6)
        try:
            said = one.run()
            shutil.rmtree(one.top)
            return said
        except TooLate as late:
            if chance + 1 == CHANCES:
                raise Failure(str(late)) from late
            shutil.rmtree(one.top)
        except (Failure, subprocess.SubprocessError) as failure:
            raise Failure(f"{failure}\ndirectory: {one.top}") from failure
        finally:
            one.clean()
    raise AssertionError


def main():
    parser = argparse.ArgumentParser(description="A real program through two kills; see the head of this file.")
    parser.add_argument("--baton", type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--name", choices=ROWS, required=True)
    parser.add_argument("--seed", type=int, help="of the first round; the next ones count on")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    if absent := rows.missing(ROWS[options.name]):
        print(f"SKIP {options.name}: {absent} is not installed")
        sys.exit(SKIP)
    first = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    for seed in range(first, first + options.rounds):
        try:
            print(f"PASS {options.name}, seed {seed}: {run_round(options, seed)}", flush=True)
        except Failure as failure:
            print(f"FAIL {options.name}, seed {seed}: {failure}\n"
                  f"again: {sys.argv[0]} --baton {options.baton} --name {options.name} --seed {seed}")
            sys.exit(1)


if __name__ == "__main__":
    main()

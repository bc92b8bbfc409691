#!/usr/bin/env python3
"""A real program under `baton run`, killed twice and resumed twice, must end with the results of an undisturbed run.

  run_program.py --baton BATON --name PROGRAM [--seed N] [--rounds N] [--keep]

First the program runs by itself: its time, exit code, output and files are the reference. Then, rootless and with a
fresh directory, it runs under Baton: a checkpoint at a random moment, at least 5 s later SIGKILL to the keeper (between
10 and 90 % of the reference time), all files of the job and the keeper's state removed, resumed by a new keeper from the
store alone; saved, killed and resumed once more; then compared with SHA-256.
Programs stand in this directory; what each needs made beforehand is in prepare(). Exit code 77: not installed here.
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

HERE = pathlib.Path(__file__).resolve().parent
SKIP = 77
SECONDS_AFTER_CHECKPOINT = 5.0
DEADLINE_SECONDS = 240.0


class Failure(Exception):
    """What went wrong, in which step."""


class Skip(Exception):
    """The program is not installed here."""


# ---- the programs: {name: (what must be installed, command)}; the command runs in its own directory ----

PROGRAMS = {
    "numpy": (["/usr/bin/python3"], ["/usr/bin/python3", "heat.py"]),
    "pipeline": (["bash", "sed", "awk", "sort"], ["bash", "pipeline.sh"]),
    "perl": (["perl"], ["perl", "words.pl"]),
    "sqlite": (["sqlite3"], ["sh", "-c", "sqlite3 bank.db < steps.sql > balances.txt"]),
    "xz": (["xz"], ["xz", "-9e", "--keep", "data"]),
    "make": (["make", "gcc"], ["make", "-j2", "-s"]),
    "static": (["gcc"], ["./chain"]),
    "rust": (["rustc"], ["./sieve"]),
}


def lines_of_numbers(seed, count, columns):
    """Reproducible text that compresses somewhat."""
    generator = random.Random(seed)
    return "".join(" ".join(str(generator.randrange(100000)) for _ in range(columns)) + "\n" for _ in range(count))


def sqlite_steps():
    generator = random.Random(5)
    yield "PRAGMA synchronous=NORMAL;\nCREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER, note TEXT);\n"
    yield "".join(f"INSERT INTO account VALUES({i}, 1000, '');\n" for i in range(1000))
    for step in range(3000):
        giver, taker, amount = generator.randrange(1000), generator.randrange(1000), generator.randrange(100)
        yield (f"BEGIN;\nUPDATE account SET amount=amount-{amount}, note='{step}' WHERE id={giver};\n"
               f"UPDATE account SET amount=amount+{amount} WHERE id={taker};\nCOMMIT;\n")
        if step % 20 == 0:
            yield "SELECT sum(amount), sum(a.amount*length(a.note)) FROM account a;\n"
    yield "SELECT * FROM account;\n"


def prepare(name, directory):
    """Input files and compiled programs; makes no use of the time of day or of chance."""
    for file in (HERE / name).glob("*"):
        shutil.copy(file, directory)
    if name == "pipeline":
        (directory / "numbers").write_text(lines_of_numbers(1, 150000, 6))
    elif name == "xz":
        (directory / "data").write_text(lines_of_numbers(2, 350000, 8))
    elif name == "sqlite":
        (directory / "steps.sql").write_text("".join(sqlite_steps()))
    elif name == "make":
        for number in range(24):
            (directory / f"unit{number}.c").write_text((HERE / name / "unit.in").read_text().replace("@N@", str(number)))
    elif name == "static":
        subprocess.run(["gcc", "-O2", "-static", "-o", "chain", "chain.c"], cwd=directory, check=True)
    elif name == "rust":
        subprocess.run(["rustc", "-O", "-o", "sieve", "sieve.rs"], cwd=directory, check=True)


def installed(needs):
    for word in needs:
        if not shutil.which(word):
            raise Skip(f"{word} is not installed")
    if "python3" in needs[0] and subprocess.run([needs[0], "-c", "import numpy"], check=False,
                                                capture_output=True).returncode != 0:
        raise Skip("NumPy is not installed")


# ---- one round ----


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


class Round:
    def __init__(self, options, number):
        self.options = options
        self.random = random.Random(options.seed + number)
        self.command = PROGRAMS[options.name][1]
        self.top = pathlib.Path(tempfile.mkdtemp(prefix=f"e2e-{options.name}-", dir="/var/tmp"))
        self.top.chmod(0o755)
        self.store = self.top / "store"
        self.store.mkdir()
        give_to_user(self.top)
        self.keeper = None
        self.steps = 0

    def fresh(self, name, with_input):
        directory = self.top / name
        directory.mkdir()
        if with_input:
            prepare(self.options.name, directory)
        give_to_user(directory)
        return directory

    def reference(self):
        directory = self.fresh("reference", True)
        begin = time.monotonic()
        done = subprocess.run(self.command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=DEADLINE_SECONDS, check=False, **as_user())
        return time.monotonic() - begin, done.returncode, done.stdout, hashes(directory)

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.top), "BATON_STATE_DIR": str(self.top / f"state{self.steps}")}

    def start_keeper(self, directory, *arguments):
        with open(self.top / f"keeper{self.steps}.err", "wb") as err, open(self.top / f"keeper{self.steps}.out", "wb") as out:
            self.keeper = subprocess.Popen(
                [self.options.baton, "run", "--store", self.store, *arguments], cwd=directory, env=self.environment(),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, **as_user())

    def errors(self):
        return (self.top / f"keeper{self.steps}.err").read_text(errors="replace").strip()[-1500:]

    def call(self, *arguments):
        done = subprocess.run([self.options.baton, *arguments], env=self.environment(), capture_output=True,
                              timeout=DEADLINE_SECONDS, check=False, **as_user())
        if done.returncode != 0:
            raise Failure(f"baton {' '.join(arguments)}: exit code {done.returncode}: {done.stderr.decode()} {self.errors()}")
        return done.stdout

    def run_for(self, seconds):
        try:
            code = self.keeper.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise Failure(f"ended with {code} within the {seconds:.1f} s that it was to run: {self.errors()}")

    def save_and_kill(self, before_seconds, after_seconds):
        self.run_for(before_seconds)
        self.call("checkpoint", "job")
        self.run_for(after_seconds)
        self.keeper.send_signal(signal.SIGKILL)
        self.keeper.wait()

    def resume(self, directory):
        """Only the store is left; the job's files are put back by Baton."""
        for path in [*directory.iterdir(), self.top / f"state{self.steps}"]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.steps += 1
        self.start_keeper(directory, "--resume", "job", "--workdir", directory)
        deadline = time.monotonic() + 60
        while "resumed from" not in self.errors():
            if self.keeper.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"not resumed: {self.errors()}")
            time.sleep(0.01)

    def check_end(self, directory, reference):
        _, code, output, files = reference
        seen = self.keeper.wait(DEADLINE_SECONDS)
        if seen != code:
            raise Failure(f"exit code {seen}, undisturbed {code}: {self.errors()}")
        if (log := self.call("logs", "job")) != output:
            raise Failure(f"output differs: {len(log)} bytes, undisturbed {len(output)}")
        now = hashes(directory)
        if different := [name for name in sorted({*now, *files}) if now.get(name) != files.get(name)]:
            raise Failure(f"files differ: {', '.join(different[:10])}")

    def run(self):
        reference = self.reference()
        total = reference[0]
        latest = 0.9 * total - SECONDS_AFTER_CHECKPOINT
        if latest <= 0.1 * total:
            raise Failure(f"runs only {total:.1f} s: too short for a kill 5 s after a checkpoint")
        directory = self.fresh("work", True)
        self.start_keeper(directory, "--name", "job", "--", *self.command)
        saved = self.random.uniform(0.1 * total, latest)
        killed = self.random.uniform(saved + SECONDS_AFTER_CHECKPOINT, 0.9 * total)
        self.save_and_kill(saved, killed - saved)
        self.resume(directory)
        left = total - saved
        self.save_and_kill(self.random.uniform(0, 0.3) * left, self.random.uniform(0, 0.3) * left)
        self.resume(directory)
        self.check_end(directory, reference)
        return f"{total:.1f} s; saved at {saved:.1f} s, killed at {killed:.1f} s, and again"

    def clean(self):
        if self.keeper and self.keeper.poll() is None:
            self.keeper.kill()
            self.keeper.wait()


def main():
    parser = argparse.ArgumentParser(description="A real program through two kills; see the head of this file.")
    parser.add_argument("--baton", type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--name", choices=PROGRAMS, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    try:
        installed(PROGRAMS[options.name][0])
    except Skip as skip:
        print(f"SKIP {options.name}: {skip}")
        sys.exit(SKIP)
    for number in range(options.rounds):
        one = Round(options, number)
        try:
            print(f"PASS {options.name}, seed {options.seed + number}: {one.run()}", flush=True)
        except (Failure, subprocess.SubprocessError) as failure:
            print(f"FAIL {options.name}, seed {options.seed + number}: {failure}\ndirectory: {one.top}")
            sys.exit(1)
        finally:
            one.clean()
        shutil.rmtree(one.top)


if __name__ == "__main__":
    main()

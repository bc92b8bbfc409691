#!/usr/bin/env python3
"""./dev bench engine: Baton's engine against CRIU, on the same program (spin.cc), as root, one after the other.

For each size and several rounds, the two taking turns: a save with the program going on, and its pause as the program saw it
(largest gap of a spinning thread); a save that ends the program; a restore, until the command returns and until the
restored program has read all of its memory and found it right. Both are made equally durable: Baton syncs what
it saves, so CRIU's files are synced too, within its time ("save, unsynced" is CRIU without that).

Before each step, as much free memory as it needs is touched and given back (warm_memory).

Prints medians and ratios (Baton / CRIU). Exit code 1 if a ratio that is judged is above 1, or if CRIU is missing.
"""
import argparse
import mmap
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JUDGED = ("pause", "save", "save and end", "restore", "restore, read")
ALL_FIGURES = JUDGED[:2] + ("save, unsynced",) + JUDGED[2:]


class Program:
    """The measured program, before and after a restore: it answers into its standard output."""

    def __init__(self, binary, mib, directory):
        self.output = os.path.join(directory, "output")
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen([binary, str(mib)], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            cwd=directory, start_new_session=True)
        self.pid = self.process.pid
        self.lines = 0
        self.answer(lambda line: line == "READY")

    def answer(self, good):
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            with open(self.output, encoding="ascii") as file:
                lines = [line for line in file.read().split("\n")[:-1]]
            if len(lines) > self.lines:
                self.lines = len(lines)
                if not good(lines[-1]):
                    raise RuntimeError(f"the program says: {lines[-1]}")
                return lines[-1]
            time.sleep(0.001)
        raise RuntimeError("the program does not answer")

    def gap_s(self):
        """The largest gap since the last call. All memory is read and checked on the way."""
        os.kill(self.pid, signal.SIGUSR1)
        return int(self.answer(lambda line: line.endswith(" errors 0")).split()[1]) / 1e9

    def wait_gone(self):
        """After a save that ends it."""
        self.process.wait()

    def kill(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        while os.path.exists(f"/proc/{self.pid}"):
            time.sleep(0.001)


def run(command, log):
    with open(log, "ab") as output:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if result.returncode != 0:
        with open(log, "rb") as file:
            tail = file.read()[-1500:].decode(errors="replace")
        raise RuntimeError(f"{' '.join(command)}: exit code {result.returncode}\n{tail}")


def sync_directory(directory):
    for name in os.listdir(directory):
        descriptor = os.open(os.path.join(directory, name), os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


class Baton:
    name = "baton"

    def __init__(self, binary):
        self.binary = binary

    def save(self, pid, image, log, leave_running):
        """Seconds: with what was saved on disk, and without (None where there is no such thing)."""
        began = time.monotonic()
        run([self.binary, "checkpoint", "--pid", str(pid), "--to", image] + ["--leave-running"] * leave_running, log)
        return time.monotonic() - began, None

    def restore(self, image, log):
        run([self.binary, "restore", image, "--detach"], log)


class Criu:
    name = "criu"

    def __init__(self):
        self.binary = subprocess.run([os.path.join(ROOT, "tools", "setup_criu.sh")], check=True, capture_output=True,
                                     text=True).stdout.strip()

    def save(self, pid, image, log, leave_running):
        os.mkdir(image)
        began = time.monotonic()
        run([self.binary, "dump", "-t", str(pid), "-D", image, "-v0"] + ["--leave-running"] * leave_running, log)
        unsynced = time.monotonic() - began
        sync_directory(image)
        return time.monotonic() - began, unsynced

    def restore(self, image, log):
        run([self.binary, "restore", "-D", image, "-v0", "--restore-detached"], log)


def warm_memory(mib, directory):
    """On a virtual machine, memory that was free for long must first be had from the host, which costs more than all that
    is measured here. So that neither engine pays for it, or profits from what the other has just given back."""
    path = os.path.join(directory, "warm")
    with open(path, "wb") as file:
        for _ in range(mib + 64):
            file.write(bytes(1 << 20))
    size = (mib + 128) << 20
    mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()
    os.unlink(path)


def measure(engine, binary, mib, parent):
    """One round of one engine: figure -> seconds."""
    directory = tempfile.mkdtemp(prefix=f"{engine.name}-", dir=parent)
    log = os.path.join(directory, "log")
    figures = {}
    os.sync()
    program = Program(binary, mib, directory)
    try:
        program.gap_s()
        image = os.path.join(directory, "running")
        warm_memory(mib, directory)
        figures["save"], figures["save, unsynced"] = engine.save(program.pid, image, log, True)
        figures["pause"] = program.gap_s()
        shutil.rmtree(image)
        os.sync()
        image = os.path.join(directory, "ended")
        warm_memory(mib, directory)
        figures["save and end"], _ = engine.save(program.pid, image, log, False)
        program.wait_gone()
        warm_memory(mib, directory)
        began = time.monotonic()
        engine.restore(image, log)
        figures["restore"] = time.monotonic() - began
        program.gap_s()
        figures["restore, read"] = time.monotonic() - began
        return figures
    finally:
        program.kill()
        shutil.rmtree(directory)


def all_rounds(engines, binary, mib, rounds, parent):
    """Engine's name -> figure -> seconds of each round."""
    collected = {engine.name: {} for engine in engines}
    for number in range(rounds):
        for engine in engines if number % 2 == 0 else reversed(engines):
            for figure, seconds in measure(engine, binary, mib, parent).items():
                if seconds is not None:
                    collected[engine.name].setdefault(figure, []).append(seconds)
    return collected


def cells_of(values):
    """The median, and from the least to the most."""
    if not values:
        return None, f"{'':24}"
    least, middle, most = (round(value * 1000) for value in (min(values), statistics.median(values), max(values)))
    return statistics.median(values), f"{middle:10}{f'({least}-{most})':>14}"


def print_table(mib, result):
    """Prints the table of one size; the judged ratios above 1."""
    print(f"\n{mib} MiB, medians in ms (least-most)\n{'':16}{'baton':>24}{'criu':>24}{'ratio':>8}")
    above = []
    for figure in ALL_FIGURES:
        ours, our_cells = cells_of(result["baton"].get(figure))
        theirs, their_cells = cells_of(result["criu"].get(figure))
        ratio = ours / theirs if ours is not None and theirs else None
        print(f"{figure:16}{our_cells}{their_cells}" + (f"{ratio:8.2f}" if ratio is not None else ""))
        if figure in JUDGED and ratio is not None and ratio > 1:
            above.append(f"{mib} MiB: {figure}: {ratio:.2f}")
    sys.stdout.flush()
    return above


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--mib", type=int, nargs="+", default=[64, 1024, 4096])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", default=os.path.join(ROOT, "build"), help="where the images go")
    arguments = parser.parse_args()
    if os.getuid() != 0:
        print("bench engine: CRIU needs root; run this as root", file=sys.stderr)
        return 1
    try:
        engines = [Baton(os.path.join(arguments.build, "baton")), Criu()]
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"bench engine: CRIU is missing, so there is nothing to compare with: {error}", file=sys.stderr)
        return 1
    above = []
    for mib in arguments.mib:
        binary = os.path.join(arguments.build, "bench", "baton_bench_spin")
        result = all_rounds(engines, binary, mib, arguments.rounds,
                         os.path.abspath(arguments.directory))
        above += print_table(mib, result)
    for line in above:
        print(f"above CRIU: {line}")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())

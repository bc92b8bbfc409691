#!/usr/bin/env python3
"""A pool under kills: in each round five jobs are submitted and a random one of {job, keeper, worker daemon, all of a worker,
controller} is killed at a random moment, daemons come back after a random time, and every result must be right. At the end
nothing is left running.

usage: pool_rounds.py --baton BATON [--rounds 5] [--seed S]

All five kinds come once in five rounds. A run is told by its seed, but not repeated by it: processes have their own time.
"""
import argparse
import os
import pathlib
import random
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import check, descendants, run_case, wait_until  # noqa: E402
from pool_harness import Pool  # noqa: E402

KINDS = ["job", "keeper", "worker daemon", "all of a worker", "controller"]
JOBS = 5
STEPS = 250
# Steps are appended to a file and printed; each takes at least 10 ms.
PROGRAM = f"i=0; while [ $i -lt {STEPS} ]; do i=$((i+1)); echo $i >> steps; echo out $i; sleep 0.01; done"


class Rounds:
    def __init__(self, pool, chance):
        self.pool, self.chance = pool, chance

    def keepers(self):
        return [(worker, unit, pid) for worker in self.pool.workers for unit, pid in worker.keepers().items()]

    def programs(self, keeper):
        return [pid for init in descendants(keeper)[:1] for pid in descendants(init)[:1]]

    def kill_job(self):
        chosen = [pid for _, _, keeper in self.keepers() for pid in self.programs(keeper)]
        if chosen:
            os.kill(self.chance.choice(chosen), signal.SIGKILL)

    def kill_keeper(self):
        chosen = self.keepers()
        if chosen:
            os.kill(self.chance.choice(chosen)[2], signal.SIGKILL)

    def away(self, daemon, kill):
        kill()
        time.sleep(self.chance.choice([0, 0, 2, 5, 9]))
        daemon.start()

    def kill(self, kind):
        if kind == "job":
            self.kill_job()
        elif kind == "keeper":
            self.kill_keeper()
        elif kind == "controller":
            self.away(self.pool.controller, self.pool.controller.kill)
        else:
            worker = self.chance.choice(self.pool.workers)
            self.away(worker, worker.kill if kind == "worker daemon" else worker.kill_all)

    def play(self, number, kind):
        began = time.monotonic()
        jobs = [self.pool.submit("--every", "500ms", "--memory", "64M", "--retries", 3, "--", "/bin/sh", "-c", PROGRAM) for _ in range(JOBS)]
        # From before the first one runs until the last ones are at work.
        time.sleep(self.chance.uniform(0, 3))
        self.kill(kind)
        attempts = 0
        for job in jobs:
            attempts += len(self.pool.ends(job)["attempts"])
            self.check_result(job)
        wait_until(lambda: not self.keepers(), "the keepers of the round to be gone")
        print(f"round {number}: {kind}: {attempts - JOBS} attempts more; {time.monotonic() - began:.1f} s", flush=True)

    def check_result(self, job):
        directory = self.pool.base / f"result-{job}"
        self.pool.call("fetch", job, directory)
        check((directory / "steps").read_text() == "".join(f"{n}\n" for n in range(1, STEPS + 1)), f"another result of job {job}")
        check(self.pool.call("logs", job) == "".join(f"out {n}\n" for n in range(1, STEPS + 1)), f"another log of job {job}")


def main():
    parser = argparse.ArgumentParser(description="a pool under kills; see the head of this file")
    parser.add_argument("--baton", type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    chance = random.Random(arguments.seed)

    def rounds(sandbox):
        pool = Pool(sandbox, workers=3, cpus=2)
        kinds = []
        for number in range(1, arguments.rounds + 1):
            kinds = kinds or chance.sample(KINDS, len(KINDS))
            Rounds(pool, chance).play(number, kinds.pop())
    return run_case(rounds, arguments.baton, root=False)


if __name__ == "__main__":
    sys.exit(main())

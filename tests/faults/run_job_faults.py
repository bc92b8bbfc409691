#!/usr/bin/env python3
"""Faults on demand (src/base/fault.h) under `baton run`, as an ordinary user.

job-capture  every fail point of a checkpoint of a job: an error that names it, no checkpoint, the job as it was; the next
             one succeeds. Some of these jobs are killed after that and resumed from it
job-resume   every fail point of `baton run --resume`: an error, no process; the run can still be resumed
job-death    the keeper SIGKILLed at places spread over a checkpoint: the whole unit dies, `baton run --resume` goes on from
             the last complete checkpoint
job-signal   SIGTERM to the keeper at any moment of a checkpoint: the job gets it, once, and ends by it
"""
import argparse
import os
import random
import shutil
import signal
import sys
import time

import common
from common import Failed, Target, check_refusal, passages, places, read, wait_until

NAME = "job"
DEATHS = 40


class Job:
    """A target under a keeper, in a state directory of its own."""

    def __init__(self, bench):
        self.bench, self.target = bench, Target(bench)
        self.state = os.path.join(bench.place, f"state{bench.next_number()}")
        self.environment = {"BATON_STATE_DIR": self.state}

    def start(self, **environment):
        self.keeper = self.bench.start("run", "--name", NAME, "--workdir", self.target.dir, "--", *self.target.command,
                                       **self.environment, **environment)
        self.keeper_output = self.bench.output
        self.await_ready()
        return self

    def await_ready(self):
        self.target.await_ready()
        # The keeper's child is the capsule's init, whose first child is the job.
        def found():
            jobs = [pid for pid in common.descendants(self.keeper.pid) if read(f"/proc/{pid}/comm") == "fault_target\n"]
            self.target.pid = min(jobs, default=0)
            return bool(jobs) or "no job"
        wait_until("job", found)

    def checkpoint(self, must=True):
        run = self.bench.must if must else self.bench.run
        return run("checkpoint", NAME, **self.environment)

    def checkpoints(self):
        """The names in the store; what is being written, or was abandoned, has a dot in it."""
        store = os.path.join(self.state, "store", NAME)
        names = os.listdir(store) if os.path.exists(store) else []
        return sorted(name for name in names if name.startswith("checkpoint-"))

    def complete(self):
        return [name for name in self.checkpoints() if "." not in name]

    def check_none(self, when):
        if left := self.checkpoints():
            raise Failed(f"{when}: the store has {left}")

    def kill(self):
        """The keeper alone; the unit must go with it."""
        self.keeper.kill()
        self.await_death("the keeper was killed")

    def await_death(self, when):
        self.keeper.wait()
        def none():
            common.reap_strangers(set())
            left = common.descendants(os.getpid())
            return True if not left else f"processes {[(pid, read(f'/proc/{pid}/comm').strip()) for pid in left]}"
        wait_until(f"{when}: the unit is dead", none)

    def start_resume(self, **environment):
        self.keeper = self.bench.start("run", "--resume", NAME, **self.environment, **environment)
        self.keeper_output = self.bench.output

    def resume(self, **environment):
        self.start_resume(**environment)
        def resumed():
            output = read(self.keeper_output)
            if "resumed from" not in output and self.keeper.poll() is not None:
                raise Failed(f"resume: exit code {self.keeper.returncode}: {output}")
            return "resumed from" in output or "not yet"
        wait_until("resume", resumed)

    def finish(self, expected):
        if (result := self.target.finish()) != expected:
            raise Failed(f"the result is {result}, not {expected}")
        if (code := self.keeper.wait(timeout=60)) != 0:
            raise Failed(f"exit code {code}: {read(self.keeper_output)}")
        self.await_death("the job ended")
        shutil.rmtree(self.state)


def trace_of(job, action):
    """The fail points that a keeper passes in the action."""
    trace = job.bench.trace_file()
    job.start(BATON_FAIL_TRACE=trace)
    before = len(read(trace)) if os.path.exists(trace) else 0
    action()
    return read(trace)[before:]


def test_job_capture(bench):
    expected, first = bench.expected(), Job(bench)
    points = passages(trace_of(first, first.checkpoint))
    first.finish(expected)
    print(f"{len(points)} passages of {len({point.split(':')[0] for point in points})} steps of a checkpoint")
    if len(points) < 40:
        raise Failed(f"only these: {points}")
    for number, point in enumerate(points):
        job = Job(bench).start(BATON_FAIL_AT=point)
        before = common.picture(job.target.pid)
        done = job.checkpoint(must=False)
        if not point.startswith("capture.shadow"):  # a step that may fail: then the memory is copied
            check_refusal(done, point)
            job.check_none(point)
        wait_until(f"{point}: as it was", lambda: common.difference(before, common.picture(job.target.pid)))
        job.checkpoint()
        if number % 4 == 0:
            job.kill()
            job.resume()
        job.finish(expected)


def test_job_resume(bench):
    expected, job = bench.expected(), Job(bench).start()
    job.checkpoint()
    job.kill()
    trace = bench.trace_file()
    job.resume(BATON_FAIL_TRACE=trace)
    job.kill()
    points = passages(read(trace))
    print(f"{len(points)} passages of {len({point.split(':')[0] for point in points})} steps of a resume")
    if len(points) < 50:
        raise Failed(f"only these: {points}")
    for point in points:
        job.start_resume(BATON_FAIL_AT=point)
        job.await_death(point)
        job.keeper.stderr = read(job.keeper_output)
        check_refusal(job.keeper, point)
    job.resume()
    job.finish(expected)


def test_job_death(bench):
    expected, first, trace = bench.expected(), Job(bench), bench.trace_file()
    first.start(BATON_DIE_TRACE=trace)
    first.checkpoint()
    begin = int(read(trace))
    first.checkpoint()
    end = int(read(trace))
    first.finish(expected)
    chosen, resumed = places(end, DEATHS, begin + 1), []
    for place in chosen:
        job = Job(bench).start(BATON_DIE_AT=str(place))
        first_done = job.checkpoint(must=False)
        done = job.checkpoint(must=False)
        if done.returncode == 0:
            job.keeper.kill()  # there are not always as many places
        job.await_death(f"place {place}")
        complete = job.complete()
        if not complete and first_done.returncode == 0:
            raise Failed(f"place {place}: no checkpoint is left")
        if not complete:
            continue
        job.resume()
        resumed.append(complete[-1])
        job.finish(expected)
    if len(resumed) < DEATHS * 3 // 4:
        raise Failed(f"only {len(resumed)} died in their second checkpoint")
    print(f"{len(chosen)} of places {begin + 1} to {end}; resumed from {[(n, resumed.count(n)) for n in sorted(set(resumed))]}")


def test_job_signal(bench):
    job = Job(bench).start()
    begin = time.monotonic()
    job.checkpoint()
    took = time.monotonic() - begin
    job.kill()
    for _ in range(DEATHS):
        job = Job(bench).start()
        process = bench.start("checkpoint", NAME, **job.environment)
        time.sleep(random.random() * took)
        job.keeper.send_signal(signal.SIGTERM)
        done = bench.finish(process)
        job.await_death("SIGTERM")
        if job.keeper.returncode != 128 + signal.SIGTERM:
            raise Failed(f"exit code {job.keeper.returncode}: {read(job.keeper_output)}")
        if done.returncode == 0:
            checkpoints = job.complete()
            image = os.path.join(job.state, "store", NAME, checkpoints[-1], "image")
            bench.must("image", "verify", image)
        elif done.returncode < 0:
            raise Failed(f"the request died of signal {-done.returncode}")
        shutil.rmtree(job.state)


TESTS = {name[5:].replace("_", "-"): test for name, test in list(globals().items()) if name.startswith("test_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", choices=TESTS)
    parser.add_argument("--baton", required=True)
    parser.add_argument("--target", required=True)
    arguments = parser.parse_args()
    arguments.user = True
    return common.run_test(TESTS[arguments.test], arguments)


if __name__ == "__main__":
    sys.exit(main())

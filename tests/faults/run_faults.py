#!/usr/bin/env python3
"""Faults on demand (src/base/fault.h): what is left behind when a step fails, or when Baton dies in the middle.

capture      every fail point of a checkpoint: an error that names it, no image, the target as it was, and it goes on
restore      every fail point of a restore: an error, no process, no file; and the image can still be restored
death        Baton SIGKILLed at each of its die points during a checkpoint that lets the target go on
death-image  the same during a checkpoint that ends the target: whole image or living target, never neither
"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 20
DEATHS = 240  # places at which Baton is killed, spread evenly over all it passes


class Failed(Exception):
    pass


def wait_until(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        last = condition()
        if last is True:
            return
        if time.monotonic() > deadline:
            raise Failed(f"{what}: {last}")
        time.sleep(0.002)


# ---- what must be the same before and after ----

STATUS_KEYS = {"Name", "Umask", "State0", "TracerPid", "Uid", "Gid", "Groups", "Threads", "SigQ0", "SigPnd", "ShdPnd",
               "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
               "Cpus_allowed", "Mems_allowed", "FDSize", "PPid", "NStgid", "NSpid", "NSpgid", "NSsid"}


def read(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError as error:
        return f"<{error.strerror}>"


def status_of(path):
    lines = read(path).splitlines()
    return [line for line in lines if line.split(":")[0] in STATUS_KEYS]


def fdinfo_of(pid):
    seen = {}
    for fd in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
        text = [line for line in read(f"/proc/{pid}/fdinfo/{fd}").splitlines() if not line.startswith("it_value")]
        seen[fd] = (os.readlink(f"/proc/{pid}/fd/{fd}"), text)
    return seen


def processes_of(pid):
    pids = [pid]
    for one in pids:
        for task in os.listdir(f"/proc/{one}/task"):
            pids += [int(child) for child in read(f"/proc/{one}/task/{task}/children").split()]
    return pids


def picture(pid):
    """Everything of the tree that Baton may have touched."""
    seen = {}
    for one in processes_of(pid):
        seen[one, "maps"] = read(f"/proc/{one}/maps").splitlines()
        seen[one, "fdinfo"] = fdinfo_of(one)
        for task in os.listdir(f"/proc/{one}/task"):
            seen[one, task] = status_of(f"/proc/{one}/task/{task}/status")
            seen[one, task, "affinity"] = os.sched_getaffinity(int(task))
    return seen


def difference(before, after):
    for key in before.keys() | after.keys():
        a, b = before.get(key), after.get(key)
        if a != b:
            if isinstance(a, list) and isinstance(b, list):
                gone = [line for line in a if line not in b]
                new = [line for line in b if line not in a]
                return f"{key}: gone {gone}, new {new}"
            return f"{key}: {a} became {b}"
    return True


# ---- target and Baton ----

class Target:
    def __init__(self, program, place):
        self.dir = tempfile.mkdtemp(dir=place)
        self.log = open(os.path.join(self.dir, "log"), "w")
        self.process = subprocess.Popen([program, self.dir], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, start_new_session=True)
        self.pid = self.process.pid
        wait_until("target is ready", lambda: os.path.exists(f"{self.dir}/ready") or "not yet")

    def moves(self):
        """It makes progress: its first thread runs more than before."""
        def ran():
            return [read(f"/proc/{self.pid}/task/{task}/status").split("voluntary_ctxt_switches:")[1].split()[0]
                    for task in os.listdir(f"/proc/{self.pid}/task")]
        start = ran()
        # The thread that sleeps for seconds is the last one.
        wait_until("all threads go on", lambda: all(a != b for a, b in zip(start[:-1], ran()[:-1])) or "stand still")

    def finish(self):
        pathlib.Path(self.dir, "go").touch()
        wait_until("result", lambda: os.path.exists(f"{self.dir}/result") or "none")
        return read(f"{self.dir}/result")

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Bench:
    def __init__(self, arguments, place):
        self.baton, self.program, self.place = arguments.baton, arguments.target, place
        self.expected = None

    def run(self, *words, **environment):
        return subprocess.run([self.baton, *map(str, words)], env={**os.environ, **environment}, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def target(self):
        return Target(self.program, self.place)

    def image_path(self):
        return os.path.join(self.place, "image")

    def checkpoint(self, target, *flags, **environment):
        return self.run("checkpoint", "--pid", target.pid, "--to", self.image_path(), *flags, **environment)

    def forget_image(self):
        shutil.rmtree(self.image_path(), ignore_errors=True)

    def check_no_image(self, when):
        left = [name for name in os.listdir(self.place) if name.startswith("image")]
        if left:
            raise Failed(f"{when}: left {left}")

    def undisturbed_result(self):
        target = self.target()
        result = target.finish()
        target.process.wait()
        return result

    def names(self, *words):
        """Fail points that a command passes, in order, each once; the command must succeed."""
        trace = os.path.join(self.place, "trace")
        done = self.run(*words, BATON_FAIL_TRACE=trace)
        if done.returncode != 0:
            raise Failed(f"{words[0]} without a fault: {done.stderr}")
        return list(dict.fromkeys(read(trace).split()))


def check_refusal(done, name):
    if done.returncode == 0:
        raise Failed(f"{name}: the command succeeded")
    if done.returncode < 0:
        raise Failed(f"{name}: the command died of signal {-done.returncode}")
    if name not in done.stderr:
        raise Failed(f"{name}: the error does not name it: {done.stderr.strip()}")


def test_capture(bench):
    target = bench.target()
    try:
        before = picture(target.pid)
        names = bench.names("checkpoint", "--pid", target.pid, "--to", bench.image_path(), "--leave-running")
        bench.forget_image()
        print(f"{len(names)} steps of a checkpoint")
        if len(names) < 15:
            raise Failed(f"only these steps: {names}")
        for name in names:
            for flags in ([], ["--leave-running"]):
                done = bench.checkpoint(target, *flags, BATON_FAIL_AT=name)
                check_refusal(done, name)
                bench.check_no_image(name)
                wait_until(f"{name}: as it was", lambda: difference(before, picture(target.pid)))
            target.moves()
        if target.finish() != bench.undisturbed_result():
            raise Failed("the result is another one")
    finally:
        target.kill()


def gone(pids):
    alive = [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
    return True if not alive else f"still there: {alive}"


def test_restore(bench):
    target = bench.target()
    try:
        pids = processes_of(target.pid)
        done = bench.checkpoint(target)
        if done.returncode != 0:
            raise Failed(done.stderr)
        target.process.wait()
        wait_until("the tree is gone", lambda: gone(pids))
        pid_file = os.path.join(bench.place, "pid")
        words = ["restore", bench.image_path(), "--detach", "--pid-file", pid_file]
        names = bench.names(*words)
        os.killpg(target.pid, signal.SIGKILL)
        wait_until("the tree is gone again", lambda: gone(pids))
        os.remove(pid_file)
        print(f"{len(names)} steps of a restore")
        if len(names) < 15:
            raise Failed(f"only these steps: {names}")
        mounts = read("/proc/self/mountinfo")
        for name in names:
            files = sorted(os.listdir(bench.place))
            done = bench.run(*words, BATON_FAIL_AT=name)
            check_refusal(done, name)
            wait_until(f"{name}: no process", lambda: gone(pids))
            if sorted(os.listdir(bench.place)) != files:
                raise Failed(f"{name}: files were left: {sorted(os.listdir(bench.place))}")
            if read("/proc/self/mountinfo") != mounts:
                raise Failed(f"{name}: a mount was left")
        done = bench.run(*words)
        if done.returncode != 0:
            raise Failed(f"at the end: {done.stderr}")
        if target.finish() != bench.undisturbed_result():
            raise Failed("the result is another one")
    finally:
        target.kill()


def die_points(bench, target, *flags):
    trace = os.path.join(bench.place, "die_trace")
    done = bench.checkpoint(target, *flags, BATON_DIE_TRACE=trace)
    if done.returncode != 0:
        raise Failed(done.stderr)
    bench.forget_image()
    return int(read(trace).split()[-1])


def forget_abandoned(bench):
    for name in os.listdir(bench.place):
        if name.startswith("image"):
            shutil.rmtree(os.path.join(bench.place, name))


def places(total):
    count = min(DEATHS, total)
    return sorted({1 + i * (total - 1) // max(1, count - 1) for i in range(count)})


def test_death(bench):
    target = bench.target()
    try:
        before = picture(target.pid)
        total = die_points(bench, target, "--leave-running")
        chosen = places(total)
        print(f"killed at {len(chosen)} of {total} places")
        if len(chosen) < 200:
            raise Failed("too few places")
        for place in chosen:
            done = bench.checkpoint(target, "--leave-running", BATON_DIE_AT=str(place))
            if done.returncode not in (0, -signal.SIGKILL):
                raise Failed(f"place {place}: exit code {done.returncode}: {done.stderr}")
            wait_until(f"place {place}: as it was", lambda: difference(before, picture(target.pid)))
            forget_abandoned(bench)
        target.moves()
        if target.finish() != bench.undisturbed_result():
            raise Failed("the result is another one")
    finally:
        target.kill()


def test_death_image(bench):
    first = bench.target()
    total = die_points(bench, first, "--leave-running")
    first.kill()
    expected = bench.undisturbed_result()
    for place in places(total)[::20]:
        target = bench.target()
        try:
            done = bench.checkpoint(target, BATON_DIE_AT=str(place))
            if done.returncode == -signal.SIGKILL and os.path.exists(f"/proc/{target.pid}"):
                target.moves()
            else:
                target.process.wait()
                wait_until("the tree is gone", lambda: gone([target.pid]))
                restored = bench.run("restore", bench.image_path(), "--detach")
                if restored.returncode != 0:
                    raise Failed(f"place {place}: {restored.stderr}")
            if target.finish() != expected:
                raise Failed(f"place {place}: the result is another one")
        finally:
            target.kill()
            forget_abandoned(bench)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", choices=["capture", "restore", "death", "death-image"])
    parser.add_argument("--baton", required=True)
    parser.add_argument("--target", required=True)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIP: saving trees that Baton did not start and restoring them in place needs root")
        return 77
    tests = {"capture": test_capture, "restore": test_restore, "death": test_death, "death-image": test_death_image}
    place = tempfile.mkdtemp(prefix="baton-faults-")
    try:
        tests[arguments.test](Bench(arguments, place))
    except Failed as failure:
        print(f"FAIL: {failure}")
        return 1
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

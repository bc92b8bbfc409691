#!/usr/bin/env python3
"""Faults on demand (src/base/fault.h) in checkpoints and restores of trees that Baton did not start: what is left behind
when a step fails, when Baton dies or is told to stop in the middle, when a process dies under it.

capture        every fail point of a checkpoint: an error that names it, no image, the target as it was, and it goes on
restore        every fail point of a restore: an error, no process, no file; and the image can still be restored
death          Baton SIGKILLed at its die points during a checkpoint that lets the target go on
death-any      the same at any moment
death-image    the same during a checkpoint that ends the target: whole image or living target, never neither
death-restore  the same during a restore: no process is left, and the image can still be restored
signal         SIGTERM or SIGINT at any moment of a checkpoint: an error and no image, or a whole image
dying          processes killed while they stand still for a checkpoint: it succeeds with those that are left
objects-capture, objects-restore
               the same as capture and restore for the steps that only the things in objects.c pass; and each fail point
               that there is in the source is passed by one of the two targets
closing        once the target goes on, Baton holds nothing of it open
"""
import argparse
import os
import pathlib
import random
import re
import signal
import sys
import time

import common
from common import Bench, Failed, Target, check_refusal, passages, places, read, wait_until

DEATHS = 240
TIMES = 60  # of what happens at any moment


def checkpoint(bench, target, *flags, **environment):
    return bench.run("checkpoint", "--pid", target.pid, "--to", bench.image_path(), *flags, **environment)


def checkpoint_trace(bench, target, *flags):
    """All fail points of a checkpoint that succeeds, in order."""
    trace = bench.trace_file()
    bench.must("checkpoint", "--pid", target.pid, "--to", bench.image_path(), *flags, BATON_FAIL_TRACE=trace)
    bench.forget_image()
    return read(trace)


def die_points(bench, *words):
    trace = bench.trace_file()
    bench.must(*words, BATON_DIE_TRACE=trace)
    return int(read(trace).split()[-1])


def check_result(target, expected, interrupts):
    if (result := target.finish()) != expected:
        raise Failed(f"the result is {result}, not {expected}")
    if interrupts is not None and target.interrupts() > interrupts:
        raise Failed(f"{target.interrupts()} calls saw an EINTR of ours")


def test_capture(bench):
    expected, target = bench.expected(), Target(bench).start()
    points = passages(checkpoint_trace(bench, target, "--leave-running"))
    print(f"{len(points)} passages of {len({point.split(':')[0] for point in points})} steps of a checkpoint")
    if len(points) < 40:
        raise Failed(f"only these: {points}")
    fail_captures(bench, target, points)
    check_result(target, expected, 0)
    target.kill()


def fail_captures(bench, target, points):
    before = common.picture(target.pid)
    for point in points:
        for flags in ([], ["--leave-running"]):
            if not flags and point.startswith("capture.shadow"):
                continue  # what ends needs none
            done = checkpoint(bench, target, *flags, BATON_FAIL_AT=point)
            if point.startswith("capture.shadow"):
                bench.forget_image()  # a step that may fail: then the memory is copied
                if done.returncode != 0:
                    raise Failed(f"{point}: {done.stderr}")
            else:
                check_refusal(done, point)
            bench.check_no_image(point)
            target.check_unchanged(before, point)
    target.moves()


def image_of(bench, program=None):
    """An image, and the numbers of the processes that were ended for it."""
    target = Target(bench, program=program).start()
    pids = common.processes_of(target.pid)
    bench.must("checkpoint", "--pid", target.pid, "--to", bench.image_path())
    target.process.wait()
    nothing_left(bench, "checkpoint")
    return target, pids


def nothing_left(bench, when):
    def none():
        common.reap_strangers(set())
        left = common.descendants(os.getpid())
        return True if not left else f"processes {[(pid, read(f'/proc/{pid}/comm').strip()) for pid in left]}"
    wait_until(f"{when}: no process", none)


def surroundings(bench):
    files = [os.path.join(path, name) for path, _, names in os.walk(bench.place) for name in names]
    cgroups = sorted(path for path, _, _ in os.walk("/sys/fs/cgroup") if "baton" in path)
    return {"files": sorted(name for name in files if "/output" not in name and "/trace" not in name and
                            "/calls" not in name), "mounts": read("/proc/self/mountinfo").splitlines(),
            "cgroups": cgroups}


def check_surroundings(bench, before, when):
    if (seen := common.difference(before, surroundings(bench))) is not True:
        raise Failed(f"{when}: {seen}")


def restore_words(bench):
    return ["restore", bench.image_path(), "--detach", "--pid-file", os.path.join(bench.place, "pid")]


def restore_and_end(bench, **environment):
    """Restores, and ends what came of it."""
    bench.must(*restore_words(bench), **environment)
    common.kill_descendants()
    os.remove(os.path.join(bench.place, "pid"))


def check_restorable(bench, target, expected):
    bench.must(*restore_words(bench))
    check_result(target, expected, None)
    common.kill_descendants()


def test_restore(bench):
    expected, (target, _) = bench.expected(), image_of(bench)
    trace = bench.trace_file()
    restore_and_end(bench, BATON_FAIL_TRACE=trace)
    points = passages(read(trace))
    print(f"{len(points)} passages of {len({point.split(':')[0] for point in points})} steps of a restore")
    if len(points) < 50:
        raise Failed(f"only these: {points}")
    fail_restores(bench, points)
    check_restorable(bench, target, expected)


def fail_restores(bench, points):
    before = surroundings(bench)
    for point in points:
        check_refusal(bench.run(*restore_words(bench), BATON_FAIL_AT=point), point)
        nothing_left(bench, point)
        check_surroundings(bench, before, point)


SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src"
OF_KINDS = {"bpf_map", "packet_socket", "fanotify"}  # not everybody may make them
AGAIN = {"sysv", "sysv_made", "done", "open_files", "arm", "go"}  # passed by every target, but these things make a difference
OF_ROOT = {"restore.seccomp", "restore.cgroups"}  # a restore in place, and what only root may save


def steps_in_source(step, made):
    """Names of the fail points of the engine that begin so, and one for each kind of open file; `made`: those of objects.c."""
    found = set()
    for file in SOURCE.glob("engine/**/*.cc"):
        for words in re.findall(r"FailPoint\(([^;]*)\)", file.read_text()):
            found |= {name for name in re.findall(r'"([a-z_.]+)"', words) if name.startswith(step + ".")}
    kinds = {folder.name for folder in (SOURCE / "resource").iterdir() if folder.is_dir()} - {"common"}
    found |= {f"{step}.kind.{kind}" for kind in kinds if kind not in OF_KINDS or kind in made}
    return {name for name in found if not name.endswith(".")} - (set() if os.geteuid() == 0 else OF_ROOT)


def new_steps(step, trace, usual, made):
    """Passages of what the usual target does not pass; between them they pass all there are."""
    if missing := steps_in_source(step, made) - set(trace.split()) - set(usual.split()):
        raise Failed(f"no target passes {sorted(missing)}")
    told_apart = set(usual.split()) - {f"{step}.{name}" for name in AGAIN}
    points = [point for point in passages(trace) if point.split(":")[0] not in told_apart]
    print(f"{len(points)} passages of {len({point.split(':')[0] for point in points})} more steps")
    return points


def test_objects_capture(bench):
    usual = Target(bench).start()
    usual_trace = checkpoint_trace(bench, usual, "--leave-running")
    usual.kill()
    expected, target = bench.expected(bench.objects), Target(bench, program=bench.objects).start()
    made = read(os.path.join(target.dir, "made")).split()
    trace = checkpoint_trace(bench, target, "--leave-running")
    fail_captures(bench, target, new_steps("capture", trace, usual_trace, made))
    check_result(target, expected, 0)
    target.kill()


def restore_trace(bench):
    trace = bench.trace_file()
    restore_and_end(bench, BATON_FAIL_TRACE=trace)
    return read(trace)


def test_objects_restore(bench):
    expected = bench.expected(bench.objects)
    image_of(bench)
    usual = restore_trace(bench)
    bench.forget_image()
    target, _ = image_of(bench, bench.objects)
    made = read(os.path.join(target.dir, "made")).split()
    fail_restores(bench, new_steps("restore", restore_trace(bench), usual, made))
    check_restorable(bench, target, expected)


def test_death(bench):
    expected, target = bench.expected(), Target(bench).start()
    words = ["checkpoint", "--pid", target.pid, "--to", bench.image_path(), "--leave-running"]
    total = die_points(bench, *words)
    bench.forget_image()
    chosen = places(total, DEATHS)
    if len(chosen) < 200:
        raise Failed(f"only {len(chosen)} places")
    before = common.picture(target.pid)
    deaths = 0
    for place in chosen:
        done = bench.run(*words, BATON_DIE_AT=str(place))
        if done.returncode not in (0, -signal.SIGKILL):
            raise Failed(f"place {place}: exit code {done.returncode}: {done.stderr}")
        deaths += done.returncode != 0
        target.check_unchanged(before, f"place {place}")
        bench.forget_image()
    if deaths < 200:
        raise Failed(f"Baton died only {deaths} times")
    target.moves()
    # Between the stop of a thread and our next instruction nobody can help a call that gives up at any stop.
    check_result(target, expected, 4)
    print(f"died at {deaths} of {total} places; {target.interrupts()} calls saw EINTR")
    target.kill()


def at_any_moment(bench, words, number):
    """The command, which gets the signal after a random part of its time."""
    begin = time.monotonic()
    bench.must(*words)
    took = time.monotonic() - begin
    bench.forget_image()
    for _ in range(TIMES):
        process = bench.start(*words)
        time.sleep(random.random() * took)
        process.send_signal(number() if callable(number) else number)
        yield bench.finish(process)


def test_death_any(bench):
    expected, target = bench.expected(), Target(bench).start()
    before = common.picture(target.pid)
    words = ["checkpoint", "--pid", target.pid, "--to", bench.image_path(), "--leave-running"]
    for done in at_any_moment(bench, words, signal.SIGKILL):
        if done.returncode not in (0, -signal.SIGKILL):
            raise Failed(f"exit code {done.returncode}: {done.stderr}")
        target.check_unchanged(before, "killed at some moment")
        bench.forget_image()
    target.moves()
    check_result(target, expected, None)
    target.kill()


def test_signal(bench):
    expected, target = bench.expected(), Target(bench).start()
    before = common.picture(target.pid)
    words = ["checkpoint", "--pid", target.pid, "--to", bench.image_path(), "--leave-running"]
    for done in at_any_moment(bench, words, lambda: random.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])):
        if done.returncode == 0:
            bench.must("image", "verify", bench.image_path())
            bench.forget_image()
        elif done.returncode in (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP):
            pass  # before it began
        elif "interrupted" not in done.stderr:
            raise Failed(f"exit code {done.returncode}: {done.stderr}")
        bench.check_no_image("after a signal")
        target.check_unchanged(before, "signalled at some moment")
    target.moves()
    check_result(target, expected, 0)
    target.kill()


def test_death_image(bench):
    expected, first = bench.expected(), Target(bench).start()
    total = die_points(bench, "checkpoint", "--pid", first.pid, "--to", bench.image_path())
    first.process.wait()
    nothing_left(bench, "the first")
    bench.forget_image()
    chosen = places(total, 20)
    chosen += [place for place in range(total - 20, total + 2) if place not in chosen]  # publishing, and the end
    whole = 0
    for place in chosen:
        target = Target(bench).start()
        done = checkpoint(bench, target, BATON_DIE_AT=str(place))
        if os.path.exists(bench.image_path()):
            whole += 1
            target.kill()  # some of it may still live, or all
            nothing_left(bench, f"place {place}")
            check_restorable(bench, target, expected)
        elif done.returncode == -signal.SIGKILL:
            target.moves()
            check_result(target, expected, None)
            target.process.wait()
        else:
            raise Failed(f"place {place}: neither image nor death: {done.stderr}")
        bench.forget_image()
        for name in ("pid",):
            if os.path.exists(os.path.join(bench.place, name)):
                os.remove(os.path.join(bench.place, name))
    print(f"{len(chosen)} places, {whole} with a whole image")
    if whole == 0 or whole == len(chosen):
        raise Failed("all deaths were on one side")


def test_death_restore(bench):
    expected, (target, _) = bench.expected(), image_of(bench)
    total = die_points(bench, *restore_words(bench))
    common.kill_descendants()
    os.remove(os.path.join(bench.place, "pid"))
    before = surroundings(bench)
    for place in places(total, TIMES):
        done = bench.run(*restore_words(bench), BATON_DIE_AT=str(place))
        if os.path.exists(os.path.join(bench.place, "pid")):
            common.kill_descendants()  # it may have gone as far as letting all go
            os.remove(os.path.join(bench.place, "pid"))
        elif done.returncode == 0:
            raise Failed(f"place {place}: no pid file: {done.stderr}")
        nothing_left(bench, f"place {place}")
        check_surroundings(bench, before, f"place {place}")
    print(f"{TIMES} of {total} places")
    check_restorable(bench, target, expected)


class Held:
    """A Baton that waits at one of its fail points."""

    def __init__(self, bench, point, *words):
        self.bench, self.point, self.fifo = bench, point, bench.trace_file()
        trace = bench.trace_file()
        os.mkfifo(self.fifo)
        self.process = bench.start(*words, BATON_FAIL_TRACE=trace, BATON_HOLD_AT=point, BATON_HOLD_FIFO=self.fifo)
        wait_until(f"{point} is reached", lambda: point in read(trace).split() or "not yet")

    def finish(self):
        with open(self.fifo, "w"):
            pass
        return self.bench.finish(self.process)


def test_dying(bench):
    points = ["capture.stopped", "capture.check_process", "capture.open_files", "capture.check_open_files",
              "capture.identity", "capture.mappings", "capture.registers", "inject.enter", "inject.mapped",
              "capture.inside_thread", "capture.inside_process", "capture.pages", "capture.done"]
    expected, target = bench.expected(), Target(bench, spares=len(points)).start()
    spares = [pid for pid in common.processes_of(target.pid)[2:]]
    words = ["checkpoint", "--pid", target.pid, "--to", bench.image_path(), "--leave-running"]
    for point, spare in zip(points, reversed(spares)):
        held = Held(bench, point, *words)
        if common.stat_fields(spare)[0] != "t":
            raise Failed(f"{point}: process {spare} does not stand")
        os.kill(spare, signal.SIGKILL)
        done = held.finish()
        if done.returncode != 0:
            raise Failed(f"{point}: {done.stderr}")
        wait_until(f"{point}: death is told", lambda: common.stat_fields(spare)[0] == "Z" or "not yet")
        bench.must("image", "verify", bench.image_path())
        bench.forget_image()
    target.moves()
    check_result(target, expected, 0)
    target.kill()


def test_closing(bench):
    expected, target = bench.expected(), Target(bench).start()
    held = Held(bench, "capture.write", "checkpoint", "--pid", target.pid, "--to", bench.image_path(), "--leave-running")
    theirs = {link for pid in common.processes_of(target.pid) for link, _ in common.fdinfo_of(pid).values()}
    ours = {link for link, _ in common.fdinfo_of(held.process.pid).values()}
    if "/dev/null" not in ours:
        raise Failed(f"what is this: {ours}")
    if kept := {link for link in theirs & ours if link != "/dev/null" and not link.startswith("anon_inode")}:
        raise Failed(f"Baton still holds {kept}")
    target.moves()
    if held.finish().returncode != 0:
        raise Failed("the checkpoint failed")
    check_result(target, expected, 0)
    target.kill()


TESTS = {name[5:].replace("_", "-"): test for name, test in list(globals().items()) if name.startswith("test_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", choices=TESTS)
    parser.add_argument("--baton", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--objects")
    parser.add_argument("--user", action="store_true", help="as an ordinary user; restores are into a capsule then")
    arguments = parser.parse_args()
    if not arguments.user and os.geteuid() != 0:
        print("SKIP: restoring in place needs root")
        return 77
    return common.run_test(TESTS[arguments.test], arguments)


if __name__ == "__main__":
    sys.exit(main())

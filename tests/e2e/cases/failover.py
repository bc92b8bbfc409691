"""What dies in a pool, by name, and what becomes of its jobs. All with the lease as it is, 3 s; how long something is away
is BATON_E2E_AWAY_S (10: longer than the 6.5 s after which a job is handed over; the nightly run takes 60)."""
import os
import shutil
import signal
import time

import reachable
from harness import check, descendants, lives, wait_until
from pool_harness import Pool, PoolSteps

AWAY_S = float(os.environ.get("BATON_E2E_AWAY_S", "10"))


def started(sandbox, workers=1, words=(), **more):
    """A job of six steps, saved after the second, that has done four."""
    pool = Pool(sandbox, workers, **more)
    steps = PoolSteps(pool)
    steps.submit(*words)
    steps.to(2)
    pool.json("checkpoint", steps.job)
    steps.to(4)
    return pool, steps


def ends_well(pool, steps, attempts, first=1):
    """The job ends with the right result; its attempts as given: how they ended, or began."""
    steps.end(6)
    shown = pool.ends(steps.job)
    check([a["state"] for a in shown["attempts"]] == attempts, f"{shown['attempts']}")
    steps.check_result(6)
    return shown


def case_job_killed(sandbox):
    """The job's own process is killed: that is how it ended; with --retries it goes on from its checkpoint."""
    pool, steps = started(sandbox, words=("--retries", 1))
    (init,) = descendants(pool.workers[0].keeper("1.1"))[:1]
    (program,) = descendants(init)[:1]
    os.kill(program, signal.SIGKILL)
    pool.runs(steps.job, attempt=2)
    shown = ends_well(pool, steps, ["ended", "ended"])
    check(shown["attempts"][1]["resumed_from"] == "1.1", f"{shown}")


def case_keeper_killed(sandbox):
    """The unit dies with it, and is started again from its checkpoint at once, without waiting for a lease."""
    pool, steps = started(sandbox)
    keeper = pool.workers[0].keeper("1.1")
    below = descendants(keeper)
    os.kill(keeper, signal.SIGKILL)
    pool.runs(steps.job, attempt=2, worker="w1")
    for pid in below:
        check(not lives(pid), f"process {pid} outlived its keeper")
    ends_well(pool, steps, ["killed", "ended"])  # not "lost", as one whose lease was waited for


def case_worker_daemon_killed(sandbox):
    """A worker's daemon that is away for a while changes nothing for its job: the keeper asks the controller itself."""
    pool, steps = started(sandbox, workers=2)
    worker = pool.worker(pool.show(steps.job)["worker"])
    worker.proxy.mend()
    worker.kill()
    time.sleep(AWAY_S)
    steps.to(5)
    shown = pool.show(steps.job)
    check(shown["attempt"] == 1 and shown["state"] == "running" and shown["frozen_ms"] == 0, f"{shown}")
    worker.start()
    pool.json("checkpoint", steps.job)
    shown = ends_well(pool, steps, ["ended"])
    check(shown["frozen_ms"] == 0, f"it stood still: {shown}")


def case_ended_without_daemon(sandbox):
    """A job that ends while its worker's daemon is away has its end told by its keeper."""
    pool, steps = started(sandbox)
    pool.workers[0].kill()
    ends_well(pool, steps, ["ended"])
    wait_until(lambda: not pool.workers[0].keepers(), "the end of the keeper")
    pool.workers[0].start()
    wait_until(lambda: not list((pool.workers[0].directory / "worker" / "units").iterdir()), "the worker to forget it")


def case_worker_killed(sandbox):
    """A power cut: daemon, keeper and processes at once. The job runs elsewhere within 15 s."""
    pool, steps = started(sandbox, workers=2)
    first = pool.show(steps.job)["worker"]
    pool.worker(first).kill_all()
    began = time.monotonic()
    shown = pool.runs(steps.job, attempt=2)
    took = time.monotonic() - began
    check(shown["worker"] != first, f"{shown}")
    check(took < 15, f"it took {took:.1f} s")
    print(f"runs again {took:.1f} s after the kill")
    ends_well(pool, steps, ["lost", "ended"])


def case_worker_killed_and_back(sandbox):
    """The only worker loses everything and comes back: it says so, and the job goes on there at once."""
    pool, steps = started(sandbox)
    pool.workers[0].kill_all()
    pool.workers[0].start()
    pool.runs(steps.job, attempt=2, worker="w1")
    ends_well(pool, steps, ["killed", "ended"])


def case_machine_booted_again(sandbox):
    """The only worker's machine is booted again, and the last writes of its state directory are lost: it does not know of
    its unit any more. Since nothing outlives a reboot, the job goes on at once, and its lease is not waited for."""
    pool, steps = started(sandbox)
    worker = pool.workers[0]
    worker.kill_all()
    for unit in (worker.directory / "worker" / "units").iterdir():
        shutil.rmtree(unit)
    shim = reachable.copy(sandbox.built / "tests" / "e2e" / "libanother_boot.so", sandbox.base)
    worker.start(LD_PRELOAD=str(shim), BATON_E2E_BOOT_ID=str(sandbox.write("boot_id", b"0f1e2d3c-0000-4000-8000-000000000001\n")))
    pool.runs(steps.job, attempt=2, worker="w1")
    shown = ends_well(pool, steps, ["lost in a reboot", "ended"])
    check(any("booted again" in line["text"] for line in shown["history"]), f"{shown['history']}")


def case_controller_killed(sandbox):
    """A controller that is killed and started again at once: nothing pauses for long, nothing is started anew."""
    pool, steps = started(sandbox)
    pool.controller.kill()
    pool.start_controller()
    steps.to(5)
    pool.json("checkpoint", steps.job)
    ends_well(pool, steps, ["ended"])


def case_controller_away(sandbox):
    """No controller for longer than a lease: jobs pause, and all go on with their first attempts when it is back."""
    pool, steps = started(sandbox, workers=2)
    other = PoolSteps(pool, "other")
    other.submit()
    other.to(2)
    pool.controller.kill()
    stands_still(steps, other)
    time.sleep(AWAY_S)
    check(not steps.reached(5, 1) and not other.reached(3, 1), "a job ran without a lease")
    pool.start_controller()
    for job in (steps, other):
        pool.runs(job.job, attempt=1)
    shown = ends_well(pool, steps, ["ended"])
    check(shown["frozen_ms"] > (AWAY_S - 5) * 1000, f"{shown['frozen_ms']}")
    ends_well(pool, other, ["ended"])


def stands_still(*jobs):
    """Waits until the programs are traced: they do not run."""
    for job in jobs:
        def held(job=job):
            keepers = [pid for worker in job.pool.workers for unit, pid in worker.keepers().items() if unit == f"{job.job}.1"]
            below = [pid for keeper in keepers for init in descendants(keeper)[:1] for pid in descendants(init)]
            return below and all(traced(pid) for pid in below)
        wait_until(held, f"job {job.job} to stand still")
        job.allow(5)


def traced(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            return any(line.startswith("State:\tt") for line in file)
    except OSError:
        return False


def case_cut_off_alone(sandbox):
    """A worker cut off, and no other that is free: its job pauses and goes on there with its first attempt."""
    pool, steps = started(sandbox)
    pool.workers[0].proxy.cut()
    stands_still(steps)
    time.sleep(AWAY_S)
    check(not steps.reached(5, 1), "it ran without a lease")
    pool.workers[0].proxy.mend()
    shown = ends_well(pool, steps, ["ended"])
    check(shown["frozen_ms"] > 0, f"{shown}")


def case_cut_off(sandbox):
    """A worker cut off, and another free: the job goes on there, and the old unit is killed when its worker is back."""
    pool, steps = started(sandbox, workers=2)
    first = pool.worker(pool.show(steps.job)["worker"])
    keeper = first.keeper("1.1")
    first.proxy.cut()
    stands_still(steps)
    shown = pool.runs(steps.job, attempt=2)
    check(shown["worker"] != first.name, f"{shown}")
    check(lives(keeper), "nobody could tell the old keeper yet")
    time.sleep(max(0, AWAY_S - 10))
    first.proxy.mend()
    wait_until(lambda: not lives(keeper), "the end of the old unit")
    ends_well(pool, steps, ["lost", "ended"])


def case_late_writer(sandbox):
    """A keeper is stopped just before it publishes a checkpoint; the job is handed over; the keeper goes on, and publishes:
    its checkpoint is never chosen."""
    fifo = sandbox.base / "hold"
    os.mkfifo(fifo)
    sandbox.own(fifo)
    pool = Pool(sandbox)
    held = pool.add("held", environment={"BATON_HOLD_AT": "checkpoint.commit:2", "BATON_HOLD_FIFO": str(fifo),
                                         "BATON_FAIL_TRACE": str(sandbox.write("trace", ""))})
    pool.call("drain", "w1")
    steps = PoolSteps(pool)
    steps.submit()
    pool.runs(steps.job, worker="held")
    steps.to(2)
    pool.json("checkpoint", steps.job)  # 1.1
    steps.to(4)
    asking = sandbox.follow("checkpoint", "--controller", pool.address, str(steps.job))
    wait_until(lambda: (sandbox.base / "trace").read_text().count("checkpoint.commit\n") == 2, "the second one to be written")
    keeper = held.keeper("1.1")
    os.kill(keeper, signal.SIGSTOP)
    os.kill(held.process.pid, signal.SIGSTOP)
    pool.call("drain", "w1", "--undo")
    shown = pool.runs(steps.job, attempt=2, worker="w1")
    check(shown["attempts"][1]["resumed_from"] == "1.1", f"{shown}")
    # The old one goes on where it was, its checkpoint is complete, and it is heard.
    os.kill(keeper, signal.SIGCONT)
    with open(fifo, "wb"):
        pass
    late = pool.store / "1.1" / "checkpoint-000002"
    wait_until(lambda: late.exists() or not (pool.store / "1.1").exists(), "the late checkpoint")
    os.kill(held.process.pid, signal.SIGCONT)
    wait_until(lambda: not lives(keeper), "the end of the old unit")
    pool.json("checkpoint", steps.job)  # 2.1, which the first request may have been answered with, too
    names = [c["checkpoint"] for c in pool.show(steps.job)["checkpoints"]]
    check("1.2" not in names and "1.1" in names, f"{names}")
    os.kill(pool.worker("w1").keeper("1.2"), signal.SIGKILL)
    shown = pool.runs(steps.job, attempt=3)
    check(shown["attempts"][2]["resumed_from"].startswith("2."), f"{shown}")
    asking.wait()
    ends_well(pool, steps, ["lost", "killed", "ended"])


def case_keeper_hangs(sandbox):
    """A keeper that hangs under a living worker might let its unit run without a lease: it is killed, then the job goes on."""
    pool, steps = started(sandbox)
    keeper = pool.workers[0].keeper("1.1")
    os.kill(keeper, signal.SIGSTOP)
    pool.runs(steps.job, attempt=2)
    check(not lives(keeper), "the old keeper is there still")
    ends_well(pool, steps, ["killed", "ended"])


def case_frozen_too_long(sandbox):
    """A unit that stood still for longer than --frozen-max is given up; the job goes on from its checkpoint afterwards."""
    pool, steps = started(sandbox, options=("--frozen-max", "3s"))
    keeper = pool.workers[0].keeper("1.1")
    pool.workers[0].proxy.cut()
    wait_until(lambda: not lives(keeper), "the end of the unit")
    pool.workers[0].proxy.mend()
    pool.runs(steps.job, attempt=2)
    shown = ends_well(pool, steps, ["killed", "ended"])
    check("without a lease for too long" in shown["attempts"][0]["detail"], f"{shown['attempts'][0]}")

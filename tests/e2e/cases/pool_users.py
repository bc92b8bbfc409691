"""Workers that root runs: jobs run as who submitted them, never as root."""
import os
import signal
import time

from harness import check, descendants, lives, wait_until
from pool_harness import Pool, PoolSteps

USER = 1000


def uids(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(set(map(int, line.split()[1:])) for line in file if line.startswith("Uid:"))


def case_as_submitter(sandbox):  # as root
    """The user's controller, root's worker: keeper and job are the user's; kept while the daemon is away, found again by it,
    started again when killed."""
    pool = Pool(sandbox, user=USER)
    steps = PoolSteps(pool)
    steps.submit()
    steps.to(2)
    worker = pool.workers[0]
    keeper = worker.keeper("1.1")
    for pid in [keeper, *descendants(keeper)]:
        if "baton-renew" not in open(f"/proc/{pid}/comm", encoding="utf-8").read():
            check(uids(pid) == {USER}, f"process {pid} is of {uids(pid)}")
    check(uids(worker.process.pid) == {0}, "the worker is root's")
    pool.json("checkpoint", steps.job)
    steps.to(4)
    worker.kill()
    time.sleep(4)
    shown = pool.show(steps.job)
    check(shown["state"] == "running" and shown["frozen_ms"] == 0, f"{shown}")
    worker.start()
    steps.to(5)
    made = pool.json("checkpoint", steps.job)
    check(lives(keeper), "the keeper stays")
    os.kill(keeper, signal.SIGKILL)
    shown = pool.runs(steps.job, attempt=2)
    check(shown["attempts"][1]["resumed_from"] == made["checkpoint"], f"{shown}")
    steps.end(7)
    pool.ends(steps.job)
    steps.check_result(7)
    wait_until(lambda: not list((worker.directory / "worker" / "units").iterdir()), "the worker to forget it")


def case_never_as_root(sandbox):  # as root
    """Root's job is not started by root's worker, but for a user it is; nobody else says as whom."""
    pool = Pool(sandbox)
    job = pool.submit("--", "true")
    shown = pool.wait_for(job, lambda s: any("runs no job as root" in (a["detail"] or "") for a in s["attempts"]), "the refusal")
    check(all(a["state"] != "ended" for a in shown["attempts"]), f"{shown}")
    pool.call("cancel", job)
    given = sandbox.write("given", "x\n", mode=0o600)
    job = pool.submit("--user", USER, "--input", given, "--", "/bin/sh", "-c", "cat given; id -u; id -G > groups")
    pool.ends(job)
    check(pool.call("logs", job) == f"x\n{USER}\n", pool.call("logs", job))
    pool.call("fetch", job, sandbox.base / "result")
    other = Pool(sandbox, user=USER, name="other")
    check("only root" in other.refuses("submit", "--user", 0, "--", "true"), "a user as root")

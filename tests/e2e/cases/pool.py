"""A pool: a job from its submission to its result; what is refused."""
import os
import signal

from harness import check, lives, tree, wait_until
from pool_harness import Pool, PoolSteps


def case_narrow(sandbox):
    """A job runs on the worker, is saved on demand, and ends; its number, state, log, result and exit code are shown."""
    pool = Pool(sandbox)
    source = sandbox.directory("input")
    sandbox.write("input/given", "given\n")
    steps = PoolSteps(pool)
    job = steps.submit("--name", "steps", "--input", source)
    check(job == 1, f"job {job}")
    sandbox.write("input/given", "changed after the submission\n")
    pool.runs(job, attempt=1, worker="w1")
    steps.to(3)
    made = pool.json("checkpoint", job)
    check(made["checkpoint"] == "1.1" and made["bytes"] > 0 and made["pause_ms"] < 5000, f"{made}")
    steps.to(5)
    pool.call("fetch", job, sandbox.base / "early")
    check(tree(sandbox.base / "early") == {"given": "given\n", "steps": "1\n2\n3\n"}, f"{tree(sandbox.base / 'early')}")
    check("err 3\nout 3\n" in pool.call("logs", job), "no log of a running job")
    (row,) = pool.json("ps")
    check((row["job"], row["name"], row["state"], row["worker"], row["attempt"]) == (1, "steps", "running", "w1", 1), f"{row}")
    check("running" in pool.call("ps") and "steps" in pool.call("ps"), "the table of ps")
    (worker,) = pool.json("workers")
    check(worker["worker"] == "w1" and worker["free_cpus"] == 0 and worker["units"] == 1, f"{worker}")
    check("ready" in pool.call("workers"), "the table of workers")
    steps.end(7)
    shown = pool.ends(job)
    check(shown["state"] == "ended" and shown["exit_code"] == 0 and shown["result"], f"{shown}")
    check([a["epoch"] for a in shown["attempts"]] == [1] and shown["frozen_ms"] == 0, f"{shown}")
    text = pool.call("show", job)
    for word in ("ended", "steps.py", "1.1", "exit code 0", "submitted"):
        check(word in text, f"no '{word}': {text}")
    steps.check_result(7)
    check((sandbox.base / "result-1" / "given").read_text() == "given\n", "the input is in the result")
    check("is there already" in pool.refuses("fetch", job, sandbox.base / "early"), "not into what is there")
    # Its checkpoints are of no use any more.
    wait_until(lambda: not (pool.store / "1.1").exists(), "the end of its checkpoints")
    wait_until(lambda: not list((pool.workers[0].directory / "worker" / "units").iterdir()), "the worker to forget it")


def case_exit_codes(sandbox):
    """wait exits as the job did; a job that is tried again; one that cannot be started; files as input."""
    pool = Pool(sandbox)
    given = sandbox.write("given.txt", "x")
    job = pool.submit("--", "/bin/sh", "-c", "exit 7")
    check(pool.ends(job, code=7)["exit_code"] == 7, "exit code 7")
    job = pool.submit("--input", given, "--retries", 2, "--", "/bin/sh", "-c", "cat given.txt; exit 3")
    shown = pool.ends(job, code=3)
    check([a["state"] for a in shown["attempts"]] == ["ended"] * 3, f"{shown}")
    check(pool.call("logs", job) == "x", "each attempt from the beginning")
    job = pool.submit("--", "/no/such/program")
    check(pool.ends(job, code=127)["exit_code"] == 127, "exit code 127")
    job = pool.submit("--", "/bin/sh", "-c", "kill -9 $$")
    check(pool.ends(job, code=137)["exit_code"] == 137, "exit code 137")


def case_cancel(sandbox):
    """A running job is ended and nothing of it is left; one that waits; the workspace of its last checkpoint stays."""
    pool = Pool(sandbox)
    steps, other = PoolSteps(pool), PoolSteps(pool, "other")
    steps.submit()
    steps.to(2)
    waits = other.submit()
    pool.json("checkpoint", steps.job)
    check(pool.show(waits)["state"] == "queued", "no room for a second one")
    pool.call("cancel", waits)
    check("was cancelled" in pool.refuses("wait", waits), "a queued job is cancelled at once")
    keeper = pool.workers[0].keeper("1.1")
    pool.call("cancel", steps.job)
    check("was cancelled" in pool.refuses("wait", steps.job), "cancelled")
    wait_until(lambda: not lives(keeper), "the end of the keeper")
    pool.call("fetch", steps.job, sandbox.base / "fetched")
    check((sandbox.base / "fetched" / "steps").read_text() == "1\n2\n", "as of its last checkpoint")
    check("is over" in pool.refuses("cancel", steps.job), "twice")
    check("no job 9" in pool.refuses("show", 9), "no such job")


def case_follow(sandbox):
    """logs -f prints until the end, and says where the job was rolled back."""
    pool = Pool(sandbox)
    steps = PoolSteps(pool)
    job = steps.submit()
    steps.to(2)
    pool.json("checkpoint", job)
    steps.to(4)
    follower = sandbox.follow("logs", "--controller", pool.address, "-f", str(job))
    follower.shows("out 4\n")
    os.kill(pool.workers[0].keeper("1.1"), signal.SIGKILL)
    follower.says("--- rolled back to checkpoint 1.1 ---")
    steps.end(6)
    follower.ends_with(0)
    text = follower.out.decode()
    check(text == "out 1\nout 2\nerr 3\nout 3\nout 4\nerr 3\nout 3\nout 4\nout 5\nerr 6\nout 6\n", f"{text!r}")
    steps.check_result(6)

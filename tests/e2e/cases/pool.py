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
    check((pool.base / "result-1" / "given").read_text() == "given\n", "the input is in the result")
    check("is there already" in pool.refuses("fetch", job, sandbox.base / "early"), "not into what is there")
    # Its checkpoints are of no use any more.
    wait_until(lambda: not (pool.store / "1.1").exists(), "the end of its checkpoints")
    wait_until(lambda: not list((pool.workers[0].directory / "worker" / "units").iterdir()), "the worker to forget it")


def case_store_is_not_there(sandbox):
    """A worker whose store is not the pool's (not mounted) runs nothing, and says why; a checkpoint that fails is told of."""
    pool = Pool(sandbox, workers=0)
    empty = sandbox.directory("empty")
    pool.add("lost", store=empty)
    job = pool.submit("--", "true")
    pool.wait_for(job, lambda s: any("is it mounted?" in (a["detail"] or "") for a in s["attempts"]), "the reason")
    check(not list(empty.iterdir()), "something was written there")
    pool.add("good")
    pool.ends(job)
    pool.call("drain", "lost")
    steps = PoolSteps(pool)
    steps.submit("--every", "200ms")
    pool.runs(steps.job, worker="good")
    wait_until(lambda: pool.show(steps.job)["checkpoints"], "a checkpoint")
    directory = pool.store / f"{steps.job}.{pool.show(steps.job)['attempt']}"
    if sandbox.uid != 0:  # root may write anywhere
        directory.chmod(0o500)
        pool.wait_for(steps.job, lambda s: any(line["text"].startswith("checkpoint failed: ") for line in s["history"]), "the failure")
        directory.chmod(0o700)
    steps.end(3)
    pool.ends(steps.job)
    steps.check_result(3)


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


def case_migrate(sandbox):
    """A running job goes on on another worker from where it stood; a worker that is drained is emptied."""
    pool = Pool(sandbox, workers=2)
    steps = PoolSteps(pool)
    steps.submit()
    steps.to(4)
    first = pool.show(steps.job)["worker"]
    second = "w2" if first == "w1" else "w1"
    check("is on" in pool.refuses("migrate", steps.job, "--to", first), "where it is")
    check("no worker nobody" in pool.refuses("migrate", steps.job, "--to", "nobody"), "nowhere")
    steps.allow(5)
    text = pool.call("migrate", steps.job, "--to", second)
    check(f"runs on {second}, from checkpoint 1.1" in text, text)
    wait_until(lambda: not pool.worker(first).keepers(), "the end of the old unit")
    steps.to(7, attempt=2)
    pool.call("drain", second)
    shown = pool.runs(steps.job, attempt=3, worker=first)
    check([w["draining"] for w in pool.json("workers") if w["worker"] == second] == [True], "it is drained")
    pool.call("drain", second, "--undo")
    steps.end(9)
    shown = pool.ends(steps.job)
    check([a["state"] for a in shown["attempts"]] == ["moved", "moved", "ended"], f"{shown['attempts']}")
    steps.check_result(9)


def case_migrate_repeats_nothing(sandbox):
    """From the checkpoint with which a job stops until it goes on elsewhere it does not run: a witness outside sees each step
    once."""
    pool = Pool(sandbox, workers=2)
    witness = sandbox.write("witness", "")
    job = pool.submit("--", "/bin/sh", "-c", f"i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i >> {witness}; sleep 0.01; done")
    wait_until(lambda: witness.read_text().count("\n") >= 20, "the job's first steps")
    pool.call("migrate", job)
    pool.ends(job)
    check(witness.read_text() == "".join(f"{n}\n" for n in range(1, 401)), "a step was done twice, or left out")


def case_addresses(sandbox):
    """Only a UNIX socket that is one's own, or loopback with a token file that is."""
    pool = Pool(sandbox, workers=0)
    check(os.stat(pool.socket).st_mode & 0o777 == 0o600, "the controller's socket is open to others")
    for address in ("0.0.0.0:0", "[::]:0", "10.0.0.1:4000", "example.org:80", ":4000", "4000", "unix:relative"):
        check("" != sandbox.refuses("controller", "--listen", address, state="other"), address)
        check("" != sandbox.refuses("ps", "--controller", address), address)
        check("" != sandbox.refuses("worker", "--controller", address, "--store", pool.store, state="other"), address)
    second = pool.daemon("loopback", sandbox.argv("controller", "--listen", "127.0.0.1:0", "--store", sandbox.base / "loop-store", state="loop"))
    second.start()
    wait_until(lambda: "listening at" in second.log, "the second controller")
    address = second.log.split()[-1]
    token = sandbox.base / "loop" / "controller" / "token"
    check(os.stat(token).st_mode & 0o777 == 0o600, "the token is open to others")
    call = ("ps", "--controller", address, "-o", "json")
    check(sandbox.call(*call, "--token-file", token) == "[]\n", "with the token")
    check("token" in sandbox.refuses(*call), "without")
    wrong = sandbox.write("wrong", "0" * 64 + "\n", mode=0o600)
    check("token" in sandbox.refuses(*call, "--token-file", wrong), "with another token")
    token.chmod(0o644)
    check("others can read" in sandbox.refuses(*call, "--token-file", token), "with one that all can read")
    token.chmod(0o600)
    worker = pool.daemon("worker", sandbox.argv("worker", "--controller", address, "--token-file", token, "--store", sandbox.base / "loop-store",
                                                state="loop-worker"))
    worker.start()
    wait_until(lambda: "ready" in sandbox.call("workers", "--controller", address, "--token-file", token), "the worker")
    options = ("--controller", address, "--token-file", token)
    job = sandbox.call("submit", *options, "--", "/bin/sh", "-c", "exit 5").strip()
    if sandbox.uid != 0:
        sandbox.call("wait", *options, job, code=5)
    worker.end()
    second.end()


def case_wrong_use(sandbox):
    """What cannot be is refused with a reason."""
    pool = Pool(sandbox, workers=0)
    for words in (("submit", "--cpus", 0, "--", "true"), ("submit", "--memory", "x", "--", "true"), ("submit", "--every", "0s", "--", "true"),
                  ("submit", "--name", "a/b", "--", "true"), ("submit", "--input", "/no/such", "--", "true"), ("submit",),
                  ("wait", "x"), ("wait", 0), ("cancel", 5), ("drain", "nobody"), ("fetch", 5, sandbox.base / "x"),
                  ("checkpoint", 5), ("migrate", 5), ("logs", 5)):
        pool.refuses(*words)
    check("not over" in pool.refuses("wait", pool.submit("--", "true"), "--timeout", "10ms"), "no worker, no end")
    check("is not running" in pool.refuses("checkpoint", 1), "a queued job has nothing to save")
    check("another controller runs here" in sandbox.refuses("controller", "--listen", f"unix:{sandbox.base}/2.sock", state="pool/state"), "two of them")
    pool.controller.kill()
    check("no controller listens" in pool.refuses("ps"), "nobody there")


def case_up_and_down(sandbox):
    """pool up, a job, pool down with the job under way, pool up: the job goes on from its checkpoint."""
    try:
        check("no pool was started" in sandbox.refuses("pool", "down"), "nothing to end")
        text = sandbox.call("pool", "up", "--workers", 2, "--cpus", 1, "--memory", "4G")
        check("2 workers" in text, text)
        check("the pool is up" in sandbox.refuses("pool", "up"), "twice")
        witness = sandbox.write("witness", "")
        job = sandbox.call("submit", "--", "/bin/sh", "-c",
                           f"i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i >> {witness}; echo $i >> own; sleep 0.01; done").strip()
        wait_until(lambda: witness.read_text().count("\n") >= 20, "the job's first steps")
        sandbox.call("checkpoint", job)
        check("1 jobs are not over" in sandbox.call("pool", "down"), "it says what is left")
        steps = witness.read_text().count("\n")
        check("no controller listens" in sandbox.refuses("workers"), "it is down")
        sandbox.call("pool", "up", "--workers", 2, "--cpus", 1, "--memory", "4G")
        sandbox.call("wait", job)
        check(witness.read_text().count("\n") < steps + 300, "it began anew")
        sandbox.call("fetch", job, sandbox.base / "result")
        check((sandbox.base / "result" / "own").read_text() == "".join(f"{n}\n" for n in range(1, 301)), "another result")
        check(sandbox.json("ps")[0]["state"] == "ended", "ps finds the pool by itself")
    finally:
        sandbox.call_raw(sandbox.argv("pool", "down"))
    check("no controller" in sandbox.refuses("workers"), "down")

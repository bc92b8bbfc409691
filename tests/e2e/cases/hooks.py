"""A program and its keeper: it asks for checkpoints itself, learns that it was resumed, and is not saved where it must not be;
commands before, after and at the resume."""
import os
import re
import shutil

from harness import HERE, check, wait_until
from pool_harness import Pool

ASKS_TWICE = """
echo "begins $(cat $BATON_STATUS_FILE)"
for turn in 1 2; do
  echo "turn $turn: $({baton} checkpoint --self)"
done
{baton} checkpoint --self -o json
echo ends
"""


class Speaker:
    """The job jobs/speaker.py, under `baton run` (or what `argv` says)."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        shutil.copy(HERE / "jobs" / "speaker.py", sandbox.base / "speaker.py")
        self.orders = sandbox.write("orders", "")
        self.command = ["/usr/bin/python3", str(sandbox.base / "speaker.py"), str(self.orders)]
        self.log = sandbox.base / sandbox.state / "runs" / "job" / "output"
        self.given = 0

    def start(self, *words, **spawn):
        return self.sandbox.start("--name", "job", *words, "--", *self.command, **spawn)

    def order(self, text):
        """Begins it; its number."""
        with open(self.orders, "a", encoding="utf-8") as file:
            file.write(text + "\n")
        self.given += 1
        return self.given

    def result(self, number):
        """Waits until the order is done."""
        def line():
            text = self.log.read_text(errors="replace") if self.log.exists() else ""
            return next((line for line in text.splitlines(keepends=True) if line.startswith(f"done {number} ")), "").endswith("\n")
        wait_until(line, lambda: f"order {number} in {self.log}: {[k.err for k in self.sandbox.keepers]}")
        lines = self.log.read_text(errors="replace").splitlines()
        return next(found for found in lines if found.startswith(f"done {number} "))[len(f"done {number} "):]

    def does(self, text):
        return self.result(self.order(text))

    def says(self, text, expected):
        seen = self.does(text)
        check(seen == expected, f"'{text}' gives '{seen}', not '{expected}'")


def case_self_returns_twice(sandbox):  # as root, too
    """`checkpoint --self` in a shell's job: saved; resumed, in two generations; as the JSON that it prints."""
    sandbox.write("asks.sh", ASKS_TWICE.format(baton=sandbox.baton_path))
    done = sandbox.call("run", "--store", sandbox.store, "--name", "job", "--", "/bin/sh", sandbox.base / "asks.sh")
    check(done == 'begins running 0 1\nturn 1: saved 1 1\nturn 2: saved 2 1\n'
          '{"outcome": "saved", "checkpoint": 3, "generation": 1}\nends\n', f"undisturbed: {done}")
    fifo = sandbox.fifo("fifo")
    status = sandbox.base / "state/runs/again/port/status"
    held = {"BATON_HOLD_FIFO": str(fifo)}
    keeper = sandbox.start("--name", "again", "--", "/bin/sh", sandbox.base / "asks.sh",
                           env=sandbox.environment | held | {"BATON_HOLD_AT": "checkpoint.write:2"})
    # The second one is not complete when the keeper dies; nor is it in the next attempt.
    wait_until(lambda: status.exists() and status.read_text() == "copied 2 1\n", "the second checkpoint")
    keeper.kill()
    keeper = sandbox.resume("again", env=sandbox.environment | held | {"BATON_HOLD_AT": "checkpoint.write"})
    keeper.shows("turn 1: resumed 1 2")
    wait_until(lambda: status.read_text() == "copied 2 2\n", "the next checkpoint")
    keeper.kill()
    sandbox.resume("again").ends_with(0)
    log = sandbox.call("logs", "again")
    check(log == 'begins running 0 1\nturn 1: resumed 1 3\nturn 2: saved 2 3\n'
          '{"outcome": "saved", "checkpoint": 3, "generation": 3}\nends\n', f"resumed twice from one checkpoint: {log}")
    check(not status.parent.exists(), "the port is left")


def case_self_outside_of_a_job(sandbox):
    check("BATON_SOCKET" in sandbox.refuses("checkpoint", "--self"), "it is not said what is missing")
    gone = sandbox.environment | {"BATON_SOCKET": str(sandbox.base / "nobody" / "socket")}
    check("nobody" in sandbox.refuses("checkpoint", "--self", env=gone), "it is not said who does not answer")
    check("--pid" in sandbox.refuses("checkpoint", "--self", "job"), "a name beside --self")


def case_self_outlives_baton(sandbox):  # as root, too
    """The program that asks is saved without baton in it: what that was when it asked is not there any more."""
    directory = sandbox.directory("bin")
    copy = directory / "baton"
    shutil.copy(sandbox.baton_path, copy)
    keeper = sandbox.start("--name", "other", "--", "/bin/sh", "-c", f"{copy} checkpoint --self; sleep 1000")
    keeper.shows("saved 1 1")
    keeper.kill()
    copy.unlink()
    keeper = sandbox.resume("other")
    keeper.shows("resumed 1 2")


def case_many_askers(sandbox):
    """A job that does not stop asking, without waiting for answers: it is saved, and its keeper answers others."""
    job = Speaker(sandbox)
    keeper = job.start()
    job.says("flood 20000", "None")
    check(job.does("ask").startswith("saved "), "it is not answered")
    job.order("end 0")
    keeper.ends_with(0)


def case_protocol(sandbox):  # as root, too
    """A program that speaks with its keeper itself: requests, answers, the files; before and after a resume."""
    job = Speaker(sandbox)
    keeper = job.start()
    job.says("status", "running 0 1")
    first = job.does("generation")
    check(first.split()[0] == "1" and len(first.split()[1]) == 32, first)
    check(job.does("mapped") == first, "the mapping shows another generation")
    job.says("ask", "saved 1 1")
    job.says("status", "saved 1 1")
    check("there is no request 'nonsense'" in job.does("ask nonsense"), "an unknown request")
    job.says("send checkpoint", "None")  # nobody waits for it
    wait_until(lambda: sandbox.show()["last_checkpoint"]["number"] == 2, "a checkpoint that nobody waits for")
    keeper.kill()
    keeper = sandbox.resume()
    job.says("status", "resumed 2 2")
    second = job.does("generation")
    check(second.split()[0] == "2" and second.split()[1] != first.split()[1], f"{first}; {second}")
    check(job.does("mapped") == second, "the mapping shows another generation after the resume")
    job.says("ask", "saved 3 2")
    keeper.kill()
    keeper = sandbox.resume()
    job.says("status", "resumed 3 3")
    job.says("ask", "saved 4 3")
    job.order("end 3")
    keeper.ends_with(3)


def case_asked_while_another_is_made(sandbox):
    """Who asks before the job stands still is served by the checkpoint under way; who asks after that, by one of its own."""
    job = Speaker(sandbox)
    fifo = sandbox.fifo("fifo")
    trace = sandbox.base / "trace"
    hold = sandbox.environment | {"BATON_HOLD_AT": "checkpoint.write", "BATON_HOLD_FIFO": str(fifo), "BATON_FAIL_TRACE": str(trace)}
    keeper = job.start(env=hold)
    job.says("status", "running 0 1")
    asked = sandbox.follow("checkpoint", "job")
    wait_until(lambda: trace.exists() and "checkpoint.write" in trace.read_text(), "the first checkpoint")
    waits = job.order("ask")  # its state is copied by now
    wait_until(lambda: (sandbox.base / "state/runs/job/port" / "speaker.2").exists(), "its request")
    with open(fifo, "wb"):
        pass
    asked.ends_with(0)
    check(job.result(waits) == "saved 2 1", job.result(waits))
    keeper.kill()
    keeper = sandbox.resume()
    check(job.result(waits) == "resumed 2 2", job.result(waits))
    job.order("end 0")
    keeper.ends_with(0)


def case_host_files(sandbox):  # as root, too
    """--fs host: the port is in the machine's /tmp, under a name that nobody else has, and gone at the end; also of a keeper
    that was killed."""
    job = Speaker(sandbox)
    keeper = job.start("--fs", "host")
    place = os.path.dirname(job.does("env BATON_SOCKET"))
    check(place.startswith("/tmp/.baton-") and os.path.isdir(place) and not os.listdir(place), f"{place}")
    job.says("lock", "None")
    job.says("unlock", "None")
    job.says("ask", "saved 1 1")
    check(not sandbox.show()["last_checkpoint"].get("written_outside"), "the lock file is taken for the job's")
    keeper.kill()
    keeper = sandbox.resume()
    job.says("ask", "saved 2 2")
    check(os.path.dirname(job.does("env BATON_SOCKET")) == place, "another place")
    job.order("end 0")
    keeper.ends_with(0)
    check(not os.path.exists(place), f"{place} is left")


def case_job_in_a_job(sandbox):
    """A job's own `baton run` gives its job a port of its own."""
    inner = sandbox.write("inner.sh", 'echo "inner $BATON_SOCKET $(%s checkpoint --self)"\n' % sandbox.baton_path)
    outer = sandbox.write("outer.sh", f'{sandbox.baton_path} --state-dir {sandbox.base}/inner run --name inner -- /bin/sh {inner}\n'
                          'echo "outer $BATON_SOCKET"\n')
    done = sandbox.call("run", "--store", sandbox.store, "--name", "outer", "--", "/bin/sh", outer)
    check(done == "inner /tmp/.baton/socket saved 1 1\nouter /tmp/.baton/socket\n", done)


def case_self_in_a_pool(sandbox):
    """A pool's job asks; moved to another worker it learns that it was resumed."""
    pool = Pool(sandbox, workers=2)
    job = Speaker(sandbox)
    number = pool.submit("--", *job.command)
    job.log = pool.log_path(number, 1)
    job.says("ask", "saved 1 1")
    pool.wait_for(number, lambda s: [c["checkpoint"] for c in s["checkpoints"]] == ["1.1"], "the checkpoint in the catalogue")
    pool.call("migrate", number)
    pool.runs(number, attempt=2)
    job.log = pool.log_path(number, 2)
    check(job.does("status").startswith("resumed "), "it does not know that it was resumed")
    check(job.does("generation").startswith("2 "), "another generation")
    job.says("ask", "saved 1 2")
    job.order("end 0")
    pool.ends(number)


def case_critical_section(sandbox):  # as root, too
    """A program in a critical section delays the checkpoint, but not for longer than the limit."""
    job = Speaker(sandbox)
    keeper = job.start("--hook-timeout", "300ms")
    job.says("lock", "None")
    text = sandbox.refuses("checkpoint", "job")
    check("critical section for 300 ms" in text, text)
    check("critical section" in job.does("ask"), "the program is not told")
    job.says("status", "failed 1 1")
    keeper.kill()
    shutil.rmtree(sandbox.base / sandbox.state)
    job = Speaker(sandbox)
    keeper = job.start("--hook-timeout", "60s", "--replace")
    job.says("lock", "None")
    waits = sandbox.follow("checkpoint", "job")
    wait_until(lambda: job.does("status") == "saving 1 1", "the beginning of the checkpoint")
    check(waits.process.poll() is None, f"it did not wait: {waits.out} {waits.err}")
    job.says("unlock", "None")
    waits.ends_with(0)
    job.says("lock", "None")  # it is let in again
    job.says("unlock", "None")
    keeper.kill()
    keeper = sandbox.resume()
    job.says("lock", "None")
    job.says("status", "resumed 1 2")
    job.order("end 0")
    keeper.ends_with(0)


WRITES = 'echo "$BATON_HOOK $BATON_CHECKPOINT $BATON_GENERATION $BATON_OUTCOME $BATON_PID $MINE ${BATON_SOCKET:-none}" >> hooks; ' \
         'test $$ -lt 1000 && test -d /proc/$BATON_PID'


def case_commands(sandbox):  # as root, too
    """Commands before, after and at the resume: where they run, with which environment, and what they say."""
    job = Speaker(sandbox)
    hooks = [word for name in ("before", "after", "resume") for word in (f"--hook-{name}", f"{WRITES}; echo said-{name}")]
    keeper = job.start(*hooks, env=sandbox.environment | {"MINE": "mine"})
    job.says("status", "running 0 1")
    check(sandbox.checkpoint() == 1, "another number")
    written = sandbox.work / "hooks"
    before, after = "before 1 1  2 mine none\n", "after 1 1 copied 2 mine none\n"
    check(written.read_text() == before + after, written.read_text())
    keeper.says("said-before").says("said-after")
    check("said" not in sandbox.call("logs", "job"), "a hook's output is in the job's log")
    keeper.kill()
    keeper = sandbox.resume()
    # The workspace is that of the checkpoint: what the command after it wrote came later.
    job.says("status", "resumed 1 2")
    check(written.read_text() == before + "resume 1 2 resumed 2 mine none\n", written.read_text())
    keeper.says("said-resume")
    check(sandbox.show()["last_checkpoint"]["hook_error"] == "", "an error that there was not")
    job.order("end 0")
    keeper.ends_with(0)


def case_commands_that_fail(sandbox):
    """Before: no checkpoint, and the one after it is run. After: the checkpoint stands. Each too long: the same."""
    job = Speaker(sandbox)
    keeper = job.start("--hook-before", f"test -e {sandbox.base}/good", "--hook-after", f'echo $BATON_OUTCOME > after; test -e {sandbox.base}/better',
                       "--hook-timeout", "10s")
    job.says("status", "running 0 1")
    text = sandbox.refuses("checkpoint", "job")
    check("the before hook failed, exit code 1" in text, text)
    job.says("read after", "failed")
    job.says("status", "failed 1 1")
    sandbox.write("good", "")
    check(sandbox.checkpoint() == 1, "another number")
    job.says("read after", "copied")
    error = sandbox.show()["last_checkpoint"]["hook_error"]
    check("the after hook failed, exit code 1" in error, error)
    check("the after hook failed" in sandbox.call("show", "job"), "show does not say it")
    sandbox.write("better", "")
    sandbox.checkpoint()
    check(sandbox.show()["last_checkpoint"]["hook_error"] == "", "an error that there was not")
    job.order("end 0")
    keeper.ends_with(0)


def case_command_that_hangs(sandbox):
    job = Speaker(sandbox)
    keeper = job.start("--hook-before", "echo $$ > hangs; sleep 1000 & wait", "--hook-timeout", "200ms")
    job.says("status", "running 0 1")
    text = sandbox.refuses("checkpoint", "job")
    check("the before hook has not ended within 200 ms" in text, text)
    inside = job.does("read hangs")
    wait_until(lambda: inside not in job.does("processes").split(), "the end of the hook")
    # The end of the job is the end of its hook.
    keeper.kill()
    shutil.rmtree(sandbox.base / sandbox.state)
    job = Speaker(sandbox)
    keeper = job.start("--replace", "--hook-before", f"echo > {sandbox.base}/begun; sleep 1000", "--hook-timeout", "1000s")
    job.says("status", "running 0 1")
    asked = sandbox.follow("checkpoint", "job")
    wait_until((sandbox.base / "begun").exists, "the hook")
    job.order("end 4")
    keeper.ends_with(4)
    asked.wait()


def case_resume_command_that_fails(sandbox):
    """The job is not resumed, nothing is left, and it can be tried again, with another command or none."""
    job = Speaker(sandbox)
    keeper = job.start("--hook-resume", "echo not yet >&2; exit 5")
    job.says("ask", "saved 1 1")
    keeper.kill()
    failed = sandbox.call_raw(sandbox.argv("run", "--store", sandbox.store, "--resume", "job"))
    text = failed.stderr.decode()
    check(failed.returncode == 125, f"exit code {failed.returncode}")
    check("the resume hook failed, exit code 5" in text and "not yet" in text, text)
    check(sandbox.show()["state"] == "interrupted", "another state")
    keeper = sandbox.resume("job", "--hook-resume", "")
    job.says("status", "resumed 1 3")
    keeper.kill()
    keeper = sandbox.resume("job", "--hook-resume", "true")
    job.says("status", "resumed 1 4")
    job.order("end 0")
    keeper.ends_with(0)


def case_signal(sandbox):  # as root, too
    """The program is told by a signal, before, after and at the resume; it must say that it is ready."""
    job = Speaker(sandbox)
    keeper = job.start("--hook-signal", "USR1", "--hook-timeout", "500ms")
    job.says("status", "running 0 1")
    text = sandbox.refuses("checkpoint", "job")
    check("does not handle signal 10" in text, f"a signal that would end it: {text}")
    job.says("deaf", "None")
    text = sandbox.refuses("checkpoint", "job")
    check("has not said that it is ready within 500 ms" in text, text)
    wait_until(lambda: job.does("signals") == "saving 1 1, failed 1 1", "both signals")
    job.says("handle", "None")
    check(sandbox.checkpoint() == 1, "another number")
    wait_until(lambda: job.does("signals").startswith("saving 1 1, failed 1 1, saving 1 1, copied 1 1"), lambda: f"{job.does('signals')}")
    keeper.kill()
    keeper = sandbox.resume()
    wait_until(lambda: job.does("signals") == "saving 1 1, failed 1 1, saving 1 1, resumed 1 2", lambda: f"{job.does('signals')}")
    job.order("end 0")
    keeper.ends_with(0)


def case_wrong_hook_flags(sandbox):
    for words in (("--hook-signal", "KILL"), ("--hook-signal", "nonsense"), ("--hook-timeout", "0"), ("--hook-timeout", "soon")):
        sandbox.refuses("run", *words, "--", "true")
    check("--hook-" in sandbox.refuses("checkpoint", "job", "--hook-before", "true"), "a hook for a job that runs")


def case_hooks_in_a_pool(sandbox):
    """Hooks of a pool's job, moved to another worker; at the checkpoint that ends it there, nothing is run after it."""
    pool = Pool(sandbox, workers=2)
    job = Speaker(sandbox)
    # Each takes longer than the lease, 3 s, which the keeper renews meanwhile.
    hooks = [word for name in ("before", "after", "resume")
             for word in (f"--hook-{name}", f"sleep 3.5; echo $BATON_HOOK $BATON_OUTCOME >> {sandbox.base}/all")]
    sandbox.write("all", "")
    number = pool.submit(*hooks, "--", *job.command)
    job.log = pool.log_path(number, 1)
    job.says("ask", "saved 1 1")
    pool.call("migrate", number)
    pool.runs(number, attempt=2)
    job.log = pool.log_path(number, 2)
    check(job.does("status").startswith("resumed "), "it was not resumed")
    seen = (sandbox.base / "all").read_text().split("\n")
    check([line.strip() for line in seen if line] == ["before", "after copied", "before", "resume resumed"], f"{seen}")
    job.order("end 0")
    check(pool.ends(number)["frozen_ms"] == 0, "it lost its lease")


def case_guide(sandbox):
    """The example of docs/guides/hooks.md, as it is printed there."""
    guide = (HERE.parent.parent / "docs" / "guides" / "hooks.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    program = next(text for kind, text in blocks if kind == "python" and text.startswith("# tokens.py"))
    ((_, session),) = [block for block in blocks if block[0] == "sh"]
    ((_, log),) = [block for block in blocks if block[0] == "text"]
    sandbox.write("work/tokens.py", program)
    commands = sandbox.directory("bin")
    (commands / "baton").symlink_to(sandbox.baton_path)
    environment = sandbox.environment | {"PATH": f"{commands}:{sandbox.environment['PATH']}", "BATON_STATE_DIR": str(sandbox.base / "state")}
    done = sandbox.call_raw(["/bin/sh", "-e", "-c", session], env=environment)
    text = done.stdout.decode()
    check(done.returncode == 0 and text.endswith(log), f"exit code {done.returncode}: {text}; {done.stderr.decode()}")
    check("going on as generation 2" in done.stderr.decode(), done.stderr.decode())
    asks = next(text for kind, text in blocks if kind == "python" and "def ask" in text)
    done = sandbox.call("run", "--", "/usr/bin/python3", "-c", asks + "\nprint(ask())\n")
    check(done == "saved 1 1\n", done)

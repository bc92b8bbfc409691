"""Exit codes of `baton run`, signals to the job, and how a job ends."""
import os
import signal
import time

from harness import check, descendants, lives, wait_until


def code_of(sandbox, *command, expected):
    return sandbox.call("run", "--replace", "--name", "job", "--", *command, code=expected)


def case_exit_codes(sandbox):  # as root, too
    code_of(sandbox, "true", expected=0)
    code_of(sandbox, "sh", "-c", "exit 7", expected=7)
    code_of(sandbox, "sh", "-c", "exit 255", expected=255)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        code_of(sandbox, "sh", "-c", f"kill -{int(number)} $$", expected=128 + number)
    check(sandbox.show()["exit_code"] == 128 + signal.SIGSEGV, "show has another exit code")


def case_not_found_and_not_executable(sandbox):  # as root, too
    plain = sandbox.write("work/plain", "no program\n")
    broken = sandbox.write("work/broken", "#!/no/such/interpreter\n", 0o755)
    for command, code in (("no-such-command", 127), ("./no-such-file", 127), (plain, 126), (sandbox.work, 126),
                          (broken, 127)):
        text = sandbox.refuses("run", "--name", "job", "--", command, code=code)
        check(str(command) in text, f"the error does not name {command}: {text}")
        check(sandbox.show()["state"] == "failed", "show does not say that it failed")


def case_failure_of_baton(sandbox):  # as root, too
    for words, named in ((["--name", "a/b", "--", "true"], "a/b"), (["--every", "soon", "--", "true"], "soon"),
                         (["--workdir", "/no/such", "--", "true"], "/no/such"), ([], "command"),
                         (["--resume", "nothing"], "nothing"), (["--bogus", "--", "true"], "--bogus"),
                         (["--fs", "some", "--", "true"], "some"), (["--workspace-limit", "-1", "--", "true"], "-1"),
                         (["--keep", str(sandbox.work / "file"), "--", "true"], "file")):
        text = sandbox.refuses("run", *words, code=125)
        check(named in text, f"the error does not say {named}: {text}")
    check(sandbox.json("ps") == [], "a run that was refused is left behind")
    left = list((sandbox.base / "state" / "runs").iterdir())
    check(left == [], f"left in the state directory: {left}")


TRAPS = """
import os, signal
def leave(number, frame):
    os.write(1, b"got %s\\n" % signal.Signals(number).name.encode())
    os._exit(5)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, leave)
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""


def ready(keeper):
    wait_until(lambda: b"ready" in keeper.out, lambda: f"the job; errors: {keeper.err}")
    return keeper


def case_signals_go_to_the_job(sandbox):  # as root, too
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        keeper = ready(sandbox.start("--name", number.name, "--", "/usr/bin/python3", "-c", TRAPS))
        keeper.signal(number)
        keeper.ends_with(5)
        check(f"got {number.name}\n".encode() in keeper.out, f"the job has not seen {number.name}")
    for number in (signal.SIGINT, signal.SIGTERM):
        keeper = ready(sandbox.start("--name", "default", "--", "sh", "-c", "echo ready; exec sleep 1000"))
        keeper.signal(number)
        keeper.ends_with(128 + number)


def case_signals_reach_the_whole_group(sandbox):
    script = "sleep 1000 & sleep 1000 & trap 'wait; exit 9' TERM; echo ready; wait"
    keeper = ready(sandbox.start("--name", "job", "--", "bash", "-c", script))
    began = time.monotonic()
    keeper.signal(signal.SIGTERM)
    keeper.ends_with(9)  # only once both children have ended
    check(time.monotonic() - began < 4, "it took as long as a kill by force")


def case_second_signal_kills(sandbox):  # as root, too
    for first, second in ((signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)):
        script = "trap '' INT TERM; sleep 1000 & echo ready; while true; do wait; done"
        keeper = ready(sandbox.start("--name", "job", "--", "bash", "-c", script))
        keeper.signal(first)
        # Only a signal that has been read can be the first one: the answer comes after it.
        check(sandbox.show()["state"] == "running", "one signal ended a job that ignores it")
        keeper.signal(second)
        keeper.ends_with(128 + signal.SIGKILL)
        check(sandbox.show()["exit_code"] == 137, "show has another exit code")


def case_signals_after_a_resume(sandbox):
    ready(sandbox.start("--name", "job", "--", "/usr/bin/python3", "-c", TRAPS))
    sandbox.checkpoint()
    sandbox.keepers[-1].kill()
    keeper = sandbox.resume()
    keeper.signal(signal.SIGTERM)
    keeper.ends_with(5)
    check(sandbox.call("logs", "job") == "ready\ngot SIGTERM\n", "another log: " + sandbox.call("logs", "job"))


def case_rest_is_ended_with_the_job(sandbox):  # as root, too
    """The first process ends: what is left gets SIGTERM and may clean up; SIGKILL after 5 s."""
    script = """
      (trap 'echo cleaned up; exit' TERM; echo 1 > polite; while true; do sleep 0.01; done) &
      (trap '' TERM; echo 1 > stubborn; while true; do sleep 0.01; done) &
      while [ ! -s polite ] || [ ! -s stubborn ]; do sleep 0.01; done
      exit 3"""
    began = time.monotonic()
    done = sandbox.call_raw(sandbox.argv("run", "--", "bash", "-c", script))
    took = time.monotonic() - began
    check(done.returncode == 3, f"exit code {done.returncode}: {done.stderr.decode()}")
    check(done.stdout == b"cleaned up\n", f"no time to clean up: {done.stdout}")
    check(5 <= took < 9, f"the stubborn one was killed after {took:.1f} s, not 5")


def case_rest_that_ends_is_not_waited_for(sandbox):
    began = time.monotonic()
    sandbox.call("run", "--", "sh", "-c", "sleep 1000 & exit 4", code=4)
    check(time.monotonic() - began < 4, "SIGTERM has not ended the rest")


def case_init_is_killed_from_outside(sandbox):
    """No end of the job: Baton failed, says so, and the run can be resumed."""
    keeper = ready(sandbox.start("--name", "job", "--", "/usr/bin/python3", "-c", TRAPS))
    sandbox.checkpoint()
    init = descendants(keeper.process.pid)[0]
    os.kill(init, signal.SIGKILL)
    keeper.ends_with(125)
    check("init" in keeper.err and "--resume job" in keeper.err, keeper.err)
    check(sandbox.show()["state"] == "failed", f"{sandbox.show()}")
    keeper = sandbox.resume()
    keeper.signal(signal.SIGTERM)
    keeper.ends_with(5)


def case_keeper_dies_and_all_with_it(sandbox):  # as root, too
    """The keeper's death is the job's death, by the kernel."""
    script = "trap '' INT TERM HUP; setsid sleep 1000 & (sleep 1000 & sleep 1000) & echo ready; wait"
    keeper = ready(sandbox.start("--name", "job", "--", "bash", "-c", script))
    below = wait_until(lambda: len(found := descendants(keeper.process.pid)) >= 6 and found, "all processes of the job")
    os.kill(keeper.process.pid, signal.SIGKILL)
    keeper.process.wait()
    for pid in below:
        wait_until(lambda pid=pid: not lives(pid), f"the end of process {pid}", 10)
    check(sandbox.show()["state"] == "interrupted", "show does not say that it was interrupted")


def case_started_where_the_end_of_children_is_ignored(sandbox):  # as root, too
    """By a cron job or a daemon that ignores SIGCHLD, which is inherited: the job's end is heard all the same."""
    keeper = sandbox.start("--name", "job", "--", "sh", "-c", "exit 3",
                           preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    keeper.ends_with(3)

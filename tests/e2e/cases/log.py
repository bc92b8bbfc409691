"""The job's output: it is part of the job's state, so that in the end it is an undisturbed run's byte for byte."""
import os
import signal
import subprocess

from harness import Steps, check, wait_until


def killed_after_a_checkpoint(sandbox, job, *options, saved_at=7, killed_at=12):
    """A run with a checkpoint at step `saved_at`, killed at step `killed_at`."""
    keeper = sandbox.start("--name", "job", *options, "--", *job.command, merged=True)
    job.to(saved_at)
    sandbox.checkpoint()
    job.to(killed_at)
    keeper.kill()
    return keeper


def case_cut_back_at_resume(sandbox):  # as root, too
    job = Steps(sandbox)
    killed_after_a_checkpoint(sandbox, job)
    check(sandbox.call("logs", "job") == job.output(12), "the log has not all that the job wrote")
    keeper = sandbox.resume(merged=True)
    job.to(15)
    job.end(20)
    keeper.ends_with(0)
    check(sandbox.call("logs", "job") == job.output(20), "the log is not an undisturbed run's")
    shown = "--- resumed from checkpoint 1 ---\n" + job.output(20)[len(job.output(7)):]
    check(keeper.out.decode() == shown, f"the second keeper showed: {keeper.out}")


def case_stdout_and_stderr_stay_apart(sandbox):
    """Saved with both on one pipe, resumed with two, saved, resumed with one."""
    job = Steps(sandbox)
    killed_after_a_checkpoint(sandbox, job)
    keeper = sandbox.resume()
    job.to(12)
    keeper.shows("out 12\n").says("err 12\n")
    check(keeper.out.decode() == "".join(f"out {n}\n" for n in range(8, 13)), f"stdout of the second keeper: {keeper.out}")
    check(keeper.err == "--- resumed from checkpoint 1 ---\nerr 9\nerr 12\n", f"its stderr: {keeper.err}")
    sandbox.checkpoint()
    keeper.kill()
    keeper = sandbox.resume(merged=True)
    job.end(20)
    keeper.ends_with(0)
    check(keeper.err.endswith(job.output(20)[len(job.output(12)):]), f"the third keeper showed: {keeper.err}")
    lines = sandbox.call("logs", "job").splitlines()
    for stream in ("out", "err"):
        expected = [line for line in job.output(20).splitlines() if line.startswith(stream)]
        check([line for line in lines if line.startswith(stream)] == expected, f"{stream} is not whole: {lines}")


def case_from_the_store_alone(sandbox):
    """Another state directory, as on another machine: the log comes from the store."""
    job = Steps(sandbox)
    killed_after_a_checkpoint(sandbox, job)
    sandbox.state = "other-state"
    keeper = sandbox.resume(merged=True)
    job.end(20)
    keeper.ends_with(0)
    check(sandbox.call("logs", "job") == job.output(20), "the log is not an undisturbed run's")


def case_several_generations(sandbox):
    job = Steps(sandbox)
    keeper = sandbox.start("--name", "job", "--", *job.command, merged=True)
    for generation in range(1, 5):
        job.to(generation * 5)
        check(sandbox.checkpoint() == generation, "another number")
        job.to(generation * 5 + 3)
        keeper.kill()
        keeper = sandbox.resume(merged=True)
        check(f"--- resumed from checkpoint {generation} ---" in keeper.err, f"resumed from another one: {keeper.err}")
    job.end(30)
    keeper.ends_with(0)
    check(sandbox.call("logs", "job") == job.output(30), "the log is not an undisturbed run's")
    check(sandbox.show()["attempt"] == 5, "another number of attempts")


def case_lost_or_changed_by_hand(sandbox):
    """What somebody did to the log does not stay: it comes from the store."""
    job = Steps(sandbox)
    killed_after_a_checkpoint(sandbox, job)
    log = sandbox.show()["output"]
    os.unlink(log)
    sandbox.resume(merged=True).kill()
    check(open(log, encoding="ascii").read().startswith(job.output(7)), "a lost log did not come back")
    with open(log, "r+b") as file:
        file.write(b"OUT")
    keeper = sandbox.resume(merged=True)
    job.end(15)
    keeper.ends_with(0)
    check(sandbox.call("logs", "job") == job.output(15), "a changed log did not come back")


def case_to_a_file(sandbox):
    """--output FILE, also a device, also another one at resume."""
    log = sandbox.base / "my.log"
    job = Steps(sandbox, log=log)
    log.write_bytes(b"of another time\n")
    sandbox.own(log)
    killed_after_a_checkpoint(sandbox, job, "--output", log)
    check(log.read_text() == job.output(12), "the log is not at the place that was named")
    keeper = sandbox.resume("job", "--output", sandbox.base / "other.log", merged=True)
    job.log = sandbox.base / "other.log"
    job.to(12)
    sandbox.checkpoint()
    keeper.kill()
    check(sandbox.call("logs", "job") == job.output(12), "the log is not at its new place")
    keeper = sandbox.resume("job", "--output", "/dev/null", merged=True)
    job.end(14)
    keeper.ends_with(0)
    text = sandbox.refuses("logs", "job")
    check("/dev/null" in text, f"the error does not say where the output went: {text}")
    check(keeper.out.endswith(b"out 14\n"), "nothing was shown")


MANY = "for n in range(60000): print('line', n, 'x' * 40)"


def case_a_slow_reader_loses_nothing(sandbox):
    """Nobody reads the keeper's stdout for long: the job is held back, nothing is lost, the log is whole."""
    read_end, write_end = os.pipe()
    keeper = subprocess.Popen(sandbox.argv("run", "--name", "job", "--", "/usr/bin/python3", "-c", MANY), stdout=write_end,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **sandbox.spawn_options())
    os.close(write_end)
    log = sandbox.base / "state" / "runs" / "job" / "output"
    wait_until(lambda: log.exists() and log.stat().st_size > 1 << 20, "a log of more than the queue")
    shown = b""
    while piece := os.read(read_end, 1 << 16):
        shown += piece
    os.close(read_end)
    _, errors = keeper.communicate()
    check(keeper.returncode == 0, f"exit code {keeper.returncode}: {errors}")
    expected = b"".join(b"line %d %s\n" % (n, b"x" * 40) for n in range(60000))
    check(shown == expected, f"{len(shown)} bytes shown, not {len(expected)}")
    check(sandbox.call("logs", "job").encode() == expected, "the log is not whole")


def case_a_reader_that_goes_away(sandbox):
    """`baton run | head`: the job goes on, the log is whole."""
    read_end, write_end = os.pipe()
    keeper = subprocess.Popen(sandbox.argv("run", "--name", "job", "--", "/usr/bin/python3", "-c", MANY), stdout=write_end,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **sandbox.spawn_options())
    os.close(write_end)
    os.read(read_end, 100)
    os.close(read_end)
    _, errors = keeper.communicate()
    check(keeper.returncode == 0, f"exit code {keeper.returncode}: {errors}")
    check(sandbox.call("logs", "job").endswith("line 59999 " + "x" * 40 + "\n"), "the log is not whole")


def case_bytes_of_any_kind(sandbox):
    """No text, no last newline; json shows what it can."""
    script = r"printf 'a\000\377\n\r\033b'"
    sandbox.call("run", "--name", "job", "--", "bash", "-c", script)
    raw = sandbox.call_raw(sandbox.argv("logs", "job")).stdout
    check(raw == b"a\0\xff\n\r\x1bb", f"other bytes: {raw}")
    shown = sandbox.json("logs", "job")
    check(shown["bytes"] == 7 and shown["path"] == sandbox.show()["output"] and shown["text"].startswith("a\0"), f"{shown}")


def case_drained_before_the_capture(sandbox):
    """What the job wrote before it was stopped is in the log of the checkpoint, however fast it writes."""
    script = "n = 0\nwhile True:\n  n += 1\n  print('number', n, flush=True)"
    sandbox.start("--name", "job", "--", "/usr/bin/python3", "-c", script).shows("number 1\n")
    for _ in range(5):
        sandbox.checkpoint()
        sandbox.keepers[-1].kill()
        keeper = sandbox.resume(merged=True)
        wait_until(lambda keeper=keeper: keeper.out.count(b"\n") > 10, "output after the resume")
    keeper.signal(signal.SIGTERM)
    keeper.ends_with(128 + signal.SIGTERM)
    lines = sandbox.call("logs", "job").splitlines()
    check(all(line == f"number {n}" for n, line in enumerate(lines, 1)), "numbers are missing or doubled")

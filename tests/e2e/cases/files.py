"""The files of a job: its workspace goes with the memory (--fs work)."""
import os
import pathlib
import shutil
import subprocess

from harness import Steps, check, tree, wait_until


def saved_job(sandbox, *options, at=5, files=("lines",), **spawn):
    job = Steps(sandbox, *files)
    keeper = sandbox.start("--name", "job", *options, "--", *job.command, merged=True, **spawn)
    job.to(at)
    sandbox.checkpoint()
    return job, keeper


def go_on(sandbox, job, steps, *options, **more):
    keeper = sandbox.resume("job", *options, merged=True, **more)
    job.end(steps)
    return keeper.ends_with(0)


def case_workspace_comes_back(sandbox):  # as root, too
    """Files changed, cut, removed, renamed, made and linked after the checkpoint: all as it was, new ones set aside."""
    work = sandbox.work
    deep = work / "deep" / "er"
    deep.mkdir(parents=True)
    for name, content in (("changed", "old\n"), ("cut", "long content\n"), ("removed", "here\n"), ("renamed", "name\n"),
                          ("deep/er/file", "deep\n"), ("program", "#!/bin/sh\n")):
        (work / name).write_text(content)
    (work / "program").chmod(0o750)
    (work / "link").symlink_to("changed")
    os.link(work / "removed", work / "hard")
    os.utime(work / "changed", ns=(1_600_000_000_123_456_789,) * 2)
    for path in [*work.rglob("*")]:
        if os.getuid() == 0:
            os.chown(path, sandbox.uid, sandbox.uid, follow_symlinks=False)
    job, keeper = saved_job(sandbox)
    keeper.kill()
    before = tree(work)
    stats = {name: (os.lstat(work / name).st_mode, os.lstat(work / name).st_mtime_ns) for name in before}

    (work / "changed").write_text("NEW\n")
    (work / "cut").write_text("")
    (work / "removed").unlink()
    (work / "renamed").rename(work / "other-name")
    (work / "link").unlink()
    (work / "link").symlink_to("elsewhere")
    (work / "program").chmod(0o644)
    shutil.rmtree(work / "deep")
    (work / "deep").write_text("a file now")
    (work / "later").mkdir()
    (work / "later" / "file").write_text("came later\n")
    for name in ("later", "later/file", "deep"):
        sandbox.own(work / name)

    keeper = sandbox.resume(merged=True)
    aside = sandbox.base / "work.set-aside-1"
    check(f"files that came after the checkpoint are in {aside}" in keeper.err, f"no folder is named: {keeper.err}")
    job.to(7)
    now = tree(work)
    check(now.pop("lines") == job.lines(7) and before.pop("lines") == job.lines(5), "the job's own file")
    check(now == before, f"{now}, before: {before}")
    for name in now:
        check((os.lstat(work / name).st_mode, os.lstat(work / name).st_mtime_ns) == stats[name] or name == "lines",
              f"mode or time of {name}")
    check(os.stat(work / "removed").st_ino == os.stat(work / "hard").st_ino, "the hard link is none any more")
    kept = tree(aside)
    check(kept["later/file"] == "came later\n" and kept["other-name"] == "name\n", f"set aside: {kept}")
    job.end(8)
    keeper.ends_with(0)


def case_gone_altogether(sandbox):
    """The directory and all state are gone; only the store is left."""
    (sandbox.work / "input").write_text("input\n")
    job, keeper = saved_job(sandbox)
    keeper.kill()
    shutil.rmtree(sandbox.work)
    shutil.rmtree(sandbox.base / "state")
    sandbox.state = "new-state"
    go_on(sandbox, job, 9, cwd=sandbox.base)
    check(tree(sandbox.work) == {"input": "input\n", "lines": job.lines(9)}, f"{tree(sandbox.work)}")


def case_nothing_else_is_touched(sandbox):
    """What is beside the workspace stays, and nothing of ours is left in it or beside it."""
    (sandbox.base / "beside").write_text("beside\n")
    job, keeper = saved_job(sandbox)
    keeper.kill()
    go_on(sandbox, job, 9)
    check(tree(sandbox.work) == {"lines": job.lines(9)}, f"{tree(sandbox.work)}")
    names = {path.name for path in sandbox.base.iterdir() if "keeper" not in path.name and "steps" not in path.name}
    check(names == {"beside", "state", "store", "work"}, f"left beside: {names}")


def case_excluded_files_are_left_alone(sandbox):
    (sandbox.work / "cache").mkdir()
    for name in ("cache/one", "big.tmp", "kept"):
        (sandbox.work / name).write_text("before\n")
    sandbox.own(sandbox.work / "kept")
    job, keeper = saved_job(sandbox, "--exclude", "*.tmp", "--exclude", "cache")
    keeper.kill()
    for name in ("cache/one", "cache/two", "big.tmp", "kept"):
        (sandbox.work / name).write_text("after\n")
    go_on(sandbox, job, 9)
    check(tree(sandbox.work) == {"cache": "DIR", "cache/one": "after\n", "cache/two": "after\n", "big.tmp": "after\n",
                                 "kept": "before\n", "lines": job.lines(9)}, f"{tree(sandbox.work)}")


def case_more_directories(sandbox):
    """--workdir elsewhere than the current directory, and --keep."""
    one, two = sandbox.directory("one"), sandbox.directory("two")
    job, keeper = saved_job(sandbox, "--workdir", one, "--keep", two,
                            files=(one / "lines", two / "lines", sandbox.work / "lines"))
    keeper.says(f"{sandbox.work}/lines is written outside the workspace")
    check(sandbox.show()["last_checkpoint"]["written_outside"] == [str(sandbox.work / "lines"),], "show names others")
    job.to(7)
    keeper.kill()
    keeper = go_on(sandbox, job, 9)
    check(f"{sandbox.work}/lines is outside the workspace" in keeper.err, f"not said at the resume: {keeper.err}")
    check(tree(one) == tree(two) == {"lines": job.lines(9)}, f"{tree(one)} {tree(two)}")
    # Written in place, never taken back.
    check((sandbox.work / "lines").read_text() == job.lines(7) + "6\n7\n8\n9\n", (sandbox.work / "lines").read_text())


def case_nested_directories_are_refused(sandbox):
    inner = sandbox.work / "inner"
    inner.mkdir()
    text = sandbox.refuses("run", "--keep", inner, "--", "true")
    check(str(inner) in text, text)
    check(sandbox.json("ps") == [] or sandbox.json("ps")[0]["state"] != "running", "it began")


def case_private_tmp(sandbox):  # as root, too
    """/tmp is the job's own and goes with it; the machine's is not touched."""
    name = f"baton-e2e-{os.getpid()}"
    job, keeper = saved_job(sandbox, files=("lines", f"/tmp/{name}"))
    job.to(7)
    keeper.kill()
    shutil.rmtree(sandbox.base / "state")
    sandbox.state = "new-state"
    keeper = sandbox.resume(merged=True)
    job.to(9)
    private = sandbox.base / "new-state" / "runs" / "job" / "tmp"
    check(tree(private) == {name: job.lines(9), ".baton": "DIR"}, f"{tree(private)}")
    check(not os.path.exists(f"/tmp/{name}"), "it wrote to the machine's /tmp")
    job.end(10)
    keeper.ends_with(0)
    check(not private.exists(), "the private /tmp is left after the end")


def case_private_shared_memory(sandbox):  # as root, too
    """So is /dev/shm, which is memory: of a keeper that died nothing is left there when the next one starts."""
    name = f"baton-e2e-{os.getpid()}"
    private = pathlib.Path(f"/dev/shm/baton-{sandbox.uid}")
    job, keeper = saved_job(sandbox, files=("lines", f"/dev/shm/{name}"))
    job.to(7)
    (first,) = [path for path in private.iterdir() if (path / name).exists()]
    keeper.kill()
    shutil.rmtree(sandbox.base / "state")
    sandbox.state = "new-state"
    keeper = sandbox.resume(merged=True)
    job.to(9)
    (second,) = [path for path in private.iterdir() if (path / name).exists()]
    check(second != first and not first.exists(), f"{first} is left")
    check(tree(second) == {name: job.lines(9)}, f"{tree(second)}")
    check(not os.path.exists(f"/dev/shm/{name}"), "it wrote to the machine's /dev/shm")
    job.end(10)
    keeper.ends_with(0)
    check(not second.exists(), f"{second} is left after the end")


def case_workspace_in_tmp(sandbox):
    """A working directory below /tmp is shown in the private one, too."""
    with_name = f"/tmp/baton-e2e-{os.getpid()}"
    os.mkdir(with_name)
    sandbox.own(with_name)
    try:
        job, keeper = saved_job(sandbox, files=("lines", f"{with_name}/absolute"), cwd=with_name)
        job.to(8)
        keeper.kill()
        shutil.rmtree(sandbox.base / "state")
        go_on(sandbox, job, 9, cwd=sandbox.base)
        check(tree(with_name) == {"lines": job.lines(9), "absolute": job.lines(9)}, f"{tree(with_name)}")
    finally:
        shutil.rmtree(with_name)


def case_too_large_a_workspace(sandbox):
    """Refused before the job runs, with the largest files and what to do."""
    with open(sandbox.work / "huge", "wb") as file:
        for _ in range(3):
            file.write(os.urandom(1 << 20))
    sandbox.own(sandbox.work / "huge")
    text = sandbox.refuses("run", "--workspace-limit", "2M", "--", "touch", "ran")
    check("2.0 MiB" in text and "--exclude" in text and "huge" in text, text)
    check(not (sandbox.work / "ran").exists(), "the job ran")
    sandbox.call("run", "--workspace-limit", "2M", "--exclude", "huge", "--", "touch", "ran")
    # A file of holes is as large as its data.
    os.truncate(sandbox.work / "huge", 0)
    os.truncate(sandbox.work / "huge", 200 << 30)
    sandbox.call("run", "--", "true")


def case_grows_too_large_later(sandbox):
    """The checkpoint fails and says why; the job goes on."""
    job = Steps(sandbox)
    script = f"{' '.join(job.command)} & head -c 3000000 /dev/urandom > huge; echo full; wait"
    keeper = sandbox.start("--name", "job", "--workspace-limit", "2M", "--", "bash", "-c", script).shows("full")
    text = sandbox.refuses("checkpoint", "job")
    check("huge" in text and "2.0 MiB" in text, text)
    check("huge" in sandbox.show()["last_checkpoint_error"], f"{sandbox.show()}")
    job.end(5)
    keeper.ends_with(0)


def case_state_in_the_workspace(sandbox):
    """Started in the home directory, with state and store below it: these are no part of the workspace."""
    home = sandbox.directory("home")
    environment = sandbox.environment | {"HOME": str(home)}
    plain = {"cwd": home, "env": environment}
    (home / "mine").write_text("mine\n")
    sandbox.own(home / "mine")
    if sandbox.uid == 0:
        return
    job = Steps(sandbox, "lines", log=home / "log")
    command = [sandbox.baton_path, "run", "--name", "job", "--output", str(home / "log"), "--", *job.command]
    keeper = subprocess.Popen(command, **{**sandbox.spawn_options(), **plain}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for number in (1, 2, 3):
        job.to(5 * number)
        done = sandbox.call_raw([sandbox.baton_path, "checkpoint", "job"], **plain)
        check(done.returncode == 0, done.stderr.decode())
    keeper.kill()
    keeper.wait()
    (home / "mine").write_text("changed\n")
    job.end(20)
    done = sandbox.call_raw([sandbox.baton_path, "run", "--resume", "job"], **plain)
    check(done.returncode == 0, done.stderr.decode())
    check((home / "lines").read_text() == job.lines(20) and (home / "mine").read_text() == "mine\n", f"{tree(home)}")
    check(sorted((home / "log").read_text().splitlines()) == sorted(job.output(20).splitlines()), "the log was taken for a file of the job")
    objects = sum(path.stat().st_size for path in (home / ".local/state/baton/store/job/objects").rglob("*") if path.is_file())
    check(objects < 10000, f"{objects} bytes of objects: the store has saved itself")


def case_only_what_changed_is_copied(sandbox):
    """Of a large file that only grows, a checkpoint stores what is new."""
    with open(sandbox.work / "large", "wb") as file:
        file.write(os.urandom(64 << 20))
    sandbox.own(sandbox.work / "large")
    script = "import time, sys\nfile = open('large', 'ab', buffering=0)\nprint('ready', flush=True)\n" \
             "while True:\n  file.write(b'x' * 1000)\n  time.sleep(0.02)\n"
    sandbox.start("--name", "job", "--", "/usr/bin/python3", "-c", script).shows("ready")
    sizes = [sandbox.json("checkpoint", "job")["bytes"] - sandbox.show()["last_checkpoint"]["memory_bytes"] for _ in range(3)]
    check(sizes[0] > 60 << 20, f"the first checkpoint has not the file: {sizes}")
    check(max(sizes[1:]) < 8 << 20, f"a later one has all of it again: {sizes}")


def case_written_all_the_time(sandbox):
    """A file rewritten in place without a pause: each checkpoint has it as it was when the job stood still."""
    script = """
import mmap, os
file = open('numbers', 'w+b')
file.truncate(1 << 20)
mapped = mmap.mmap(file.fileno(), 1 << 20)
plain = open('plain', 'w+b', buffering=0)
n = 0
while True:
    n += 1
    for at in range(0, 1 << 20, 65536):
        mapped[at:at + 8] = n.to_bytes(8, 'little')
    plain.seek(0)
    plain.write(b'%d' % n)
    if mapped[:8] != mapped[983040:983048] or int(open('plain').read()) != n:
        print('torn', flush=True)
    if n % 100 == 0:
        print('round', n, flush=True)
"""
    keeper = sandbox.start("--name", "job", "--", "/usr/bin/python3", "-c", script, merged=True).shows("round")
    for _ in range(6):
        sandbox.checkpoint()
        sandbox.checkpoint()
        keeper.kill()
        for name in ("numbers", "plain"):
            (sandbox.work / name).unlink()
        keeper = sandbox.resume(merged=True)
        wait_until(lambda keeper=keeper: keeper.out.count(b"round") > 1, "rounds after the resume")
    check("torn" not in sandbox.call("logs", "job"), "file and memory do not agree")


def case_reader_of_a_file_as_stdin(sandbox):
    """stdin from a file: the job goes on where it was in it. From a pipe: it is that of whoever resumes."""
    lines = sandbox.write("input", "".join(f"line {n}\n" for n in range(1, 101)))
    gate = sandbox.write("gate", "")
    script = f'n=0; while read -r line; do echo "$line"; n=$((n+1)); while [ $n -ge 50 ] && [ ! -s {gate} ]; do sleep 0.01; done; done'
    with open(lines, "rb") as stdin:
        keeper = sandbox.start("--name", "job", "--", "bash", "-c", script, stdin=stdin).shows("line 50\n")
    sandbox.checkpoint()
    keeper.kill()
    gate.write_text("go")
    sandbox.resume().ends_with(0)
    check(sandbox.call("logs", "job") == lines.read_text(), "lines are missing or doubled")

    gate.write_text("")
    for part in (range(1, 51), range(51, 101)):
        read_end, write_end = os.pipe()
        os.write(write_end, "".join(f"line {n}\n" for n in part).encode())
        os.close(write_end)
        if part.start == 1:
            sandbox.start("--name", "job", "--", "bash", "-c", script, stdin=read_end).shows("line 50\n")
            sandbox.checkpoint()
            sandbox.keepers[-1].kill()
            gate.write_text("go")
        else:
            sandbox.resume(stdin=read_end).ends_with(0)
        os.close(read_end)
    check(sandbox.call("logs", "job") == lines.read_text(), "the pipe of the second keeper was not read")

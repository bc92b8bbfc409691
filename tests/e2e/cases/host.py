"""--fs host: no file is saved; what changed since is cut back, refused, or taken as it is."""
import os
import subprocess

from harness import Steps, check, tree, wait_until


def saved_job(sandbox, *files):
    """Killed at step 8, saved at step 5."""
    job = Steps(sandbox, *(files or ("lines",)))
    keeper = sandbox.start("--name", "job", "--fs", "host", "--", *job.command, merged=True)
    job.to(5)
    sandbox.checkpoint()
    job.to(8)
    keeper.kill()
    return job


def refused(sandbox, *named):
    before = tree(sandbox.work)
    text = sandbox.refuses("run", "--store", sandbox.store, "--resume", "job")
    for name in named:
        check(name in text, f"the error does not say '{name}': {text}")
    check("--files=truncate" in text and "--files=ignore" in text, f"the error does not say what to do: {text}")
    check(tree(sandbox.work) == before, "files were changed though it was refused")


def case_own_appended_files_are_cut_back(sandbox):  # as root, too
    job = saved_job(sandbox)
    check((sandbox.work / "lines").read_text() == job.lines(8), "it did not write on")
    (sandbox.work / "other").write_text("not the job's\n")
    keeper = sandbox.resume(merged=True)
    check(f"{sandbox.work}/lines was cut back" in keeper.err, f"not said: {keeper.err}")
    job.end(12)
    keeper.ends_with(0)
    check(tree(sandbox.work) == {"lines": job.lines(12), "other": "not the job's\n"}, f"{tree(sandbox.work)}")
    check(sandbox.call("logs", "job") == job.output(12), "another log")


def case_no_private_tmp(sandbox):
    """Files stay where they are: /tmp is the machine's."""
    name = f"/tmp/baton-e2e-{os.getpid()}"
    try:
        sandbox.call("run", "--fs", "host", "--", "sh", "-c", f"echo here > {name}")
        check(open(name, encoding="ascii").read() == "here\n", "it was written elsewhere")
    finally:
        os.unlink(name)


def case_other_changes_are_refused(sandbox):
    job = saved_job(sandbox)
    path = sandbox.work / "lines"
    saved = job.lines(5)

    def put(content):
        fresh = sandbox.write("fresh", content)  # made while the old one lives: it has another inode
        fresh.rename(path)

    path.write_text("xx")
    refused(sandbox, str(path), f"was {len(saved)} bytes and has 2 now")
    path.rename(sandbox.base / "away")
    refused(sandbox, str(path), "is missing")
    put(saved)
    refused(sandbox, str(path), "is another file of the same size")
    put(saved + "more\n")
    refused(sandbox, str(path), f"grew from {len(saved)} to {len(saved) + 5} bytes and is another file")
    os.unlink(path)
    path.mkdir()
    refused(sandbox, str(path), "is no regular file any more")


def case_same_file_written_in_place_is_refused(sandbox):
    saved_job(sandbox)
    path = sandbox.work / "lines"
    with open(path, "r+b") as file:
        file.truncate(10)
        file.write(b"X")
    refused(sandbox, str(path), "was written to since")


def case_files_truncate(sandbox):
    """What grew is cut back, other times and inodes are taken; what is shorter is still refused."""
    job = saved_job(sandbox)
    path = sandbox.work / "lines"
    os.unlink(path)
    path.write_text(job.lines(5) + "by somebody else\n")
    sandbox.own(path)
    keeper = sandbox.resume("job", "--files=truncate", merged=True)
    check(f"{path} was cut back" in keeper.err, f"not said: {keeper.err}")
    job.to(8)
    sandbox.checkpoint()
    keeper.kill()
    path.write_text("")
    text = sandbox.refuses("run", "--store", sandbox.store, "--resume", "job", "--files=truncate")
    check("has 0 now" in text, text)
    check(job.lines(8).startswith("1\n"), "")


def case_files_ignore(sandbox):
    job = saved_job(sandbox)
    path = sandbox.work / "lines"
    path.write_text("something else\n")
    keeper = sandbox.resume("job", "--files=ignore", merged=True)
    job.end(9)
    keeper.ends_with(0)
    check(path.read_text() == "something else\n6\n7\n8\n9\n", path.read_text())


def case_of_several_writers_nothing_is_cut(sandbox):
    """Another process has the file open for writing, too: what is behind the checkpoint may be its."""
    path = sandbox.write("work/lines", "")
    other = subprocess.Popen(["sh", "-c", f"exec 3>>{path}; read -r _"], stdin=subprocess.PIPE, **sandbox.spawn_options())
    try:
        wait_until(lambda: any(os.path.exists(f"/proc/{other.pid}/fd/3") for _ in "1"), "the other writer")
        saved_job(sandbox)
        refused(sandbox, str(path), "grew from")
    finally:
        other.communicate(b"\n")


def case_not_for_appending(sandbox):
    """A file that is written in place is never cut without being asked."""
    script = ("import time, sys\nfile = open('data', 'w+b', buffering=0)\nn = 0\n"
              "while True:\n  n += 1\n  file.write(b'%d\\n' % n)\n  print(n, flush=True)\n  time.sleep(0.005)\n")
    keeper = sandbox.start("--name", "job", "--fs", "host", "--", "/usr/bin/python3", "-c", script).shows("5\n")
    sandbox.checkpoint()
    size = os.path.getsize(sandbox.work / "data")
    wait_until(lambda: os.path.getsize(sandbox.work / "data") > size + 20, "more of the file")
    keeper.kill()
    refused(sandbox, "grew from")
    keeper = sandbox.resume("job", "--files=truncate", merged=True)
    wait_until(lambda: keeper.out.count(b"\n") > 10, "the job")
    keeper.kill()
    numbers = (sandbox.work / "data").read_text().split()
    check(numbers == [str(n) for n in range(1, len(numbers) + 1)], "numbers are missing or doubled")


def case_wrong_flags(sandbox):
    check("--keep is for --fs work" in sandbox.refuses("run", "--fs", "host", "--keep", sandbox.work, "--", "true"), "")
    check("--files is for --fs host" in sandbox.refuses("run", "--files", "ignore", "--", "true"), "")
    for option in (("--workdir", sandbox.work), ("--exclude", "x"), ("--workspace-limit", "1G")):
        text = sandbox.refuses("run", "--fs", "host", *option, "--", "true")
        check(f"{option[0]} is for --fs work" in text, text)

"""`baton run --resume`: from which checkpoint, and when not."""
import os
import pathlib
import shutil
import subprocess
import time

from harness import Failure, Steps, check, descendants, stat_fields, tree, wait_until


def job_with_checkpoints(sandbox, count, *files):
    """Killed after `count` checkpoints, number n at step 10 n; then its directory is empty."""
    job = Steps(sandbox, *(files or ("lines",)))
    keeper = sandbox.start("--name", "job", "--", *job.command, merged=True)
    for number in range(1, count + 1):
        job.to(10 * number)
        check(sandbox.checkpoint() == number, "another number")
    job.to(10 * count + 5)
    keeper.kill()
    return job


def checkpoint_directory(sandbox, number):
    return sandbox.store / "job" / f"checkpoint-{number:06}"


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x40]))


def middle(path):
    return os.path.getsize(path) // 2


def damage_pages(sandbox, number):
    path = checkpoint_directory(sandbox, number) / "image" / "pages.0000"
    flip(path, middle(path))


def damage_records(sandbox, number):
    path = checkpoint_directory(sandbox, number) / "image" / "records"
    flip(path, middle(path))


def damage_job(sandbox, number):
    flip(checkpoint_directory(sandbox, number) / "job", 40)


def damage_workspace(sandbox, number):
    path = checkpoint_directory(sandbox, number) / "workspace"
    flip(path, middle(path))


def cut_pages(sandbox, number):
    path = checkpoint_directory(sandbox, number) / "image" / "pages.0000"
    os.truncate(path, middle(path))


def remove_manifest(sandbox, number):
    os.unlink(checkpoint_directory(sandbox, number) / "image" / "manifest")


def swap(sandbox, number, *parts):
    """Parts of the checkpoint before in the place of this one's."""
    here, before = (checkpoint_directory(sandbox, n) for n in (number, number - 1))
    for part in parts:
        if (here / part).is_dir():
            shutil.rmtree(here / part)
            shutil.copytree(before / part, here / part)
        else:
            shutil.copy(before / part, here / part)
    for path in here.rglob("*"):
        sandbox.own(path)
    sandbox.own(here / "image")


def swap_image(sandbox, number):
    swap(sandbox, number, "image")


def swap_workspace(sandbox, number):
    swap(sandbox, number, "workspace")


def swap_all(sandbox, number):
    swap(sandbox, number, "image", "workspace", "job")


DAMAGES = (damage_pages, damage_records, damage_job, damage_workspace, cut_pages, remove_manifest, swap_image, swap_workspace,
           swap_all)


def case_damaged_newest_goes_to_an_older_one(sandbox):
    for damage in DAMAGES:
        job = job_with_checkpoints(sandbox, 2)
        damage(sandbox, 2)
        keeper = sandbox.resume(merged=True)
        check("checkpoint 2 is damaged, trying an older one" in keeper.err, f"{damage.__name__}: {keeper.err}")
        check("--- resumed from checkpoint 1 ---" in keeper.err, f"{damage.__name__}: {keeper.err}")
        job.to(25)
        check(sandbox.checkpoint() == 3, "a checkpoint under the number of the damaged one")
        job.end(30)
        keeper.ends_with(0)
        check(sandbox.call("logs", "job") == job.output(30), f"{damage.__name__}: another log")
        check(tree(sandbox.work) == {"lines": job.lines(30)}, f"{damage.__name__}: {tree(sandbox.work)}")
        shutil.rmtree(sandbox.store)
        shutil.rmtree(sandbox.base / "state")
        os.unlink(sandbox.work / "lines")
        job.limit.write_bytes(b"")


def case_damaged_object_goes_to_an_older_one(sandbox):
    """A piece of a file that only the newest checkpoint needs."""
    job = job_with_checkpoints(sandbox, 1)
    before = set((sandbox.store / "job" / "objects").rglob("*"))
    keeper = sandbox.resume(merged=True)
    job.to(20)
    sandbox.checkpoint()
    keeper.kill()
    fresh = [path for path in set((sandbox.store / "job" / "objects").rglob("*")) - before if path.is_file()]
    check(fresh, "the second checkpoint has no object of its own")
    for path in fresh:
        path.chmod(0o600)
        flip(path, 0)
    keeper = sandbox.resume(merged=True)
    check("--- resumed from checkpoint 1 ---" in keeper.err, keeper.err)
    job.end(30)
    keeper.ends_with(0)
    check(tree(sandbox.work) == {"lines": job.lines(30)}, f"{tree(sandbox.work)}")


def case_all_damaged_is_refused(sandbox):
    job = job_with_checkpoints(sandbox, 3)
    for number in (1, 2, 3):
        damage_pages(sandbox, number)
    before = tree(sandbox.work)
    text = sandbox.refuses("run", "--store", sandbox.store, "--resume", "job")
    check("none of the 3 checkpoints" in text, text)
    check(tree(sandbox.work) == before == {"lines": job.lines(35)}, "files were changed though nothing was resumed")
    check(sandbox.show()["state"] == "interrupted", "another state")


def case_keeps_three_checkpoints(sandbox):
    job = job_with_checkpoints(sandbox, 5)
    left = sorted(path.name for path in (sandbox.store / "job").glob("checkpoint-*"))
    check(left == [f"checkpoint-{n:06}" for n in (3, 4, 5)], f"the store has {left}")
    keeper = sandbox.resume(merged=True)
    job.end(60)
    keeper.ends_with(0)


def refused(sandbox, named, *words, state=None):
    text = sandbox.refuses("run", "--store", sandbox.store, "--resume", "job", *words, state=state)
    check(named in text, f"the error does not say '{named}': {text}")
    return text


def case_refused_while_running(sandbox):  # as root, too
    job = Steps(sandbox)
    keeper = sandbox.start("--name", "job", "--", *job.command, merged=True)
    job.to(3)
    sandbox.checkpoint()
    text = refused(sandbox, "is running")
    check(str(keeper.process.pid) in text, f"the keeper is not named: {text}")
    refused(sandbox, "is running", state="other-state")  # the store is its, too
    check("is running" in sandbox.refuses("run", "--name", "job", "--", "true"), "another one of the name began")
    job.end(6)
    keeper.ends_with(0)
    check(sandbox.call("logs", "job") == job.output(6), "the refused ones have disturbed it")


def case_refused_after_the_end(sandbox):
    sandbox.call("run", "--store", sandbox.store, "--name", "job", "--", "sh", "-c", "exit 3", code=3)
    refused(sandbox, "has ended with exit code 3")


def case_refused_for_what_is_not_there(sandbox):
    refused(sandbox, "there is no checkpoint of 'job'")
    check(sandbox.json("ps") == [], "a name that was mistyped left a run")
    sandbox.start("--name", "job", "--", "sleep", "1000")
    wait_until(lambda: sandbox.json("ps") and sandbox.show()["job_pid"], "the job")
    sandbox.keepers[-1].kill()
    refused(sandbox, "there is no checkpoint of 'job'")
    check(sandbox.show()["state"] == "interrupted", "another state")
    check("there is no run" in sandbox.refuses("show", "nobody"), "another error")


def case_other_options_at_resume(sandbox):
    job = job_with_checkpoints(sandbox, 1)
    check("takes no command" in sandbox.refuses("run", "--resume", "job", "--", "true"), "a command was taken")
    check("do not agree" in sandbox.refuses("run", "--resume", "job", "--name", "x"), "another name was taken")
    keeper = sandbox.resume("job", "--every", "100ms", merged=True)
    wait_until(lambda: sandbox.show()["checkpoints_done"] > 1, "checkpoints by the clock")
    job.end(30)
    keeper.ends_with(0)


# ---- after a reboot: process numbers of before mean nothing ----


def varint(number):
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def with_fields(payload, changed):
    """A serialised Protobuf message with top-level fields {number: int or bytes} put in the place of what it has."""
    out, at = b"", 0
    while at < len(payload):
        begin = at
        tag, at = read_varint(payload, at)
        if tag & 7 == 2:
            length, at = read_varint(payload, at)
            at += length
        elif tag & 7 == 0:
            _, at = read_varint(payload, at)
        else:
            raise Failure(f"wire type {tag & 7} in the record")
        if tag >> 3 not in changed:
            out += payload[begin:at]
    for number, value in changed.items():
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def change_record(sandbox, changed):
    """Fields of run_record.proto, with the checksum made right again (run_record.h)."""
    path = sandbox.base / sandbox.state / "runs" / "job" / "record"
    payload = with_fields(path.read_bytes()[16:], changed)
    total = 0xCBF29CE484222325
    for byte in payload:
        total = ((total ^ byte) * 0x100000001B3) % 2**64
    path.write_bytes(b"BATONRUN" + total.to_bytes(8, "little") + payload)


BOOT_ID, INIT_PID, INIT_START = 4, 7, 8


def case_waits_for_the_last_attempt_but_not_after_a_reboot(sandbox):
    """The record names an init that lives. In this boot it is waited for, in vain; of another boot it is somebody else."""
    job = job_with_checkpoints(sandbox, 1)
    living = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
    try:
        owner = {INIT_PID: living.pid, INIT_START: int(stat_fields(living.pid)[19])}
        change_record(sandbox, owner)
        began = time.monotonic()
        refused(sandbox, f"process {living.pid} has not ended")
        check(9 < time.monotonic() - began < 20, "it did not wait for it")
        change_record(sandbox, owner | {BOOT_ID: b"00000000-0000-0000-0000-000000000000"})
        began = time.monotonic()
        keeper = sandbox.resume(merged=True)
        check(time.monotonic() - began < 5, "it waited for a process of another boot")
        job.end(20)
        keeper.ends_with(0)
    finally:
        living.kill()
        living.wait()


def case_a_failed_restore_leaves_nothing(sandbox):
    """Every process is made, then the restore fails: nothing is left, and the next one succeeds."""
    job = job_with_checkpoints(sandbox, 1)
    before = descendants(os.getpid())
    faults = sandbox.environment | {"BATON_FAIL_AT": "restore.memory"}
    done = sandbox.call_raw(sandbox.argv("run", "--store", sandbox.store, "--resume", "job"), env=faults)
    check(done.returncode == 125 and b"restore.memory" in done.stderr, f"{done.returncode}: {done.stderr.decode()}")
    wait_until(lambda: descendants(os.getpid()) == before, "the end of all processes")
    check(sandbox.show()["state"] == "interrupted", f"{sandbox.show()}")
    keeper = sandbox.resume(merged=True)
    job.end(20)
    keeper.ends_with(0)
    check(tree(sandbox.work) == {"lines": job.lines(20)}, f"{tree(sandbox.work)}")


def case_somewhere_else(sandbox):
    """Other directory, other state directory, other store path; the job sees its old directory."""
    job = job_with_checkpoints(sandbox, 2, "lines", str(sandbox.work / "absolute"))
    moved = sandbox.base / "moved-store"
    os.rename(sandbox.store, moved)
    shutil.rmtree(sandbox.work)
    shutil.rmtree(sandbox.base / "state")
    sandbox.store, sandbox.state = moved, "other-state"
    place = sandbox.base / "place"
    keeper = sandbox.resume("job", "--workdir", place, merged=True, cwd=sandbox.base)
    job.to(30)
    check(sandbox.checkpoint() == 3, "another number")
    job.to(33)
    keeper.kill()
    keeper = sandbox.resume(merged=True, cwd=sandbox.base)  # it is known here by now
    job.end(40)
    keeper.ends_with(0)
    check(tree(place) == {"lines": job.lines(40), "absolute": job.lines(40)}, f"{tree(place)}")
    check(sandbox.call("logs", "job") == job.output(40), "another log")
    check(not any(sandbox.work.iterdir()) if sandbox.work.exists() else True, f"files at the old place: {sandbox.work}")

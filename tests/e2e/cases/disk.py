"""Full disks. Each in a mount namespace of its own, made with a user namespace, so that no root is needed."""
import ctypes
import os
import pathlib
import signal

from harness import Skip, Steps, check, tree, wait_until

CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE, MS_REC, MS_REMOUNT, MNT_DETACH = 1 << 17, 1 << 28, 1 << 18, 1 << 14, 1 << 5, 2


def small_disk(sandbox, name, size):
    """A tmpfs of `size` bytes, seen by this process and what it starts from now on. Root of the namespace is the
    ordinary user; what baton does as root is the same."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() != 0:
        uid, gid = os.getuid(), os.getgid()
        if libc.unshare(CLONE_NEWUSER) != 0:
            raise Skip("user namespaces are forbidden here")
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        sandbox.uid = 0
    check(libc.unshare(CLONE_NEWNS) == 0, "unshare of the mount namespace failed")
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0, "private mounts")
    disk = sandbox.directory(name)
    options = f"size={size},mode=0777".encode()
    check(libc.mount(b"tmpfs", bytes(disk), b"tmpfs", 0, options) == 0, f"mount: {os.strerror(ctypes.get_errno())}")
    sandbox.cleanups.append(lambda: libc.umount2(bytes(disk), MNT_DETACH))
    return disk


def fill(disk):
    """All that is left of it, so that nothing more can be written."""
    path = disk / "filler"
    try:
        with open(path, "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 65536)
    except OSError:
        pass
    try:
        with open(path, "ab", buffering=0) as file:
            while True:
                file.write(b"x" * 512)
    except OSError:
        pass
    return path


def case_store_is_full(sandbox):  # as root, too
    """The checkpoint fails and says so, the last one stays good, the job goes on; with room again the next one succeeds."""
    disk = small_disk(sandbox, "disk", 64 << 20)
    sandbox.store = disk / "store"
    job = Steps(sandbox, "lines")
    keeper = sandbox.start("--name", "job", "--", *job.command, merged=True)
    job.to(5)
    sandbox.checkpoint()
    filler = fill(disk)
    text = sandbox.refuses("checkpoint", "job")
    check("No space left on device" in text and str(disk) in text, text)
    shown = sandbox.show()
    check("No space left" in shown["last_checkpoint_error"] and shown["last_checkpoint"]["number"] == 1, f"{shown}")
    keeper.says("checkpoint of 'job' failed, the job goes on")
    names = sorted(path.name for path in (sandbox.store / "job").glob("checkpoint-*"))
    check(names == ["checkpoint-000001"], f"left in the store: {names}")
    job.to(8)
    sandbox.refuses("checkpoint", "job")
    filler.unlink()
    check(sandbox.checkpoint() == 2, "another number")
    check(sandbox.show()["last_checkpoint_error"] is None, "the error stays")
    filler = fill(disk)
    sandbox.refuses("checkpoint", "job")
    job.to(11)
    keeper.kill()
    keeper = sandbox.resume(merged=True)  # nothing needs to be written to the store
    check("--- resumed from checkpoint 2 ---" in keeper.err, keeper.err)
    job.end(14)
    keeper.ends_with(0)
    check(tree(sandbox.work) == {"lines": job.lines(14)}, f"{tree(sandbox.work)}")
    check(sandbox.call("logs", "job") == job.output(14), "another log")


def case_log_is_full(sandbox):  # as root, too
    """The job's output waits until there is room; nothing is lost, the job is not ended."""
    disk = small_disk(sandbox, "disk", 1 << 20)
    log = disk / "log"
    script = "for n in range(40000): print('line', n, 'x' * 40)"
    filler = disk / "filler"
    filler.write_bytes(b"x" * (900 << 10))
    keeper = sandbox.start("--name", "job", "--output", log, "--", "/usr/bin/python3", "-c", script)
    keeper.says("the job's output waits until that works")
    check("No space left on device" in keeper.err and str(log) in keeper.err, keeper.err)
    check(sandbox.show()["state"] == "running", "it ended")
    text = sandbox.refuses("checkpoint", "job")
    check("No space left" in text, text)
    filler.unlink()
    libc = ctypes.CDLL(None, use_errno=True)
    check(libc.mount(b"tmpfs", bytes(disk), b"tmpfs", MS_REMOUNT, b"size=64m") == 0, "remount")
    keeper.says("the job's output goes on").ends_with(0)
    expected = b"".join(b"line %d %s\n" % (n, b"x" * 40) for n in range(40000))
    check(log.read_bytes() == expected and keeper.out == expected, "lines are missing or doubled")


def case_full_log_does_not_hold_signals_back(sandbox):
    disk = small_disk(sandbox, "disk", 1 << 20)
    fill(disk)
    (disk / "filler").write_bytes(b"x" * (1000 << 10))
    keeper = sandbox.start("--name", "job", "--output", disk / "log", "--", "/usr/bin/python3", "-c",
                           "while True: print('x' * 100)")
    keeper.says("the job's output waits until that works")
    keeper.signal(signal.SIGTERM)
    keeper.ends_with(128 + signal.SIGTERM)
    check("the end of the log is missing" in keeper.err, keeper.err)


def case_workspace_is_full(sandbox):
    """No room to bring the files back: an error, and the files are as they were."""
    disk = small_disk(sandbox, "disk", 4 << 20)
    workspace = disk / "work"
    workspace.mkdir()
    sandbox.own(workspace)
    (workspace / "data").write_bytes(os.urandom(2 << 20))
    job = Steps(sandbox, "lines")
    keeper = sandbox.start("--name", "job", "--", *job.command, merged=True, cwd=workspace)
    job.to(5)
    sandbox.checkpoint()
    keeper.kill()
    (workspace / "data").unlink()
    filler = fill(disk)
    before = tree(workspace)
    text = sandbox.refuses("run", "--store", sandbox.store, "--resume", "job")
    check("No space left on device" in text, text)
    check(tree(workspace) == before, "the workspace was changed")
    filler.unlink()
    keeper = sandbox.resume(merged=True)
    job.end(9)
    keeper.ends_with(0)
    check((workspace / "lines").read_text() == job.lines(9) and (workspace / "data").stat().st_size == 2 << 20, "other files")


def case_state_is_full(sandbox):
    """No room for the record: a start is refused; a job that runs goes on, and its exit code is not lost."""
    disk = small_disk(sandbox, "disk", 256 << 10)
    sandbox.state = "disk/state"
    job = Steps(sandbox, log=sandbox.base / "log")
    keeper = sandbox.start("--name", "job", "--output", job.log, "--", *job.command)
    job.to(3)
    fill(disk)
    text = sandbox.refuses("run", "--name", "other", "--", "true")
    check("No space left on device" in text, text)
    job.to(5)
    check(sandbox.checkpoint() == 1, "no checkpoint, though the store has room")
    job.end(6)
    keeper.ends_with(0)
    check("No space left on device" in keeper.err, keeper.err)

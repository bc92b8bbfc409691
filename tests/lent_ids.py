"""User and group ids that /etc/subuid lends to an ordinary user, for this process and what it starts only."""
import ctypes
import os
import pathlib
import shutil

CLONE_NEWNS, MS_REC_PRIVATE, MS_BIND = 0x20000, 0x44000, 0x1000


def reason_against():
    """Why ids cannot be lent here, or None."""
    if os.getuid() != 0 or not pathlib.Path("/usr/bin/newuidmap").exists():
        return "needs root to lend ids, and newuidmap"
    return None


def lend(directory, uid, first, count):
    """Covers /etc/subuid and the like, in a mount namespace of our own, by files in `directory`. OSError where that fails."""
    texts = {"passwd": f"test-lent:x:{uid}:{uid}::/:/bin/sh\n" + pathlib.Path("/etc/passwd").read_text()}
    texts |= dict.fromkeys(("subuid", "subgid"), f"{uid}:{first}:{count}\n")
    libc = ctypes.CDLL(None, use_errno=True)

    def do(result):
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "lend ids")

    do(libc.unshare(CLONE_NEWNS))
    do(libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None))
    for name, text in texts.items():
        path, target = directory / name, pathlib.Path("/etc", name)
        path.write_text(text)
        path.chmod(0o644)
        target.touch()
        do(libc.mount(bytes(path), bytes(target), None, MS_BIND, None))


def setuid_copy(program, copy, uid, gid):
    """A copy of a program that makes who runs it that user and that group."""
    shutil.copy(program, copy)
    os.chown(copy, uid, gid)
    copy.chmod(0o6755)
    return copy

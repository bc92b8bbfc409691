"""Programs of a build directory that is root's own (a clone in /root, say), for the ordinary users of tests."""
import os
import shutil
import subprocess


def can_run(path, uid):
    probe = subprocess.run(["test", "-x", str(path)], user=uid, group=uid, extra_groups=[], check=False)
    return probe.returncode == 0


def copy(path, directory):
    """A copy of a program that everybody may run."""
    target = directory / path.name
    shutil.copy(path, target)
    target.chmod(0o755)
    return target


def reachable(path, directory, uid):
    """`path`, or where user `uid` (0: root) cannot run it, the same program in `directory`: a link if that can be."""
    if os.getuid() != 0 or uid == 0 or can_run(path, uid):
        return path
    try:
        os.link(path, directory / path.name)
        return directory / path.name
    except OSError:  # another file system
        return copy(path, directory)

"""What a job of an ordinary user holds that cannot be saved: the checkpoint says so, and the job goes on unharmed."""
import signal

from harness import check

NOT_DUMPABLE = """
import ctypes, signal, sys
prctl = ctypes.CDLL(None).prctl
prctl(4, 0, 0, 0, 0)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
sys.exit(prctl(3, 0, 0, 0, 0))
"""


def case_not_dumpable(sandbox):
    """What has made itself so is saved, and is so afterwards: then only root can save it once more, since its memory is not of
    the capsule's user namespace any more (live.pid.process_attributes.not_dumpable)."""
    keeper = sandbox.start("--name", "job", "--", "/usr/bin/python3", "-c", NOT_DUMPABLE)
    keeper.shows("ready\n")
    sandbox.call("checkpoint", "job")
    keeper.kill()
    keeper = sandbox.resume()
    error = sandbox.refuses("checkpoint", "job")
    for words in ("(python3)", "may not be traced by this user"):
        check(words in error, f"the error does not say '{words}': {error}")
    check(sandbox.show()["last_checkpoint"]["number"] == 1, f"a checkpoint is left: {sandbox.show()}")
    keeper.signal(signal.SIGTERM)
    keeper.ends_with(0)

"""Other paths and another environment at a resume: --map-path, --env."""
import os
import shutil
import signal
import subprocess

from harness import check, lives, reap_all, wait_until
from hooks import Speaker

# At each SIGUSR1 it says in a line what it sees: through a descriptor, by the name, in its environment.
PROGRAM = """
import ctypes, os, signal, sys
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
out = open(sys.argv[1], "a")
kept = open(sys.argv[2])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
while True:
    print(os.pread(kept.fileno(), 100, 0).decode(), open(sys.argv[2]).read(), getenv(b"PLACE").decode(), file=out, flush=True)
    signal.sigwait([signal.SIGUSR1])
"""


class Seer:
    def __init__(self, sandbox):
        self.sandbox, self.out = sandbox, sandbox.write("seen", "")
        sandbox.directory("old")
        sandbox.write("old/data", "one")
        self.image = sandbox.base / "image"
        environment = {**sandbox.spawn_options(), "env": sandbox.environment | {"PLACE": "here-it-is"}}
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM, str(self.out), str(sandbox.base / "old" / "data")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True, **environment)
        sandbox.keepers.append(self)
        self.sees(1, "one one here-it-is")
        sandbox.call("checkpoint", "--pid", self.process.pid, "--to", self.image)
        self.process.wait()

    def sees(self, number, expected):
        wait_until(lambda: len(self.out.read_text().splitlines()) >= number, f"line {number} in {self.out}")
        line = self.out.read_text().splitlines()[number - 1]
        check(line == expected, f"it sees '{line}', not '{expected}'")

    def restored_sees(self, number, expected, *words):
        pid_file = self.sandbox.base / "pid"
        self.sandbox.call("restore", self.image, "--detach", "--pid-file", pid_file, *words)
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGUSR1)
        self.sees(number, expected)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not lives(pid) and reap_all(), "the end of the keeper")

    def kill(self):
        self.process.kill()
        self.process.wait()


def case_restored_tree(sandbox):  # as root, too
    """A directory that is elsewhere, one that is not there at all any more, a file; and another environment."""
    seer = Seer(sandbox)
    old, new = sandbox.base / "old", sandbox.directory("new")
    sandbox.write("new/data", "two")
    file = sandbox.write("file", "six")
    seer.restored_sees(2, "two two there", "--capsule", "--map-path", f"{old}={new}", "--env", "PLACE=there")
    check((old / "data").read_text() == "one", "the directory itself was changed")
    seer.restored_sees(3, "six six here-it-is", "--capsule", "--map-path", f"{old}/data={file}")
    shutil.rmtree(old)
    seer.restored_sees(4, "two two here-it-is", "--capsule", "--map-path", f"{old}={new}")
    check(not old.exists(), "the place is left")


def case_environment_in_place(sandbox):  # as root
    Seer(sandbox).restored_sees(2, "one one there", "--env", "PLACE=there")


def case_refused(sandbox):  # as root, too
    """What cannot be done is said, and nothing is left."""
    seer = Seer(sandbox)
    old = sandbox.base / "old"
    for words, named in ((("--env", "PLACE=much too long a value"), "not have more than"), (("--env", "PLAZE=x"), "no process has PLAZE"),
                         (("--env", "PLACE"), "NAME=VALUE"), (("--map-path", f"{old}"), "OLD=NEW"), (("--map-path", f"old={old}"), "absolute"),
                         (("--map-path", f"{old}={sandbox.base}/nothing"), "nothing"),
                         (("--map-path", f"{old}/nothing={old}/data"), "map a directory instead")):
        text = sandbox.refuses("restore", seer.image, "--capsule", *words)
        check(named in text, f"{words}: {text}")
    if sandbox.uid == 0:
        check("--capsule" in sandbox.refuses("restore", seer.image, "--map-path", f"{old}={sandbox.base}"), "in place")
    text = sandbox.refuses("run", "--env", "A=b", "--", "true")
    check("for --resume" in text, text)
    seer.restored_sees(2, "one one here-it-is", "--capsule")


def case_resumed_job(sandbox):
    """`run --resume`: the same, and the next resume on this machine finds the paths where the last one had them."""
    job = Speaker(sandbox)
    old, new = sandbox.directory("old"), sandbox.directory("new")
    sandbox.write("old/data", "one")
    sandbox.write("new/data", "two")
    keeper = job.start("--hook-resume", f"echo $PLACE $(cat {old}/data) > {sandbox.base}/hook", env=sandbox.environment | {"PLACE": "here"})
    job.says(f"open {old}/data", "None")
    job.says("ask", "saved 1 1")
    keeper.kill()
    shutil.rmtree(old)
    text = sandbox.refuses("run", "--store", sandbox.store, "--resume", "job")
    check("old/data" in text, text)
    text = sandbox.refuses("run", "--store", sandbox.store, "--resume", "job", "--map-path", f"{sandbox.work}={new}")
    check("workspace" in text, text)
    keeper = sandbox.resume("job", "--map-path", f"{old}={new}", "--env", "PLACE=over")
    job.says(f"read {old}/data", "two")
    job.says("getenv PLACE", "over")
    check((sandbox.base / "hook").read_text() == "over two\n", (sandbox.base / "hook").read_text())
    job.says("ask", "saved 2 2")
    keeper.kill()
    keeper = sandbox.resume()
    job.says(f"read {old}/data", "two")
    job.says("getenv PLACE", "over")
    job.order("end 0")
    keeper.ends_with(0)

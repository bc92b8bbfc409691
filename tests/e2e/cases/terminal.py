"""`baton run` on a terminal, as people use it."""
import os
import pty
import select
import signal
import subprocess
import time

from harness import PATIENCE_S, Failure, check


class Terminal:
    """baton on a pseudo terminal of its own, which is its controlling one."""

    def __init__(self, sandbox, *words):
        self.seen = b""
        self.ours, theirs = pty.openpty()
        if os.getuid() == 0:
            os.fchown(theirs, sandbox.uid, sandbox.uid)
        self.process = subprocess.Popen(["setsid", "--ctty", "--wait", *sandbox.argv("run", "--store", sandbox.store, *words)],
                                        stdin=theirs, stdout=theirs, stderr=theirs, **sandbox.spawn_options())
        os.close(theirs)

    def type(self, text):
        os.write(self.ours, text.encode())
        return self

    def shows(self, text):
        deadline = time.monotonic() + PATIENCE_S
        while text.encode() not in self.seen:
            if not select.select([self.ours], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failure(f"the terminal does not show '{text}': {self.seen}")
            try:
                more = os.read(self.ours, 65536)
            except OSError:
                more = b""
            if not more:
                raise Failure(f"ended without '{text}': {self.seen}")
            self.seen += more
        return self

    def ends_with(self, code):
        """Reads on to the end."""
        try:
            while more := os.read(self.ours, 65536):
                self.seen += more
        except OSError:
            pass
        seen = self.process.wait(PATIENCE_S)
        check(seen == code, f"exit code {seen}, not {code}: {self.seen}")
        os.close(self.ours)
        return self


ECHO = 'echo ready; while read -r line; do echo "got $line"; [ "$line" = stop ] && exit 6; done'


def case_typed_words_reach_the_job(sandbox):  # as root, too
    Terminal(sandbox, "--name", "job", "--", "bash", "-c", ECHO).shows("ready").type("one\n").shows("got one").type("stop\n") \
        .shows("got stop").ends_with(6)
    check(sandbox.call("logs", "job") == "ready\ngot one\ngot stop\n", sandbox.call("logs", "job"))


def case_interrupt_key(sandbox):
    Terminal(sandbox, "--name", "job", "--", "bash", "-c", "trap 'echo caught; exit 7' INT; echo ready; while true; do sleep 0.01; done") \
        .shows("ready").type("\x03").shows("caught").ends_with(7)


def case_goes_on_at_another_terminal(sandbox):
    """Saved at one terminal, which goes away; resumed at another, where it reads on."""
    first = Terminal(sandbox, "--name", "job", "--", "bash", "-c", ECHO).shows("ready").type("one\n").shows("got one")
    sandbox.checkpoint()
    first.type("two\n").shows("got two")
    os.kill(sandbox.show()["keeper_pid"], signal.SIGKILL)
    first.ends_with(-signal.SIGKILL)
    Terminal(sandbox, "--resume", "job").shows("--- resumed from checkpoint 1 ---").type("three\n").shows("got three") \
        .type("stop\n").ends_with(6)
    check(sandbox.call("logs", "job") == "ready\ngot one\ngot three\ngot stop\n", sandbox.call("logs", "job"))


def case_terminal_that_closes(sandbox):
    """SIGHUP, as for any program."""
    terminal = Terminal(sandbox, "--name", "job", "--", "bash", "-c", "trap 'exit 8' HUP; echo ready; while true; do sleep 0.01; done")
    terminal.shows("ready")
    os.close(terminal.ours)
    check(terminal.process.wait(PATIENCE_S) in (8, 129), "it has not ended")
    check(sandbox.show()["exit_code"] == 8, f"{sandbox.show()}")

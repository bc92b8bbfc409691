"""TCP connections to programs that are no part of the job: refused, or saved as closed by the other end."""
import os
import signal
import socket
import subprocess

from harness import PATIENCE_S, check, reap_all, wait_until
from pool_harness import Pool

# Prints what it is sent. A connection that is reset is made again, once for each reset.
CLIENT = """
import socket, sys
while True:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server:
        try:
            for line in server.makefile():
                print(line.strip(), flush=True)
            sys.exit(4)
        except ConnectionResetError:
            print("reset", flush=True)
"""


class Server:
    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(PATIENCE_S)
        self.connection = None

    @property
    def port(self):
        return str(self.listening.getsockname()[1])

    def accept(self):
        self.close()
        self.connection = self.listening.accept()[0]

    def says(self, line):
        self.connection.sendall(line.encode() + b"\n")

    def close(self):
        """By a reset, so that no port is held."""
        if self.connection is not None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()


def case_refused_unless_it_may_be_closed(sandbox):  # as root, too
    server = Server()
    keeper = sandbox.start("--name", "job", "--", "python3", "-c", CLIENT, server.port)
    server.accept()
    server.says("one")
    keeper.shows("one")
    text = sandbox.refuses("checkpoint", "job")
    check("--tcp close" in text and server.port in text, f"the error does not say what to do: {text}")
    server.says("two")
    keeper.shows("two")
    keeper.kill()
    server.close()


def case_closed_at_the_resume(sandbox):  # as root, too
    server = Server()
    keeper = sandbox.start("--name", "job", "--tcp", "close", "--", "python3", "-c", CLIENT, server.port)
    server.accept()
    server.says("one")
    keeper.shows("one")
    sandbox.call("checkpoint", "job")
    server.says("two")
    keeper.shows("two")  # the checkpoint did nothing to it
    keeper.kill()
    for number in ("three", "four"):  # the second time, what the job was started with is still known
        keeper = sandbox.start("--resume", "job")
        keeper.shows("reset")
        server.accept()
        server.says(number)
        keeper.shows(number)
        sandbox.call("checkpoint", "job")
        keeper.kill()
    server.close()
    check(sandbox.call("logs", "job").split() == ["one", "reset", "three", "reset", "four"], sandbox.call("logs", "job"))


def case_tree_that_was_not_started_here(sandbox):  # as root, too
    server = Server()
    out = sandbox.write("tree.out", "")
    with open(out, "ab") as file:
        program = subprocess.Popen(["python3", "-c", CLIENT, server.port], stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                   start_new_session=True, **sandbox.spawn_options())
    try:
        server.accept()
        server.says("one")
        wait_until(lambda: "one" in out.read_text(), "its first line")
        image = sandbox.base / "image"
        sandbox.refuses("checkpoint", "--pid", program.pid, "--to", image)
        sandbox.call("checkpoint", "--pid", program.pid, "--to", image, "--tcp", "close")
    finally:
        program.kill()
        program.wait()
    pid_file = sandbox.base / "pid"
    sandbox.call("restore", image, "--detach", "--pid-file", pid_file)
    server.accept()
    server.says("two")
    wait_until(lambda: out.read_text().split() == ["one", "reset", "two"], lambda: f"reset and two: {out.read_text()}")
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGKILL)
    server.close()
    wait_until(reap_all, "its end, and its keeper's")


def case_wrong_words(sandbox):
    for words in (["run", "--tcp", "keep", "--", "true"], ["checkpoint", "job", "--tcp", "close"]):
        check("--tcp" in sandbox.refuses(*words), f"{words}")


def case_job_of_a_pool(sandbox):
    server = Server()
    pool = Pool(sandbox)
    job = pool.submit("--tcp", "close", "--", "/usr/bin/python3", "-c", CLIENT, server.port)
    server.accept()
    server.says("one")
    wait_until(lambda: pool.log_path(job, 1).exists() and b"one" in pool.log_path(job, 1).read_bytes(), "the first line")
    pool.json("checkpoint", job)
    os.kill(pool.workers[0].keeper(f"{job}.1"), signal.SIGKILL)
    pool.runs(job, attempt=2)
    server.accept()
    server.says("two")
    server.connection.close()
    pool.ends(job, code=4)
    log = pool.call("logs", job)
    check(log == "one\nreset\ntwo\n", f"{log!r}")

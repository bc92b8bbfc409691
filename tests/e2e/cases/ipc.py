"""Objects that outlive their processes: System V IPC and POSIX message queues of trees restored where they were."""
import ctypes
import json
import os
import subprocess

from harness import check, descendants, wait_until

libc = ctypes.CDLL(None, use_errno=True)
IPC_CREAT, IPC_EXCL, IPC_RMID, IPC_STAT = 0o1000, 0o2000, 0, 2

# Makes one of each, says their ids, and once it may tells what it finds in them.
PROGRAM = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
out, go, key = open(sys.argv[1], "w"), sys.argv[2], 0x5b000000 | os.getpid()
memory, semaphores, messages = libc.shmget(key, 5000, 0o3600), libc.semget(key, 2, 0o3600), libc.msgget(key, 0o3600)
at = libc.shmat(memory, None, 0)
ctypes.memmove(at, b"kept", 4)
libc.semctl(semaphores, 1, 16, 42)
libc.msgsnd(messages, b"12345678", 0, 0)  # a queue that nobody has used might be anybody's
name = b"/e2e-%d" % os.getpid()
queue = libc.mq_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600, None)
libc.mq_send(queue, b"waits", 5, 3)
print(memory, semaphores, messages, key, name.decode(), file=out, flush=True)
while not os.path.exists(go):
    time.sleep(0.01)
text = ctypes.create_string_buffer(10000)
got = libc.mq_receive(queue, text, len(text), None)
print(ctypes.string_at(at, 4).decode(), libc.semctl(semaphores, 1, 12), text.raw[:max(got, 0)].decode(), file=out, flush=True)
"""


class Objects:
    """The program and what it has made."""

    def __init__(self, sandbox, before_checkpoint=lambda: None):
        self.sandbox, self.out, self.go = sandbox, sandbox.base / "out", sandbox.base / "go"
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM, str(self.out), str(self.go)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True, **sandbox.spawn_options())
        sandbox.keepers.append(self)
        words = wait_until(lambda: self.lines()[:1], "the program's objects")[0].split()
        self.memory, self.semaphores, self.messages, self.key = map(int, words[:4])
        self.name = words[4]
        check(min(self.memory, self.semaphores, self.messages) >= 0, f"no objects: {words}")
        sandbox.cleanups.append(self.remove)
        self.image = sandbox.base / "image"
        before_checkpoint()
        sandbox.call("checkpoint", "--pid", self.process.pid, "--to", self.image)
        self.process.wait()

    def lines(self):
        return self.out.read_text().splitlines() if self.out.exists() else []

    def there(self):
        """Which of the four are there. Others may have objects with the same ids by now; the key begins what IPC_STAT tells."""
        def ours(stat, *arguments):
            buffer = ctypes.create_string_buffer(1024)
            return stat(*arguments, IPC_STAT, buffer) == 0 and int.from_bytes(buffer.raw[:4], "little") == self.key
        queue = libc.mq_open(self.name.encode(), os.O_RDONLY)
        if queue >= 0:
            os.close(queue)
        return [ours(libc.shmctl, self.memory), ours(libc.semctl, self.semaphores, 0), ours(libc.msgctl, self.messages), queue >= 0]

    def remove(self):
        libc.shmctl(self.memory, IPC_RMID, None)
        libc.semctl(self.semaphores, 0, IPC_RMID, 0)
        libc.msgctl(self.messages, IPC_RMID, None)
        libc.mq_unlink(self.name.encode())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self, found="kept 42 waits"):
        self.go.touch()
        wait_until(lambda: len(self.lines()) == 2, "what the restored program finds")
        check(self.lines()[1] == found, f"{self.lines()}")
        wait_until(lambda: not descendants(os.getpid()), "the end of the restored program")


def case_a_failed_restore_leaves_no_object(sandbox):  # as root
    objects = Objects(sandbox)
    check(objects.there() == [True] * 4, f"they outlive the program: {objects.there()}")
    check("System V: 1 segments of shared memory (5000 bytes)" in sandbox.call("image", "show", objects.image), "image show")
    objects.remove()
    for point in ("restore.sysv_made", "restore.pages", "restore.go"):
        sandbox.refuses("restore", objects.image, env=sandbox.environment | {"BATON_FAIL_AT": point})
        check(objects.there() == [False] * 4, f"left by a restore that failed at {point}: {objects.there()}")
    sandbox.call("restore", objects.image, "--detach")
    check(objects.there() == [True] * 4, f"after the restore: {objects.there()}")
    objects.end()


def case_a_failed_restore_removes_nothing_that_was_there(sandbox):  # as root
    objects = Objects(sandbox)
    sandbox.refuses("restore", objects.image, env=sandbox.environment | {"BATON_FAIL_AT": "restore.go"})
    check(objects.there() == [True] * 4, f"after a restore that failed: {objects.there()}")
    sandbox.call("restore", objects.image, "--detach")
    objects.end()


def case_a_taken_key_is_named(sandbox):  # as root
    objects = Objects(sandbox)
    objects.remove()
    other = libc.shmget(objects.key, 100, IPC_CREAT | IPC_EXCL | 0o600)
    sandbox.cleanups.append(lambda: libc.shmctl(other, IPC_RMID, None))
    text = sandbox.refuses("restore", objects.image)
    check("another one has its key" in text and f"{objects.key:#x}" in text, text)
    check(objects.there() == [False] * 4, f"left by a restore that was refused: {objects.there()}")
    sandbox.call("restore", objects.image, "--capsule", "--detach")
    objects.end()


def case_what_others_use_is_left_alone(sandbox):  # as root
    """A segment that another process has attached by now keeps its content."""
    objects = Objects(sandbox)
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(objects.memory, None, 0)
    ctypes.memmove(at, b"ours", 4)
    sandbox.call("restore", objects.image, "--detach")
    objects.end("ours 42 waits")
    libc.shmdt.argtypes = [ctypes.c_void_p]
    libc.shmdt(at)


def case_a_queue_that_was_only_guessed_hinders_nothing(sandbox):  # as root
    """Another program's, which nobody had used: its key is somebody's by the time of the restore."""
    key = 0x5c000000 | os.getpid()
    queues = []
    sandbox.cleanups.append(lambda: [libc.msgctl(queue, IPC_RMID, None) for queue in queues])

    def make():
        queues.append(libc.msgget(key, IPC_CREAT | IPC_EXCL | 0o600))

    objects = Objects(sandbox, before_checkpoint=make)
    libc.msgctl(queues[-1], IPC_RMID, None)
    make()
    check(min(queues) >= 0, f"no queues: {queues}")
    sandbox.call("restore", objects.image, "--detach")
    objects.end()
    check(libc.msgget(key, 0) == queues[-1], "the other program's queue is another one now")


LIMITS = {"kernel/shmmax": 12345678, "kernel/shmmni": 77, "kernel/msgmax": 70000, "kernel/msgmnb": 90000, "kernel/sem": "100 2000 30 40",
          "kernel/shm_rmid_forced": 1, "fs/mqueue/queues_max": 9, "fs/mqueue/msg_default": 7}

# Changes the limits of its namespace, has a message and a set that are larger than they usually may be, and tells what it finds.
CHANGES_LIMITS = """
import ctypes, json, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
for name, value in json.loads(sys.argv[1]).items():
    open("/proc/sys/" + name, "w").write(str(value))
queue = libc.msgget(0, 0o600)
sent = libc.msgsnd(queue, (1).to_bytes(8, "little") + bytes(60000), 60000, 0)
memory = libc.shmget(0, 4096, 0o600)
libc.shmat.restype = ctypes.c_void_p
libc.shmat(memory, None, 0)
print("ready", sent, flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
print({name: open("/proc/sys/" + name).read().split() for name in json.loads(sys.argv[1])})
print(libc.msgrcv(queue, ctypes.create_string_buffer(70000), 60000, 0, 0), libc.shmctl(memory, 2, ctypes.create_string_buffer(300)))
"""


def case_limits_of_a_capsule(sandbox):  # as root
    """Sysctls of the job's own IPC namespace, which only root may change."""
    go, outside = sandbox.base / "go", {name: open(f"/proc/sys/{name}").read() for name in LIMITS}
    keeper = sandbox.start("--name", "job", "--", "/usr/bin/python3", "-c", CHANGES_LIMITS, json.dumps(LIMITS), str(go))
    keeper.shows("ready 0")
    for _ in range(2):
        sandbox.checkpoint()
        keeper.kill()
        keeper = sandbox.resume()
    go.touch()
    keeper.ends_with(0)
    text = sandbox.call("logs", "job")
    check(str({name: str(value).split() for name, value in LIMITS.items()}) + "\n60000 0\n" in text, text)
    check({name: open(f"/proc/sys/{name}").read() for name in LIMITS} == outside, "the machine's own have changed")

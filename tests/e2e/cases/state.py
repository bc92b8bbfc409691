"""Where runs are kept, what ps, show, logs and checkpoint say of them, names, help and errors of the command line."""
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import lent_ids
from harness import Failure, Skip, Steps, check, descendants, stat_comm, wait_until


def plain(sandbox, *words, code=0, **environment):
    """baton without --state-dir; its stdout."""
    variables = {name: str(value) for name, value in {**sandbox.environment, **environment}.items() if value is not None}
    done = sandbox.call_raw([sandbox.baton_path, *map(str, words)], env=variables)
    check(done.returncode == code, f"baton {' '.join(map(str, words))}: exit code {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode() if code == 0 else done.stderr.decode()


def case_places(sandbox):
    """--state-dir, BATON_STATE_DIR, XDG_STATE_HOME, HOME: the first that is there."""
    places = [sandbox.base / name for name in ("flag", "variable", "xdg/baton", "home/.local/state/baton")]
    variables = {"BATON_STATE_DIR": places[1], "XDG_STATE_HOME": sandbox.base / "xdg", "HOME": sandbox.base / "home"}
    sandbox.directory("xdg")
    sandbox.directory("home")
    plain(sandbox, "--state-dir", places[0], "run", "--name", "first", "--", "true", **variables)
    for place, name in zip(places[1:], list(variables)):
        plain(sandbox, "run", "--name", "first", "--", "true", **variables)
        check((place / "runs/first/record").exists(), f"{name} was not used")
        check(stat.S_IMODE(place.stat().st_mode) == 0o700, f"{place} is open to others")
        variables[name] = None
    text = plain(sandbox, "run", "--", "true", code=125, **variables)
    check("--state-dir" in text and "BATON_STATE_DIR" in text, text)
    plain(sandbox, "run", "--state-dir", "relative", "--", "true", **variables)
    check((sandbox.work / "relative/runs/true/record").exists(), "a relative --state-dir, after the command")


def case_place_of_root(sandbox):  # as root
    """/var/lib/baton: looked at in a mount namespace where it is a directory of ours."""
    place = sandbox.directory("lib")
    script = f"mount --bind {place} /var/lib && {sandbox.baton_path} run --name first -- true && {sandbox.baton_path} ps -o json"
    done = sandbox.call_raw(["unshare", "-m", "sh", "-c", script])
    check(done.returncode == 0, done.stderr.decode())
    check(json.loads(done.stdout)[0]["name"] == "first" and (place / "baton/runs/first/record").exists(), "not there")


def case_sockets(sandbox):
    """In $XDG_RUNTIME_DIR/baton, with a state directory of one's own in it; only the owner may ask."""
    runtime = sandbox.directory("runtime")
    for state, environment, where in ((None, {"XDG_RUNTIME_DIR": str(runtime)}, runtime / "baton/job.sock"),
                                      ("x" * 120, {}, sandbox.base / ("x" * 120) / "run/job.sock")):
        variables = sandbox.environment | environment
        front = [sandbox.baton_path] + ([] if state is None else ["--state-dir", str(sandbox.base / state)])
        keeper = subprocess.Popen([*front, "run", "--name", "job", "--", "sleep", "1000"], stdin=subprocess.DEVNULL,
                                  **{**sandbox.spawn_options(), "env": variables})
        wait_until(where.exists, f"the socket {where}")
        check(stat.S_IMODE(where.stat().st_mode) == 0o600, "others may connect")
        wait_until(lambda: json.loads(sandbox.call_raw([*front, "show", "job", "-o", "json"], env=variables).stdout)["job_pid"],
                   "the job")
        done = sandbox.call_raw([*front, "checkpoint", "job"], env=variables)
        check(done.returncode == 0, done.stderr.decode())
        keeper.send_signal(signal.SIGTERM)
        check(keeper.wait() == 143, "another exit code")
        check(not where.exists(), "the socket is left")


def case_foreign_users_are_not_answered(sandbox):  # as root
    """Another user who can reach the socket gets no answer and disturbs nothing."""
    sandbox.start("--name", "job", "--", "sleep", "1000")
    path = wait_until(lambda: next(sandbox.base.glob("state/run/job.sock"), None), "the socket")
    for directory in (path, path.parent, path.parent.parent):
        directory.chmod(0o777)
    script = (f"import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('{path}'); "
              "s.send(b'\\x08\\x01\\x12\\x00'); print(len(s.recv(100000)))")

    def asked_by(uid):
        done = subprocess.run(["/usr/bin/python3", "-c", script], capture_output=True, user=uid, group=uid, extra_groups=[],
                              check=False, timeout=20)
        return done.stdout.strip()
    check(asked_by(1234) in (b"0", b""), "another user was answered")
    check(int(asked_by(0)) > 100, "the owner was not answered")
    check(sandbox.show()["state"] == "running", "it ended")


def case_ps_and_show(sandbox):  # as root, too
    """Every state, as a table and as JSON."""
    check(sandbox.json("ps") == [] and sandbox.call("ps").startswith("NAME"), "an empty list")
    sandbox.call("run", "--name", "over", "--", "sh", "-c", "exit 3", code=3)
    sandbox.refuses("run", "--name", "none", "--", "/no/such", code=127)
    job = Steps(sandbox, log=sandbox.base / "state/runs/gone/output")
    sandbox.start("--name", "gone", "--every", "1h", "--", *job.command)
    job.to(3)
    check(sandbox.checkpoint("gone") == 1, "another number")
    sandbox.keepers[-1].kill()
    sandbox.start("--name", "alive", "--", "sh", "-c", "exec sleep '1000' # it's")
    wait_until(lambda: len(sandbox.json("ps")) == 4 and sandbox.show("alive")["job_pid"], "four runs")
    states = {run["name"]: run for run in sandbox.json("ps")}
    check({name: run["state"] for name, run in states.items()} ==
          {"over": "ended", "none": "failed", "gone": "interrupted", "alive": "running"}, f"{states}")
    check(states["over"]["exit_code"] == 3 and states["alive"]["exit_code"] is None, "exit codes")
    check("/no/such" in states["none"]["error"] and states["none"]["ended_ms"] > 0, f"{states['none']}")
    gone = sandbox.show("gone")
    last = gone["last_checkpoint"]
    check(gone["every_ms"] == 3600000 and gone["checkpoints_done"] == 1 and last["number"] == 1, f"{gone}")
    check(0 < last["pause_us"] < last["total_us"] and last["bytes"] > 0 and last["processes"] == 1 and last["threads"] == 1
          and last["memory_bytes"] > 1 << 20 and abs(last["taken_ms"] / 1000 - time.time()) < 60, f"{last}")
    check(gone["store"] == str(sandbox.store) and gone["cwd"] == str(sandbox.work) and gone["fs"] == "work", f"{gone}")
    check(states["alive"]["argv"] == ["sh", "-c", "exec sleep '1000' # it's"], f"{states['alive']}")
    table = sandbox.call("ps").splitlines()
    check(table[0].split() == ["NAME", "STATE", "EXIT", "CREATED", "CHECKPOINT", "COMMAND"] and len(table) == 5, f"{table}")
    check(table[1].startswith("alive  running") and table[1].endswith(r"sh -c 'exec sleep '\''1000'\'' # it'\''s'"), table[1])
    check(" ended " in table[4] and " 3 " in table[4], table[4])
    text = sandbox.call("show", "gone")
    for line in ("state        interrupted", f"store        {sandbox.store}", "every        1 h 00 min", "checkpoint   1 at "):
        check(line in text, f"no '{line}' in: {text}")


def case_a_damaged_record_hides_no_other(sandbox):
    for name in ("one", "two"):
        sandbox.call("run", "--name", name, "--", "true")
    record = sandbox.base / "state/runs/one/record"
    data = bytearray(record.read_bytes())
    data[40] ^= 1
    record.write_bytes(data)
    states = {run["name"]: run["state"] for run in sandbox.json("ps")}
    check(states == {"one": "unreadable", "two": "ended"}, f"{states}")
    check("damaged" in sandbox.refuses("show", "one"), "show does not say so")
    sandbox.call("run", "--name", "one", "--", "true")
    check(sandbox.show("one")["state"] == "ended", "the name cannot be used again")


def case_checkpoint_command(sandbox):
    job = Steps(sandbox)
    keeper = sandbox.start("--name", "job", "--", *job.command)
    job.to(1)
    text = sandbox.call("checkpoint", "job")
    check(text.startswith("checkpoint 1: pause ") and text.endswith(" in all\n"), text)
    made = sandbox.json("checkpoint", "job")
    check(made["number"] == 2 and made == sandbox.show()["last_checkpoint"], f"{made}")
    # Several at once: each is answered, with a checkpoint that began after it was asked for.
    asked = [subprocess.Popen(sandbox.argv("checkpoint", "job", "-o", "json"), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **sandbox.spawn_options()) for _ in range(5)]
    answers = [process.communicate() for process in asked]
    check(all(process.returncode == 0 for process in asked), f"{answers}")
    numbers = [json.loads(out)["number"] for out, _ in answers]
    check(min(numbers) >= 3 and max(numbers) <= 7, f"{numbers}")
    job.end(3)
    keeper.ends_with(0)
    check("is not running (ended)" in sandbox.refuses("checkpoint", "job"), "of an ended run")
    check("there is no run named 'other'" in sandbox.refuses("checkpoint", "other"), "of no run")
    for words in (["checkpoint"], ["checkpoint", "job", "--pid", "1"], ["checkpoint", "--pid", "1"],
                  ["checkpoint", "job", "--leave-running"], ["checkpoint", "--pid", "-1", "--to", "x"]):
        sandbox.refuses(*words)


def case_by_the_clock(sandbox):
    """--every: checkpoints come by themselves, and only the last three stay."""
    job = Steps(sandbox, "lines")
    keeper = sandbox.start("--name", "job", "--every", "100ms", "--", *job.command, merged=True)
    job.to(4)
    wait_until(lambda: sandbox.show()["checkpoints_done"] >= 5, "five checkpoints")
    check(len(list((sandbox.store / "job").glob("checkpoint-*[0-9]"))) <= 4, "old checkpoints stay")
    keeper.kill()
    keeper = sandbox.resume(merged=True)
    done = sandbox.show()["checkpoints_done"]
    wait_until(lambda: sandbox.show()["checkpoints_done"] > done, "checkpoints after the resume")
    job.end(6)
    keeper.ends_with(0)
    check(sandbox.call("logs", "job") == job.output(6), "another log")
    check("checkpoint" not in keeper.err.replace("--- resumed from checkpoint", ""), f"it complained: {keeper.err}")


def case_names(sandbox):
    """One from the command, with a number where it is taken; what may be in one; when one may be used again."""
    for expected in ("true", "true-2", "true-3"):
        sandbox.call("run", "--", "/bin/true")
        check(expected in [run["name"] for run in sandbox.json("ps")], f"no {expected}")
    for bad in ("", ".hidden", "a b", "a/b", "x" * 65, "ä"):
        text = sandbox.refuses("run", "--name", bad, "--", "true") if bad else "name"
        check("name" in text, text)
    sandbox.call("run", "--name", "true", "--", "true")  # of an ended run
    job = Steps(sandbox)
    keeper = sandbox.start("--name", "job", "--", *job.command)
    job.to(2)
    sandbox.checkpoint()
    keeper.kill()
    for state in ("state", "other-state"):  # where it is known, and where only the store knows it
        text = sandbox.refuses("run", "--store", sandbox.store, "--name", "job", "--", "true", state=state)
        check("--resume job" in text and "--replace" in text, text)
    (sandbox.work / "file").write_text("0123456789")
    sandbox.refuses("run", "--store", sandbox.store, "--name", "job", "--replace", "--workspace-limit", "5", "--", "true")
    check(list((sandbox.store / "job").glob("checkpoint-*")), "what was refused has dropped the checkpoints")
    sandbox.call("run", "--store", sandbox.store, "--name", "job", "--replace", "--", "true")
    check(not list((sandbox.store / "job").glob("checkpoint-*")), "checkpoints of the replaced job stay")


def case_words_of_the_command_are_its_own(sandbox):
    for words, expected in ((["--", "echo", "--help", "--name", "x", "-o", "json"], "--help --name x -o json\n"),
                            (["--", "sh", "-c", 'echo "$@"', "sh", "--", "a b", ""], "-- a b \n"),
                            (["--", "echo", "run", "ps"], "run ps\n")):
        out = sandbox.call("run", *words)
        check(out == expected, f"{words}: {out!r}")
    out = sandbox.call_raw(sandbox.argv("run", "--", "env"), env=sandbox.environment | {"ONLY_HERE": "a=b\nc"}).stdout
    check(b"ONLY_HERE=a=b\nc\n" in out, "the environment is another")


COMMANDS = (("run",), ("ps",), ("show",), ("logs",), ("checkpoint",), ("restore",), ("image",), ("image", "show"),
            ("image", "verify"), ("version",))


def case_help(sandbox):
    """Every command says what it does, on at most 80 columns, with an example; a wrong word says where to look."""
    top = sandbox.call("--help")
    for command in COMMANDS:
        text = sandbox.call(*command, "--help")
        check(text.splitlines()[2].startswith(f"Usage: baton {' '.join(command)}"), f"{command}: {text}")
        check(all(len(line) <= 80 for line in text.splitlines()), f"{command}: wide lines")
        check("Examples:" in text or command in (("version",), ("image", "show"), ("image", "verify")), f"{command}: no example")
        check(command[0] in top, f"{command[0]} is not in the help of all")
        text = sandbox.refuses(*command, "--no-such-flag")
        check(f"See `baton {' '.join(command)} --help`" in text, text)
    check("'baton' has no command 'bogus'" in sandbox.refuses("bogus"), "an unknown command")
    check("'baton' needs a command" in sandbox.refuses(), "no command")
    check("'baton image' needs a command" in sandbox.refuses("image"), "no command of image")
    check(sandbox.call("--version") == sandbox.call("version"), "two versions")


def case_image_show_and_verify(sandbox):  # as root, too
    """Of a run's checkpoint: processes, threads, descriptors; a damaged one is refused."""
    script = ("import os, threading, time\nr, w = os.pipe()\nos.write(w, b'abc')\nfile = open('data', 'w')\n"
              "[threading.Thread(target=time.sleep, args=(1000,), daemon=True).start() for _ in range(3)]\n"
              "os.fork()\nprint('ready', flush=True)\ntime.sleep(1000)\n")
    keeper = sandbox.start("--name", "job", "--", "/usr/bin/python3", "-c", script)
    wait_until(lambda: keeper.out.count(b"ready") == 2, "both processes")
    sandbox.checkpoint()
    image = sandbox.store / "job/checkpoint-000001/image"
    shown = sandbox.json("image", "show", image)
    first = shown["processes"][0]
    check([process["pid"] for process in shown["processes"]] == [2, 6] and shown["root_pid"] == 2, f"{shown}")
    check(first["threads"] == 4 and shown["processes"][1]["ppid"] == 2 and first["cwd"] == str(sandbox.work), f"{first}")
    what = {descriptor["fd"]: descriptor["what"] for descriptor in first["descriptors"]}
    check(what[1] == "external stdout" and "pipe" in what[3] and str(sandbox.work / "data") in what[5], f"{what}")
    table = sandbox.call("image", "show", image)
    check("python3" in table and "external stderr" in table, table)
    check("whole" in sandbox.call("image", "verify", image), "verify")
    check(sandbox.json("image", "verify", image)["whole"], "verify as JSON")
    pages = image / "pages.0000"
    with open(pages, "r+b") as file:
        file.seek(os.path.getsize(pages) // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    check("pages.0000" in sandbox.refuses("image", "verify", image), "a damaged image is whole")
    check("manifest" in sandbox.refuses("image", "show", sandbox.work), "no image")


CLOCKS = """
import time, sys
begin = time.clock_gettime(time.CLOCK_MONOTONIC), time.clock_gettime(time.CLOCK_BOOTTIME)
print('ready', flush=True)
while True:
    now = time.clock_gettime(time.CLOCK_MONOTONIC), time.clock_gettime(time.CLOCK_BOOTTIME)
    if len(open(sys.argv[1]).read()) > 0:
        print(*(round(n - b, 3) for n, b in zip(now, begin)), flush=True)
        break
    time.sleep(0.001)
"""


def clock_after(sandbox, name, *options, at_resume=()):
    """Seconds on the job's clocks, of which about 0.1 and 0.1 it ran, and 2 it did not."""
    stop = sandbox.write(f"stop-{name}", "")
    keeper = sandbox.start("--name", name, *options, "--", "/usr/bin/python3", "-c", CLOCKS, stop).shows("ready")
    sandbox.checkpoint(name)
    keeper.kill()
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2, "two seconds")
    keeper = sandbox.resume(name, *at_resume)
    stop.write_text("stop")
    keeper.ends_with(0)
    return [float(word) for word in keeper.out.split()[-2:]]


def case_clocks(sandbox):  # as root, too
    """--clock run: the time in between does not count for the job; wall: it does; told again at the resume: that counts."""
    run, wall = clock_after(sandbox, "run"), clock_after(sandbox, "wall", "--clock", "wall")
    changed = clock_after(sandbox, "changed", at_resume=("--clock", "wall"))
    check(max(run) < 1.5 and min(run) > 0, f"--clock run: {run}")
    check(1.9 < min(wall) and max(wall) < 6, f"--clock wall: {wall}")
    check(1.9 < min(changed), f"--clock wall at the resume: {changed}")


def case_without_standard_streams(sandbox):
    """Closed descriptors 0, 1, 2 are not an error, and nothing else gets their numbers."""
    done = sandbox.call_raw(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *sandbox.argv(
        "run", "--name", "job", "--", "sh", "-c", "echo out; echo err >&2; ls -l /proc/self/fd/0")])
    check(done.returncode == 0, f"exit code {done.returncode}")
    lines = sandbox.call("logs", "job").splitlines()
    check(sorted(lines[:2]) == ["err", "out"] and lines[2].endswith("/dev/null"), f"{lines}")


def case_user_namespaces_forbidden(sandbox):
    """The setting that forbids them is named, with what to change. (In a user namespace of our own, where it is ours.)"""
    if sandbox.uid == 0:
        raise Skip("root needs no user namespace")
    script = f"""
import ctypes, os, sys
uid = os.getuid()
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000) != 0: sys.exit(77)
open("/proc/self/setgroups", "w").write("deny")
open("/proc/self/uid_map", "w").write(f"{{uid}} {{uid}} 1")
open("/proc/self/gid_map", "w").write(f"{{os.getgid()}} {{os.getgid()}} 1")
open("/proc/sys/user/max_user_namespaces", "w").write("0")
os.execv(sys.argv[1], sys.argv[1:])
"""
    done = sandbox.call_raw(["/usr/bin/python3", "-c", script, *sandbox.argv("run", "--name", "job", "--", "true")])
    text = done.stderr.decode()
    check(done.returncode == 125, f"exit code {done.returncode}: {text}")
    check("make a user namespace" in text and "sysctl user.max_user_namespaces" in text and "as root" in text, text)
    check("Traceback" not in text, text)


def case_lent_ids(sandbox):  # prepared by root
    """A job of an ordinary user in which a program of a lent user id makes files, saved and resumed."""
    if reason := lent_ids.reason_against():
        raise Skip(reason)
    lent_ids.lend(sandbox.base, sandbox.uid, 200000, 10)
    maker = lent_ids.setuid_copy("/usr/bin/touch", sandbox.base / "maker", 200003, 200004)
    sandbox.work.chmod(0o777)
    go = sandbox.base / "go"
    script = f"""{maker} first; stat -c 'made by %u:%g' first; cat /proc/self/uid_map
                 until [ -e {go} ]; do sleep 0.02; done
                 stat -c 'still of %u:%g' first; {maker} second; stat -c 'second by %u:%g' second"""
    keeper = sandbox.start("--name", "job", "--", "sh", "-c", script)
    keeper.shows("made by 200003:200004")
    sandbox.checkpoint()
    keeper.kill()
    keeper = sandbox.resume()
    go.touch()
    keeper.ends_with(0)
    text = sandbox.call("logs", "job")
    check("still of 200003:200004" in text and "second by 200003:200004" in text, text)


AS_ANOTHER_USER = """
import os, sys, time
if os.getuid() != os.geteuid():
    os.setresgid(*[os.getegid()] * 3)
    os.setresuid(*[os.geteuid()] * 3)
    os.execv("/usr/bin/python3", ["python3", *sys.orig_argv[1:]])
os.umask(0o077)
os.mkdir("own")
steps, go = open("own/steps", "w"), sys.argv[1]
step = 0
while not os.path.exists(go):
    step += 1
    print(step, file=steps, flush=True)
    time.sleep(0.01)
print("user", os.getresuid(), os.stat("own").st_uid, os.stat("own/steps").st_uid, oct(os.stat("own").st_mode & 0o777))
print("steps", [int(line) for line in open("own/steps")] == list(range(1, step + 1)), flush=True)
"""


def case_lent_user(sandbox):  # prepared by root
    """A job with a process of a lent user and files that nobody else may read: killed, its files gone, resumed; twice."""
    if reason := lent_ids.reason_against():
        raise Skip(reason)
    lent_ids.lend(sandbox.base, sandbox.uid, 200000, 10)
    python = lent_ids.setuid_copy(os.path.realpath("/usr/bin/python3"), sandbox.base / "python", 200003, 200004)
    sandbox.work.chmod(0o777)
    go, script = sandbox.base / "go", sandbox.write("script.py", AS_ANOTHER_USER)
    keeper = sandbox.start("--name", "job", "--", "sh", "-c", f"{python} {script} {go}; echo ended $?")
    steps = sandbox.work / "own/steps"
    for _ in range(2):
        seen = steps.stat().st_size if steps.exists() else 0
        wait_until(lambda: steps.exists() and steps.stat().st_size > seen + 20, "a step")
        sandbox.checkpoint()
        keeper.kill()
        shutil.rmtree(sandbox.work / "own")
        keeper = sandbox.resume()
    wait_until(steps.exists, "the file of the steps")
    go.touch()
    keeper.ends_with(0)
    text = sandbox.call("logs", "job")
    check("user (200003, 200003, 200003) 200003 200003 0o700\nsteps True\nended 0\n" in text, text)
    check("Permission" not in sandbox.call("run", "--", "true"), "not beside what it has left")


IS_SIGNALLED = """
import os, signal, sys, time
if os.getuid() != os.geteuid():
    os.setresuid(*[os.geteuid()] * 3)
    os.execv("/usr/bin/python3", ["python3", *sys.orig_argv[1:]])
signal.signal(signal.SIGTERM, lambda number, frame: (os.write(1, b"told %d\\n" % os.getuid()), os._exit(9)))
print("listens", os.getpid(), flush=True)
while True:
    time.sleep(60)
"""


def case_lent_user_is_signalled(sandbox):  # prepared by root
    """The job's first process is of a lent user: it gets the signals of the keeper, and dies with it; resumed, too."""
    if reason := lent_ids.reason_against():
        raise Skip(reason)
    lent_ids.lend(sandbox.base, sandbox.uid, 200000, 10)
    python = lent_ids.setuid_copy(os.path.realpath("/usr/bin/python3"), sandbox.base / "python", 200003, sandbox.uid)
    keeper = sandbox.start("--name", "job", "--", python, sandbox.write("script.py", IS_SIGNALLED))
    keeper.shows("listens 2")
    sandbox.checkpoint()
    keeper.kill()
    keeper = sandbox.resume()
    keeper.signal(signal.SIGTERM)
    keeper.ends_with(9)
    check("told 200003" in sandbox.call("logs", "job"), sandbox.call("logs", "job"))
    again = sandbox.start("--name", "other", "--", python, sandbox.base / "script.py")
    again.shows("listens 2")
    again.signal(signal.SIGTERM)
    again.ends_with(9)


def case_lent_user_by_the_setuid_bit(sandbox):  # prepared by root
    """A program that runs by its setuid bit is saved and resumed, and is its owner's still. Then only root may look at it: a
    second checkpoint is refused by name, and it goes on."""
    if reason := lent_ids.reason_against():
        raise Skip(reason)
    lent_ids.lend(sandbox.base, sandbox.uid, 200000, 10)
    reader = lent_ids.setuid_copy("/usr/bin/head", sandbox.base / "reader", 200003, sandbox.uid)
    pipe = sandbox.base / "pipe"
    os.mkfifo(pipe)
    os.chown(pipe, sandbox.uid, sandbox.uid)
    keeper = sandbox.start("--name", "job", "--", "sh", "-c", f"exec 3<>{pipe}; echo begins; {reader} -n 1 <&3; echo ends")
    keeper.shows("begins")
    running = lambda: [pid for pid in descendants(keeper.process.pid) if stat_comm(pid) == "reader"]
    wait_until(running, "the reader")
    sandbox.call("checkpoint", "job")
    keeper.kill()
    keeper = sandbox.resume()
    (resumed,) = wait_until(running, "the reader to be resumed")
    effective = re.search(r"^Uid:\t\d+\t(\d+)", pathlib.Path(f"/proc/{resumed}/status").read_text(), re.MULTILINE)[1]
    check(effective == "200003", f"it is {effective}'s now")
    error = sandbox.refuses("checkpoint", "job")
    check("(reader) may not be traced by this user" in error, error)
    pipe.write_text("line\n")
    keeper.ends_with(0)
    check(sandbox.call("logs", "job") == "begins\nline\nends\n", sandbox.call("logs", "job"))


def case_lent_ids_that_the_system_does_not_give(sandbox):  # prepared by root
    """newuidmap refuses: the job has one id, as without it."""
    if reason := lent_ids.reason_against():
        raise Skip(reason)
    lent_ids.lend(sandbox.base, sandbox.uid, sandbox.uid, 10)  # its own id a second time
    out = sandbox.call("run", "--", "cat", "/proc/self/uid_map", "/proc/self/gid_map")
    check(out.split() == [str(sandbox.uid), str(sandbox.uid), "1"] * 2, out)


def case_setuid_programs_are_told_beforehand(sandbox):
    """One user id in the capsule: foreign files show as 65534's, a setuid program gains nothing, and that is said."""
    if sandbox.uid == 0:
        raise Skip("root has all user ids")
    out = sandbox.call("run", "--", "stat", "-c", "%u", "/etc/passwd", sandbox.work)
    check(out == f"65534\n{sandbox.uid}\n", out)
    done = sandbox.call_raw(sandbox.argv("run", "--", "su", "--version"))
    check(b"su" in done.stderr and b"setuid" in done.stderr, f"nothing was said: {done.stderr}")
    check("65534" in sandbox.call("run", "--help") and "newuidmap" in sandbox.call("run", "--help"), "not in the help")

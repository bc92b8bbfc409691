#!/usr/bin/env python3
"""Does what the lines of the file ORDERS say, one after the other, and prints "done N RESULT" for line N. It speaks with its
keeper as the guide docs/guides/hooks.md says a program may.

usage: speaker.py ORDERS
Orders: ask [WORD]     a request at BATON_SOCKET ("checkpoint"), and its answer
        send WORD      one without waiting for an answer; flood COUNT: so many
        status | generation | mapped
                       what the file says; mapped: through a mapping that was made at the start
        lock | unlock  the critical section
        pid, env NAME, getenv NAME (by the C library), open PATH (and keep open), read PATH, cwd, processes
        signals        those that came so far, each with the status at that time
        handle         from now on SIGUSR1 is handled, and answered with "ready" where it says "saving"
        deaf           ... and not answered
        end CODE
"""
import ctypes
import fcntl
import mmap
import os
import signal
import socket
import sys
import time

KEPT, SIGNALS = [], []


def port(name):
    return os.environ[f"BATON_{name}"]


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def ask(word="checkpoint"):
    own = os.path.join(os.path.dirname(port("SOCKET")), f"speaker.{os.getpid()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
        asker.bind(own)
        asker.sendto(word.encode(), port("SOCKET"))
        answer = asker.recv(4096).decode()
    os.unlink(own)
    return answer


def send(word):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(word.encode(), port("SOCKET"))


def handle(answers):
    def on_signal(*_):
        status = text_of(port("STATUS_FILE")).strip()
        SIGNALS.append(status)
        if answers and status.startswith("saving "):
            send("ready")
    signal.signal(signal.SIGUSR1, on_signal)


def main():
    with open(port("GENERATION_FILE"), "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
    lock = open(port("LOCK_FILE"), "r+b")
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    orders = {
        "ask": ask,
        "send": send,
        "flood": lambda count: [send("checkpoint") for _ in range(int(count))] and None,
        "status": lambda: text_of(port("STATUS_FILE")).strip(),
        "generation": lambda: " ".join(text_of(port("GENERATION_FILE")).split()),
        "mapped": lambda: " ".join(mapped[:].decode().split()),
        "lock": lambda: fcntl.flock(lock, fcntl.LOCK_SH),
        "unlock": lambda: fcntl.flock(lock, fcntl.LOCK_UN),
        "pid": os.getpid,
        "env": os.environ.get,
        "getenv": lambda name: getenv(name.encode()).decode(),
        "open": lambda path: KEPT.append(open(path, encoding="utf-8")),
        "read": lambda path: text_of(path).strip().replace("\n", " / "),
        "cwd": os.getcwd,
        "processes": lambda: " ".join(name for name in os.listdir("/proc") if name.isdigit()),
        "signals": lambda: ", ".join(SIGNALS),
        "handle": lambda: handle(True),
        "deaf": lambda: handle(False),
        "end": lambda code: sys.exit(int(code)),
    }
    done = 0
    while True:
        lines = text_of(sys.argv[1]).splitlines()
        for line in lines[done:]:
            word, *more = line.split(" ", 1)
            done += 1
            print("done", done, orders[word](*more), flush=True)
        time.sleep(0.002)


main()

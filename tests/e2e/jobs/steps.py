#!/usr/bin/env python3
"""Goes on step by step, as far as the file LIMIT lets it (a byte a step; "E": and then end with code 0). Step n prints
"out n", every third step also "err n" to stderr, appends "n" to each FILE, and DONE says the last step done.

usage: steps.py LIMIT DONE [FILE...]
"""
import os
import sys
import time


def main():
    limit, done, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    files = [open(name, "a", encoding="ascii", buffering=1) for name in names]
    step = 0
    while True:
        with open(limit, "rb") as file:
            allowed = file.read()
        while step < allowed.count(b"."):
            step += 1
            print("out", step, flush=True)
            if step % 3 == 0:
                print("err", step, file=sys.stderr, flush=True)
            for file in files:
                file.write(f"{step}\n")
        with open(done, "r+b") as file:
            file.truncate(0)
            file.write(b"%d" % step)
        if allowed.endswith(b"E"):
            return
        time.sleep(0.002)


main()

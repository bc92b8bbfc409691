#!/usr/bin/env python3
"""Goes on step by step, as far as the file LIMIT lets it (a byte a step; "E": and then end with code 0). Step n appends
"n" to each FILE; every third step prints "err n" to stderr; last of all each prints "out n".

usage: steps.py LIMIT [FILE...]
"""
import sys
import time


def main():
    limit, names = sys.argv[1], sys.argv[2:]
    files = [open(name, "a", encoding="ascii", buffering=1) for name in names]
    step = 0
    while True:
        with open(limit, "rb") as file:
            allowed = file.read()
        while step < allowed.count(b"."):
            step += 1
            for file in files:
                file.write(f"{step}\n")
            if step % 3 == 0:
                print("err", step, file=sys.stderr, flush=True)
            print("out", step, flush=True)
        if allowed.endswith(b"E"):
            return
        time.sleep(0.002)


main()

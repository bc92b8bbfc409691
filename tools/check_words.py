#!/usr/bin/env python3
"""Checks that no file names something that only the author's machine has: home directories, build paths, package mirrors.

usage: check_words.py [ROOT]
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIP_DIRECTORIES = {".git", "build", "__pycache__"}

# Each with what to write instead. The classes keep the patterns from finding themselves.
FORBIDDEN = [
    (re.compile(rb"(?<![\w.])/wor[k]/(?:main|shared)"), "a path of one machine; use paths from the root of the tree"),
    (re.compile(rb"(?<![\w.])/roo[t]/[\w.]"), "a path of one machine; use $HOME"),
    (re.compile(rb"(?<![\w.])/home/(?!user\b|USER\b|u\b|\$)[a-z]\w*/"), "somebody's home; use /home/user in examples"),
    (re.compile(rb"\b(?:deb|security|snapshot|ftp)[\w.]*\.debia[n]\.org"), "a mirror; take it from apt's configuration"),
    (re.compile(rb"\b(?:pypi|crates|npmjs|rubygems|proxy\.golang)\.(?:or[g]|i[o]|co[m])\b"), "a package registry"),
]


def problems_in(data, name):
    for pattern, advice in FORBIDDEN:
        for match in pattern.finditer(data):
            line = data.count(b"\n", 0, match.start()) + 1
            yield f"{name}:{line}: \"{match.group(0).decode(errors='replace')}\": {advice}"


def files(root):
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIP_DIRECTORIES)
        for name in sorted(n for n in names if n != ".git"):  # a file in a worktree
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def main(root):
    checked, problems = 0, []
    for path in files(root):
        checked += 1
        with open(path, "rb") as file:
            problems.extend(problems_in(file.read(), os.path.relpath(path, root)))
    for problem in problems:
        print(problem)
    print(f"check_words: {checked} files, {len(problems)} problems")
    return 1 if problems or not checked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ROOT))

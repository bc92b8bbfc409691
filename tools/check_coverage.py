#!/usr/bin/env python3
"""Checks docs/coverage.md: every bullet of an issue names tests that exist and really run.

usage: check_coverage.py BUILD [COVERAGE.md]

The file is a table of two columns: a bullet, and the CTest tests that show it, in backquotes; shell globs are allowed
(`live.*pipe*`). A row is wrong if it names no test, if a name matches no test of the build directory, or only tests
that are disabled or, with --results, were skipped or not run.
A bullet not reached yet says "open: WHY" instead of names: these are counted and printed, not hidden.
"""
import argparse
import fnmatch
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUOTED = re.compile(r"`([^`]+)`")
CTEST_LINE = re.compile(r"^\s*\d+/\d+\s+Test\s+#\d+:\s+(\S+)\s+\.*\s*\**\s*(.+?)\s+[\d.]+ sec")


def tests_of(build):
    """Name -> whether it is disabled, for every test that CTest knows in the build directory."""
    run = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True, capture_output=True)
    return {test["name"]: any(p["name"] == "DISABLED" and p["value"] for p in test.get("properties", []))
            for test in json.loads(run.stdout)["tests"]}


def rows_of(text):
    """(line number, bullet, second column) of each row below a table's rule."""
    body = False
    for number, line in enumerate(text.splitlines(), 1):
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        if len(cells) < 2:
            body = False
        elif set(cells[0]) <= set("-: ") and cells[0]:
            body = True
        elif body:
            yield number, cells[0], cells[1]


def row_problems(bullet, cell, tests, skipped):
    """What is wrong with one row."""
    if not bullet:
        return ["the bullet is empty"]
    if re.match(r"open: *\S", cell):
        return []
    patterns = QUOTED.findall(cell)
    if not patterns:
        return [f"\"{bullet}\" names no test"]
    problems = []
    for pattern in patterns:
        if ".root." in pattern and os.geteuid() != 0:
            continue  # a build of an ordinary user's has no such tests
        found = {name for name in tests if fnmatch.fnmatchcase(name, pattern)}
        if not found:
            problems.append(f"there is no test `{pattern}`")
        elif all(tests[name] for name in found):
            problems.append(f"`{pattern}` is disabled")
        elif all(tests[name] or name in skipped for name in found):
            problems.append(f"`{pattern}` was skipped")
    return problems


def skipped_tests(log):
    """Tests that the console output of a CTest run shows as skipped, disabled or not run."""
    found = set()
    for line in log.splitlines():
        match = CTEST_LINE.match(line)
        if match and re.search(r"Skipped|Disabled|Not Run", match.group(2)):
            found.add(match.group(1))
    return found


def check(text, name, tests, skipped):
    problems, rows, still_open = [], 0, 0
    for number, bullet, cell in rows_of(text):
        rows += 1
        still_open += cell.startswith("open:")
        problems += [f"{name}:{number}: {problem}" for problem in row_problems(bullet, cell, tests, skipped)]
    if not rows:
        problems.append(f"{name}: there is no row in it")
    return problems, rows, still_open


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("coverage", nargs="?", default=os.path.join(ROOT, "docs", "coverage.md"))
    parser.add_argument("--results", help="output of a ctest run: a test skipped there counts as missing")
    arguments = parser.parse_args()
    skipped = set()
    if arguments.results:
        with open(arguments.results, encoding="utf-8", errors="replace") as file:
            skipped = skipped_tests(file.read())
    with open(arguments.coverage, encoding="utf-8") as file:
        text = file.read()
    name = os.path.relpath(arguments.coverage, ROOT)
    problems, rows, still_open = check(text, name, tests_of(arguments.build), skipped)
    for problem in problems:
        print(problem)
    print(f"check_coverage: {rows} rows, {still_open} of them open, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

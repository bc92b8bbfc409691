#!/usr/bin/env python3
"""Runs clang-tidy over the C++ files named on stdin, in that order, and remembers which were clean.

A file is clean as long as neither it, nor a header of ours that it includes, nor .clang-tidy, nor the tool's version
changes; clean files are remembered by that hash in build/lint-cache. With --seconds, no new file is begun after that many
seconds (how many were left is printed): the last ones wait for the next run, and `./dev nightly` does all.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIDY = "clang-tidy-19"
CACHE = os.path.join(ROOT, "build", "lint-cache")


def compile_commands(build):
    """File -> (argument list, directory) from the compilation database of the build directory."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    return {os.path.realpath(os.path.join(e["directory"], e["file"])): (shlex.split(e["command"]), e["directory"])
            for e in entries}


def dependency_command(arguments):
    """The command that prints the makefile rule of a file instead of compiling it (ccache cannot do that)."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("-o", "-MF", "-MT"):
            skip = True
        elif argument not in ("-c", "-MD") and os.path.basename(argument) != "ccache":
            kept.append(argument)
    return kept + ["-M"]


def own_files(rule):
    """The files of a makefile rule that are not the system's."""
    words = rule.replace("\\\n", " ").split()[1:]
    return sorted(w for w in words if not w.startswith("/usr/"))


def state_hash(path, command, directory, salt):
    """A hash over everything of ours that clang-tidy's verdict on the file depends on."""
    rule = subprocess.run(dependency_command(command), cwd=directory, check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256(salt)
    digest.update(os.path.relpath(path, ROOT).encode())
    for name in own_files(rule):
        with open(os.path.join(directory, name), "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def tool_salt():
    version = subprocess.run([TIDY, "--version"], check=True, capture_output=True).stdout
    with open(os.path.join(ROOT, ".clang-tidy"), "rb") as file:
        return hashlib.sha256(version + file.read()).digest()


class Linter:
    def __init__(self, build, seconds):
        self.build = build
        self.deadline = time.monotonic() + seconds if seconds else None
        self.commands = compile_commands(build)
        self.salt = tool_salt()
        os.makedirs(CACHE, exist_ok=True)

    def lint(self, path):
        """'clean', 'cached', 'late' (no time left), or what clang-tidy says."""
        if self.deadline and time.monotonic() > self.deadline:
            return "late"
        command, directory = self.commands[path]
        try:
            stamp = os.path.join(CACHE, state_hash(path, command, directory, self.salt))
        except subprocess.CalledProcessError as error:
            return f"{path}: cannot be preprocessed:\n{error.stderr}"
        if os.path.exists(stamp):
            return "cached"
        run = subprocess.run([TIDY, "-p", self.build, "--quiet", path], check=False, capture_output=True, text=True)
        if run.returncode != 0:
            return run.stdout + run.stderr
        with open(stamp, "w", encoding="utf-8"):
            pass
        return "clean"


def chosen(names, commands):
    """The named files that are compiled. Headers are linted through what includes them."""
    return [p for p in (os.path.realpath(n) for n in names) if p in commands]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=0, help="begin no file after this time; 0: no limit")
    arguments = parser.parse_args()
    linter = Linter(os.path.abspath(arguments.build), arguments.seconds)
    paths = chosen(sys.stdin.read().split(), linter.commands)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(linter.lint, paths))
    findings = [r for r in results if r not in ("clean", "cached", "late")]
    print(f"lint: {results.count('clean')} files clean, {results.count('cached')} unchanged since they were, "
          f"{results.count('late')} left for a later run, {len(findings)} with findings")
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

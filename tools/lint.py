#!/usr/bin/env python3
"""Runs clang-tidy over the sources named on stdin, in that order, and remembers which were clean.

Most of the time that clang-tidy needs for a file goes into the headers. So the C++ files that are compiled with the same
options are linted together, up to BATCH of them one after the other in one file; those that cannot be compiled together
(two of them define the same local name) go into different ones, C files each into one of its own. Unit tests are linted
without the static analyzer: it takes a minute for the branches of GoogleTest's macros in one file, and they run under
the sanitizers.

A file is clean as long as neither it, nor a header of ours that it includes, nor .clang-tidy, nor the tool's version
changes; clean files are remembered by that hash in build/lint-cache. With --seconds, nothing new is begun after that
many seconds (how many files were left is printed): the last ones wait for the next run, and `./dev nightly` does all.
"""
import argparse
import bisect
import collections
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIDY = "clang-tidy-19"
CACHE = os.path.join(ROOT, "build", "lint-cache")
BATCH = 16

# path: real; options: the compiler's without input and output; object: as the build names it.
Source = collections.namedtuple("Source", "path compiler options directory object")


def compiled_files(build):
    """Path -> Source, from the build's compilation database."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    found = {}
    for entry in entries:
        words = [w for w in shlex.split(entry["command"]) if os.path.basename(w) != "ccache"]
        path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        found[path] = Source(path, words[0], options_only(words[1:], entry["file"]), entry["directory"],
                             words[words.index("-o") + 1] if "-o" in words else "")
    return found


def options_only(words, source):
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MT"):
            skip = True
        elif word not in ("-c", "-MD", source):
            kept.append(word)
    return tuple(kept)


def own_files(names):
    """Those that are not the system's."""
    return sorted(name for name in names if not name.startswith("/usr/"))


def deps_of_objects(log):
    """Object -> the files it was made from: what `ninja -t deps` prints, without what is out of date."""
    found, files = {}, []
    for line in log.splitlines():
        if line.startswith("    "):
            files.append(line.strip())
        elif ": #deps " in line:
            files = []
            if line.endswith("(VALID)"):
                found[line[:line.index(": #deps ")]] = files
    return found


def files_behind(command, deps):
    """The files of ours that a source is compiled from: as its last build has noted, else as the preprocessor says."""
    if command.object in deps:
        return own_files(deps[command.object])
    run = subprocess.run([command.compiler, *command.options, "-M", command.path], cwd=command.directory, check=True,
                         capture_output=True, text=True)
    return own_files(run.stdout.replace("\\\n", " ").split()[1:])


def state_hash(command, names, salt):
    """A hash over everything of ours that clang-tidy's verdict on a source depends on."""
    digest = hashlib.sha256(salt)
    digest.update(os.path.relpath(command.path, ROOT).encode())
    for name in names:
        with open(os.path.join(command.directory, name), "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def tool_salt():
    version = subprocess.run([TIDY, "--version"], check=True, capture_output=True).stdout
    with open(os.path.join(ROOT, ".clang-tidy"), "rb") as file:
        return hashlib.sha256(version + file.read()).digest()


class Unit:
    """Sources one after the other in a file of its own (a single one is left where it is)."""

    def __init__(self, sources, folder):
        self.sources, self.path, self.starts = sources, sources[0].path, []
        if len(sources) == 1:
            return
        text = ""
        for source in sources:
            self.starts.append(text.count("\n") + 1)
            with open(source.path, encoding="utf-8") as file:
                text += file.read().rstrip("\n") + "\n"
        self.path = os.path.join(folder, hashlib.sha256(text.encode()).hexdigest()[:16] + ".cc")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def place(self, line):
        """(source, line in it) of a line of the file."""
        if not self.starts:
            return self.sources[0], line
        index = bisect.bisect_right(self.starts, line) - 1
        return self.sources[index], line - self.starts[index] + 1

    def in_sources(self, text):
        """A tool's output with the places in our file turned into those in the sources."""
        def moved(match):
            source, line = self.place(int(match.group(1)))
            return f"{source.path}:{line}"
        return re.sub(re.escape(self.path) + r":(\d+)", moved, text)

    def with_errors(self, text):
        """The sources in which a compiler's errors stand; all if some error stands elsewhere."""
        places = re.findall(r"^(\S+?):(\d+):(?:\d+:)? (?:fatal )?error:", text, re.MULTILINE)
        if not places or any(path != self.path for path, _ in places):
            return list(self.sources)
        return [self.place(int(line))[0] for _, line in places]


def is_test(source):
    return source.path.endswith("_test.cc")


def batches(sources):
    """Sources of the same options together, tests and C files apart; in the order of their first files."""
    groups = {}
    for source in sources:
        single = source.path if source.path.endswith(".c") else None
        key = (source.compiler, source.options, source.directory, is_test(source), single)
        groups.setdefault(key, []).append(source)
    return [group[i:i + BATCH] for group in groups.values() for i in range(0, len(group), BATCH)]


class Linter:
    """Everything that a run of this script counts and finds. Threads of the pool call lint_batch()."""

    def __init__(self, build, scratch, seconds):
        self.scratch = scratch
        log = subprocess.run(["ninja", "-C", build, "-t", "deps"], check=False, capture_output=True, text=True).stdout
        self.deps = deps_of_objects(log)
        self.salt = tool_salt()
        self.deadline = time.monotonic() + seconds if seconds else None
        self.counts = collections.Counter()
        self.findings = []

    def stamp(self, source):
        """The file whose existence says that the source is clean as it is now."""
        return os.path.join(CACHE, state_hash(source, files_behind(source, self.deps), self.salt))

    def lint_batch(self, batch):
        rest = batch
        while rest:
            if self.deadline and time.monotonic() > self.deadline:
                self.counts["late"] += len(rest)
                return
            unit, rest = self.compilable_unit(rest)
            self.lint_unit(unit)

    def compilable_unit(self, batch):
        """(a unit of a part of the batch that can be compiled, the other sources)."""
        unit, rest = Unit(batch, self.scratch), []
        while len(unit.sources) > 1:
            first = unit.sources[0]
            run = subprocess.run([first.compiler, *first.options, "-w", "-fsyntax-only", unit.path], check=False,
                                 cwd=first.directory, capture_output=True, text=True)
            if run.returncode == 0:
                break
            bad = unit.with_errors(run.stderr)
            good = [source for source in unit.sources if source not in bad] or [first]
            rest += [source for source in unit.sources if source not in good]
            unit = Unit(good, self.scratch)
        return unit, rest

    def lint_unit(self, unit):
        first = unit.sources[0]
        checks = ["--checks=-clang-analyzer-*"] if is_test(first) else []
        # The compiler warns of shadowing in each file for itself; what is deprecated in its own headers is not ours.
        quiet = ["--extra-arg=-Wno-deprecated-declarations", *(["--extra-arg=-Wno-shadow"] if unit.starts else [])]
        run = subprocess.run([TIDY, "--quiet", *checks, *quiet, unit.path, "--", *first.options], check=False, cwd=first.directory,
                             capture_output=True, text=True)
        if run.returncode != 0:
            self.findings.append(unit.in_sources(run.stdout + run.stderr))
            return
        self.counts["clean"] += len(unit.sources)
        for source in unit.sources:
            with open(self.stamp(source), "w", encoding="utf-8"):
                pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=0, help="begin nothing after this time; 0: no limit")
    arguments = parser.parse_args()
    os.makedirs(CACHE, exist_ok=True)
    build = os.path.abspath(arguments.build)
    commands = compiled_files(build)
    # Headers are linted through what includes them.
    sources = [commands[path] for path in map(os.path.realpath, sys.stdin.read().split()) if path in commands]
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch, concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        linter = Linter(build, scratch, arguments.seconds)
        changed = [source for source, stamp in zip(sources, pool.map(linter.stamp, sources)) if not os.path.exists(stamp)]
        list(pool.map(linter.lint_batch, batches(changed)))
    print(f"lint: {linter.counts['clean']} files clean, {len(sources) - len(changed)} unchanged since they were, "
          f"{linter.counts['late']} left for a later run, {len(linter.findings)} batches with findings")
    for finding in linter.findings:
        print(finding)
    return 1 if linter.findings else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Checks that the documents tell the truth about names: links lead somewhere, and what is shown as a command exists.

usage: check_docs.py BATON

Of every *.md in the tree: relative links and files named in backquotes with a folder (`tools/x.py`) must exist;
`./dev WORD` must be one of its commands; `baton WORDS --flag` in backquotes or in a block of commands must be a subcommand
and flags that BATON's own help shows.
"""
import functools
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIP_DIRECTORIES = {".git", "build"}
FENCE = re.compile(r"^```.*?$(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
OWN_PATH = re.compile(r"^(?:src|tests|tools|docs|bench|cmake)/[\w./-]+$")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*|(?<!\S)-[a-z]\b")
GROUPS = {"image", "pool"}  # commands that have commands


def documents(root):
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIP_DIRECTORIES)
        yield from (os.path.join(directory, name) for name in sorted(names) if name.endswith(".md"))


def commands_shown(text):
    """Lines of blocks and what stands in backquotes, without comments and prompts."""
    shown = [line for block in FENCE.findall(text) for line in block.splitlines()]
    shown += INLINE.findall(FENCE.sub("", text))
    return [command.strip() for line in shown for command in re.split(r"\s#\s", line)[0].split("; ")]


def words_of(command, program):
    """The words after `program` up to what is somebody else's: `--`, a pipe, the end. None if it is no such command."""
    words = command.split()
    if not words or words[0] != program:
        return None
    ends = [i for i, word in enumerate(words) if word in ("--", "|", ">", "&&", ";", "...")]
    return words[1:min(ends, default=len(words))]


def dev_problem(words, help_text):
    names = [word for word in words[:1] if re.fullmatch(r"[a-z]+", word) and word != "help"]
    return [f"`./dev {name}` is no command" for name in names if not re.search(rf"^  {name}\b", help_text, re.MULTILINE)]


def baton_problems(words, help_of):
    """help_of(subcommand words) -> help text, or None if there is no such command."""
    path, rest = [], list(words)
    while len(rest) > 1 and rest[0].startswith("--"):  # global options: `--state-dir DIR`
        del rest[:1 if "=" in rest[0] else 2]
    for word in rest:
        if not re.fullmatch(r"[a-z]+", word) or (path and path[-1] not in GROUPS):
            break
        path.append(word)
    known = help_of(tuple(path))
    if known is None:
        return [f"`baton {' '.join(path)}` is no command"]
    flags = {flag for word in words for flag in FLAG.findall(word.split("=")[0])}
    known += "\n" + (help_of(()) or "")
    return [f"`baton {' '.join(path)}` has no {flag}" for flag in sorted(flags)
            if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", known)]


def link_problems(path, text):
    folder = os.path.dirname(path)
    for target in LINK.findall(FENCE.sub("", text)):
        if "://" not in target and not os.path.exists(os.path.join(folder, target)):
            yield f"a link to {target}, which does not exist"
    for name in INLINE.findall(FENCE.sub("", text)):
        if OWN_PATH.match(name) and not os.path.exists(os.path.join(ROOT, name)):
            yield f"`{name}` does not exist"


def problems_of(path, text, dev_help, help_of):
    yield from link_problems(path, text)
    for command in commands_shown(text):
        if (words := words_of(command, "./dev")) is not None:
            yield from dev_problem(words, dev_help)
        if words := words_of(command, "baton"):
            yield from baton_problems(words, help_of)


def main(baton):
    @functools.cache
    def help_of(path):
        run = subprocess.run([baton, *path, "--help"], check=False, capture_output=True, text=True)
        return run.stdout if run.returncode == 0 else None

    dev_help = subprocess.run([os.path.join(ROOT, "dev"), "help"], check=True, capture_output=True, text=True).stdout
    checked, problems = 0, []
    for path in documents(ROOT):
        checked += 1
        with open(path, encoding="utf-8") as file:
            text = file.read()
        problems += [f"{os.path.relpath(path, ROOT)}: {problem}" for problem in problems_of(path, text, dev_help, help_of)]
    for problem in problems:
        print(problem)
    print(f"check_docs: {checked} documents, {len(problems)} problems")
    return 1 if problems or not checked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

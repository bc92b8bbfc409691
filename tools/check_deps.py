#!/usr/bin/env python3
"""Checks which folder of src includes which, against the table below, and that the include graph has no cycle.

usage: check_deps.py [SRC]     (default: src of this tree)
A line of the table is a decision: widen it only together with docs/ARCHITECTURE.md.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Folder -> what its files may include besides itself. 'engine' is engine.h and what stands beside it; the engines behind it are
# folders of their own. 'resource/common' is what kinds share; a kind is any other folder of resource and sees no other kind.
ALLOWED = {
    "base": [],
    "proc": ["base"],
    "tree": ["base"],
    "image": ["base"],
    "store": ["base"],
    "thread": ["base"],
    "workspace": ["base", "image"],
    "task": ["base", "proc"],
    "capsule": ["base", "proc"],
    "resource": ["base", "task", "tree", "image", "proc"],
    "resource/KIND": ["resource", "base", "task", "tree", "image", "proc"],
    "engine": ["base", "tree", "image", "engine/native"],
    "engine/native": ["engine", "resource", "base", "thread", "task", "tree", "image", "proc", "capsule"],
    "keeper": ["base", "thread", "proc", "task", "engine", "capsule", "store", "workspace", "image"],
    # engine/native: the schema of its records, for `baton image show`.
    "pool/decide": [],
    "pool/wire": ["base", "pool/decide"],
    "rpc": ["base", "pool/wire"],
    "pool/keeper": ["base", "proc", "thread", "keeper", "store", "workspace", "pool/decide", "pool/wire"],
    "worker": ["base", "proc", "keeper", "pool/decide", "pool/wire", "pool/keeper", "rpc"],
    "controller/db": ["base", "pool/decide"],
    "controller": ["base", "controller/db", "pool/decide", "pool/wire", "rpc"],
    "cli": ["base", "proc", "keeper", "image", "store", "workspace", "engine", "engine/native", "capsule", "tree", "resource", "controller",
            "pool/decide", "pool/wire", "pool/keeper", "worker", "rpc"],
}
# Folders of decisions only: no thread, clock, socket or file gets in, because no header that has one does.
PURE = {"pool/decide"}
PURE_HEADERS = {"algorithm", "array", "chrono", "compare", "cstddef", "cstdint", "fmt/format.h", "map", "optional", "set",
                "string", "string_view", "tuple", "utility", "variant", "vector"}
SYSTEM_INCLUDE = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.MULTILINE)
CLOCK = re.compile(r"\w+_clock\b")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def folder_of(path):
    """The table's name for the folder of a file, given relative to src."""
    parts = path.split("/")[:-1]
    if parts[0] == "resource" and len(parts) > 1:
        return "resource" if parts[1] == "common" else "resource/KIND"
    if parts[0] in ("engine", "pool", "controller") and len(parts) > 1:
        return "/".join(parts[:2])
    return parts[0]


def read_includes(src):
    """File -> the files of src it includes, all relative to src. Generated *.pb.h stand for their .proto."""
    graph = {}
    for directory, _, files in os.walk(src):
        for name in files:
            if name.endswith((".h", ".cc", ".c", ".proto")):
                path = os.path.relpath(os.path.join(directory, name), src)
                with open(os.path.join(directory, name), encoding="utf-8") as file:
                    graph[path] = [t.replace(".grpc.pb.h", ".pb.h").replace(".pb.h", ".proto") for t in INCLUDE.findall(file.read())]
    return graph


def forbidden(graph):
    for path, targets in sorted(graph.items()):
        folder = folder_of(path)
        if folder not in ALLOWED:
            yield f"src/{path}: the folder {folder} is not in the table of {os.path.basename(__file__)}"
            continue
        for target in targets:
            if "/" not in target:
                yield f"src/{path}: includes \"{target}\"; write it with its folder, from src/"
            elif not allowed(path, folder, target):
                yield f"src/{path}: {folder} may not include \"{target}\" ({folder_of(target)})"


def impure(src):
    """What the folders of decisions include, or name, that is not a plain value. Their tests may use more."""
    for folder in sorted(PURE):
        for name in sorted(os.listdir(os.path.join(src, folder))):
            if not name.endswith((".h", ".cc")) or name.endswith("_test.cc"):
                continue
            with open(os.path.join(src, folder, name), encoding="utf-8") as file:
                text = file.read()
            for found in sorted(set(SYSTEM_INCLUDE.findall(text)) - PURE_HEADERS) + CLOCK.findall(text):
                yield f"src/{folder}/{name}: {found} is not for decisions, which have no thread, clock, socket or file"


def allowed(path, folder, target):
    other = folder_of(target)
    if folder == other == "resource/KIND":
        return os.path.dirname(path) == os.path.dirname(target)
    return other == folder or other in ALLOWED[folder]


def pair_of(path):
    return path if path.endswith(".proto") else os.path.splitext(path)[0]


def merged(graph):
    """The graph between file pairs: foo.cc and foo.h are one node; foo.proto is another."""
    pairs = {}
    for path, targets in graph.items():
        pairs.setdefault(pair_of(path), set()).update(pair_of(t) for t in targets)
    return {n: {t for t in targets if t in pairs and t != n} for n, targets in pairs.items()}


def find_cycle(pairs):
    """One cycle as a list of nodes, or None. An iterative depth-first search, so that depth has no limit."""
    done = set()
    for start in sorted(pairs):
        path, stack = [], [(start, False)]
        while stack:
            node, leave = stack.pop()
            if leave:
                done.add(path.pop())
            elif node in path:
                return path[path.index(node):] + [node]
            elif node not in done:
                path.append(node)
                stack.append((node, True))
                stack.extend((t, False) for t in sorted(pairs[node]))
    return None


def main(src):
    graph = read_includes(src)
    problems = list(forbidden(graph)) + list(impure(src))
    cycle = find_cycle(merged(graph))
    if cycle:
        problems.append("include cycle: " + " -> ".join(cycle))
    for problem in problems:
        print(problem)
    print(f"check_deps: {len(graph)} files, {len(problems)} problems")
    return 1 if problems or not graph else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "src")))

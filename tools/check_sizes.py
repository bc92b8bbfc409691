#!/usr/bin/env python3
"""Checks that files and functions stay small: .cc at most 600 lines, .h at most 300, a function at most 80.

usage: check_sizes.py [DIRECTORY...]     (default: src tests bench of this tree)
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILE_CAPS = {".cc": 600, ".c": 600, ".h": 300}
FUNCTION_CAP = 80

# Pure tables, exempt from the caps by name; each with its reason.
EXEMPT = {}

# What may hang between the parenthesis and the brace of a function: qualifiers, a result type, an initialiser list.
FUNCTION_HEAD = re.compile(r"\)[^;{}()=]*(?:->[^;{}]*|:[^;]*)?$")
NOT_A_FUNCTION = re.compile(r"^\s*(?:namespace|class|struct|union|enum|extern\b)")
STRING_OR_COMMENT = re.compile(
    r'R"([^(\s]*)\((?s:.*?)\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*(?s:.*?)\*/')


def blank(text):
    """The text with strings and comments emptied and its line breaks kept."""
    return STRING_OR_COMMENT.sub(lambda m: "\n" * m.group(0).count("\n"), text)


def functions(text):
    """(first line, number of lines) of each outermost function body; head and body are counted."""
    code = blank(text)
    depth, inside, line, head, head_line = 0, None, 1, "", 1
    for char in code:
        if char == "\n":
            line += 1
        if inside is None:
            if char == "{":
                if is_function(head):
                    inside = (head_line, depth)
                head = ""
            elif char in ";}":
                head = ""
            else:
                if not head.strip():
                    head, head_line = "", line
                head += char
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if inside and depth == inside[1]:
                yield inside[0], line - inside[0] + 1
                inside, head = None, ""


def is_function(head):
    head = re.sub(r"^\s*#.*$", "", head, flags=re.MULTILINE).strip()
    return bool(head) and not NOT_A_FUNCTION.match(head) and bool(FUNCTION_HEAD.search(head))


def check_file(path, name):
    extension = os.path.splitext(path)[1]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = text.count("\n")
    if lines > FILE_CAPS[extension]:
        yield f"{name}: {lines} lines; at most {FILE_CAPS[extension]} in a {extension} file"
    for first, length in functions(text):
        if length > FUNCTION_CAP:
            yield f"{name}:{first}: a function of {length} lines; at most {FUNCTION_CAP}"


def files(directories):
    for directory in directories:
        for folder, _, names in os.walk(directory):
            for name in sorted(names):
                if os.path.splitext(name)[1] in FILE_CAPS:
                    yield os.path.join(folder, name)


def main(directories):
    checked, problems = 0, []
    for path in files(directories):
        checked += 1
        name = os.path.relpath(path, ROOT)
        if name not in EXEMPT:
            problems.extend(check_file(path, name))
    for problem in problems:
        print(problem)
    print(f"check_sizes: {checked} files, {len(problems)} problems")
    return 1 if problems or not checked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [os.path.join(ROOT, d) for d in ("src", "tests", "bench")]))

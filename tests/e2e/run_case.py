#!/usr/bin/env python3
"""One end-to-end case of cases/*.py: run_case.py --baton BATON [--root] MODULE.CASE

As an ordinary user (uid BATON_LIVE_UID, 1000, when root runs this), or with --root as root. Exit code: 0 passed, 1 failed
(the directory stays and is named), 77 cannot run here. CMake finds the cases by their "def case_...(sandbox):" lines;
one with "# as root, too" behind it is run both ways, "# as root" only as root. One with "# prepared by root" needs root to
start it.
"""
import argparse
import importlib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "cases"), str(HERE.parent)]
sys.dont_write_bytecode = True


def main():
    parser = argparse.ArgumentParser(description="runs one end-to-end case; see the head of this file")
    parser.add_argument("--baton", type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--root", action="store_true")
    parser.add_argument("case")
    arguments = parser.parse_args()
    module, _, case = arguments.case.partition(".")
    function = getattr(importlib.import_module(module), "case_" + case)
    return importlib.import_module("harness").run_case(function, arguments.baton, arguments.root)


if __name__ == "__main__":
    sys.exit(main())

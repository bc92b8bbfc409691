"""`./dev demo`, whose first step is the build: what comes after it."""
import pathlib
import re
import time

from harness import check

DEMO = pathlib.Path(__file__).resolve().parents[3] / "tools" / "demo.py"


def case_demo(sandbox):  # as root, too
    """Two programs killed half-way with their keepers and files go on elsewhere; under 60 s. (Root becomes a user.)"""
    began = time.monotonic()
    done = sandbox.call_raw(["/usr/bin/python3", str(DEMO), "--baton", sandbox.baton_path], cwd="/")
    took = time.monotonic() - began
    text = done.stdout.decode()
    check(done.returncode == 0, f"exit code {done.returncode}: {text} {done.stderr.decode()}")
    check(took < 60, f"it took {took:.0f} s")
    for line in (r"checkpoint \d+: paused [\d.]+ ms, [\d.]+ MiB, \d+ threads", r"everything killed at step \d+",
                 r"goes on at step [1-9]\d* of checkpoint \d+: resumed in [\d.]+ s; lost \d+ steps",
                 r"done; started once; SHA-256 [0-9a-f]{16}, as undisturbed"):
        check(len(re.findall(line, text)) >= 2, f"not for both programs: {line}: {text}")
    check("demo: all results are right" in text, text)

"""`./dev demo`, whose first step is the build: what comes after it."""
import pathlib
import re
import time

from harness import check

DEMO = pathlib.Path(__file__).resolve().parents[3] / "tools" / "demo.py"


def case_demo(sandbox):  # as root, too
    """Two jobs of a pool, whose worker is killed with all that it runs half-way, go on elsewhere; under 60 s. (Root becomes a
    user.)"""
    began = time.monotonic()
    done = sandbox.call_raw(["/usr/bin/python3", str(DEMO), "--baton", sandbox.baton_path], cwd="/")
    took = time.monotonic() - began
    text = done.stdout.decode()
    check(done.returncode == 0, f"exit code {done.returncode}: {text} {done.stderr.decode()}")
    check(took < 60, f"it took {took:.0f} s")
    for line in (r"checkpoint 1\.\d+ on w1: paused \d+ ms, [\d.]+ MiB", r"all of w1 killed at step \d+",
                 r"detected: w1 was silent", r"handed over to w[23]",
                 r"goes on at step [1-9]\d* of checkpoint 1\.\d+: fetched in \d+ ms, restored in \d+ ms; lost \d+ steps",
                 r"runs again [\d.]+ s after the kill", r"done; started once; SHA-256 [0-9a-f]{16}, as undisturbed"):
        check(len(re.findall(line, text)) >= 2, f"not for both programs: {line}: {text}")
    check("demo: all results are right" in text, text)

"""PostgreSQL under pgbench: a database of its own in this directory, reached by a UNIX socket. The sums of its tables must
agree at every step and at the end, and every page's checksum must be right."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys

PROGRAMS = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
HERE = os.getcwd()
SUMS = ("SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), "
        "(SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history), (SELECT count(*) FROM pgbench_history)")


def call(program, *words):
    done = subprocess.run([PROGRAMS / program, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program}: {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout


def main():
    rounds = int(sys.argv[1])
    os.environ.update(PGHOST=HERE, PGDATABASE="postgres", PGUSER="job", PGDATA=f"{HERE}/data")
    call("initdb", "--auth=trust", "--username=job", "--data-checksums", "--no-sync")
    server = subprocess.Popen([PROGRAMS / "postgres", "-k", HERE, "-h", "", "-c", "shared_buffers=32MB", "-c", "max_wal_size=256MB",
                               "-c", "synchronous_commit=off", "-c", "logging_collector=on"], stderr=subprocess.DEVNULL)
    while subprocess.run([PROGRAMS / "pg_isready", "-q"], check=False).returncode != 0:
        if server.poll() is not None:
            sys.exit(f"postgres ended with {server.returncode}")
    call("pgbench", "-i", "-q", "-s", "2")
    for number in range(rounds):
        call("pgbench", "-n", "-c", "2", "-j", "2", "-t", "1000", f"--random-seed={number}")
        sums = call("psql", "-AtXc", SUMS).strip()
        accounts, tellers, branches, history, count = sums.split("|")
        if len({accounts, tellers, branches, history}) != 1 or int(count) != 2000 * (number + 1):
            sys.exit(f"round {number}: the sums do not agree: {sums}")
        print(number, sums, flush=True)
    server.send_signal(signal.SIGINT)
    if server.wait() != 0:
        sys.exit(f"postgres ended with {server.returncode}: {''.join(path.read_text() for path in pathlib.Path('data/log').iterdir())}")
    call("pg_checksums", "--check")
    shutil.rmtree("data")


main()

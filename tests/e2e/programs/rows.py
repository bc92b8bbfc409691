"""The real programs: what each needs, its input, and its command for an amount of work. An amount of 1 is about 10 s of
processor time on a machine of 2025; input and command depend on nothing else, so that two runs have the same results."""
import collections
import pathlib
import random
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"

# needs: programs and Python modules; folder: what is copied; prepare(directory, work): the rest; command(work).
Row = collections.namedtuple("Row", "needs folder prepare command")


def lines_of_numbers(seed, count, columns):
    """Reproducible text that compresses somewhat."""
    generator = random.Random(seed)
    return "".join(" ".join(str(generator.randrange(100000)) for _ in range(columns)) + "\n" for _ in range(count))


def numbers(count, columns, name="numbers", seed=1):
    return lambda directory, _: (directory / name).write_text(lines_of_numbers(seed, count, columns))


def numbers_by_work(count, columns, name, seed):
    return lambda directory, work: (directory / name).write_text(lines_of_numbers(seed, int(count * work), columns))


def sqlite_steps(transactions, journal):
    generator = random.Random(5)
    yield f"PRAGMA journal_mode={journal};\nPRAGMA synchronous=OFF;\n"
    yield "CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER, note TEXT);\n"
    yield "CREATE TABLE history(step INTEGER, id INTEGER, amount INTEGER);\nCREATE INDEX by_amount ON history(amount, id);\n"
    yield "".join(f"INSERT INTO account VALUES({i}, 1000, '');\n" for i in range(1000))
    for step in range(transactions):
        giver, taker, amount = generator.randrange(1000), generator.randrange(1000), generator.randrange(100)
        yield (f"BEGIN;\nUPDATE account SET amount=amount-{amount}, note='{step}' WHERE id={giver};\n"
               f"UPDATE account SET amount=amount+{amount} WHERE id={taker};\n"
               f"INSERT INTO history SELECT {step}, id, amount FROM account WHERE id % 10 = {step % 10};\n"
               f"DELETE FROM history WHERE step < {step - 30};\n{'COMMIT' if step % 7 else 'ROLLBACK'};\n")
        if step % 20 == 0:
            yield "SELECT sum(amount), sum(a.amount*length(a.note)), (SELECT count(*) FROM history) FROM account a;\n"
    yield "PRAGMA integrity_check;\nSELECT * FROM account;\n"


def sqlite(transactions, journal):
    return lambda directory, work: (directory / "steps.sql").write_text(
        "".join(sqlite_steps(int(transactions * work), journal)))


def units(count, suffix):
    def make(directory, work):
        pattern = (directory / f"unit.{suffix}.in").read_text()
        for number in range(max(4, int(count * work))):
            (directory / f"unit{number}.{suffix}").write_text(pattern.replace("@N@", str(number)))
    return make


def compiled(*command):
    return lambda directory, _: subprocess.run(command, cwd=directory, check=True)


def nothing(_directory, _work):
    pass


def with_amount(amount, *words):
    """The command, with the amount of work as its last word."""
    return lambda work: [*words, str(max(1, int(amount * work)))]


def fixed(*words):
    return lambda _: list(words)


ROWS = {
    "numpy_heat": Row(["numpy"], "python", nothing, with_amount(1900, PYTHON, "heat.py")),
    "numpy_mapped_file": Row(["numpy"], "python", nothing, with_amount(950, PYTHON, "lattice.py")),
    "python_process_pool": Row([PYTHON], "python", nothing, with_amount(340, PYTHON, "workers.py")),
    "python_services": Row([PYTHON], "python", nothing, with_amount(430, PYTHON, "services.py")),
    "python_sqlite": Row([PYTHON], "python", nothing, with_amount(80000, PYTHON, "orders.py")),
    "pipeline": Row(["bash", "sed", "awk", "sort"], "pipeline", numbers(100000, 6), with_amount(18, "bash", "pipeline.sh")),
    "pipeline_of_short_ones": Row(["bash", "sed", "awk", "sort"], "pipeline", nothing, with_amount(1250, "bash", "many.sh")),
    "awk": Row(["awk"], "pipeline", numbers(50000, 6),
               lambda work: ["awk", "-v", f"rounds={int(750 * work)}", "-f", "table.awk", "numbers"]),
    "sort_with_files_in_tmp": Row(["bash", "sort"], "pipeline", numbers(200000, 6), with_amount(60, "bash", "sort.sh")),
    "perl": Row(["perl"], "perl", nothing, with_amount(11000000, "perl", "words.pl")),
    "perl_with_children": Row(["perl"], "perl", nothing, with_amount(90000, "perl", "children.pl")),
    "sqlite": Row(["sqlite3"], "", sqlite(30000, "DELETE"), fixed("sh", "-c", "sqlite3 bank.db < steps.sql > balances.txt")),
    "sqlite_write_ahead_log": Row(["sqlite3"], "", sqlite(34000, "WAL"),
                                  fixed("sh", "-c", "sqlite3 bank.db < steps.sql > balances.txt")),
    "xz": Row(["xz"], "", numbers_by_work(125000, 8, "data", 2), fixed("xz", "-9e", "--keep", "data")),
    "xz_threads": Row(["xz"], "", numbers_by_work(260000, 8, "data", 2),
                      fixed("sh", "-c", "xz -6 -T2 --block-size=1MiB -c data | tee data.xz | sha256sum")),
    "make_gcc": Row(["make", "gcc"], "make", units(24, "c"), fixed("make", "-j2", "-s")),
    "make_gxx": Row(["make", "g++"], "make", units(23, "cc"), fixed("make", "-j2", "-s")),
    "static": Row(["gcc"], "static", compiled("gcc", "-O2", "-static", "-o", "chain", "chain.c"), with_amount(2500, "./chain")),
    "static_threads": Row(["gcc"], "static", compiled("gcc", "-O2", "-static", "-pthread", "-o", "ring", "ring.c"),
                          with_amount(40000, "./ring")),
    "rust": Row(["rustc"], "rust", compiled("rustc", "-O", "-o", "words", "words.rs"), with_amount(200, "./words")),
    "rust_threads": Row(["rustc"], "rust", compiled("rustc", "-O", "-o", "sieve", "sieve.rs"), with_amount(1900, "./sieve")),
}


def missing(row):
    """What of a row's needs is not installed; None if all is."""
    for need in row.needs:
        if need in ("numpy", "torch"):
            if subprocess.run([PYTHON, "-c", f"import {need}"], check=False, capture_output=True).returncode != 0:
                return f"Python's {need}"
        elif not shutil.which(need):
            return need
    return None


def prepare(row, directory, work):
    if row.folder:
        for file in (HERE / row.folder).iterdir():
            shutil.copy(file, directory)
    row.prepare(directory, work)

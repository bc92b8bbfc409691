"""SQLite inside Python: transactions with savepoints, some rolled back, a memory-mapped database, temporary tables.
usage: orders.py TRANSACTIONS"""
import random
import sqlite3
import sys

generator = random.Random(3)
base = sqlite3.connect("orders.db", isolation_level=None)
base.execute("PRAGMA synchronous=OFF")
base.execute("PRAGMA mmap_size=67108864")
base.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, stock INTEGER)")
base.execute("CREATE TABLE sale(number INTEGER, item INTEGER, pieces INTEGER)")
base.execute("CREATE TEMP TABLE seen(item INTEGER)")
base.executemany("INSERT INTO item VALUES(?, ?)", ((i, 10_000) for i in range(500)))
for number in range(int(sys.argv[1])):
    base.execute("BEGIN")
    for line in range(5):
        item, pieces = generator.randrange(500), generator.randrange(1, 9)
        base.execute("SAVEPOINT line")
        base.execute("UPDATE item SET stock = stock - ? WHERE id = ?", (pieces, item))
        base.execute("INSERT INTO sale VALUES(?, ?, ?)", (number, item, pieces))
        base.execute("INSERT INTO seen VALUES(?)", (item,))
        base.execute("ROLLBACK TO line" if generator.random() < 0.2 else "RELEASE line")
    base.execute("COMMIT" if generator.random() < 0.9 else "ROLLBACK")
    if number % 1000 == 0:
        sold, = base.execute("SELECT sum(pieces) FROM sale").fetchone()
        left, = base.execute("SELECT sum(stock) FROM item").fetchone()
        print(number, sold, left, (sold or 0) + left == 5_000_000, flush=True)
print(base.execute("PRAGMA integrity_check").fetchone()[0], base.execute("SELECT count(*) FROM seen").fetchone()[0])
base.close()

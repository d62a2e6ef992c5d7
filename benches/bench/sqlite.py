"""The same records in SQLite: WAL, synchronous=FULL, one row and three index rows, a commit for each article.

    sqlite.py DATABASE RECORDS COUNT SECONDS_MAX
"""

import json
import sqlite3
import sys
import time
import uuid

database, records, count, seconds_max = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
with open(records) as lines:
    rows = [json.loads(line) for line in lines]
connection = sqlite3.connect(database, isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = FULL")
connection.execute("CREATE TABLE IF NOT EXISTS articles (id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID")
connection.execute("CREATE TABLE IF NOT EXISTS orders (name TEXT, at INTEGER, id TEXT, PRIMARY KEY (name, at, id)) "
                   "WITHOUT ROWID")
done, started = 0, time.monotonic()
for number in range(count):
    row = rows[number % len(rows)]
    article, at = str(uuid.uuid4()), -row["at_ms"] - number
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO articles VALUES (?, ?)", (article, row["record"]))
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?)",
                           [("all", at, article), ("public", at, article), ("category/science", at, article)])
    connection.execute("COMMIT")
    done += 1
    if time.monotonic() - started > seconds_max:
        break
seconds = time.monotonic() - started
connection.close()
print(json.dumps({"count": done, "seconds": seconds, "rate": done / seconds}))

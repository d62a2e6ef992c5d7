"""Durable publishes through the API beside the bare store and SQLite; and how soon a feed shows what was acknowledged."""

import subprocess
import sys
from pathlib import Path

import machine
from servers import CATEGORY, Tidings

# Articles for each number of clients: enough for a second or two on a quiet machine.
COUNTS = {1: 2_000, 8: 8_000, 64: 16_000}
SQLITE = Path(__file__).with_name("sqlite.py")


def run(bench, report):
    rounds, share, seconds = (3, 0.1, 3) if bench.quick else (5, 1, 10)
    bare = Tidings(bench.programs, bench.fresh("bare"))
    records = bench.folder / "records.jsonl"
    with open(records, "w") as out:
        command = [bench.programs["load"], "records", *bare.store(), "--count", 2_000]
        subprocess.run([str(part) for part in command], stdout=out, check=True, timeout=120)
    database = bench.fresh("sqlite") / "db"
    ours, theirs, rows, cpu = ({clients: [] for clients in COUNTS} for _ in range(4))
    tails = {clients: [] for clients in COUNTS}
    with Tidings(bench.programs, bench.fresh("publish")) as daemon:
        for number in range(rounds + 1):
            for clients, count in COUNTS.items():
                amount = ["--clients", clients, "--count", int(count * share), "--seconds", seconds, "--seed", number]
                before = daemon.process.cpu_s()
                published = machine.result([bench.programs["load"], "publish", *daemon.api(), *amount], 120)
                used_s = daemon.process.cpu_s() - before
                committed = machine.result([bench.programs["load"], "bare", *bare.store(), *amount], 120)
                inserted = machine.result([sys.executable, SQLITE, database, records, int(2_000 * share), seconds], 120)
                # The first round only warms up.
                if number:
                    ours[clients].append(published["rate"])
                    theirs[clients].append(committed["rate"])
                    rows[clients].append(inserted["rate"])
                    cpu[clients].append(used_s * 1e6 / published["count"])
                    tails[clients].append(published["p99_us"] / 1e3)
    for clients in COUNTS:
        what = f"durable publishes, {clients} client{'s' if clients > 1 else ''}"
        report.beside("publish", what, "/s", ours[clients], "bare store", theirs[clients], at_least=0.5)
        report.beside("publish", what, "/s", ours[clients], "SQLite", rows[clients], at_least=1.0)
        report.alone("publish", f"{what}: CPU of the daemon", "µs each", cpu[clients])
        report.alone("publish", f"{what}: p99", "ms", tails[clients])
    report.note(f"publish: Markdown of 2 KiB (median, log-normal), {rounds} rounds in turn after one to warm up; the load "
                "runs on the same cores. Bare store: the same articles, indexes and log entries, Markdown already made to "
                "HTML, one process, as many tasks as clients. SQLite: WAL, synchronous=FULL, one writer whatever the "
                "clients, the same records as JSON in one row and three index rows, a commit each.")


def visible(bench, report):
    rounds, count = (3, 100) if bench.quick else (5, 1_000)
    runs = {"gzip": [], "identity": []}
    with Tidings(bench.programs, bench.fresh("visible")) as daemon:
        for number in range(rounds + 1):
            for coding, done in runs.items():
                amount = ["--count", count, "--seconds", 20, "--seed", number]
                command = [bench.programs["load"], "visible", *daemon.api(), *amount]
                done.append(machine.result(command + ["--gzip"] * (coding == "gzip"), 120))
    for coding, done in runs.items():
        # The first round only warms up, and fills the feed.
        del done[0]
        if coding == "gzip":
            for share in ("p50", "p99"):
                report.alone("visible", f"commit: request to 201, {share}", "ms", values(done, f"commit_{share}_us"))
        what = f"201 to the article in the feed, {coding}"
        report.alone("visible", f"{what}, p50", "ms", values(done, "visible_p50_us"))
        report.alone("visible", f"{what}, p99", "ms", values(done, "visible_p99_us"), at_most=2)
        report.alone("visible", f"the unchanged feed, {coding}, p50", "ms", values(done, "unchanged_p50_us"))
        asked = sum(run["feeds_asked"] for run in done) / sum(run["count"] for run in done)
        report.alone("visible", f"feeds asked for until it is there, {coding}", "each", [asked], at_most=1)
    report.note(f"visible: one after another, {count:,} articles of 2 KiB a round and coding; after each `201` a GET of "
                f"/{CATEGORY}/rss.xml (50 full texts) on another connection, to the last byte of the feed.")


def values(runs, key):
    """Of all rounds, in milliseconds."""
    return [run[key] / 1e3 for run in runs]

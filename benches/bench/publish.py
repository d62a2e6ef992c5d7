"""Durable publishes through the API beside the bare store and SQLite; and how soon a feed shows what was acknowledged."""

import subprocess
import sys
from pathlib import Path

import machine
from servers import CATEGORY, Tidings

# Clients, articles (enough for a second or two on a quiet machine), and how the load is told to behave.
ARMS = {
    "1 client": (1, 2_000, ()),
    "1 client that stays awake": (1, 2_000, ("--awake",)),
    "8 clients": (8, 8_000, ()),
    "64 clients": (64, 16_000, ()),
}
SQLITE = Path(__file__).with_name("sqlite.py")


def run(bench, report):
    rounds, share, seconds = (3, 0.1, 3) if bench.quick else (5, 1, 10)
    bare = Tidings(bench.programs, bench.fresh("bare"))
    records = bench.folder / "records.jsonl"
    with open(records, "w") as out:
        command = [bench.programs["load"], "records", *bare.store(), "--count", 2_000]
        subprocess.run([str(part) for part in command], stdout=out, check=True, timeout=120)
    database = bench.fresh("sqlite") / "db"
    ours, theirs, rows, cpu = ({arm: [] for arm in ARMS} for _ in range(4))
    tails = {arm: [] for arm in ARMS}
    with Tidings(bench.programs, bench.fresh("publish")) as daemon:
        for number in range(rounds + 1):
            for arm, (clients, count, how) in ARMS.items():
                amount = ["--clients", clients, "--count", int(count * share), "--seconds", seconds, "--seed", number]
                before = daemon.process.cpu_s()
                published = machine.result([bench.programs["load"], "publish", *daemon.api(), *amount, *how], 120)
                used_s = daemon.process.cpu_s() - before
                committed = machine.result([bench.programs["load"], "bare", *bare.store(), *amount], 120)
                inserted = machine.result([sys.executable, SQLITE, database, records, int(2_000 * share), seconds], 120)
                # The first round only warms up.
                if number:
                    ours[arm].append(published["rate"])
                    theirs[arm].append(committed["rate"])
                    rows[arm].append(inserted["rate"])
                    cpu[arm].append(used_s * 1e6 / published["count"])
                    tails[arm].append(published["p99_us"] / 1e3)
    for arm in ARMS:
        what = f"durable publishes, {arm}"
        report.beside("publish", what, "/s", ours[arm], "bare store", theirs[arm], at_least=0.5)
        report.beside("publish", what, "/s", ours[arm], "SQLite", rows[arm], at_least=1.0)
        report.alone("publish", f"{what}: CPU of the daemon", "µs each", cpu[arm])
        report.alone("publish", f"{what}: p99", "ms", tails[arm])
    report.note(f"publish: Markdown of 2 KiB (median, log-normal), {rounds} rounds in turn after one to warm up; the load "
                "runs on the same cores. A client that stays awake looks for its answer without a rest. Bare store: the "
                "same articles, indexes and log entries, Markdown already made to HTML, one process, as many tasks as "
                "clients. SQLite: WAL, synchronous=FULL, one writer whatever the clients, the same records as JSON in one "
                "row and three index rows, a commit each.")


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

"""What 100,000 articles cost: a publish beside one at 1,000, memory, disk, and the time to start."""

import json
import signal
import time

import machine
from servers import CATEGORY, Tidings, get

FEW = 1_000
MANY = 100_000


def run(bench, report):
    many = MANY // 10 if bench.quick else MANY
    rounds, count = (3, 200) if bench.quick else (7, 1_000)
    report.alone("scale", "memory of an empty daemon, idle", "MB", [empty_mb(bench)], at_most=40)
    small, large = (Tidings(bench.programs, bench.fresh(f"scale-{size}")) for size in (FEW, many))
    fill(bench, small, FEW)
    filled = fill(bench, large, many)
    folder = large.folder / "data"
    disk = machine.disk_bytes(folder)
    what = f"disk at {many:,} articles ÷ "
    report.alone("scale", f"{what}bytes sent to the API", "", [disk / filled["sent_bytes"]], at_most=1.2)
    report.alone("scale", f"{what}bytes of the records", "", [disk / filled["record_bytes"]])
    report.alone("scale", f"filling {many:,} articles, batches of 200", "/s", [filled["count"] / filled["seconds"]])
    report.note(f"scale: {many:,} articles, {filled['sent_bytes'] / 1e6:,.0f} MB as sent (JSON, Markdown), "
                f"{filled['record_bytes'] / 1e6:,.0f} MB as records (Markdown and HTML), {disk / 1e6:,.0f} MB on disk.")
    starts(bench, report, large, many)
    publishing(bench, report, small, large, many, rounds, count)


def empty_mb(bench):
    with Tidings(bench.programs, bench.fresh("empty")) as daemon:
        time.sleep(2)
        return daemon.process.resident_mb()


def fill(bench, daemon, count):
    return machine.result([bench.programs["load"], "fill", *daemon.store(), "--count", count, "--seed", 7], 900)


def starts(bench, report, daemon, many):
    """Start to first feed: the first time after filling, after an orderly end, after a kill amid publishing."""
    took = [daemon.start()]
    report.alone("scale", f"start to first feed at {many:,}, first after filling", "s", took, at_most=2)
    daemon.make_key()
    for name, how in (("an orderly end", signal.SIGTERM), ("a kill while publishing", signal.SIGKILL)):
        took = []
        for number in range(3):
            amount = ["--clients", 8, "--count", 100_000, "--seed", 100 + number]
            load = machine.Process([bench.programs["load"], "publish", *daemon.api(), *amount])
            time.sleep(0.5)
            daemon.process.end(how)
            load.end()
            took.append(daemon.start())
        report.alone("scale", f"start to first feed at {many:,}, after {name}", "s", took, at_most=2)
    daemon.process.end()


def publishing(bench, report, small, large, many, rounds, count):
    rates = {(size, clients): [] for size in ("small", "large") for clients in (1, 64)}
    waits = {size: [] for size in ("small", "large")}
    with small, large:
        before_mb = large.process.resident_mb()
        for number in range(rounds + 1):
            both = [("small", small), ("large", large)]
            for size, daemon in both if number % 2 else reversed(both):
                for clients, many_times in ((1, 1), (64, 4)):
                    amount = ["--clients", clients, "--count", count * many_times, "--seconds", 20, "--seed", number]
                    done = machine.result([bench.programs["load"], "publish", *daemon.api(), *amount], 120)
                    # The first round only warms up.
                    if number:
                        rates[size, clients].append(done["rate"])
                        if clients == 1:
                            waits[size].append(done["p50_us"])
        read_archive(large)
        time.sleep(1)
        memory_mb = large.process.resident_mb()
    what = f"a publish at {many:,}, 1 client, p50"
    report.beside("scale", what, "µs", waits["large"], f"at {FEW:,}", waits["small"], at_most=1.2)
    # A rate is better when it is higher, so the target turns round: 1 / 1.2.
    for clients in (1, 64):
        ours, theirs = rates["large", clients], rates["small", clients]
        what = f"publishes at {many:,}, {clients} client{'s' if clients > 1 else ''}"
        report.beside("scale", what, "/s", ours, f"at {FEW:,}", theirs, at_least=0.83)
    report.alone("scale", f"memory at {many:,}, just opened", "MB", [before_mb])
    report.alone("scale", f"memory at {many:,}, warm", "MB", [memory_mb], at_most=150)
    report.note("scale: warm is after all publishing above, all feeds and 100 pages of 200 articles through the API.")


def read_archive(daemon):
    """Every feed, and pages of the archive as an operator would list it."""
    for feed in ("rss.xml", "atom.xml", "feed.json"):
        for path in (f"/{feed}", f"/{CATEGORY}/{feed}"):
            if get(daemon.port, path)[0] != 200:
                raise SystemExit(f"{path} is not served")
    cursor = ""
    for _ in range(100):
        _, _, body = get(daemon.port, f"/api/v1/articles?limit=200{cursor}", Authorization=f"Bearer {daemon.key}")
        following = json.loads(body).get("next")
        if not following:
            break
        cursor = f"&cursor={following}"

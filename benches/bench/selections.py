"""What many feeds cost: a rebuild after a publish, publishing while many are followed, a cold one, memory."""

import http.client
import os
import time
from urllib.parse import quote

import machine
from servers import CATEGORY, Tidings, get

# Categories, and live queries besides, that publishing is measured with.
MANY = 1_000
# Articles behind a cold feed.
ARTICLES = 1_000_000
# Different feeds that are asked for one after another.
ASKED = 10_000
# Bytes that feeds may hold while the live ones are counted: all of them are to stay.
LIVE_BYTES = 1 << 30
# The daemon's own standard.
BUDGET_MB = 32
TAGS = "budget transport energy space schools health trade climate sport courts culture harvest".split()


def run(bench, report):
    rebuild(bench, report)
    publishing(bench, report)
    memory(bench, report)
    cold(bench, report)


def rebuild(bench, report):
    rounds, count = (2, 20) if bench.quick else (5, 100)
    done = []
    for number in range(rounds):
        daemon = Tidings(bench.programs, bench.fresh("rebuild"))
        command = [bench.programs["load"], "rebuild", *daemon.store(), "--count", count, "--seed", number]
        done.append(machine.result(command, 120))
    for key, name in (("first", "all formats, gzip, as the first reader waits for them"), ("all", "all formats and codings")):
        for share in ("p50", "p99"):
            values = [run[f"{key}_{share}_us"] / 1e3 for run in done]
            report.alone("selections", f"rebuild of 50 full texts: {name}, {share}", "ms", values, at_most=10)
    report.note(f"selections: a rebuild is of RSS, Atom and JSON Feed, together {done[-1]['bytes']:,} B, after one publish.")


def publishing(bench, report):
    rounds, count = (2, 1_000) if bench.quick else (5, 8_000)
    plain = Tidings(bench.programs, bench.fresh("few"))
    categories = Tidings(bench.programs, bench.fresh("categories"), feeds_bytes=LIVE_BYTES)
    for number in range(MANY - 1):
        (categories.folder / "feeds" / f"c{number}.toml").write_text(f'title = "Category {number}"\n')
    queries = Tidings(bench.programs, bench.fresh("queries"), feeds_bytes=LIVE_BYTES)
    rates = {"few": [], "categories": [], "queries": []}
    with plain, categories, queries:
        follow(categories, [f"/c{number}/rss.xml" for number in range(MANY - 1)])
        follow(queries, [query(f"category:{CATEGORY} AND NOT (tag:t{number} OR {mix(number)})") for number in range(MANY)])
        for number in range(rounds + 1):
            for name, daemon in (("few", plain), ("categories", categories), ("queries", queries)):
                amount = ["--clients", 64, "--count", count, "--seconds", 20, "--seed", number]
                done = machine.result([bench.programs["load"], "publish", *daemon.api(), *amount], 120)
                # The first round only warms up.
                if number:
                    rates[name].append(done["rate"])
    for name, what in (("categories", f"{MANY:,} categories"), ("queries", f"{MANY:,} live queries that each article may touch")):
        report.beside("selections", f"publishes, 64 clients, {what}", "/s", rates[name], "one category", rates["few"])


def mix(number):
    """A part of a query that no other number has."""
    return f'(author:"a{number}" AND tag:{TAGS[number % len(TAGS)]})'


def query(text, file="rss.xml"):
    """Its address."""
    return f"/search/{file}?q={quote(text)}"


def follow(daemon, paths):
    """Asks for each, as its readers do."""
    for path in paths:
        ask(daemon, path)


def ask(daemon, path):
    """GETs a feed, wherever its canonical address is."""
    for _ in range(2):
        status, headers, body = get(daemon.port, path)
        if status == 200:
            return body
        path = "/" + headers.get("Location", "").split("/", 3)[-1]
    raise SystemExit(f"{path} is not served: {status}")


def memory(bench, report):
    asked = ASKED // 10 if bench.quick else ASKED
    daemon = Tidings(bench.programs, bench.fresh("memory"))
    machine.result([bench.programs["load"], "fill", *daemon.store(), "--count", 5_000, "--seed", 3], 300)
    with daemon:
        # What comes with the first feeds and stays: the store's cache, the tables of compression, the threads.
        follow(daemon, [query(f"tag:{tag} OR tag:w{number}") for number in range(20) for tag in TAGS])
        before_mb = daemon.process.resident_mb()
        follow(daemon, [query(f"tag:{TAGS[number % len(TAGS)]} OR tag:x{number}") for number in range(asked)])
        grown_mb = daemon.process.resident_mb() - before_mb
        held = held_bytes(daemon)
    what = f"{asked:,} different feeds asked for: "
    report.alone("selections", f"{what}bytes of feeds held", "MB", [held / 1e6], at_most=BUDGET_MB * 1.05)
    report.alone("selections", f"{what}growth of resident memory", "MB", [grown_mb], at_most=BUDGET_MB)
    report.alone("selections", f"{what}resident memory", "MB", [before_mb + grown_mb])


def held_bytes(daemon):
    """What the daemon itself says that its feeds hold."""
    _, _, text = get(daemon.admin, "/metrics")
    lines = [line for line in text.decode().splitlines() if line.startswith("tidings_feeds_bytes")]
    return float(lines[0].split()[-1])


def cold(bench, report):
    articles = ARTICLES // 100 if bench.quick else ARTICLES
    daemon = Tidings(bench.programs, bench.fresh("cold"))
    filled = machine.result([bench.programs["load"], "fill", *daemon.store(), "--count", articles, "--seed", 5], 3_000)
    report.note(f"selections: {articles:,} articles filled in at {filled['count'] / filled['seconds']:,.0f} a second.")
    # A store at rest: the disk is not still busy with gigabytes of the filling.
    os.sync()
    daemon.start()
    first = [wait_ms(daemon, path) for path in ("/rss.xml", "/atom.xml", "/feed.json", f"/{CATEGORY}/atom.xml")]
    kinds = {
        "newsroom and category": first,
        "a tag": [wait_ms(daemon, f"/tags/{tag}/rss.xml") for tag in TAGS],
        "a query": [wait_ms(daemon, query(f"category:{CATEGORY} AND NOT (tag:{one} OR tag:{other})"))
                    for one in TAGS for other in TAGS if one < other],
        "a page far behind": [wait_ms(daemon, path) for path in far(daemon)],
    }
    resident_mb = daemon.process.resident_mb()
    daemon.process.end()
    for name, waits in kinds.items():
        what = f"cold feed at {articles:,} articles, first byte: {name}"
        report.alone("selections", what, "ms", waits, at_most=20)
        report.alone("selections", f"{what}, the longest of {len(waits)}", "ms", [max(waits)], at_most=20)
    report.alone("selections", f"resident memory at {articles:,} articles", "MB", [resident_mb])


def far(daemon):
    """Archives of days that nobody has asked for; their address stands in a feed."""
    path = "/rss.xml"
    found = []
    for _ in range(12):
        body = ask(daemon, path).decode()
        marker = 'rel="prev-archive"'
        if marker not in body:
            break
        link = next(part for part in body.split("<atom:link")[1:] if marker in part.split(">")[0])
        path = "/" + link.split('href="')[1].split('"')[0].split("/", 3)[-1]
        # The same day in another format has not been built.
        found.append(path.replace("rss.xml", "atom.xml"))
    return found


def wait_ms(daemon, path):
    """From the request to the first byte of the answer, on a connection that is open."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    connection.connect()
    started = time.monotonic()
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    waited = time.monotonic() - started
    answer.read()
    connection.close()
    if answer.status == 308:
        return wait_ms(daemon, "/" + answer.headers["Location"].split("/", 3)[-1])
    if answer.status != 200:
        raise SystemExit(f"{path} is not served: {answer.status}")
    return waited * 1e3

"""Feed GETs beside nginx with the very same bytes: rate, processor time for each request, 99th percentile."""

import gzip
import random
import time

import machine
from servers import CATEGORY, Nginx, Tidings, get, nginx_version

# A paragraph or two: 50 such items, with all that is around them, make a feed of 70 KB.
TEXT_BYTES = 100
# A sample during which others used more of the machine than this is taken again, twice at most.
FOREIGN_MAX = 0.08
RETAKES = 2
# What a sample gives, and its unit.
COLUMNS = [("rate", "GET/s"), ("cpu_us", "µs CPU each"), ("p99_us", "µs p99")]
# What the ratio to nginx is to reach, on one core each.
TARGETS = {
    ("200 gzip", "rate"): {"at_least": 1.1},
    ("200 gzip", "cpu_us"): {"at_most": 0.9},
    ("304", "rate"): {"at_least": 1.0},
    ("304", "cpu_us"): {"at_most": 1.0},
    ("200 identity", "rate"): {"at_least": 1.0},
}
PATH = f"/{CATEGORY}/rss.xml"


def run(bench, report):
    seconds, rounds = (1, 3) if bench.quick else (2, 5)
    with Tidings(bench.programs, bench.fresh("feeds")) as daemon:
        articles = [bench.programs["load"], "publish", *daemon.api(), "--count", 50, "--bytes", TEXT_BYTES]
        machine.result(articles, 60)
    # One core for the server, one for the load; then both for both. wrk is known to everybody, but with a core of its own
    # it is that core that ends first, and every server that could give more looks the same.
    def load(server, headers, status, seconds):
        return machine.gets(bench.programs["load"], server.port, PATH, headers, status, seconds, 32, 1)

    def wrk(server, headers, _, seconds):
        return machine.wrk(f"http://127.0.0.1:{server.port}{PATH}", headers, seconds, 2, 64)

    for name, threads, core, ask in [("1 core", 1, 0, load), ("2 cores, shared with wrk", 2, None, wrk)]:
        daemon = Tidings(bench.programs, bench.folder / "feeds", threads=threads)
        daemon.start(core)
        # In its first second a feed has no Last-Modified yet.
        time.sleep(1.1)
        plain, packed, headers = fetch(daemon.port)
        nginx = Nginx(bench.folder / "nginx", threads, plain, packed, headers)
        nginx.start(core)
        if fetch(nginx.port)[:2] != (plain, packed):
            raise SystemExit("nginx does not serve the same bytes")
        servers = {"tidings": daemon, "nginx": nginx}
        samples = measure(servers, seconds, rounds, ask, bench.quick)
        add_rows(report, name, samples)
        for server in servers.values():
            server.process.end()
    report.note(f"feeds: RSS with 50 full texts, {len(plain):,} B, as gzip {len(packed):,} B; {nginx_version()} with "
                "sendfile, tcp_nopush, open_file_cache, gzip_static and as many workers as tidings has threads; with 1 "
                "core our own load on the other, with 32 connections (wrk was at its core's end before the server was), "
                f"with 2 wrk with 64; {seconds} s a sample, {rounds} rounds in shuffled order; processor time is that of the whole "
                "process tree, the kernel's work for it included.")


def fetch(port):
    """The feed plain, its gzip bytes, its headers. The two have to be the same text."""
    (_, headers, plain), (_, _, packed) = get(port, PATH), get(port, PATH, Accept_Encoding="gzip")
    if gzip.decompress(packed) != plain:
        raise SystemExit("the compressed feed is another one than the plain feed")
    return plain, packed, headers


def scenarios(port):
    """Request headers and status of each scenario; the tag for 304 is the server's own."""
    tag = get(port, PATH, Accept_Encoding="gzip")[1]["ETag"]
    known = {"Accept_Encoding": "gzip", "If_None_Match": tag}
    if get(port, PATH, **known)[0] != 304:
        raise SystemExit(f"a conditional GET on port {port} was not answered with 304")
    packed = "Accept-Encoding: gzip"
    return {"200 gzip": ([packed], 200), "304": ([packed, f"If-None-Match: {tag}"], 304), "200 identity": ([], 200)}


def measure(servers, seconds, rounds, ask, quick):
    """Samples by scenario and server, one a round."""
    plans = {name: scenarios(server.port) for name, server in servers.items()}
    visits = [(name, scenario) for name, plan in plans.items() for scenario in plan]
    samples = {visit: [] for visit in visits}
    dice = random.Random(1)
    for number in range(rounds + 1):
        dice.shuffle(visits)
        for name, scenario in visits:
            # The first round only warms up.
            length = seconds if number else 1
            retakes = RETAKES if number and not quick else 0
            sample = one(servers[name], *plans[name][scenario], length, ask, retakes)
            if number:
                samples[name, scenario].append(sample)
    return samples


def one(server, headers, status, seconds, ask, retakes):
    """The least disturbed of a few tries."""
    best = None
    for _ in range(1 + retakes):
        share = machine.BusyShare()
        share.begin()
        before = server.process.cpu_s()
        sample = ask(server, headers, status, seconds)
        used_s = server.process.cpu_s() - before
        sample["cpu_us"] = used_s * 1e6 / sample["count"]
        sample["load_busy"] = sample["own_s"] / seconds
        sample["foreign"] = share.foreign(used_s + sample["own_s"])
        if best is None or sample["foreign"] < best["foreign"]:
            best = sample
        if best["foreign"] <= FOREIGN_MAX:
            break
    return best


def add_rows(report, name, samples):
    for scenario in ("200 gzip", "304", "200 identity"):
        ours, theirs = samples["tidings", scenario], samples["nginx", scenario]
        for key, unit in COLUMNS:
            target = TARGETS.get((scenario, key), {})
            values = [[sample[key] for sample in side] for side in (ours, theirs)]
            report.beside("feeds", f"{scenario}, {name}", unit, values[0], "nginx", values[1], **target)
    foreign = [sample["foreign"] for side in samples.values() for sample in side]
    report.note(f"feeds, {name}: others used {100 * sum(foreign) / len(foreign):.0f} % of the machine meanwhile, "
                f"{100 * max(foreign):.0f} % at most; the load took {busy(samples, 'tidings')} of a core before tidings, "
                f"{busy(samples, 'nginx')} before nginx.")


def busy(samples, name):
    """What the load took of a core, from the least to the most of the scenarios."""
    shares = [sum(one["load_busy"] for one in side) / len(side) for (server, _), side in samples.items() if server == name]
    return f"{min(shares):.2f} to {max(shares):.2f}"

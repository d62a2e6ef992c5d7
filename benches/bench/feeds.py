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
        load = [bench.programs["load"], "publish", *daemon.api(), "--count", 50, "--bytes", TEXT_BYTES]
        machine.result(load, 60)
    # One core for the server, one for wrk; then both for both.
    for name, threads, core, wrk_core, connections in [
        ("1 core", 1, 0, 1, 32),
        ("2 cores, shared with wrk", 2, None, None, 64),
    ]:
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
        samples = measure(servers, seconds, rounds, threads, connections, wrk_core, bench.quick)
        add_rows(report, name, samples)
        for server in servers.values():
            server.process.end()
    report.note(f"feeds: RSS with 50 full texts, {len(plain):,} B, as gzip {len(packed):,} B; {nginx_version()} with "
                "sendfile, tcp_nopush, open_file_cache, gzip_static and as many workers as tidings has threads; wrk "
                f"for {seconds} s a sample, {rounds} rounds in shuffled order; processor time is that of the whole "
                "process tree, the kernel's work for it included.")


def fetch(port):
    """The feed plain, its gzip bytes, its headers. The two have to be the same text."""
    (_, headers, plain), (_, _, packed) = get(port, PATH), get(port, PATH, Accept_Encoding="gzip")
    if gzip.decompress(packed) != plain:
        raise SystemExit("the compressed feed is another one than the plain feed")
    return plain, packed, headers


def scenarios(port):
    """Request headers of each scenario; the tag for 304 is the server's own."""
    tag = get(port, PATH, Accept_Encoding="gzip")[1]["ETag"]
    known = {"Accept_Encoding": "gzip", "If_None_Match": tag}
    if get(port, PATH, **known)[0] != 304:
        raise SystemExit(f"a conditional GET on port {port} was not answered with 304")
    packed = "Accept-Encoding: gzip"
    return {"200 gzip": [packed], "304": [packed, f"If-None-Match: {tag}"], "200 identity": []}


def measure(servers, seconds, rounds, threads, connections, core, quick):
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
            sample = one(servers[name], plans[name][scenario], length, threads, connections, core, retakes)
            if number:
                samples[name, scenario].append(sample)
    return samples


def one(server, headers, seconds, threads, connections, core, retakes):
    """The least disturbed of a few tries."""
    best = None
    for _ in range(1 + retakes):
        share = machine.BusyShare()
        share.begin()
        before = server.process.cpu_s()
        sample = machine.wrk(f"http://127.0.0.1:{server.port}{PATH}", headers, seconds, threads, connections, core)
        used_s = server.process.cpu_s() - before
        sample["cpu_us"] = used_s * 1e6 / sample["count"]
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
                f"{100 * max(foreign):.0f} % at most.")

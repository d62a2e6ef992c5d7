"""Digests for 100,000 subscribers with 50 selections, and the look for what is due among 1,000,000 subscriptions."""

import os
import shutil
import socket
import subprocess

import machine
from servers import Tidings

SUBSCRIBERS = 100_000
SELECTIONS = 50
SUBSCRIPTIONS = 1_000_000


def run(bench, report):
    subscribers = SUBSCRIBERS // 10 if bench.quick else SUBSCRIBERS
    subscriptions = SUBSCRIPTIONS // 10 if bench.quick else SUBSCRIPTIONS
    compose(bench, report, subscribers)
    tick(bench, report, subscriptions)


def compose(bench, report, subscribers):
    daemon = Tidings(bench.programs, bench.fresh("digests"))
    sink = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = daemon.folder / "tidings.toml"
    config.write_text(config.read_text() + f'\n[mail.smtp]\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n')
    command = [bench.programs["load"], "digest", "--config", config, "--subscribers", subscribers,
               "--selections", SELECTIONS, "--articles", 200]
    # As root it wants to be told whom to run as.
    user = ["-u", "root"] if os.geteuid() == 0 else []
    process = subprocess.Popen([sink, *user, f"127.0.0.1:{port}", "128"]) if sink else None
    try:
        done = machine.result(command + (["--port", port] if process else []), 1_800)
    finally:
        if process:
            process.kill()
            process.wait()
    what = f"digests of {subscribers:,} subscribers, {SELECTIONS} selections"
    report.alone("digests", f"{what}: made due", "/s", [done["due_rate"]])
    if process:
        report.alone("digests", f"{what}: composed, addressed and sent into smtp-sink", "/s", [done["sent_rate"]])


def tick(bench, report, subscriptions):
    daemon = Tidings(bench.programs, bench.fresh("tick"))
    done = machine.result([bench.programs["load"], "tick", "--config", daemon.folder / "tidings.toml",
                           "--subscriptions", subscriptions, "--due", subscriptions // 100], 1_800)
    what = f"among {subscriptions:,} subscriptions"
    report.alone("digests", f"a look for what is due {what}, p50, nothing due", "µs", [done["idle_p50_us"]])
    report.alone("digests", "the same, p99", "µs", [done["idle_p99_us"]])
    report.alone("digests", f"{done['due']:,} due {what}: made due", "/s", [done["due_rate"]])

"""Builds, measures the parts that are named (all by default), prints one Markdown table. Run it as `scripts/bench`."""

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import digests
import feeds
import mail
import publish
import scale
import selections
from report import Report

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"feeds": feeds.run, "publish": publish.run, "visible": publish.visible, "selections": selections.run,
         "scale": scale.run, "digests": digests.run, "mail": mail.run}


class Bench:
    """What the parts share: the programs and a working folder on one file system."""

    def __init__(self, quick, programs, folder):
        self.quick, self.programs, self.folder = quick, programs, folder

    def fresh(self, name):
        """An empty folder of this name."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


def build():
    """The release build of the daemon and of the load, by name of the program."""
    command = ["cargo", "build", "--release", "--bin", "tidings", "--bench", "load"]
    done = subprocess.run([*command, "--message-format=json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit("the build failed")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
    return {message["target"]["name"]: Path(message["executable"]) for message in messages if message.get("executable")}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="short samples and a tenth of the articles: a look, no result")
    asked = parser.parse_args()
    unknown = [part for part in asked.parts if part not in PARTS]
    if unknown:
        parser.error(f"found {', '.join(unknown)}, expected some of {', '.join(PARTS)}")
    # An end by signal is an exception here, so that every `with` ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    folder = ROOT / "target" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    bench, report = Bench(asked.quick, build(), folder), Report()
    started = time.monotonic()
    for part in asked.parts or PARTS:
        print(f"{part} …", file=sys.stderr, flush=True)
        PARTS[part](bench, report)
    told = " ".join(["scripts/bench", *asked.parts, *["--quick"] * asked.quick])
    report.note("Shown are medians; the ratio is the median of the ratios round by round.")
    system = f"{os.cpu_count()} cores, Linux {platform.release().split('-')[0]}"
    report.note(f"Repeat with `{told}`: {time.monotonic() - started:.0f} s here ({system}; {datetime.date.today()}, "
                f"load {os.getloadavg()[0]:.1f} at the end).")
    text = report.markdown()
    (folder / "report.md").write_text(text)
    print(text)


main()

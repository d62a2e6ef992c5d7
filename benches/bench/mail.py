"""One article to many subscribers, beside Postfix's smtp-source: the same sink, connections and sizes of messages."""

import http.client
import json
import os
import re
import resource
import subprocess
import time

import machine
from servers import CATEGORY, Tidings, get

# What Postfix has to one destination where nobody says otherwise; and half of that, with which fewer wait for smtp-sink.
CONNECTIONS = 20
FEW = 10
COUNT = 100_000
MANY = 1_000_000
# Memory is flat if a million take at most this many times what the largest of the runs to a hundred thousand took, which
# differ by a fifth among themselves.
FLAT = 1.1
# As long as a summary may be; with what is not ASCII, encoded, it makes a mail of about 8 KiB, in which it stands twice.
SUMMARY = ("Наука: research and industry go different ways now. " * 40)[:1_990]
# Kinds of keys, connections, and what is to be reached of smtp-source's rate. What RSA comes to is up to the signer: its
# own limit stands in the table.
SENDINGS = {
    "unsigned": ((), CONNECTIONS, 1.2),
    f"unsigned, {FEW} connections": ((), FEW, 1.2),
    "Ed25519": (("ed25519",), CONNECTIONS, 0.8),
    "RSA-2048": (("rsa",), CONNECTIONS, None),
}


def run(bench, report):
    count, rounds = (COUNT // 10, 3) if bench.quick else (COUNT, 5)
    daemon = Mailing(bench, "mail")
    daemon.subscribe(count)
    samples = {name: sample(bench, kinds) for name, (kinds, _, _) in SENDINGS.items()}
    ours, theirs = ({name: [] for name in SENDINGS} for _ in range(2))
    sink = Sink(bench)
    for number in range(rounds + 1):
        for name, (kinds, connections, _) in SENDINGS.items():
            sent = daemon.send(sink.port, kinds, count, f"{number} {name}", connections)
            beside = source(bench.folder, sink.port, samples[name], count, connections)
            # The first round only warms up.
            if number:
                ours[name].append(sent)
                theirs[name].append(beside)
    for name, (_, _, target) in SENDINGS.items():
        rate = [run["rate"] for run in ours[name]]
        their_rate = [run["rate"] for run in theirs[name]]
        report.beside("mail", f"mails, {name}", "/s", rate, "smtp-source", their_rate, at_least=target)
        cpu = [run["cpu_us"] for run in ours[name]]
        their_cpu = [run["cpu_us"] for run in theirs[name]]
        report.beside("mail", f"CPU a mail, {name}", "µs", cpu, "smtp-source", their_cpu)
    signer = openssl()
    if signer:
        rate = [run["rate"] for run in ours["RSA-2048"]]
        what = "mails, RSA-2048, beside one core that only signs"
        report.beside("mail", what, "/s", rate, "openssl speed", [signer] * rounds)
    peaks = {name: max(run["peak_mb"] for run in ours[name]) for name in SENDINGS}
    for name, peak in peaks.items():
        report.alone("mail", f"memory at its peak while sending to {count:,}, {name}", "MB", [peak], at_most=200)
    if not bench.quick:
        many = Mailing(bench, "mail-many")
        many.subscribe(MANY)
        large = many.send(sink.port, (), MANY, "many")
        report.alone("mail", f"memory at its peak while sending to {MANY:,}", "MB", [large["peak_mb"]], at_most=200)
        what = f"memory at its peak, to {MANY:,} beside the largest of {count:,}"
        report.beside("mail", what, "MB", [large["peak_mb"]], "unsigned", [peaks["unsigned"]], at_most=FLAT)
        report.alone("mail", f"mails, unsigned, to {MANY:,}", "/s", [large["rate"]])
    sink.process.end()
    sizes = ", ".join(f"{len(mail):,} bytes {name}" for name, mail in samples.items())
    report.note(f"mail: one article to {count:,} instant subscribers, from the API's 201 to the last mail that is durably "
                f"closed in the ledger, by {CONNECTIONS} connections, or as many as are named, without TLS to smtp-sink on "
                f"the same cores; {sizes}; smtp-source -d with as many in turn with it, {rounds} rounds after one to warm up.")


class Mailing(Tidings):
    """A daemon with subscribers that sends into a sink, or without one into its outbox."""

    def __init__(self, bench, name):
        super().__init__(bench.programs, bench.fresh(name))
        self.plain = self.config.read_text()

    def subscribe(self, count):
        machine.result([self.programs["load"], "subscribers", *self.store(), "--count", count], 900)

    def configure(self, port, kinds, connections=CONNECTIONS):
        """Signs with a key of each of `kinds`."""
        keys = "keys-" + "-".join(kinds)
        # Every round is one more mail of the day to everybody.
        text = f"{self.plain}[subscriptions]\ninstant_per_day_max = 10000\n"
        text += f'[mail]\ngrace_s = 0\nfrom = "Bench <news@example.org>"\ndkim_folder = "{keys}"\n'
        if port:
            text += f'[mail.smtp]\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nconnections = {connections}\n'
            text += "messages_per_connection = 1000000\n"
        self.config.write_text(text)
        for kind in kinds:
            if not (self.folder / keys / f"{kind}.pem").exists():
                command = [self.programs["tidings"], "mail", "dkim", "--create", kind, "--algorithm", kind]
                subprocess.run([*command, "--config", self.config], check=True, capture_output=True)

    def publish(self, title):
        """When the 201 came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        article = {"title": f"Ставки and prices {title}", "summary": SUMMARY, "categories": [CATEGORY]}
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection.request("POST", "/api/v1/articles", json.dumps(article), headers)
        answer = connection.getresponse()
        if answer.status != 201:
            raise SystemExit(f"the article was refused: {answer.read().decode()}")
        return time.monotonic()

    def sent(self):
        found = re.search(r"^tidings_mail_sent_total (\d+)", get(self.admin, "/metrics")[2].decode(), re.MULTILINE)
        return int(found[1]) if found else 0

    def send(self, port, kinds, count, title, connections=CONNECTIONS):
        """One article to all, by a daemon started for it: rate, processor time a mail, memory at its peak."""
        self.configure(port, kinds, connections)
        with self:
            before = self.process.cpu_s()
            started = self.publish(title)
            machine.wait_until(lambda: self.sent() >= count, f"{count:,} mails", 1_800, rest_s=0.05)
            seconds = time.monotonic() - started
            used_s = self.process.cpu_s() - before
            peak_mb = self.process.peak_mb()
        return {"rate": count / seconds, "cpu_us": used_s * 1e6 / count, "peak_mb": peak_mb}


class Sink:
    """Postfix's smtp-sink; it throws everything away."""

    def __init__(self, bench):
        (self.port,) = machine.free_ports(1)
        # As root it wants to be told whom to run as.
        user = [] if os.geteuid() else ["-u", "nobody"]
        command = ["smtp-sink", *user, f"127.0.0.1:{self.port}", "1000"]
        self.process = machine.Process(command, log=bench.folder / "sink")
        time.sleep(0.5)


def sample(bench, kinds):
    """A mail as it goes out."""
    daemon = Mailing(bench, "mail-sample")
    daemon.subscribe(1)
    daemon.configure(None, kinds)
    with daemon:
        daemon.publish("0 sample")
        outbox = daemon.folder / "data" / "outbox"
        (file,) = machine.wait_until(lambda: list(outbox.glob("*.eml")), "a mail")
        return file.read_bytes()


def source(folder, port, mail, count, connections):
    """smtp-source with the same: rate and processor time a mail."""
    file = folder / "mail.eml"
    file.write_bytes(mail.replace(b"\r\n", b"\n"))
    command = ["smtp-source", "-d", "-s", connections, "-m", count, "-F", file, "-f", "news@example.org",
               "-t", "reader@example.net", f"127.0.0.1:{port}"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([str(part) for part in command], check=True, timeout=600)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rate": count / seconds, "cpu_us": used_s * 1e6 / count}


def openssl():
    """Signatures a second of RSA-2048 on one core, if openssl is there."""
    try:
        done = subprocess.run(["openssl", "speed", "-seconds", "2", "rsa2048"], capture_output=True, text=True, timeout=60)
    except OSError:
        return None
    found = re.search(r"rsa\s+2048 bits\s+\S+\s+\S+\s+([\d.]+)", done.stdout)
    return float(found[1]) if found else None

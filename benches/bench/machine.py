"""What is asked of the machine: processes and their cost, free ports, sizes on disk, the busy share of the cores."""

import atexit
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

# A child that does not end within this long after SIGTERM is killed.
END_S = 20


class Process:
    """A child process. Whatever way the benchmark ends, all of them are ended, by their ids."""

    running = []

    def __init__(self, command, core=None, log=None, **more):
        command = [str(part) for part in command]
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        out = open(log, "ab") if log else subprocess.DEVNULL
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **more)
        if log:
            out.close()
        Process.running.append(self)

    def end(self, how=signal.SIGTERM):
        """Asks it to end and waits; kills it if it does not."""
        if self.child.poll() is None:
            self.child.send_signal(how)
        try:
            self.child.wait(END_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        Process.running.remove(self)

    def tree(self):
        """Its id and those of its children, which is as deep as the servers measured here go."""
        found = [self.child.pid]
        for pid in found:
            try:
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except OSError:
                pass
        return found

    def cpu_s(self):
        """Seconds that all its threads have run until now, kernel work for them included."""
        total = 0
        for pid in self.tree():
            for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    total += int(task.read_text().split()[0])
                except (OSError, IndexError):
                    pass
        return total / 1e9

    def resident_mb(self):
        """Memory that is resident now."""
        return self.memory_mb("VmRSS")

    def peak_mb(self):
        """The most that was resident at any moment since the start."""
        return self.memory_mb("VmHWM")

    def memory_mb(self, what):
        kib = 0
        for pid in self.tree():
            found = re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
            kib += int(found[1]) if found else 0
        return kib / 1024


@atexit.register
def end_all():
    """Ends what an error left running."""
    for process in list(Process.running):
        process.end()


class BusyShare:
    """Share of the machine that others used since `begin`."""

    def begin(self):
        self.before = self._now()

    def foreign(self, own_s):
        """`own_s` are the processor seconds that the measurement itself took."""
        busy, total = (now - before for now, before in zip(self._now(), self.before))
        return max(0.0, busy / os.sysconf("SC_CLK_TCK") - own_s) / max(total / os.sysconf("SC_CLK_TCK"), 1e-9)

    @staticmethod
    def _now():
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def disk_bytes(folder):
    """What a folder takes up on disk."""
    return sum(path.stat().st_blocks * 512 for path in Path(folder).rglob("*") if path.is_file())


def result(command, time_max_s):
    """Runs a program that prints one JSON object, and returns that. What others left unwritten is written before."""
    command = [str(part) for part in command]
    os.sync()
    done = subprocess.run(command, capture_output=True, text=True, timeout=time_max_s)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nfailed: {done.stderr.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def wrk(url, headers, seconds, threads, connections):
    """One run of wrk: requests a second, requests, 99th percentile in microseconds, its own processor seconds."""
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "5s"]
    for header in headers:
        command += ["-H", header]
    before = os.times()
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 30)
    after = os.times()
    text = done.stdout
    wrong = re.search(r"(Non-2xx or 3xx responses|Socket errors): (.*)", text)
    if done.returncode != 0 or wrong:
        raise SystemExit(f"wrk at {url}: {wrong[0] if wrong else text + done.stderr}")
    tail, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "count": int(re.search(r"(\d+) requests in", text)[1]),
        "p99_us": float(tail) * {"us": 1, "ms": 1e3, "s": 1e6}[unit],
        "own_s": after.children_user + after.children_system - before.children_user - before.children_system,
    }


def gets(load, port, path, headers, status, seconds, connections, core):
    """As `wrk`, by our own load, which takes less of its core; every answer has to have `status`."""
    command = ["taskset", "-c", core, load, "get", "--address", f"127.0.0.1:{port}", "--path", path, "--status", status,
               "--seconds", seconds, "--connections", connections]
    for header in headers:
        command += ["--header", header]
    before = os.times()
    done = result(command, seconds + 30)
    after = os.times()
    own_s = after.children_user + after.children_system - before.children_user - before.children_system
    return {**done, "own_s": own_s}


def wait_until(condition, what, time_max_s=60.0, rest_s=0.01):
    """Waits for `condition` and returns what it gives; ends the benchmark if it never comes."""
    end = time.monotonic() + time_max_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(rest_s)
    raise SystemExit(f"{what} did not happen within {time_max_s:.0f} s")

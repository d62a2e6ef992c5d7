"""The daemon and nginx, each with configuration files and a port of its own below the working folder."""

import http.client
import re
import shutil
import subprocess
import time
from pathlib import Path

from machine import Process, free_ports, wait_until

CATEGORY = "science"


def get(port, path, **headers):
    """One GET on a new connection: status, headers, body; none while nobody listens."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Accept-Encoding": "identity", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except (ConnectionError, OSError):
        return None
    finally:
        connection.close()


class Tidings:
    """A daemon in a folder of its own. `prepare` alone is enough for work on its store."""

    def __init__(self, programs, folder, threads=2, feed_limit=50, feeds_bytes=None):
        self.programs, self.folder, self.threads = programs, Path(folder), threads
        self.port, self.admin = free_ports(2)
        self.config = self.folder / "tidings.toml"
        (self.folder / "feeds").mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f'[site]\ntitle = "Bench"\ndescription = "Measured."\nbase_url = "http://127.0.0.1:{self.port}/"\n'
            f'[server]\nlisten = "127.0.0.1:{self.port}"\nadmin_listen = "127.0.0.1:{self.admin}"\nthreads = {threads}\n'
            f'{"" if feeds_bytes is None else f"feeds_bytes_max = {feeds_bytes}"}\n'
            f'[store]\nfolder = "data"\n[feeds]\nfolder = "feeds"\n[log]\nlevel = "warn"\n'
        )
        feed = f'title = "Science"\ndescription = "Research and industry."\nlimit = {feed_limit}\n'
        (self.folder / "feeds" / f"{CATEGORY}.toml").write_text(feed)
        self.process = None
        self.key = None

    def start(self, core=None):
        """Starts it. Returns the seconds from there to the first feed that was answered, waiting closely."""
        started = time.monotonic()
        command = [self.programs["tidings"], "serve", "--config", self.config]
        self.process = Process(command, core=core, log=self.folder / "log")
        wait_until(self._answers, f"{self.folder.name}: the first feed", rest_s=0.001)
        return time.monotonic() - started

    def _answers(self):
        if self.process.child.poll() is not None:
            raise SystemExit(f"the daemon ended at its start:\n{(self.folder / 'log').read_text()[-2000:]}")
        answer = get(self.port, f"/{CATEGORY}/rss.xml")
        return answer and answer[0] == 200

    def make_key(self):
        """An API key, made as an operator would."""
        command = [self.programs["tidings"], "keys", "create", "bench", "--config", self.config]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.key = re.search(r"^key\s+(\S+)", text, re.MULTILINE)[1]

    def api(self):
        """How the load finds it."""
        return ["--address", f"127.0.0.1:{self.port}", "--key", self.key, "--category", CATEGORY]

    def store(self):
        """How the load finds its store."""
        return ["--config", self.config, "--category", CATEGORY]

    def __enter__(self):
        self.start()
        self.make_key()
        return self

    def __exit__(self, *_):
        self.process.end()


class Nginx:
    """nginx, tuned for static files: the feed's own bytes, once plain and once as the same gzip bytes."""

    def __init__(self, folder, workers, plain, packed, headers):
        folder = Path(folder)
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "root" / CATEGORY).mkdir(parents=True)
        (folder / "root" / CATEGORY / "rss.xml").write_bytes(plain)
        (folder / "root" / CATEGORY / "rss.xml.gz").write_bytes(packed)
        (self.port,) = free_ports(1)
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # Headers as the daemon sends them; two of them stand on full answers only, there as here.
        (folder / "nginx.conf").write_text(f"""
user root;
daemon off;
worker_processes {workers};
pid {folder}/pid;
error_log {folder}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off; server_tokens off; etag on;
    sendfile on; tcp_nopush on; tcp_nodelay on;
    open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;
    keepalive_timeout 75s; keepalive_requests 1000000000;
    gzip_static on; gzip_vary on;
    default_type "{headers['Content-Type']}";
    map $http_if_none_match $policy {{ "" "{headers['Content-Security-Policy']}"; default ""; }}
    map $http_if_none_match $sniff {{ "" "{headers['X-Content-Type-Options']}"; default ""; }}
    {temporary}
    server {{
        listen 127.0.0.1:{self.port}; root {folder}/root;
        add_header Cache-Control "{headers['Cache-Control']}";
        add_header Content-Security-Policy $policy;
        add_header X-Content-Type-Options $sniff;
    }}
}}
""")
        self.folder = folder
        self.process = None

    def start(self, core=None):
        """Starts it and waits until it answers."""
        command = ["nginx", "-p", self.folder, "-e", self.folder / "error.log", "-c", self.folder / "nginx.conf"]
        self.process = Process(command, core=core, log=self.folder / "log")
        wait_until(lambda: get(self.port, f"/{CATEGORY}/rss.xml"), "an answer of nginx")


def nginx_version():
    """As it names itself."""
    text = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return "nginx " + re.search(r"nginx/([\d.]+)", text)[1]

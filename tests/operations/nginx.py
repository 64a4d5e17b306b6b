"""nginx, with ops/nginx.conf as it stands there, but for the ports, the name and the files of a server."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import free_port
from live import PROJECT, program
from roads import certificate_of_this_host

# Debian installs it where an ordinary user's PATH does not look.
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
SITE = (PROJECT / "ops" / "nginx.conf").read_text()
# Debian's own file, which includes ours, and folders that belong to whoever runs the test.
AROUND = """
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/taskapp.conf;
}}
"""


@dataclass
class Nginx:
    """Where it listens, and whom clients are to believe."""

    plain: str
    url: str
    certificate: Path
    folder: Path


@contextmanager
def nginx(folder: Path, upstream_port: int) -> Iterator[Nginx]:
    """Run it in front of what listens on a port of this host."""
    plain, tls = free_port(), free_port()
    with certificate_of_this_host() as (certificate, key):
        places = {
            # Only 127.0.0.1 is sure to be there.
            r"^ *listen \[::\].*\n": "",
            r"listen 80;": f"listen 127.0.0.1:{plain};",
            r"listen 443 ": f"listen 127.0.0.1:{tls} ",
            r"127\.0\.0\.1:8000;": f"127.0.0.1:{upstream_port};",
            r"/etc/letsencrypt/live/tasks\.example\.com/fullchain\.pem": str(certificate),
            r"/etc/letsencrypt/live/tasks\.example\.com/privkey\.pem": str(key),
            r"/var/log/nginx/": f"{folder}/",
            r"tasks\.example\.com": "localhost",
        }
        site = SITE
        for name, place in places.items():
            site, count = re.subn(name, place, site, flags=re.MULTILINE)
            assert count, name
        (folder / "taskapp.conf").write_text(site)
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
        command = [NGINX or program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        tried = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=60, check=False)
        assert tried.returncode == 0, tried.stderr
        assert "[warn]" not in tried.stderr
        process = subprocess.Popen([*command, "-g", "daemon off;"])
        try:
            _wait_for(tls)
            yield Nginx(f"http://localhost:{plain}", f"https://localhost:{tls}", certificate, folder)
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)

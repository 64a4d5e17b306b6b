"""nginx, with ops/nginx.conf as it stands there, but for the ports, the name and the files of a server."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import parse_headers
from pathlib import Path

import httpx
from conftest import free_port
from connection_paths import certificate_of_this_host
from live import PROJECT, port_of, program
from waiting import DEADLINE_SECONDS, wait_until

from taskapp.web.responses.problems import PROBLEMS

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
    access_log {folder}/access.log;
    error_log {folder}/error.log;
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

    def client(self) -> httpx.Client:
        """Make a client that believes it."""
        return httpx.Client(base_url=self.url, verify=self._context(), trust_env=False, timeout=DEADLINE_SECONDS)

    def answers(self, said: bytes) -> list[httpx.Response]:
        """Say by TLS what no HTTP client says, all at once; return the answers that come until it closes."""
        with (
            socket.create_connection(("127.0.0.1", port_of(self.url)), DEADLINE_SECONDS) as plain,
            self._context().wrap_socket(plain, server_hostname="localhost") as connection,
            connection.makefile("rb") as heard,
        ):
            connection.sendall(said)
            found = []
            while line := heard.readline():
                headers = parse_headers(heard)
                body = heard.read(int(headers["Content-Length"]))
                found.append(httpx.Response(int(line.split()[1]), headers=headers.items(), content=body))
            return found

    def logged(self) -> str:
        """Return all that it has logged anywhere."""
        return "".join(log.read_text() for log in self.folder.glob("*.log"))

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


@contextmanager
def nginx(folder: Path, upstream_port: int, more: str = "", log: str = "crit", site: str = SITE) -> Iterator[Nginx]:
    """Run it in front of what listens on a port of this host.

    :param more: directives that somebody added.
    :param log: the least of what it has to log.
    :param site: ops/nginx.conf, as somebody changed it.
    """
    plain, tls = free_port(), free_port()
    with certificate_of_this_host() as (certificate, key):
        places = {
            # Only 127.0.0.1 is sure to be there.
            r"^ *listen \[::\].*\n": "",
            r"listen 80\b": f"listen 127.0.0.1:{plain}",
            r"listen 443\b": f"listen 127.0.0.1:{tls}",
            r"127\.0\.0\.1:8000;": f"127.0.0.1:{upstream_port};",
            r"/etc/letsencrypt/live/tasks\.example\.com/fullchain\.pem": str(certificate),
            r"/etc/letsencrypt/live/tasks\.example\.com/privkey\.pem": str(key),
            r"/var/log/nginx/taskapp-error.log crit;": f"{folder}/taskapp-error.log {log};",
            r"tasks\.example\.com": "localhost",
        }
        for name, place in places.items():
            site, count = re.subn(name, place, site, flags=re.MULTILINE)
            assert count, name
        (folder / "taskapp.conf").write_text(more + site)
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
        command = [NGINX or program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        tried = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
        assert tried.returncode == 0, tried.stderr
        assert "[warn]" not in tried.stderr
        process = subprocess.Popen([*command, "-g", "daemon off;"])
        try:
            wait_until(lambda: _listens(tls), "nginx listening")
            yield Nginx(f"http://localhost:{plain}", f"https://localhost:{tls}", certificate, folder)
        finally:
            process.terminate()
            process.wait(DEADLINE_SECONDS)


def assert_problem(response: httpx.Response, code: str, detail: str | None = None) -> None:
    """Expect what the application itself would have said."""
    kind = PROBLEMS[code]
    assert response.status_code == kind.status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    # No cache between may keep either.
    assert response.headers["Cache-Control"] in {"no-store", "private, no-cache"}
    problem = response.json()
    assert response.headers["X-Request-Id"] == problem["request_id"]
    assert re.fullmatch("[0-9a-f]{32}", problem.pop("request_id"))
    problem.pop("instance", None)
    assert problem == {
        "type": f"https://localhost/problems/{code.replace('_', '-')}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.meaning,
        "code": code,
    }


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""The audit of what is pinned tells a flaw that is known from none, and no answer from a good one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import free_port

from security.audit import FILES, PROJECT, audit

pytestmark = pytest.mark.extended

FLAW = {
    "id": "PYSEC-2019-217",
    "summary": "The sandbox can be escaped.",
    "affected": [{"package": {"name": "jinja2", "ecosystem": "PyPI"}, "ranges": []}],
}


@contextmanager
def advisories(status: int = 200) -> Iterator[str]:
    """What OSV answers, of which jinja2 2.10 has a flaw and nothing else has; pip-audit asks it as it asks PyPI."""

    class Advisories(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = (asked["package"]["name"], asked["version"]) == ("jinja2", "2.10")
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"vulns": [FLAW]} if known else {}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("jinja2==2.10\nmarkupsafe==1.1.0\n")
    return path


def options(url: str, folder: Path) -> list[str]:
    return ["--vulnerability-service", "osv", "--osv-url", url, "--cache-dir", str(folder / "cache")]


def test_a_flaw_that_is_known_is_told(pinned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with advisories() as url:
        assert audit(pinned, *options(url, tmp_path)) == 1
    assert capsys.readouterr().err == "vulnerable: jinja2 2.10: PYSEC-2019-217\n"


def test_without_a_flaw_all_is_well(pinned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pinned.write_text("markupsafe==1.1.0\n")
    with advisories() as url:
        assert audit(pinned, *options(url, tmp_path)) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("broken", ["nobody listens", "an error"])
def test_where_nobody_answers_it_is_not_audited(
    pinned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    with advisories(500) as url:
        asked = url if broken == "an error" else f"http://127.0.0.1:{free_port()}"
        assert audit(pinned, *options(asked, tmp_path)) == 2
    assert capsys.readouterr().err.startswith("NOT AUDITED: requirements.txt")


@pytest.mark.parametrize("name", FILES)
def test_what_is_audited_exists(name: str) -> None:
    assert (PROJECT / name).exists()

"""What is built is served by an ordinary user, who may write nothing of it.

What is built is the tree of files as it is committed, with the packages of requirements.txt: migrations stand beside the
package, and `flask db`, `flask database` and `/readyz` look for them there. All of it is a copy: the clone and its
environment may lie in a folder that this user may not enter.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import Cluster, free_port
from installation import copy_packages, python
from live import PROJECT, tracked_files, wait_until_up

NOBODY = 65534


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """The committed files and the packages, as root puts them where everybody may read them and nobody else write."""
    folder = Path(tempfile.mkdtemp(prefix="taskapp-"))
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    copy_packages(folder / "packages")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.extended
def test_an_ordinary_user_serves_it_and_writes_nothing_of_it(cluster: Cluster, installed: Path) -> None:
    port = free_port()
    environment = {
        **{name: value for name, value in cluster.environment.items() if name.startswith("TASKAPP_")},
        "TASKAPP_DATABASE_URL": cluster.tcp_url("taskapp_api"),
        "TASKAPP_AUTH_DATABASE_URL": cluster.tcp_url("taskapp_auth"),
        "TASKAPP_PORT": str(port),
        "TASKAPP_WORKERS": "1",
        "PYTHONPATH": str(installed / "packages"),
        "PATH": os.defpath,
    }
    as_somebody = {"user": NOBODY, "group": NOBODY, "extra_groups": ()} if os.geteuid() == 0 else {}
    process = subprocess.Popen([python(), "-m", "gunicorn", "wsgi:app"], cwd=installed, env=environment, **as_somebody)  # type: ignore[call-overload]
    url = f"http://127.0.0.1:{port}"
    try:
        # Ready is who found the migrations, and the database at the last of them.
        wait_until_up(f"{url}/readyz", process, 60)
        with httpx.Client(base_url=url, trust_env=False) as client:
            for path in (
                "/",
                "/docs",
                "/docs/static/start.js",
                "/docs/assets/swagger-ui.css",
                "/problems/",
                "/openapi.json",
            ):
                assert client.get(path).status_code == 200, path
            account = {"email": "ordinary@example.com", "password": "correct horse battery"}
            token = client.post("/v1/auth/register", json=account).json()["tokens"]["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            assert client.post("/v1/tasks", json={"title": "Pay rent"}).status_code == 201
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "Uid:\t0\t" not in status
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
    finally:
        process.terminate()
        process.wait(30)
    assert process.returncode == 0
    ours = [path for path in installed.rglob("*") if path.relative_to(installed).parts[0] != "packages"]
    assert [path for path in ours if "__pycache__" in path.name] == []
    assert [path for path in installed.rglob("*") if path.stat().st_uid != os.geteuid()] == []

"""sqlmap finds no injection at any place of the API; it does find those of an application made to have them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import Cluster, register
from endurance.durations import length
from flask import Flask
from isolation.calls import documented
from live import PROJECT, serving

from security.injection_points import MARK, Request, operation
from security.scene import UNLIMITED, kept_as_it_was, values_of
from security.sqlmap import attack

VULNERABLE_APP = Path(__file__).with_name("vulnerable_app.py")
EVERY = [described["operationId"] for *_, described in documented()]
# At full length too by how long a response takes, which a busy machine changes.
QUICK = ("--level", "1", "--risk", "1", "--technique", length("BEU", "BEST"), "--time-sec", "1")
THOROUGH = ("--level", "3", "--risk", "3", "--time-sec", "1")
# Each request of theirs hashes a password, which takes longer than all else, on purpose.
HASHING = {"registerUser", "login", "createAccessToken", "changeEmail", "changePassword", "deleteMe"}
# In short those with the most to write, in query, body, path and headers.
ATTACKED: list[tuple[str, str]] = length(
    [
        ("listTasks", "content"),
        ("createTask", "content"),
        ("createTask", "headers"),
        ("renameTag", "content"),
    ],
    [(name, group) for name in EVERY for group in ("content", "echo", "headers")],
)


@pytest.fixture(scope="module")
def url(cluster: Cluster, app: Flask) -> Iterator[str]:
    with kept_as_it_was(cluster, app), serving({**cluster.environment, **UNLIMITED}) as url:
        yield url


def answered(url: str, request: Request) -> httpx.Response:
    """Send a request without its marks."""
    plain = {name: value.replace(MARK, "") for name, value in request.headers.items()}
    body = None if request.body is None else request.body.replace(MARK, "")
    with httpx.Client(trust_env=False) as client:
        return client.request(request.method, url + request.target.replace(MARK, ""), headers=plain, content=body)


@pytest.mark.parametrize("name", EVERY)
def test_every_operation_has_requests_with_places(name: str) -> None:
    ids = ("id", "list_id", "task_id", "parent_id", "after", "token_id", "name", "email", "refresh_token")
    made = list(operation(name, dict.fromkeys(ids, "x")).requests("token"))
    for request in made:
        text = request.target + "".join(request.headers.values()) + (request.body or "")
        assert text.count(MARK) == len(request.places)
    assert made[-1].group == "headers"


@pytest.mark.extended
@pytest.mark.parametrize(("name", "group"), ATTACKED)
def test_sqlmap_finds_nothing(url: str, app: Flask, tmp_path: Path, name: str, group: str) -> None:
    person = register(app, name)
    token = person.headers["Authorization"].removeprefix("Bearer ")
    made = {one.group: one for one in operation(name, values_of(person, name)).requests(token)}
    if group not in made:
        pytest.skip("it has no such places")
    # What is refused by itself would be refused with whatever else stands there, before a statement. The guess at a password
    # is counted, and an ETag is compared, by a statement; what the server made is not taken back in another form.
    assert answered(url, made[group]).is_success or group == "echo" or name == "deleteMe", answered(url, made[group]).text
    # What headers say is read for all operations by the same few lines.
    thorough = name == "createTask" or (group != "headers" and name not in HASHING)
    options = length(QUICK, THOROUGH if thorough else QUICK)
    if name == "logout":
        # It succeeds or not by whether the session was brought back since the last time, whatever is sent.
        options = (*options, "--technique", "EST")
    found = attack(url, made[group], tmp_path / "sqlmap", *options)
    assert found.injectable == []
    assert found.tried >= len(made[group].places), found.said


@pytest.mark.extended
def test_sqlmap_finds_what_there_is(cluster: Cluster, tmp_path: Path) -> None:
    shutil.copy(VULNERABLE_APP, tmp_path / "wsgi.py")
    shutil.copy(PROJECT / "gunicorn.conf.py", tmp_path)
    places = ["name", "q", "title", "If-Match"]
    target, headers = "/vulnerable/pg_class*?q=pg_class*", {"Content-Type": "application/json", "If-Match": "pg_class*"}
    request = Request("vulnerable", "content", "POST", target, headers, '{"title": "pg_class*"}', places)
    with serving({**cluster.environment, **UNLIMITED}, tmp_path) as url:
        assert answered(url, request).json() == {"n": [1, 1, 1, 1]}
        found = attack(url, request, tmp_path / "sqlmap", *QUICK, "--technique", length("B", "BEST"))
    assert len(found.injectable) == len(places), found.said

"""The security log (F29): each event is one line that leads to the request and the session, and tells no secret."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from arrange import wish
from conftest import PASSWORD, Admin, Person
from flask import Flask
from journal import Journal, journal
from werkzeug.test import TestResponse

EMAIL = "alice@example.com"
WRONG_PASSWORD = "not the right password"
NEW_PASSWORD = "staple the horse to the moon"


@dataclass
class Scene:
    """Alice, signed in, and every secret that went to and fro."""

    app: Flask
    admin: Admin
    alice: Person
    refresh_token: str
    session_id: str
    secrets: list[str] = field(default_factory=lambda: [PASSWORD, WRONG_PASSWORD, NEW_PASSWORD])

    def post(self, path: str, body: Any = None) -> TestResponse:
        response = self.alice.post(path, body)
        body = response.get_json(silent=True) or {}
        self.secrets += _strings({**body, **body.get("tokens", {})})
        return response


def _strings(tokens: dict[str, Any]) -> list[str]:
    return [tokens[name] for name in ("access_token", "refresh_token", "token") if name in tokens]


@pytest.fixture(autouse=True)
def _nothing_counted(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


@pytest.fixture
def scene(app: Flask, alice: Person, admin: Admin) -> Scene:
    body = alice.post("/v1/auth/login", {"email": EMAIL, "password": PASSWORD}).get_json()
    tokens = body["tokens"]
    alice.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    ((session_id,),) = admin.execute("SELECT id::text FROM app.sessions ORDER BY id DESC LIMIT 1")
    scene = Scene(app, admin, alice, tokens["refresh_token"], session_id)
    scene.secrets += _strings(tokens)
    return scene


def refresh(scene: Scene, token: str) -> TestResponse:
    return scene.post("/v1/auth/refresh", {"refresh_token": token})


def reuse(scene: Scene) -> None:
    successor = refresh(scene, scene.refresh_token).get_json()["tokens"]["refresh_token"]
    refresh(scene, successor)
    assert refresh(scene, scene.refresh_token).status_code == 401


def end_the_other_session(scene: Scene) -> None:
    ((other,),) = scene.admin.execute("SELECT id::text FROM app.sessions WHERE id <> %s", scene.session_id)
    assert scene.alice.delete(f"/v1/auth/sessions/{other}").status_code == 204


def guess_until_refused(scene: Scene) -> None:
    statuses = [scene.post("/v1/auth/login", {"email": EMAIL, "password": WRONG_PASSWORD}).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def make_a_token(scene: Scene) -> str:
    response = scene.post("/v1/auth/tokens", wish())
    assert response.status_code == 201
    assert response.get_json()["token"] in scene.secrets
    return f"/v1/auth/tokens/{response.get_json()['id']}"


IN_THIS_SESSION: dict[str, Callable[[Scene], object]] = {
    "refreshed": lambda scene: refresh(scene, scene.refresh_token),
    "refresh_repeated": lambda scene: (refresh(scene, scene.refresh_token), refresh(scene, scene.refresh_token)),
    "refresh_token_reused": reuse,
    "logged_out": lambda scene: scene.post("/v1/auth/logout"),
    "session_revoked": end_the_other_session,
    "other_sessions_revoked": lambda scene: scene.alice.delete("/v1/auth/sessions"),
    "email_changed": lambda scene: scene.post("/v1/me/email", {"email": "new@example.com", "password": PASSWORD}),
    "password_changed": lambda scene: scene.post("/v1/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD}),
    "account_deleted": lambda scene: scene.post("/v1/me/delete", {"password": PASSWORD}),
    "access_token_created": make_a_token,
    "access_token_revoked": lambda scene: scene.alice.delete(make_a_token(scene)),
    "reauthentication_failed": lambda scene: scene.post("/v1/me/delete", {"password": WRONG_PASSWORD}),
}
WITHOUT_ONE: dict[str, Callable[[Scene], object]] = {
    "registered": lambda scene: scene.post("/v1/auth/register", {"email": "ada@example.com", "password": PASSWORD}),
    "login_succeeded": lambda scene: scene.post("/v1/auth/login", {"email": EMAIL, "password": PASSWORD}),
    "login_failed": lambda scene: scene.post("/v1/auth/login", {"email": EMAIL, "password": WRONG_PASSWORD}),
    "attempt_refused": guess_until_refused,
}
EVENTS = {**IN_THIS_SESSION, **WITHOUT_ONE}
FAILURES = ("login_failed", "reauthentication_failed", "refresh_token_reused")

each_event = pytest.mark.parametrize("event", EVENTS)


def security(log: Journal, event: str) -> list[dict[str, Any]]:
    return [entry for entry in log.entries if entry["logger"] == "taskapp.security" and entry["event"] == event]


@pytest.fixture
def log() -> Iterator[Journal]:
    with journal() as listening:
        yield listening


@each_event
def test_f29_each_event_is_one_line(scene: Scene, log: Journal, event: str) -> None:
    """And it says when, where from, by which request, and in which session."""
    log.lines.clear()
    EVENTS[event](scene)
    (entry,) = security(log, event)
    assert (entry["message"], entry["ip"], entry["time"][-1]) == (event, "127.0.0.1", "Z")
    assert entry["request_id"] == log.requests()[-1]["request_id"]
    if event in IN_THIS_SESSION:
        assert (entry["session_id"], entry["user_id"]) == (scene.session_id, scene.alice.id)


@pytest.mark.parametrize("event", ["registered", "login_succeeded"])
def test_f29_a_line_names_the_session_that_begins(scene: Scene, log: Journal, event: str) -> None:
    log.lines.clear()
    EVENTS[event](scene)
    entry = security(log, event)[-1]
    stored = scene.admin.execute("SELECT user_id::text FROM app.sessions WHERE id = %s", entry["session_id"])
    assert stored == [(entry["user_id"],)]


def test_f29_a_failed_log_in_names_nobody(scene: Scene, log: Journal) -> None:
    log.lines.clear()
    EVENTS["login_failed"](scene)
    (entry,) = security(log, "login_failed")
    assert set(entry) == {"time", "level", "logger", "message", "request_id", "operation", "event", "ip"}


def test_f29_a_refused_attempt_names_nobody_but_where_it_came_from(scene: Scene, log: Journal) -> None:
    guess_until_refused(scene)
    (entry,) = security(log, "attempt_refused")
    assert set(entry) == {"time", "level", "logger", "message", "request_id", "operation", "event", "ip"}


def test_f29_a_guess_refused_in_a_session_names_the_session(scene: Scene, log: Journal) -> None:
    statuses = [scene.post("/v1/me/delete", {"password": WRONG_PASSWORD}).status_code for _ in range(6)]
    assert statuses == [403] * 5 + [429]
    (entry,) = security(log, "attempt_refused")
    assert (entry["session_id"], entry["user_id"], entry["ip"]) == (scene.session_id, scene.alice.id, "127.0.0.1")


def test_f29_a_revoked_session_is_named_too(scene: Scene, log: Journal) -> None:
    end_the_other_session(scene)
    (entry,) = security(log, "session_revoked")
    assert UUID(entry["revoked"]) != UUID(entry["session_id"])


@pytest.mark.parametrize("event", ["access_token_created", "access_token_revoked"])
def test_f29_a_personal_access_token_is_named_by_its_id(scene: Scene, log: Journal, event: str) -> None:
    EVENTS[event](scene)
    (entry,) = security(log, event)
    assert UUID(entry["access_token_id"])


def test_f29_a_request_with_a_personal_access_token_names_whose_it_says_it_is_and_not_the_token(
    scene: Scene, log: Journal
) -> None:
    make_a_token(scene)
    token = scene.secrets[-1]
    scene.alice.headers["Authorization"] = f"Bearer {token}"
    log.lines.clear()
    assert scene.alice.get("/v1/tasks").status_code == 200
    (entry,) = log.requests()
    assert entry["claimed_user_id"] == scene.alice.id
    assert not {"user_id", "session_id"} & set(entry)
    assert token.removeprefix("tsk_pat_")[:8] not in "\n".join(log.lines)


@pytest.mark.parametrize("path", ["/v1/auth/tokens/{}", "/v1/tasks/{}", "/{}/more"])
def test_f29_a_personal_access_token_in_the_path_is_not_logged(scene: Scene, log: Journal, path: str) -> None:
    make_a_token(scene)
    log.lines.clear()
    assert scene.alice.delete(path.format(scene.secrets[-1])).status_code == 404
    (entry,) = log.requests()
    assert entry["path"] == "-"
    assert scene.secrets[-1] not in "\n".join(log.lines)


@each_event
def test_f29_no_token_no_password_and_no_address_is_logged(scene: Scene, log: Journal, event: str) -> None:
    EVENTS[event](scene)
    text = "\n".join(log.lines)
    assert security(log, event)
    assert [secret for secret in [*scene.secrets, "@"] if secret in text] == []


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com", f"{PASSWORD.replace(' ', '.')}@example.com"])
def test_f29_what_was_typed_for_a_failed_log_in_is_not_logged(scene: Scene, log: Journal, email: str) -> None:
    scene.post("/v1/auth/login", {"email": email, "password": WRONG_PASSWORD})
    text = "\n".join(log.lines)
    assert security(log, "login_failed")
    assert email not in text
    assert WRONG_PASSWORD not in text


def test_f29_a_forged_refresh_token_is_no_reuse(scene: Scene, log: Journal) -> None:
    assert refresh(scene, scene.refresh_token[:-4] + "AAAA").status_code == 401
    assert security(log, "refresh_token_reused") == []


def test_f29_a_change_that_failed_is_not_logged_as_made(scene: Scene, bob: Person, log: Journal) -> None:
    body = {"email": "bob@example.com", "password": PASSWORD}
    assert scene.alice.post("/v1/me/email", body).status_code == 409
    assert security(log, "email_changed") == []

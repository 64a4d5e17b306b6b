"""Sessions: the list of where somebody is logged in, and every way in which one of them ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import expect
import pytest
from conftest import PASSWORD, Admin, Person
from flask import Flask

from taskapp import create_app
from taskapp.database.databases import Databases
from taskapp.operations.users.commands import users
from taskapp.services import service

MEMBERS = {"id", "device_name", "user_agent", "ip", "created_at", "last_used_at", "expires_at", "current"}


@pytest.fixture(autouse=True)
def _no_attempts(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


def log_in(app: Flask, device_name: str | None = None, name: str = "alice", **kwargs: Any) -> Person:
    person = Person(app.test_client())
    body = {"email": f"{name}@example.com", "password": PASSWORD, "device_name": device_name}
    response = person.post("/v1/auth/login", body, **kwargs)
    assert response.status_code == 200, response.text
    tokens = response.get_json()["tokens"]
    person.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    person.id = response.get_json()["user"]["id"]
    return person


def log_in_for_tokens(app: Flask) -> dict[str, Any]:
    body = {"email": "alice@example.com", "password": PASSWORD}
    tokens: dict[str, Any] = app.test_client().post("/v1/auth/login", json=body).get_json()["tokens"]
    return tokens


def refresh(app: Flask, tokens: dict[str, Any]) -> Any:
    return app.test_client().post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def sessions(person: Person, query: str = "") -> list[dict[str, Any]]:
    response = person.get(f"/v1/auth/sessions{query}")
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.get_json()["items"]
    return items


def current(person: Person) -> str:
    (only,) = [item["id"] for item in sessions(person) if item["current"]]
    return str(only)


def set_back(admin: Admin, session: str, age: str, left: str) -> None:
    # Both ends move: a session that ends before it began is refused by the table.
    admin.execute(
        "UPDATE app.sessions SET created_at = now() - %s::interval, expires_at = now() + %s::interval WHERE id = %s",
        age,
        left,
        session,
    )


def signed_in(person: Person) -> bool:
    response = person.get("/v1/me")
    if response.status_code != 200:
        expect.problem(response, 401, "invalid_token")
    return response.status_code == 200


def test_a_session_says_where_and_when_it_began(app: Flask, alice: Person) -> None:
    headers = {"User-Agent": "curl/8.5"}
    phone = log_in(app, "Ada's phone", headers=headers, environ_overrides={"REMOTE_ADDR": "203.0.113.7"})
    newest = sessions(phone)[0]
    assert set(newest) == MEMBERS
    assert UUID(newest["id"]).version == 7
    assert newest["device_name"] == "Ada's phone"
    assert newest["user_agent"] == "curl/8.5"
    assert newest["ip"] == "203.0.113.7"
    assert newest["current"] is True
    assert newest["created_at"] == newest["last_used_at"]


def test_a_session_lasts_ninety_days(alice: Person) -> None:
    (session,) = sessions(alice)
    lasts = datetime.fromisoformat(session["expires_at"]) - datetime.fromisoformat(session["created_at"])
    assert abs(lasts - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize("member", ["created_at", "last_used_at", "expires_at"])
def test_the_instants_of_a_session_are_in_utc_with_milliseconds(alice: Person, member: str) -> None:
    (session,) = sessions(alice)
    assert session[member].endswith("Z")
    assert datetime.fromisoformat(session[member]).tzinfo == UTC
    assert len(session[member]) == len("2026-01-01T00:00:00.000Z")


def test_what_is_not_known_of_a_device_is_null(app: Flask, alice: Person) -> None:
    newest = sessions(log_in(app, None, headers={"User-Agent": ""}))[0]
    assert (newest["device_name"], newest["user_agent"]) == (None, None)


def test_an_ipv6_address_is_listed_as_such(app: Flask, alice: Person) -> None:
    there = log_in(app, environ_overrides={"REMOTE_ADDR": "2001:db8::7"})
    assert sessions(there)[0]["ip"] == "2001:db8::7"


def test_a_long_or_odd_user_agent_is_kept_as_far_as_it_can_be(app: Flask, alice: Person) -> None:
    newest = sessions(log_in(app, headers={"User-Agent": "a\x01b" + "x" * 600}))[0]
    assert newest["user_agent"] == ("ab" + "x" * 600)[:512]


@pytest.mark.parametrize(
    ("name", "code"), [("", "too_short"), ("x" * 101, "too_long"), ("a\nb", "invalid_characters"), (7, "invalid_type")]
)
def test_a_device_name_is_one_line_of_up_to_a_hundred_characters(anonymous: Person, name: Any, code: str) -> None:
    body = {"email": "alice@example.com", "password": PASSWORD, "device_name": name}
    assert expect.errors(anonymous.post("/v1/auth/login", body)) == [("#/device_name", code)]


def test_the_list_is_an_envelope_and_ends_with_a_null_cursor(alice: Person) -> None:
    body = alice.get("/v1/auth/sessions").get_json()
    assert set(body) == {"items", "next_cursor"}
    assert body["next_cursor"] is None


def test_the_list_is_not_to_be_stored(alice: Person) -> None:
    assert alice.get("/v1/auth/sessions").headers["Cache-Control"] == "no-store"


def test_sessions_are_listed_newest_first(app: Flask, alice: Person) -> None:
    for name in ("first", "second", "third"):
        log_in(app, name)
    assert [item["device_name"] for item in sessions(alice)] == ["third", "second", "first", None]


def test_exactly_one_session_is_the_current_one(app: Flask, alice: Person) -> None:
    phone = log_in(app, "phone")
    assert [(item["device_name"], item["current"]) for item in sessions(phone)] == [("phone", True), (None, False)]
    assert [(item["device_name"], item["current"]) for item in sessions(alice)] == [("phone", False), (None, True)]


def test_pages_of_sessions_neither_repeat_nor_omit_one(app: Flask, alice: Person) -> None:
    for name in "abcd":
        log_in(app, name)
    seen = []
    path: str | None = "/v1/auth/sessions?limit=2"
    while path is not None:
        page = alice.get(path)
        seen.append([item["device_name"] for item in page.get_json()["items"]])
        cursor = page.get_json()["next_cursor"]
        path = cursor and f"/v1/auth/sessions?limit=2&cursor={cursor}"
    assert seen == [["d", "c"], ["b", "a"], [None]]


def test_sessions_that_began_in_the_same_millisecond_are_paged_through_too(app: Flask, alice: Person, admin: Admin) -> None:
    for name in "abc":
        log_in(app, name)
    admin.execute("UPDATE app.sessions SET created_at = '2026-01-01Z'")
    first = alice.get("/v1/auth/sessions?limit=2").get_json()
    second = alice.get(f"/v1/auth/sessions?limit=2&cursor={first['next_cursor']}").get_json()
    names = [item["device_name"] for item in first["items"] + second["items"]]
    assert names == ["c", "b", "a", None]


def test_a_cursor_of_another_list_is_refused(alice: Person) -> None:
    for title in ("a", "b"):
        assert alice.post("/v1/tasks", {"title": title}).status_code == 201
    cursor = alice.get("/v1/tasks?limit=1").get_json()["next_cursor"]
    expect.problem(alice.get(f"/v1/auth/sessions?cursor={cursor}"), 400, "invalid_cursor")


def test_nobody_sees_the_sessions_of_another(alice: Person, bob: Person) -> None:
    assert len(sessions(alice)) == len(sessions(bob)) == 1
    assert sessions(alice)[0]["id"] != sessions(bob)[0]["id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/auth/sessions"),
        ("DELETE", "/v1/auth/sessions"),
        ("DELETE", "/v1/auth/sessions/00000000-0000-4000-8000-000000000000"),
        ("POST", "/v1/auth/logout"),
    ],
)
def test_sessions_are_for_those_who_are_signed_in(anonymous: Person, method: str, path: str) -> None:
    expect.problem(anonymous(method, path), 401, "missing_token")


def test_logging_out_is_answered_with_nothing(alice: Person) -> None:
    response = alice.post("/v1/auth/logout")
    assert (response.status_code, response.data) == (204, b"")


def test_after_logging_out_the_very_next_request_is_refused(alice: Person) -> None:
    assert signed_in(alice)
    alice.post("/v1/auth/logout")
    expect.problem(alice.get("/v1/me"), 401, "invalid_token")


def test_after_logging_out_the_refresh_token_is_refused(app: Flask, alice: Person) -> None:
    tokens = log_in_for_tokens(app)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert app.test_client().post("/v1/auth/logout", headers=headers).status_code == 204
    expect.problem(refresh(app, tokens), 401, "invalid_token")


def test_logging_out_twice_is_refused(alice: Person) -> None:
    alice.post("/v1/auth/logout")
    expect.problem(alice.post("/v1/auth/logout"), 401, "invalid_token")


def test_logging_out_ends_no_other_session(app: Flask, alice: Person, bob: Person) -> None:
    phone = log_in(app, "phone")
    phone.post("/v1/auth/logout")
    assert signed_in(alice)
    assert signed_in(bob)


def test_a_session_that_was_logged_out_is_not_listed(app: Flask, alice: Person) -> None:
    phone = log_in(app, "phone")
    phone.post("/v1/auth/logout")
    assert [item["device_name"] for item in sessions(alice)] == [None]


def test_revoking_a_session_is_answered_with_nothing(app: Flask, alice: Person) -> None:
    phone = log_in(app, "phone")
    response = alice.delete(f"/v1/auth/sessions/{current(phone)}")
    assert (response.status_code, response.data) == (204, b"")


def test_after_being_revoked_a_session_s_very_next_request_is_refused(app: Flask, alice: Person) -> None:
    phone = log_in(app, "phone")
    assert signed_in(phone)
    alice.delete(f"/v1/auth/sessions/{current(phone)}")
    expect.problem(phone.get("/v1/me"), 401, "invalid_token")
    assert signed_in(alice)


def test_a_revoked_session_is_not_listed(app: Flask, alice: Person) -> None:
    alice.delete(f"/v1/auth/sessions/{current(log_in(app, 'phone'))}")
    assert [item["device_name"] for item in sessions(alice)] == [None]


def test_the_current_session_may_be_revoked(alice: Person) -> None:
    assert alice.delete(f"/v1/auth/sessions/{current(alice)}").status_code == 204
    assert not signed_in(alice)


def test_an_unknown_session_is_not_found(alice: Person) -> None:
    expect.problem(alice.delete(f"/v1/auth/sessions/{uuid4()}"), 404, "not_found")


@pytest.mark.parametrize("id", ["x", "1", "00000000-0000-0000-0000-00000000000g"])
def test_what_is_no_id_is_not_found(alice: Person, id: str) -> None:
    expect.problem(alice.delete(f"/v1/auth/sessions/{id}"), 404, "not_found")


def test_a_session_that_was_revoked_before_is_not_found(app: Flask, alice: Person) -> None:
    phone = current(log_in(app, "phone"))
    alice.delete(f"/v1/auth/sessions/{phone}")
    expect.problem(alice.delete(f"/v1/auth/sessions/{phone}"), 404, "not_found")


def test_a_session_of_another_is_not_found_and_goes_on(alice: Person, bob: Person) -> None:
    expect.problem(alice.delete(f"/v1/auth/sessions/{current(bob)}"), 404, "not_found")
    assert signed_in(bob)


def test_a_session_of_another_and_an_unknown_one_get_one_answer(alice: Person, bob: Person) -> None:
    answers = [alice.delete(f"/v1/auth/sessions/{id}").get_json() for id in (current(bob), uuid4())]
    assert [{**answer, "request_id": 0, "instance": 0} for answer in answers[:1]] == [
        {**answer, "request_id": 0, "instance": 0} for answer in answers[1:]
    ]


def test_revoking_the_others_leaves_the_current_session_alone(app: Flask, alice: Person) -> None:
    phone, laptop = log_in(app, "phone"), log_in(app, "laptop")
    response = phone.delete("/v1/auth/sessions")
    assert (response.status_code, response.data) == (204, b"")
    assert [signed_in(person) for person in (phone, laptop, alice)] == [True, False, False]
    assert [item["device_name"] for item in sessions(phone)] == ["phone"]


def test_revoking_the_others_when_there_are_none_succeeds(alice: Person) -> None:
    assert alice.delete("/v1/auth/sessions").status_code == 204
    assert signed_in(alice)


def test_revoking_the_others_ends_no_session_of_another_user(alice: Person, bob: Person) -> None:
    alice.delete("/v1/auth/sessions")
    assert signed_in(bob)


def test_an_expired_session_is_refused(alice: Person, admin: Admin) -> None:
    set_back(admin, current(alice), "91 days", "-1 s")
    expect.problem(alice.get("/v1/me"), 401, "invalid_token")


def test_an_expired_session_is_not_refreshed(app: Flask, alice: Person, admin: Admin) -> None:
    tokens = log_in_for_tokens(app)
    set_back(admin, sessions(alice)[0]["id"], "90 days", "-1 s")
    expect.problem(refresh(app, tokens), 401, "invalid_token")


def test_an_expired_session_is_neither_listed_nor_found(app: Flask, alice: Person, admin: Admin) -> None:
    phone = current(log_in(app, "phone"))
    set_back(admin, phone, "90 days", "-1 s")
    assert [item["device_name"] for item in sessions(alice)] == [None]
    expect.problem(alice.delete(f"/v1/auth/sessions/{phone}"), 404, "not_found")


def test_a_session_that_has_not_expired_yet_goes_on(alice: Person, admin: Admin) -> None:
    set_back(admin, current(alice), "89 days", "1 minute")
    assert signed_in(alice)


def test_a_session_idle_for_thirty_days_is_not_refreshed(app: Flask, alice: Person, admin: Admin) -> None:
    tokens = log_in_for_tokens(app)
    admin.execute("UPDATE app.sessions SET last_used_at = now() - interval '30 days 1 s'")
    expect.problem(refresh(app, tokens), 401, "invalid_token")


def test_a_session_idle_for_less_than_thirty_days_is_refreshed(app: Flask, alice: Person, admin: Admin) -> None:
    tokens = log_in_for_tokens(app)
    admin.execute("UPDATE app.sessions SET last_used_at = now() - interval '29 days 23:59'")
    assert refresh(app, tokens).status_code == 200


def test_a_session_idle_for_too_long_is_not_listed(app: Flask, alice: Person, admin: Admin) -> None:
    phone = current(log_in(app, "phone"))
    admin.execute("UPDATE app.sessions SET last_used_at = now() - interval '31 days' WHERE id = %s", phone)
    assert [item["device_name"] for item in sessions(alice)] == [None]


def test_how_long_a_session_lasts_is_a_setting(app: Flask, alice: Person) -> None:
    short = create_app(replace(app.config["TASKAPP"], session_days=2))
    phone = log_in(short, "phone")
    newest = sessions(phone)[0]
    service(Databases, short).dispose()
    lasts = datetime.fromisoformat(newest["expires_at"]) - datetime.fromisoformat(newest["created_at"])
    assert abs(lasts - timedelta(days=2)) < timedelta(minutes=1)


def test_a_disabled_account_s_sessions_are_all_refused(app: Flask, alice: Person, bob: Person) -> None:
    phone = log_in(app, "phone")
    result = app.test_cli_runner().invoke(users, ["disable", "alice@example.com"])
    assert result.exit_code == 0, result.output
    assert [signed_in(person) for person in (alice, phone, bob)] == [False, False, True]


def test_a_deleted_account_s_session_is_refused(alice: Person, admin: Admin) -> None:
    admin.execute("DELETE FROM app.users WHERE user_id = %s", alice.id)
    expect.problem(alice.get("/v1/me"), 401, "invalid_token")

"""Personal access tokens over HTTP: made with the password, shown once, good for little, and ended with the sessions."""

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import expect
import pytest
from arrange import apart, script, wish
from concurrency import account_held, holding
from conftest import PASSWORD, Admin, Cluster, Person
from flask import Flask

from taskapp.features.tokens import schemas
from taskapp.operations.users.commands import users
from taskapp.web.authentication import personal_token
from taskapp.web.authentication.personal_token import SCOPES

SOMETHING = "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
NEW_PASSWORD = "staple the horse to the moon"
SHOWN = {"id", "name", "scopes", "prefix", "created_at", "last_used_at", "expires_at"}


@pytest.fixture(autouse=True)
def _nothing_counted(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


@pytest.fixture
def quota(app: Flask) -> Iterator[Callable[[int], None]]:
    """Set how many tokens a user may have."""
    config = app.config["TASKAPP"]

    def set_to(tokens: int) -> None:
        app.config["TASKAPP"] = replace(config, tokens_per_user=tokens)

    yield set_to
    app.config["TASKAPP"] = config


def make(person: Person, **members: Any) -> dict[str, Any]:
    response = person.post("/v1/auth/tokens", wish(**members))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.get_json()
    return made


def tokens(person: Person) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = person.get("/v1/auth/tokens").get_json()["items"]
    return items


def stored(admin: Admin, person: Person) -> list[tuple[Any, ...]]:
    return admin.execute("SELECT to_jsonb(t) FROM app.personal_access_tokens t WHERE user_id = %s", person.id)


def ahead(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


# Making one.


def test_a_token_is_shown_in_the_answer_that_makes_it_and_never_again(alice: Person, admin: Admin) -> None:
    made = make(alice, name=" Backup ", scopes=["lists:read", "tasks:read"])
    assert set(made) == SHOWN | {"token"}
    assert (made["name"], made["scopes"], made["last_used_at"]) == ("Backup", ["lists:read", "tasks:read"], None)
    token = made.pop("token")
    assert tokens(alice) == [made]
    assert token not in alice.get("/v1/auth/tokens").text
    assert token.removeprefix("tsk_pat_")[4:] not in str(stored(admin, alice))


def test_f24_a_token_is_208_random_bits_behind_a_prefix_that_scanners_know(alice: Person) -> None:
    made = [make(alice)["token"] for _ in range(2)]
    assert all(re.fullmatch("tsk_pat_[A-Za-z0-9_-]{56}", token) for token in made)
    random = [base64.urlsafe_b64decode(token.removeprefix("tsk_pat_"))[:-16] for token in made]
    assert [len(secret) * 8 for secret in random] == [208, 208]
    assert random[0] != random[1]


def test_f24_of_a_token_its_sha_256_is_stored_and_four_characters(alice: Person, admin: Admin) -> None:
    made = make(alice)
    ((row,),) = stored(admin, alice)
    assert row["digest"] == "\\x" + personal_token.digest(made["token"]).hex()
    assert row["prefix"] == made["prefix"] == made["token"][: len("tsk_pat_") + 4]


def test_it_can_be_revoked_where_the_location_says(alice: Person) -> None:
    response = alice.post("/v1/auth/tokens", wish())
    assert response.headers["Location"] == f"/v1/auth/tokens/{response.get_json()['id']}"
    assert alice.delete(response.headers["Location"]).status_code == 204
    assert alice.get(response.headers["Location"]).status_code == 405


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/auth/tokens"), ("GET", "/v1/auth/tokens")])
def test_f26_the_answer_is_not_to_be_stored(alice: Person, method: str, path: str) -> None:
    body = wish() if method == "POST" else None
    assert alice(method, path, json=body).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("members", "errors"),
    [
        ({"name": ...}, [("#/name", "required")]),
        ({"name": None}, [("#/name", "not_nullable")]),
        ({"name": "  "}, [("#/name", "too_short")]),
        ({"name": "x" * 101}, [("#/name", "too_long")]),
        ({"name": "a\nb"}, [("#/name", "invalid_characters")]),
        ({"scopes": ...}, [("#/scopes", "required")]),
        ({"scopes": []}, [("#/scopes", "too_few")]),
        ({"scopes": "tasks:read"}, [("#/scopes", "invalid_type")]),
        ({"scopes": ["tasks:read", "tasks"]}, [("#/scopes/1", "invalid_choice")]),
        ({"scopes": ["tasks:read", None]}, [("#/scopes/1", "not_nullable")]),
        ({"scopes": ["tasks:read", "tasks:read"]}, [("#/scopes/1", "duplicate")]),
        ({"expires_at": ...}, [("#/expires_at", "required")]),
        ({"expires_at": None}, [("#/expires_at", "not_nullable")]),
        ({"expires_at": "2027-01-01"}, [("#/expires_at", "invalid_type")]),
        ({"expires_at": "2020-01-01T00:00:00Z"}, [("#/expires_at", "out_of_range")]),
        ({"expires_at": "9999-12-31T23:59:59Z"}, [("#/expires_at", "out_of_range")]),
        ({"password": ...}, [("#/password", "required")]),
        ({"prefix": "tsk_pat_mine"}, [("#/prefix", "unknown_member")]),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_wish_is_told_and_makes_none(
    alice: Person, admin: Admin, members: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    problem = "not_nullable" if {code for _, code in errors} == {"not_nullable"} else "validation_error"
    assert expect.errors(alice.post("/v1/auth/tokens", wish(**members)), problem) == errors
    assert stored(admin, alice) == []


@pytest.mark.parametrize("days", [0.001, 1, 365, 365.9])
def test_f24_a_token_lasts_as_long_as_was_asked_for_up_to_366_days(alice: Person, days: float) -> None:
    asked = ahead(days=days)
    lasts = datetime.fromisoformat(make(alice, expires_at=asked)["expires_at"]) - datetime.fromisoformat(asked)
    assert abs(lasts) < timedelta(milliseconds=1)


def test_f24_a_token_for_more_than_366_days_is_refused(alice: Person) -> None:
    response = alice.post("/v1/auth/tokens", wish(expires_at=ahead(days=366, minutes=1)))
    assert expect.errors(response) == [("#/expires_at", "out_of_range")]


def test_an_expiry_that_only_the_database_finds_too_late_is_told_as_well(
    alice: Person, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Their clocks differ.
    monkeypatch.setattr(schemas, "LONGEST", timedelta(days=400))
    response = alice.post("/v1/auth/tokens", wish(expires_at=ahead(days=380)))
    assert expect.errors(response) == [("#/expires_at", "out_of_range")]
    assert stored(admin, alice) == []


@pytest.mark.parametrize("scopes", ["{}", "{tasks}", "{tasks:read,tasks:read}", "{tasks:read,NULL}", "{tasks:read,x}"])
def test_the_database_knows_the_scopes_too(alice: Person, admin: Admin, scopes: str) -> None:
    make(alice)
    with pytest.raises(Exception, match="personal_access_tokens_scopes_check"):
        admin.execute("UPDATE app.personal_access_tokens SET scopes = %s::text[]", scopes)


def test_f5_without_the_password_there_is_no_token(alice: Person, bob: Person, admin: Admin) -> None:
    for password in ("wrong", NEW_PASSWORD):
        expect.problem(alice.post("/v1/auth/tokens", wish(password=password)), 403, "reauthentication_required")
    assert stored(admin, alice) == []


def test_guesses_here_count_with_those_at_log_in(alice: Person, anonymous: Person) -> None:
    for _ in range(5):
        expect.problem(alice.post("/v1/auth/tokens", wish(password="wrong")), 403, "reauthentication_required")
    expect.problem(alice.post("/v1/auth/tokens", wish()), 429, "rate_limited")
    login = {"email": "alice@example.com", "password": PASSWORD}
    expect.problem(anonymous.post("/v1/auth/login", login), 429, "rate_limited")


def test_an_account_has_so_many_tokens_and_no_more(
    alice: Person, bob: Person, admin: Admin, quota: Callable[[int], None]
) -> None:
    quota(2)
    for _ in range(2):
        make(alice)
    expect.problem(alice.post("/v1/auth/tokens", wish()), 422, "quota_exceeded")
    assert len(tokens(alice)) == 2
    make(bob)


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_token_that_is_no_more_makes_room(alice: Person, admin: Admin, quota: Callable[[int], None], how: str) -> None:
    quota(1)
    made = make(alice)
    if how == "revoked":
        assert alice.delete(f"/v1/auth/tokens/{made['id']}").status_code == 204
    else:
        expire(admin)
    again = make(alice)
    # What has expired is swept.
    assert [row["id"] for (row,) in stored(admin, alice)] == [again["id"]]


def expire(admin: Admin) -> None:
    admin.execute(
        "UPDATE app.personal_access_tokens SET created_at = now() - interval '2 days', expires_at = now() - interval '1 ms'"
    )


# Listing and revoking.


def test_the_list_is_newest_first_in_pages_and_shows_when_each_was_used(alice: Person, bob: Person) -> None:
    make(bob)
    names = ["one", "two", "three"]
    made = {name: make(alice, name=name) for name in names}
    headers = {"Authorization": f"Bearer {made['two']['token']}"}
    assert alice.get("/v1/tasks", headers=headers).status_code == 200
    first = alice.get("/v1/auth/tokens?limit=2").get_json()
    second = alice.get("/v1/auth/tokens", query_string={"cursor": first["next_cursor"]}).get_json()
    items = first["items"] + second["items"]
    assert ([item["name"] for item in items], second["next_cursor"]) == (names[::-1], None)
    assert [item["last_used_at"] is not None for item in items] == [False, True, False]


def test_a_token_that_has_expired_is_not_listed_and_cannot_be_revoked(alice: Person, admin: Admin) -> None:
    made = make(alice)
    expire(admin)
    assert tokens(alice) == []
    expect.problem(alice.delete(f"/v1/auth/tokens/{made['id']}"), 404, "not_found")


def test_f24_a_revoked_token_is_void_at_once(alice: Person) -> None:
    by_script, other = script(alice, "tasks:read"), script(alice, "tasks:read")
    newest, older = tokens(alice)
    assert alice.delete(f"/v1/auth/tokens/{older['id']}").status_code == 204
    expect.problem(by_script.get("/v1/tasks"), 401, "invalid_token")
    assert other.get("/v1/tasks").status_code == 200
    assert [item["id"] for item in tokens(alice)] == [newest["id"]]
    expect.problem(alice.delete(f"/v1/auth/tokens/{older['id']}"), 404, "not_found")


def test_another_user_revokes_nothing(alice: Person, bob: Person) -> None:
    by_script = script(alice, "tasks:read")
    (token,) = tokens(alice)
    expect.problem(bob.delete(f"/v1/auth/tokens/{token['id']}"), 404, "not_found")
    expect.problem(bob.delete(f"/v1/auth/tokens/{uuid4()}"), 404, "not_found")
    assert by_script.get("/v1/tasks").status_code == 200


# Using one.


def refusal(person: Person, method: str, path: str, body: Any = None) -> str:
    """Expect a refusal for want of scope; return what the header says of it."""
    response = person(method, path, json=body)
    expect.problem(response, 403, "insufficient_scope")
    challenge: str = response.headers["WWW-Authenticate"]
    start = 'Bearer realm="taskapp", error="insufficient_scope"'
    assert challenge.startswith(start)
    return challenge.removeprefix(start)


NEEDS = {
    "tasks:read": ["GET /v1/tasks", "GET /v1/tags", "GET /v1/completions", f"GET /v1/tasks/{SOMETHING}"],
    "tasks:write": [
        "POST /v1/tasks",
        f"PATCH /v1/tasks/{SOMETHING}",
        f"DELETE /v1/tasks/{SOMETHING}",
        f"POST /v1/tasks/{SOMETHING}/complete",
        "PATCH /v1/tags/x",
    ],
    "lists:read": ["GET /v1/lists", f"GET /v1/lists/{SOMETHING}"],
    "lists:write": ["POST /v1/lists", f"DELETE /v1/lists/{SOMETHING}", f"POST /v1/lists/{SOMETHING}/move"],
}
BODIES = {"/v1/tasks": {"title": "x"}, "/v1/lists": {"name": "x"}, "/v1/tags/x": {"name": "y"}}


@pytest.mark.parametrize("scope", SCOPES)
def test_f17_f24_a_token_is_let_in_for_its_scope_and_told_which_one_is_missing(alice: Person, scope: str) -> None:
    by_script = script(alice, scope)
    for needed, operations in NEEDS.items():
        for method, path in (operation.split() for operation in operations):
            body = BODIES.get(path, {}) if method in {"POST", "PATCH"} else None
            if needed == scope:
                assert by_script(method, path, json=body).status_code in {200, 201, 204, 404}, (method, path)
            else:
                assert refusal(by_script, method, path, body) == f', scope="{needed}"', (method, path)


def test_with_all_scopes_a_script_does_what_its_owner_can(alice: Person, bob: Person) -> None:
    by_script = script(alice, *SCOPES)
    task = by_script.post("/v1/tasks", {"title": "by script"}).headers["Location"]
    assert alice.get(task).get_json()["title"] == "by script"
    assert by_script.patch(task, {"title": "again"}).status_code == 200
    assert by_script.get("/v1/me").get_json()["id"] == alice.id
    assert script(bob, *SCOPES).get(task).status_code == 404
    assert by_script("HEAD", task).status_code == 200


def test_an_answer_that_was_kept_is_for_a_token_that_could_have_had_it(alice: Person) -> None:
    once = {"Idempotency-Key": "once"}
    first = script(alice, "tasks:write").post("/v1/tasks", {"title": "x"}, headers=once)
    again = script(alice, "tasks:write").post("/v1/tasks", {"title": "x"}, headers=once)
    assert (first.status_code, again.status_code, again.get_json()) == (201, 201, first.get_json())
    assert again.headers["Idempotency-Replayed"] == "true"
    reading = script(alice, "tasks:read", "lists:write").post("/v1/tasks", {"title": "x"}, headers=once)
    expect.problem(reading, 403, "insufficient_scope")


@pytest.mark.parametrize("scope", SCOPES)
def test_any_token_shows_whose_it_is(alice: Person, scope: str) -> None:
    assert script(alice, scope).get("/v1/me").get_json()["id"] == alice.id


CLOSED = [
    ("PATCH", "/v1/me", {"timezone": "Asia/Tokyo"}),
    ("GET", "/v1/me/export", None),
    ("POST", "/v1/me/email", {"email": "new@example.com", "password": PASSWORD}),
    ("POST", "/v1/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD}),
    ("POST", "/v1/me/delete", {"password": PASSWORD}),
    ("GET", "/v1/auth/sessions", None),
    ("DELETE", "/v1/auth/sessions", None),
    ("POST", "/v1/auth/logout", None),
    ("GET", "/v1/auth/tokens", None),
    ("POST", "/v1/auth/tokens", wish()),
    ("DELETE", f"/v1/auth/tokens/{SOMETHING}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CLOSED, ids=[f"{method} {path[:20]}" for method, path, _ in CLOSED])
def test_f24_no_token_reaches_account_sessions_or_tokens(
    alice: Person, admin: Admin, method: str, path: str, body: Any
) -> None:
    by_script = script(alice, *SCOPES)
    assert by_script.get("/v1/me").status_code == 200  # which is remembered as its last use
    before = stored(admin, alice), admin.execute("SELECT * FROM app.users, app.sessions")
    assert refusal(by_script, method, path, body) == ""
    assert (stored(admin, alice), admin.execute("SELECT * FROM app.users, app.sessions")) == before


def with_user(token: str, user_id: str | None) -> str:
    """Let a token name another user."""
    raw = base64.urlsafe_b64decode(token.removeprefix("tsk_pat_"))
    return "tsk_pat_" + base64.urlsafe_b64encode(raw[:-16] + UUID(user_id).bytes).decode()


FORGERIES: dict[str, Callable[[str, Person], str]] = {
    "one character altered": lambda token, _: token[:20] + ("A" if token[20] != "A" else "B") + token[21:],
    "of another user": lambda token, bob: with_user(token, bob.id),
    "of a user that never was": lambda token, _: with_user(token, str(uuid4())),
    "a random one": lambda _, bob: personal_token.new(UUID(bob.id)),
    "cut short": lambda token, _: token[:-1],
    "too long": lambda token, _: token + "A",
    "padded": lambda token, _: token + "=",
    "empty": lambda *_: "tsk_pat_",
    "the prefix alone": lambda token, _: token[:12],
    "in capitals": lambda token, _: token.upper(),
    "with a quote": lambda token, _: token[:-1] + "'",
    "twice": lambda token, _: f"{token} {token}",
    "not ASCII": lambda token, _: token[:-1] + "\xe9",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_f17_whatever_is_wrong_with_a_token_the_answer_is_the_same(
    alice: Person, bob: Person, anonymous: Person, forge: Callable[[str, Person], str]
) -> None:
    token = make(alice)["token"]
    answers = []
    for sent in (forge(token, bob), "not.a.token"):
        response = anonymous.get("/v1/tasks", headers={"Authorization": f"Bearer {sent}"})
        body = expect.problem(response, 401, "invalid_token")
        del body["request_id"]
        answers.append((body, response.headers["WWW-Authenticate"]))
    assert answers[0] == answers[1]
    assert answers[0][1] == 'Bearer realm="taskapp", error="invalid_token"'


def test_a_token_in_the_query_is_not_looked_at(alice: Person, anonymous: Person) -> None:
    token = make(alice)["token"]
    expect.problem(anonymous.get("/v1/tasks", query_string={"access_token": token}), 401, "missing_token")


def test_f24_a_token_that_has_expired_is_refused(alice: Person, admin: Admin) -> None:
    by_script = script(alice, "tasks:read")
    expire(admin)
    expect.problem(by_script.get("/v1/tasks"), 401, "invalid_token")


# What ends all of them.


def by_email(app: Flask, alice: Person) -> int:
    return alice.post("/v1/me/email", {"email": "new@example.com", "password": PASSWORD}).status_code


def by_password(app: Flask, alice: Person) -> int:
    return alice.post("/v1/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD}).status_code


def by_leaving(app: Flask, alice: Person) -> int:
    return alice.post("/v1/me/delete", {"password": PASSWORD}).status_code


def by_disabling(app: Flask, alice: Person) -> int:
    return app.test_cli_runner().invoke(users, ["disable", "alice@example.com"]).exit_code


def by_reset(app: Flask, alice: Person) -> int:
    arguments = ["reset-password", "alice@example.com"]
    return app.test_cli_runner().invoke(users, arguments, input=f"{NEW_PASSWORD}\n").exit_code


ENDS = [by_email, by_password, by_leaving, by_disabling, by_reset]


@pytest.mark.parametrize("end", ENDS)
def test_f5_f24_what_ends_sessions_ends_tokens(
    app: Flask, admin: Admin, alice: Person, bob: Person, end: Callable[[Flask, Person], int]
) -> None:
    by_script, of_bob = script(alice, *SCOPES), script(bob, *SCOPES)
    assert end(app, alice) in (0, 200, 204)
    expect.problem(by_script.get("/v1/tasks"), 401, "invalid_token")
    assert stored(admin, alice) == []
    assert of_bob.get("/v1/tasks").status_code == 200


@pytest.mark.parametrize("path", ["/v1/me/email", "/v1/me/password", "/v1/me/delete"])
def test_a_wrong_password_ends_no_token(alice: Person, path: str) -> None:
    by_script = script(alice, "tasks:read")
    body = {"password": "wrong", "email": "new@example.com", "new_password": NEW_PASSWORD}
    assert alice.post(path, body).status_code in {403, 422}
    assert by_script.get("/v1/tasks").status_code == 200


def test_an_account_that_is_open_again_has_no_token_of_before(app: Flask, alice: Person) -> None:
    by_script = script(alice, "tasks:read")
    for command in ("disable", "enable"):
        assert app.test_cli_runner().invoke(users, [command, "alice@example.com"]).exit_code == 0
    expect.problem(by_script.get("/v1/tasks"), 401, "invalid_token")


@pytest.mark.parametrize("end", ENDS[:3])
def test_f5_a_token_that_is_made_just_before_the_change_does_not_survive_it(
    cluster: Cluster, admin: Admin, app: Flask, alice: Person, end: Callable[[Flask, Person], int]
) -> None:
    with account_held(cluster, alice) as queue:
        made = queue(lambda: apart(alice).post("/v1/auth/tokens", wish()))
        ended = queue(lambda: end(app, alice))
    assert (made.result().status_code, ended.result()) in {(201, 200), (201, 204)}
    assert stored(admin, alice) == []


@pytest.mark.parametrize("column", ["disabled_at = now()", "password_hash = '$argon2id$another'"])
def test_f5_a_token_that_is_asked_for_just_before_the_account_changes_is_not_made(
    cluster: Cluster, admin: Admin, alice: Person, column: str
) -> None:
    statement = f"UPDATE app.users SET {column} WHERE user_id = %s"
    with holding(cluster, statement, alice.id) as queue:
        made = queue(lambda: alice.post("/v1/auth/tokens", wish()))
    expect.problem(made.result(), 403, "reauthentication_required")
    assert stored(admin, alice) == []


def test_a_script_at_work_and_a_new_password_at_one_moment_end_both(
    cluster: Cluster, admin: Admin, app: Flask, alice: Person
) -> None:
    # Each waits for what the other one holds, the account and the token; PostgreSQL undoes one, which is sent again.
    by_script = script(alice, *SCOPES)
    task = alice.post("/v1/tasks", {"title": "x", "tags": ["a"]}).headers["Location"]
    with account_held(cluster, alice) as queue:
        changed = queue(lambda: by_password(app, alice))
        tagged = queue(lambda: by_script.patch(task, {"tags": ["b"]}))
    assert changed.result() == 204
    assert tagged.result().status_code in {200, 401}
    assert stored(admin, alice) == []

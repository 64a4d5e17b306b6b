"""Refresh tokens (security.md F19 to F23): replaced by each use, repeated after a lost answer; reuse ends the session."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import expect
import pytest
from arrange import MakeApp, other_processes
from conftest import PASSWORD, Admin, Person
from flask import Flask

from taskapp.features.auth.refresh_token import RefreshToken
from taskapp.operations.users.commands import users
from taskapp.web.responses.problems import Problem

Tokens = dict[str, Any]


@pytest.fixture(autouse=True)
def _no_attempts(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


@pytest.fixture
def make_app(app: Flask) -> Iterator[MakeApp]:
    with other_processes(app) as make:
        yield make


@pytest.fixture
def tokens(app: Flask, alice: Person) -> Tokens:
    """What Alice was given as she logged in once more, so that she can look at this session from her first."""
    return log_in(app)


def log_in(app: Flask, name: str = "alice") -> Tokens:
    response = app.test_client().post("/v1/auth/login", json={"email": f"{name}@example.com", "password": PASSWORD})
    assert response.status_code == 200, response.text
    tokens: Tokens = response.get_json()["tokens"]
    return tokens


def refresh(app: Flask, token: str) -> Any:
    return app.test_client().post("/v1/auth/refresh", json={"refresh_token": token})


def refreshed(app: Flask, token: str) -> Tokens:
    response = refresh(app, token)
    assert response.status_code == 200, response.text
    body = response.get_json()
    assert set(body) == {"tokens"}
    tokens: Tokens = body["tokens"]
    return tokens


def refused(app: Flask, token: str) -> None:
    expect.problem(refresh(app, token), 401, "invalid_token")


def works(app: Flask, access_token: str) -> bool:
    response = app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {access_token}"})
    if response.status_code != 200:
        expect.problem(response, 401, "invalid_token")
    return response.status_code == 200


def raw(token: str) -> bytes:
    encoded = token.removeprefix("rt_")
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


def written(parts: bytes) -> str:
    return "rt_" + base64.urlsafe_b64encode(parts).rstrip(b"=").decode()


def newest_session(admin: Admin, column: str) -> Any:
    return admin.execute(f"SELECT {column} FROM app.sessions ORDER BY created_at DESC, id DESC LIMIT 1")[0][0]


def later(admin: Admin, **since: float) -> None:
    """Let that much time pass for all sessions."""
    moments = ("created_at", "expires_at", "last_used_at", "previous_refresh_issued_at")
    admin.execute(
        f"UPDATE app.sessions SET {', '.join(f'{moment} = {moment} - %s' for moment in moments)}",
        *[timedelta(**since)] * len(moments),
    )


def test_f19_a_refresh_token_says_what_it_is_by_its_prefix(tokens: Tokens) -> None:
    assert tokens["refresh_token"].startswith("rt_")


def test_f19_a_refresh_token_is_no_jwt(tokens: Tokens) -> None:
    assert "." not in tokens["refresh_token"]


def test_f19_a_refresh_token_has_a_mac_of_256_bits(app: Flask, tokens: Tokens) -> None:
    body, mac = raw(tokens["refresh_token"])[:-32], raw(tokens["refresh_token"])[-32:]
    (key,) = app.config["TASKAPP"].refresh_keys
    assert mac == hmac.digest(key, b"refresh:" + body, "sha256")
    assert len(key) >= 32


def test_f19_nothing_of_a_refresh_token_s_secret_is_stored(app: Flask, tokens: Tokens, admin: Admin) -> None:
    token = refreshed(app, tokens["refresh_token"])["refresh_token"]
    columns = admin.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'app' AND table_name = 'sessions'"
        " AND data_type NOT IN ('uuid', 'integer', 'inet', 'timestamp with time zone') ORDER BY 1"
    )
    assert columns == [("device_name",), ("user_agent",)]
    rows = " ".join(row for (row,) in admin.execute("SELECT s::text FROM app.sessions s"))
    for used in (tokens["refresh_token"], token):
        mac = raw(used)[-32:]
        digests = [hashlib.sha256(data).hexdigest() for data in (used.encode(), raw(used), mac)]
        assert [part for part in (used, used[-40:], used[3:43], mac.hex(), *digests) if part in rows] == []


def test_f19_the_counters_keep_nothing_of_a_refresh_token(app: Flask, tokens: Tokens, admin: Admin) -> None:
    mac = raw(refreshed(app, tokens["refresh_token"])["refresh_token"])[-32:]
    assert admin.execute("SELECT key FROM app.attempts WHERE key = %s", mac) == []


def test_f19_a_refresh_token_is_no_access_token(app: Flask, tokens: Tokens) -> None:
    assert not works(app, tokens["refresh_token"])
    refreshed(app, tokens["refresh_token"])


def test_f19_an_access_token_is_no_refresh_token(app: Flask, tokens: Tokens) -> None:
    assert expect.errors(refresh(app, tokens["access_token"])) == [("#/refresh_token", "too_long")]
    assert works(app, tokens["access_token"])


def test_f20_refreshing_is_answered_with_tokens_by_the_names_of_rfc_6749(app: Flask, tokens: Tokens) -> None:
    answer = refreshed(app, tokens["refresh_token"])
    assert {**answer, "access_token": "", "refresh_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 600,
        "refresh_token": "",
        "refresh_expires_in": 30 * 24 * 3600,
        "scope": "tasks:read tasks:write lists:read lists:write",
    }


def test_f20_the_answer_is_not_to_be_stored(app: Flask, tokens: Tokens) -> None:
    assert refresh(app, tokens["refresh_token"]).headers["Cache-Control"] == "no-store"


def test_f20_the_refusal_is_not_to_be_stored_either(app: Flask, tokens: Tokens) -> None:
    assert refresh(app, "rt_x").headers["Cache-Control"] == "no-store"


def test_f20_no_access_token_is_needed_to_refresh_and_an_expired_one_is_ignored(app: Flask, tokens: Tokens) -> None:
    body = {"refresh_token": tokens["refresh_token"]}
    response = app.test_client().post("/v1/auth/refresh", json=body, headers={"Authorization": "Bearer expired"})
    assert response.status_code == 200


def test_f20_every_use_gives_another_refresh_token(app: Flask, tokens: Tokens) -> None:
    seen = [tokens["refresh_token"]]
    for _ in range(5):
        seen.append(refreshed(app, seen[-1])["refresh_token"])
    assert len(set(seen)) == 6


def test_f20_the_access_token_that_comes_with_it_works(app: Flask, alice: Person, tokens: Tokens) -> None:
    access = refreshed(app, tokens["refresh_token"])["access_token"]
    me = app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {access}"})
    assert me.get_json()["id"] == alice.id


def test_f20_the_access_token_from_before_goes_on_for_its_lifetime(app: Flask, tokens: Tokens) -> None:
    refreshed(app, tokens["refresh_token"])
    assert works(app, tokens["access_token"])


def test_f20_refreshing_begins_no_other_session(app: Flask, alice: Person, tokens: Tokens, admin: Admin) -> None:
    refreshed(app, tokens["refresh_token"])
    assert admin.execute("SELECT count(*) FROM app.sessions") == [(2,)]


def test_f20_refreshing_is_seen_in_the_list_of_sessions(app: Flask, alice: Person, tokens: Tokens, admin: Admin) -> None:
    admin.execute("UPDATE app.sessions SET last_used_at = now() - interval '1 day'")
    refreshed(app, tokens["refresh_token"])
    newest, first = alice.get("/v1/auth/sessions").get_json()["items"]
    assert newest["last_used_at"] > first["last_used_at"]


def test_f20_refreshing_does_not_prolong_the_absolute_lifetime(app: Flask, tokens: Tokens, admin: Admin) -> None:
    before = newest_session(admin, "expires_at")
    refreshed(app, tokens["refresh_token"])
    assert newest_session(admin, "expires_at") == before


def test_f20_the_absolute_lifetime_ends_a_session_that_is_in_use(app: Flask, tokens: Tokens, admin: Admin) -> None:
    newest = refreshed(app, tokens["refresh_token"])
    admin.execute("UPDATE app.sessions SET created_at = now() - interval '90 days', expires_at = now() - interval '1 s'")
    refused(app, newest["refresh_token"])
    assert not works(app, newest["access_token"])


def test_f20_the_answer_names_what_is_left_of_the_absolute_lifetime(app: Flask, tokens: Tokens, admin: Admin) -> None:
    admin.execute("UPDATE app.sessions SET created_at = now() - interval '89 days', expires_at = now() + interval '1 day'")
    assert 86_300 < refreshed(app, tokens["refresh_token"])["refresh_expires_in"] <= 86_400


def test_f20_a_session_that_was_idle_for_thirty_days_ends(app: Flask, tokens: Tokens, admin: Admin) -> None:
    admin.execute("UPDATE app.sessions SET last_used_at = now() - interval '30 days 1 s'")
    refused(app, tokens["refresh_token"])


def test_f20_refreshing_begins_the_idle_time_anew(app: Flask, tokens: Tokens, admin: Admin) -> None:
    admin.execute("UPDATE app.sessions SET last_used_at = now() - interval '29 days'")
    token = refreshed(app, tokens["refresh_token"])["refresh_token"]
    admin.execute("UPDATE app.sessions SET last_used_at = last_used_at - interval '29 days'")
    refreshed(app, token)


def test_f20_the_idle_time_is_a_setting(make_app: MakeApp, tokens: Tokens, admin: Admin) -> None:
    admin.execute("UPDATE app.sessions SET last_used_at = now() - interval '2 days'")
    refused(make_app(session_idle_days=1), tokens["refresh_token"])


def test_f20_of_two_callers_with_one_token_only_one_rotates_it(app: Flask, tokens: Tokens, admin: Admin) -> None:
    together = Barrier(2)

    def use() -> str:
        together.wait(60)
        return str(refreshed(app, tokens["refresh_token"])["refresh_token"])

    with ThreadPoolExecutor(2) as threads:
        answers = [answer.result(60) for answer in [threads.submit(use), threads.submit(use)]]
    assert answers[0] == answers[1]
    assert newest_session(admin, "generation") == 2


def test_f21_a_genuine_old_token_ends_the_session(app: Flask, tokens: Tokens) -> None:
    newest = refreshed(app, refreshed(app, tokens["refresh_token"])["refresh_token"])
    refused(app, tokens["refresh_token"])
    assert not works(app, newest["access_token"])
    refused(app, newest["refresh_token"])


def test_f21_a_genuine_old_token_ends_no_other_session(app: Flask, alice: Person, tokens: Tokens) -> None:
    other = log_in(app)
    refreshed(app, refreshed(app, tokens["refresh_token"])["refresh_token"])
    refused(app, tokens["refresh_token"])
    assert alice.get("/v1/me").status_code == 200
    refreshed(app, other["refresh_token"])


def test_f21_the_refusal_of_an_old_token_tells_no_more_than_that_of_a_forged_one(app: Flask, tokens: Tokens) -> None:
    refreshed(app, refreshed(app, tokens["refresh_token"])["refresh_token"])
    answers = [refresh(app, token) for token in (tokens["refresh_token"], "rt_x")]
    old, forged = ({**answer.get_json(), "request_id": ""} for answer in answers)
    assert old == forged
    old_headers, forged_headers = ({**answer.headers, "X-Request-Id": ""} for answer in answers)
    assert old_headers == forged_headers


def altered(token: str, position: int) -> str:
    parts = bytearray(raw(token))
    parts[position] ^= 1
    return written(bytes(parts))


FORGERIES: dict[str, Callable[[str], str]] = {
    "empty but for the prefix": lambda token: token[:3],
    "no prefix": lambda token: token.removeprefix("rt_"),
    "another prefix": lambda token: "pat_" + token.removeprefix("rt_"),
    "prefix in capitals": lambda token: "RT_" + token.removeprefix("rt_"),
    "another user": lambda token: altered(token, 0),
    "another session": lambda token: altered(token, 31),
    "another generation": lambda token: altered(token, 35),
    "another mac": lambda token: altered(token, 36),
    "the mac's last bit": lambda token: altered(token, -1),
    "no mac": lambda token: written(raw(token)[:-32]),
    "half a mac": lambda token: written(raw(token)[:-16]),
    "a byte less": lambda token: written(raw(token)[:-1]),
    "a byte more": lambda token: written(raw(token) + b"\0"),
    "a mac of zeros": lambda token: written(raw(token)[:-32] + bytes(32)),
    "a mac without a key": lambda token: written(raw(token)[:-32] + hashlib.sha256(raw(token)[:-32]).digest()),
    "the last character cut off": lambda token: token[:-1],
    "a blank after it": lambda token: token + " ",
    "a line feed within": lambda token: token[:20] + "\n" + token[20:],
    "no base64": lambda token: token[:3] + "*" * 91,
    "not ASCII": lambda token: token[:-1] + "é",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_f21_a_forged_token_is_refused_and_ends_nothing(app: Flask, tokens: Tokens, forgery: str) -> None:
    response = refresh(app, FORGERIES[forgery](tokens["refresh_token"]))
    assert response.status_code in {401, 422}, response.text
    assert works(app, tokens["access_token"])
    refreshed(app, tokens["refresh_token"])


@pytest.mark.parametrize("generation", [0, 1, 2, 3, 2**31 - 1, 2**31, 2**32 - 1])
def test_f21_a_token_by_another_key_is_refused_and_ends_nothing(app: Flask, tokens: Tokens, generation: int) -> None:
    newest = refreshed(app, refreshed(app, tokens["refresh_token"])["refresh_token"])
    parts = raw(newest["refresh_token"])
    token = RefreshToken(UUID(bytes=parts[:16]), UUID(bytes=parts[16:32]), generation)
    refused(app, token.write([secrets.token_bytes(32)]))
    assert works(app, newest["access_token"])
    refreshed(app, newest["refresh_token"])


def test_f21_no_byte_of_a_token_can_be_altered(app: Flask, tokens: Tokens) -> None:
    keys = app.config["TASKAPP"].refresh_keys
    token = tokens["refresh_token"]
    for position in range(len(raw(token))):
        with pytest.raises(Problem, match="invalid_token"):
            RefreshToken.read(altered(token, position), keys)


def test_f21_a_genuine_token_of_a_session_that_never_was_is_refused(app: Flask, alice: Person) -> None:
    assert alice.id is not None
    token = RefreshToken(UUID(alice.id), uuid4(), 1)
    refused(app, token.write(app.config["TASKAPP"].refresh_keys))


def test_f21_a_token_that_pairs_a_user_with_the_session_of_another_ends_nothing(
    app: Flask, alice: Person, tokens: Tokens, bob: Person
) -> None:
    # Such a token cannot be had; if the key leaked, PostgreSQL would still hide the session.
    assert bob.id is not None
    session = UUID(bytes=raw(tokens["refresh_token"])[16:32])
    refused(app, RefreshToken(UUID(bob.id), session, 1).write(app.config["TASKAPP"].refresh_keys))
    refreshed(app, tokens["refresh_token"])


@pytest.mark.parametrize("seconds", [0, 36, 3600, 29 * 24 * 3600])
@pytest.mark.parametrize("used", [False, True], ids=["", "its access token was used"])
def test_f22_after_a_lost_answer_the_same_successor_is_handed_out(
    app: Flask, tokens: Tokens, admin: Admin, seconds: float, used: bool
) -> None:
    lost = refreshed(app, tokens["refresh_token"])
    # An access token says nothing about who has the refresh token that came with it: two tabs share either.
    assert not used or works(app, lost["access_token"])
    later(admin, seconds=seconds)
    again = refreshed(app, tokens["refresh_token"])
    assert again["refresh_token"] == lost["refresh_token"]
    assert works(app, again["access_token"])
    refreshed(app, again["refresh_token"])
    assert newest_session(admin, "generation") == 3


def test_f22_a_token_is_not_repeated_beyond_its_own_expiry(app: Flask, tokens: Tokens, admin: Admin) -> None:
    later(admin, days=29)
    lost = refreshed(app, tokens["refresh_token"])
    later(admin, hours=23)
    refreshed(app, tokens["refresh_token"])
    # The first token would have expired; its successor is good for 29 days more.
    later(admin, hours=1, minutes=1)
    assert works(app, lost["access_token"])
    refused(app, tokens["refresh_token"])
    assert not works(app, lost["access_token"])
    refused(app, lost["refresh_token"])


def test_f22_a_successor_of_a_token_that_expired_is_good_all_the_same(app: Flask, tokens: Tokens, admin: Admin) -> None:
    later(admin, days=29)
    successor = refreshed(app, tokens["refresh_token"])
    later(admin, days=29)
    refreshed(app, successor["refresh_token"])


def test_f22_handing_out_again_prolongs_nothing(app: Flask, tokens: Tokens, admin: Admin) -> None:
    refreshed(app, tokens["refresh_token"])
    columns = "generation, last_used_at, previous_refresh_issued_at, expires_at"
    for day in range(1, 30):
        later(admin, days=1)
        before = newest_session(admin, f"ROW({columns})::text")
        again = refreshed(app, tokens["refresh_token"])
        assert newest_session(admin, f"ROW({columns})::text") == before
        assert abs(again["refresh_expires_in"] - (30 - day) * 24 * 3600) <= 5
    later(admin, days=1)
    refused(app, tokens["refresh_token"])


def test_f22_many_that_come_late_and_at_once_get_the_same_successor(app: Flask, tokens: Tokens, admin: Admin) -> None:
    lost = refreshed(app, tokens["refresh_token"])["refresh_token"]
    later(admin, seconds=36)
    together = Barrier(4)

    def use() -> str:
        together.wait(60)
        return str(refreshed(app, tokens["refresh_token"])["refresh_token"])

    with ThreadPoolExecutor(4) as threads:
        answers = [answer.result(60) for answer in [threads.submit(use) for _ in range(4)]]
    assert set(answers) == {lost}
    assert newest_session(admin, "generation") == 2


def test_f22_of_the_token_and_its_successor_at_once_the_session_goes_on_or_ends(
    app: Flask, tokens: Tokens, admin: Admin
) -> None:
    lost = refreshed(app, tokens["refresh_token"])["refresh_token"]
    later(admin, seconds=36)
    together = Barrier(2)

    def use(token: str) -> int:
        together.wait(60)
        status: int = refresh(app, token).status_code
        return status

    with ThreadPoolExecutor(2) as threads:
        old, new = [
            answer.result(60) for answer in [threads.submit(use, token) for token in (tokens["refresh_token"], lost)]
        ]
    # Whoever was first: the old one before the new is repeated, behind it is reused.
    assert (old, new) in {(200, 200), (401, 200)}
    assert (newest_session(admin, "revoked_at") is None) == (old == 200)


def test_f22_who_was_forgiven_is_signed_in(app: Flask, tokens: Tokens) -> None:
    refreshed(app, tokens["refresh_token"])
    assert works(app, refreshed(app, tokens["refresh_token"])["access_token"])


def test_f22_the_session_goes_on_from_the_common_successor(app: Flask, tokens: Tokens) -> None:
    refreshed(app, tokens["refresh_token"])
    common = refreshed(app, tokens["refresh_token"])["refresh_token"]
    refreshed(app, refreshed(app, common)["refresh_token"])


def test_f22_forgiving_opens_no_second_branch(app: Flask, tokens: Tokens, admin: Admin) -> None:
    for _ in range(5):
        refreshed(app, tokens["refresh_token"])
    assert newest_session(admin, "generation") == 2


@pytest.mark.parametrize("seconds", [20, 31])
def test_f22_with_a_grace_a_token_is_repeated_for_so_long(
    make_app: MakeApp, tokens: Tokens, admin: Admin, seconds: float
) -> None:
    impatient = make_app(refresh_grace_seconds=30)
    lost = refreshed(impatient, tokens["refresh_token"])
    later(admin, seconds=seconds)
    if seconds < 30:
        refreshed(impatient, tokens["refresh_token"])
        # Repeating does not begin it anew.
        later(admin, seconds=11)
    refused(impatient, tokens["refresh_token"])
    assert not works(impatient, lost["access_token"])
    refused(impatient, lost["refresh_token"])


def test_f22_once_the_successor_was_used_the_token_before_ends_the_session(app: Flask, tokens: Tokens) -> None:
    successor = refreshed(app, tokens["refresh_token"])
    newest = refreshed(app, successor["refresh_token"])
    refused(app, tokens["refresh_token"])
    refused(app, newest["refresh_token"])


def test_f22_a_token_two_before_is_not_forgiven_though_the_grace_of_one_before_lasts(app: Flask, tokens: Tokens) -> None:
    successor = refreshed(app, tokens["refresh_token"])
    refreshed(app, successor["refresh_token"])
    refreshed(app, successor["refresh_token"])
    refused(app, tokens["refresh_token"])


def test_f22_without_a_grace_the_second_use_ends_the_session(make_app: MakeApp, tokens: Tokens) -> None:
    strict = make_app(refresh_grace_seconds=0)
    newest = refreshed(strict, tokens["refresh_token"])
    refused(strict, tokens["refresh_token"])
    refused(strict, newest["refresh_token"])


def test_f22_without_a_grace_every_first_use_succeeds(make_app: MakeApp, tokens: Tokens) -> None:
    strict = make_app(refresh_grace_seconds=0)
    token = tokens["refresh_token"]
    for _ in range(3):
        token = refreshed(strict, token)["refresh_token"]


def test_f22_without_a_grace_of_two_at_once_one_is_refused(make_app: MakeApp, tokens: Tokens) -> None:
    strict = make_app(refresh_grace_seconds=0)
    together = Barrier(2)

    def use() -> int:
        together.wait(60)
        status: int = refresh(strict, tokens["refresh_token"]).status_code
        return status

    with ThreadPoolExecutor(2) as threads:
        answers = [answer.result(60) for answer in [threads.submit(use), threads.submit(use)]]
    assert sorted(answers) == [200, 401]


def test_f22_a_hundred_refreshes_of_eight_tabs_log_nobody_out(app: Flask, tokens: Tokens, admin: Admin) -> None:
    tabs, rounds = 8, 13
    # A tab that is two generations late is a thief as far as anybody can tell: so all wake up together, as tabs do.
    together = Barrier(tabs)

    def tab() -> list[Tokens]:
        got = []
        token = tokens["refresh_token"]
        for _ in range(rounds):
            together.wait(60)
            got.append(refreshed(app, token))
            token = got[-1]["refresh_token"]
        return got

    with ThreadPoolExecutor(tabs) as threads:
        answers = [answer.result(90) for answer in [threads.submit(tab) for _ in range(tabs)]]
    by_round = [{answer[number]["refresh_token"] for answer in answers} for number in range(rounds)]
    assert [len(successors) for successors in by_round] == [1] * rounds
    assert newest_session(admin, "generation") == rounds + 1
    assert newest_session(admin, "revoked_at") is None
    assert all(works(app, answer[-1]["access_token"]) for answer in answers)
    refreshed(app, answers[0][-1]["refresh_token"])


def test_f22_tabs_that_share_the_newest_token_they_know_of_stay_signed_in(app: Flask, tokens: Tokens, admin: Admin) -> None:
    # What a browser's lock or a shared store does: nobody begins with a token that was replaced before they began.
    known = [tokens["refresh_token"]]
    pairs = Barrier(2)

    def tab() -> None:
        for _ in range(10):
            pairs.wait(60)
            token = known[-1]
            pairs.wait(60)
            known.append(refreshed(app, token)["refresh_token"])

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(tab) for _ in range(2)]:
            done.result(60)
    assert newest_session(admin, "revoked_at") is None
    assert newest_session(admin, "generation") == 11
    refreshed(app, known[-1])


def test_f23_logging_out_ends_the_grace(app: Flask, tokens: Tokens, admin: Admin) -> None:
    newest = refreshed(app, tokens["refresh_token"])
    later(admin, seconds=36)
    headers = {"Authorization": f"Bearer {newest['access_token']}"}
    assert app.test_client().post("/v1/auth/logout", headers=headers).status_code == 204
    refused(app, tokens["refresh_token"])
    refused(app, newest["refresh_token"])


def test_f23_revoking_the_session_ends_the_grace(app: Flask, alice: Person, tokens: Tokens) -> None:
    newest = refreshed(app, tokens["refresh_token"])
    session = UUID(bytes=raw(tokens["refresh_token"])[16:32])
    assert alice.delete(f"/v1/auth/sessions/{session}").status_code == 204
    refused(app, tokens["refresh_token"])
    refused(app, newest["refresh_token"])


def test_f23_revoking_the_others_ends_the_grace(app: Flask, alice: Person, tokens: Tokens) -> None:
    newest = refreshed(app, tokens["refresh_token"])
    assert alice.delete("/v1/auth/sessions").status_code == 204
    refused(app, tokens["refresh_token"])
    refused(app, newest["refresh_token"])


def test_f23_disabling_the_account_ends_the_grace(app: Flask, tokens: Tokens) -> None:
    newest = refreshed(app, tokens["refresh_token"])
    result = app.test_cli_runner().invoke(users, ["disable", "alice@example.com"])
    assert result.exit_code == 0, result.output
    refused(app, tokens["refresh_token"])
    refused(app, newest["refresh_token"])


def test_f23_changing_the_password_ends_the_grace_of_the_other_sessions(app: Flask, alice: Person, tokens: Tokens) -> None:
    newest = refreshed(app, tokens["refresh_token"])
    body = {"password": PASSWORD, "new_password": "another horse battery"}
    assert alice.post("/v1/me/password", body).status_code == 204
    refused(app, tokens["refresh_token"])
    refused(app, newest["refresh_token"])


def test_f23_deleting_the_account_ends_the_grace(app: Flask, alice: Person, tokens: Tokens) -> None:
    newest = refreshed(app, tokens["refresh_token"])
    assert alice.post("/v1/me/delete", {"password": PASSWORD}).status_code == 204
    refused(app, tokens["refresh_token"])
    refused(app, newest["refresh_token"])


def test_f23_an_ended_session_stays_ended_however_often_it_is_refreshed(app: Flask, tokens: Tokens, admin: Admin) -> None:
    newest = refreshed(app, tokens["refresh_token"])
    admin.execute("UPDATE app.sessions SET revoked_at = now() - interval '1 hour'")
    before = newest_session(admin, "revoked_at")
    for token in (newest["refresh_token"], tokens["refresh_token"], newest["refresh_token"]):
        refused(app, token)
    assert newest_session(admin, "revoked_at") == before


def test_keys_an_old_key_s_token_is_accepted_and_the_new_key_signs(app: Flask, make_app: MakeApp, tokens: Tokens) -> None:
    (old,) = app.config["TASKAPP"].refresh_keys
    new = secrets.token_bytes(32)
    successor = refreshed(make_app(refresh_keys=[new, old]), tokens["refresh_token"])["refresh_token"]
    assert RefreshToken.read(successor, [new]).generation == 2
    refreshed(make_app(refresh_keys=[new]), successor)


def test_keys_a_key_that_is_only_believed_keeps_the_grace(app: Flask, make_app: MakeApp, tokens: Tokens) -> None:
    (old,) = app.config["TASKAPP"].refresh_keys
    both = make_app(refresh_keys=[secrets.token_bytes(32), old])
    assert (
        refreshed(both, tokens["refresh_token"])["refresh_token"]
        == refreshed(both, tokens["refresh_token"])["refresh_token"]
    )


def test_keys_a_key_that_was_taken_out_is_not_believed(make_app: MakeApp, app: Flask, tokens: Tokens) -> None:
    refused(make_app(refresh_keys=[secrets.token_bytes(32)]), tokens["refresh_token"])
    refreshed(app, tokens["refresh_token"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "required"),
        ({"refresh_token": None}, "not_nullable"),
        ({"refresh_token": 7}, "invalid_type"),
        ({"refresh_token": ""}, "too_short"),
        ({"refresh_token": "x" * 201}, "too_long"),
    ],
)
def test_what_never_was_a_refresh_token_is_invalid(anonymous: Person, body: dict[str, Any], error: str) -> None:
    response = anonymous.post("/v1/auth/refresh", body)
    assert response.status_code == 422
    assert [(item["pointer"], item["code"]) for item in response.get_json()["errors"]] == [("#/refresh_token", error)]

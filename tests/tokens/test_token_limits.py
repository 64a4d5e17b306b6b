"""How often personal access tokens may ask, and those that somebody made up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import expect
import pytest
from arrange import apart
from conftest import PASSWORD, Admin, Cluster, Person, register
from flask import Flask
from isolation.acting import application_on

from taskapp.services import service
from taskapp.web.authentication import personal_token
from taskapp.web.authentication.authenticate import Confirmed

QUOTA = 4
ANYWHERE = [
    ("GET", "/v1/tasks"),
    ("GET", "/v1/tasks?no=such"),
    ("GET", "/v1/me/export"),
    ("PUT", "/v1/tasks"),
    ("GET", "/v1/nope"),
]


@pytest.fixture
def small(cluster: Cluster) -> Iterator[Flask]:
    """An application of small quotas on the tests' database."""
    quotas = {"requests_per_minute": 50, "anonymous_requests_per_minute": QUOTA}
    with application_on(lambda role: cluster.environment[URLS[role]], **quotas) as app:
        yield app


URLS = {"taskapp_api": "TASKAPP_DATABASE_URL", "taskapp_auth": "TASKAPP_AUTH_DATABASE_URL"}


@pytest.fixture
def owner(small: Flask) -> Person:
    return register(small, "owner")


def script(person: Person) -> Person:
    """Let a script have a token of this person's."""
    expires_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    wish = {"name": "Script", "scopes": ["tasks:read"], "expires_at": expires_at, "password": PASSWORD}
    token = person.post("/v1/auth/tokens", wish).get_json()["token"]
    return Person(apart(person).client, {"Authorization": f"Bearer {token}"}, person.id)


def made_up(person: Person) -> Person:
    token = personal_token.new(UUID(person.id))
    return Person(apart(person).client, {"Authorization": f"Bearer {token}"})


def remaining(person: Person) -> int:
    return int(person.get("/v1/me").headers["RateLimit"].partition("r=")[2].partition(";")[0])


@pytest.mark.parametrize(("method", "path"), ANYWHERE)
def test_a_made_up_token_gets_401_everywhere_and_soon_429(owner: Person, method: str, path: str) -> None:
    for _ in range(QUOTA):
        expect.problem(made_up(owner)(method, path), 401, "invalid_token")
    refused = expect.problem(made_up(owner)(method, path), 429, "rate_limited")
    assert refused["violated-policies"] == ["anonymous"]


def test_made_up_tokens_use_up_nothing_of_the_user_they_name(owner: Person) -> None:
    before = remaining(owner)
    for _ in range(QUOTA + 1):
        made_up(owner).get("/v1/tasks")
    assert remaining(owner) == before - 1


def test_a_token_in_use_is_not_locked_out_by_who_guesses_next_to_it(owner: Person) -> None:
    by_script = script(owner)
    assert by_script.get("/v1/tasks").status_code == 200
    for _ in range(QUOTA + 1):
        made_up(owner).get("/v1/tasks")
    assert by_script.get("/v1/tasks").status_code == 200


def test_the_tokens_of_a_user_share_their_budget(owner: Person) -> None:
    scripts = [script(owner), script(owner)]
    before = remaining(owner)
    for by_script in scripts:
        by_script.get("/v1/tasks")
    assert remaining(owner) == before - 3


def test_a_token_that_was_confirmed_is_void_at_once_when_it_is_revoked(owner: Person, admin: Admin) -> None:
    by_script = script(owner)
    assert by_script.get("/v1/tasks").status_code == 200
    admin.execute("DELETE FROM app.personal_access_tokens")
    expect.problem(by_script.get("/v1/tasks"), 401, "invalid_token")


def test_a_token_is_confirmed_anew_after_a_minute(small: Flask, owner: Person, admin: Admin) -> None:
    by_script = script(owner)
    assert by_script.get("/v1/tasks").status_code == 200
    admin.execute("DELETE FROM app.personal_access_tokens")
    confirmed = service(Confirmed, small)
    for digest in list(confirmed._until):
        confirmed._until[digest] -= 61
    expect.problem(by_script.get("/v1/me/export"), 401, "invalid_token")


def test_a_token_is_no_request_id(owner: Person) -> None:
    token = personal_token.new(UUID(owner.id))
    assert token not in str(owner.get("/v1/me", headers={"X-Request-Id": token}).headers)

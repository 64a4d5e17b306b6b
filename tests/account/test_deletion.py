"""Leaving: everything of the account goes, at once and for good, and nothing of anybody else."""

from typing import Any

import expect
import pytest
from arrange import wish
from concurrency import holding
from conftest import PASSWORD, Admin, Cluster, Person


@pytest.fixture(autouse=True)
def _nothing_counted(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


@pytest.fixture
def busy(alice: Person, bob: Person) -> Person:
    """Alice, who has used whatever there is to use; and so has Bob."""
    for person in (alice, bob):
        once = {"Idempotency-Key": "house"}
        house = person.post("/v1/lists", {"name": "House"}, headers=once).get_json()["id"]
        done = person.post("/v1/tasks", {"title": "Done", "list_id": house, "tags": ["home"]})
        part = {"title": "Part", "parent_id": done.get_json()["id"]}
        assert person.post("/v1/tasks", part).status_code == 201
        assert person.post(f"{done.headers['Location']}/complete", {}).status_code == 200
        assert person.delete(done.headers["Location"]).status_code == 204
        assert person.post("/v1/auth/tokens", wish()).status_code == 201
        for number in range(3):
            assert person.post("/v1/tasks", {"title": f"Task {number}"}).status_code == 201
    return alice


def owned_tables(admin: Admin) -> list[str]:
    """Read from the catalogue which tables hold rows of a user."""
    tables = admin.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'user_id'"
        " AND NOT a.attisdropped ORDER BY c.relname"
    )
    return [name for (name,) in tables]


def rows(admin: Admin, person: Person) -> dict[str, list[Any]]:
    return {
        table: admin.execute(f"SELECT to_jsonb(t) FROM app.{table} t WHERE user_id = %s ORDER BY 1", person.id)
        for table in owned_tables(admin)
    }


def leave(person: Person, password: str = PASSWORD) -> Any:
    return person.post("/v1/me/delete", {"password": password})


def test_leaving_answers_without_content(busy: Person) -> None:
    response = leave(busy)
    assert (response.status_code, response.data) == (204, b"")


def test_nothing_is_left_in_any_table(busy: Person, admin: Admin) -> None:
    before = rows(admin, busy)
    assert {
        "users",
        "sessions",
        "tasks",
        "lists",
        "tags",
        "completions",
        "personal_access_tokens",
        "idempotency_records",
    } <= set(before)
    assert all(before.values()), "a table without a row of the user's would prove nothing"
    leave(busy)
    assert rows(admin, busy) == {table: [] for table in before}


def test_everything_of_everybody_else_stays(busy: Person, bob: Person, admin: Admin) -> None:
    before = rows(admin, bob)
    leave(busy)
    assert rows(admin, bob) == before
    assert all(before.values())


def test_everybody_else_stays_signed_in(busy: Person, bob: Person) -> None:
    leave(busy)
    assert len(bob.get("/v1/tasks").get_json()["items"]) == 3


def test_the_token_is_void_at_the_next_request(busy: Person) -> None:
    leave(busy)
    expect.problem(busy.get("/v1/me"), 401, "invalid_token")


def test_nothing_can_be_written_with_the_old_token(busy: Person, admin: Admin) -> None:
    leave(busy)
    expect.problem(busy.post("/v1/tasks", {"title": "From beyond"}), 401, "invalid_token")
    assert admin.execute("SELECT count(*) FROM app.tasks WHERE title = 'From beyond'") == [(0,)]


def test_the_refresh_token_is_void(busy: Person, anonymous: Person) -> None:
    body = {"email": "alice@example.com", "password": PASSWORD}
    refresh_token = anonymous.post("/v1/auth/login", body).get_json()["tokens"]["refresh_token"]
    leave(busy)
    expect.problem(anonymous.post("/v1/auth/refresh", {"refresh_token": refresh_token}), 401, "invalid_token")


def test_leaving_twice_is_refused(busy: Person) -> None:
    leave(busy)
    expect.problem(leave(busy), 401, "invalid_token")


def test_the_address_does_not_log_in_any_more(busy: Person, anonymous: Person) -> None:
    leave(busy)
    response = anonymous.post("/v1/auth/login", {"email": "alice@example.com", "password": PASSWORD})
    expect.problem(response, 401, "invalid_credentials")


def test_the_address_can_be_registered_again_and_begins_empty(busy: Person, anonymous: Person) -> None:
    leave(busy)
    response = anonymous.post("/v1/auth/register", {"email": "alice@example.com", "password": PASSWORD})
    assert response.status_code == 201
    body = response.get_json()
    assert body["user"]["id"] != busy.id
    token = {"Authorization": f"Bearer {body['tokens']['access_token']}"}
    assert anonymous.get("/v1/tasks", headers=token).get_json()["items"] == []


def test_the_old_token_does_not_lead_into_the_new_account(busy: Person, anonymous: Person) -> None:
    leave(busy)
    anonymous.post("/v1/auth/register", {"email": "alice@example.com", "password": PASSWORD})
    expect.problem(busy.get("/v1/me"), 401, "invalid_token")


def test_with_a_wrong_password_nothing_is_gone(busy: Person, admin: Admin) -> None:
    before = rows(admin, busy)
    expect.problem(leave(busy, "not the password"), 403, "reauthentication_required")
    assert rows(admin, busy) == before


def test_with_a_wrong_password_one_stays_signed_in(busy: Person) -> None:
    leave(busy, "not the password")
    assert busy.get("/v1/me").status_code == 200


GONE = "DELETE FROM app.users WHERE user_id = %s"


def test_what_is_under_way_when_the_account_goes_is_told_that_its_session_has_ended(
    cluster: Cluster, admin: Admin, alice: Person
) -> None:
    with holding(cluster, GONE, alice.id) as queue:
        answer = queue(lambda: alice.post("/v1/tasks", {"title": "From beyond"}))
    expect.problem(answer.result(), 401, "invalid_token")
    assert admin.execute("SELECT count(*) FROM app.tasks") == [(0,)]


def test_a_log_in_that_is_under_way_when_the_account_goes_is_refused(
    cluster: Cluster, admin: Admin, alice: Person, anonymous: Person
) -> None:
    body = {"email": "alice@example.com", "password": PASSWORD}
    with holding(cluster, GONE, alice.id) as queue:
        answer = queue(lambda: anonymous.post("/v1/auth/login", body))
    expect.problem(answer.result(), 401, "invalid_credentials")
    assert admin.execute("SELECT count(*) FROM app.sessions") == [(0,)]


def test_a_refresh_that_is_under_way_when_the_account_goes_is_refused(
    cluster: Cluster, alice: Person, anonymous: Person
) -> None:
    body = {"email": "alice@example.com", "password": PASSWORD}
    token = anonymous.post("/v1/auth/login", body).get_json()["tokens"]["refresh_token"]
    with holding(cluster, GONE, alice.id) as queue:
        answer = queue(lambda: anonymous.post("/v1/auth/refresh", {"refresh_token": token}))
    expect.problem(answer.result(), 401, "invalid_token")

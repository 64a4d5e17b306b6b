"""The account of whoever is signed in."""

import expect
import pytest
from conftest import Admin, Person


def test_me_is_the_account_that_registered(alice: Person) -> None:
    body = alice.get("/v1/me").get_json()
    assert body.pop("created_at").endswith("Z")
    assert body == {
        "id": alice.id,
        "etag": '"1"',
        "email": "alice@example.com",
        "display_name": None,
        "timezone": "UTC",
        "week_start": "monday",
    }


def test_everybody_is_somebody_else(alice: Person, bob: Person) -> None:
    assert [person.get("/v1/me").get_json()["email"] for person in (alice, bob)] == ["alice@example.com", "bob@example.com"]


def test_nobody_has_no_account(anonymous: Person) -> None:
    expect.problem(anonymous.get("/v1/me"), 401, "missing_token")


def test_the_answer_is_for_its_reader_alone(alice: Person) -> None:
    response = alice.get("/v1/me")
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "Authorization" in response.headers["Vary"]


def test_the_etag_is_that_of_the_body(alice: Person) -> None:
    response = alice.get("/v1/me")
    assert response.headers["ETag"] == response.get_json()["etag"]


@pytest.mark.parametrize("header", ['"1"', 'W/"1"', '"0", "1"', "*"])
def test_what_the_client_has_is_not_sent_again(alice: Person, header: str) -> None:
    response = alice.get("/v1/me", headers={"If-None-Match": header})
    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", '"1"')


def test_what_has_changed_is_sent_again(alice: Person, admin: Admin) -> None:
    admin.execute("UPDATE app.users SET display_name = 'Alice', version = version + 1")
    response = alice.get("/v1/me", headers={"If-None-Match": '"1"'})
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')


def test_the_moment_of_registering_is_an_instant_in_utc_to_the_millisecond(alice: Person, admin: Admin) -> None:
    admin.execute("UPDATE app.users SET created_at = '2026-03-29 03:30:00.1235+02'")
    assert alice.get("/v1/me").get_json()["created_at"] in ("2026-03-29T01:30:00.123Z", "2026-03-29T01:30:00.124Z")


def test_head_is_get_without_the_body(alice: Person) -> None:
    head, get = alice("HEAD", "/v1/me"), alice.get("/v1/me")
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", get.headers["ETag"])
    assert head.headers["Content-Length"] == get.headers["Content-Length"]

"""Changing one's account by a merge patch: what is one's own to choose, and nothing else."""

from typing import Any

import expect
import pytest
from conftest import Admin, Person


def me(person: Person) -> Any:
    return person.get("/v1/me").get_json()


def test_an_empty_patch_answers_the_account_as_it_is(alice: Person) -> None:
    before = me(alice)
    response = alice.patch("/v1/me", {})
    assert (response.status_code, response.get_json(), response.headers["ETag"]) == (200, before, before["etag"])


def test_a_display_name_is_set(alice: Person) -> None:
    response = alice.patch("/v1/me", {"display_name": "Ada Lovelace"})
    assert (response.status_code, response.get_json()["display_name"]) == (200, "Ada Lovelace")
    assert me(alice) == response.get_json()


def test_null_clears_the_display_name(alice: Person) -> None:
    alice.patch("/v1/me", {"display_name": "Ada"})
    assert alice.patch("/v1/me", {"display_name": None}).get_json()["display_name"] is None
    assert me(alice)["display_name"] is None


def test_a_display_name_is_trimmed_and_composed(alice: Person) -> None:
    assert alice.patch("/v1/me", {"display_name": "  Bjo\u0308rn "}).get_json()["display_name"] == "Bj\u00f6rn"


@pytest.mark.parametrize(
    ("name", "code"), [("", "too_short"), ("x" * 101, "too_long"), ("two\nlines", "invalid_characters"), (7, "invalid_type")]
)
def test_what_is_no_display_name_is_invalid(alice: Person, name: Any, code: str) -> None:
    before = me(alice)
    assert expect.errors(alice.patch("/v1/me", {"display_name": name})) == [("#/display_name", code)]
    assert me(alice) == before


def test_a_timezone_is_set(alice: Person) -> None:
    assert alice.patch("/v1/me", {"timezone": "Europe/Berlin"}).get_json()["timezone"] == "Europe/Berlin"
    assert me(alice)["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "europe/berlin", "+02:00", "localtime", "../etc/passwd"])
def test_an_unknown_timezone_is_invalid(alice: Person, timezone: str) -> None:
    assert expect.errors(alice.patch("/v1/me", {"timezone": timezone})) == [("#/timezone", "unknown_timezone")]
    assert me(alice)["timezone"] == "UTC"


@pytest.mark.parametrize("day", ["monday", "saturday", "sunday"])
def test_a_week_may_start_on_three_days(alice: Person, day: str) -> None:
    assert alice.patch("/v1/me", {"week_start": day}).get_json()["week_start"] == day
    assert me(alice)["week_start"] == day


@pytest.mark.parametrize("day", ["tuesday", "Monday", ""])
def test_a_week_starts_on_no_other_day(alice: Person, day: str) -> None:
    assert expect.errors(alice.patch("/v1/me", {"week_start": day})) == [("#/week_start", "invalid_choice")]


@pytest.mark.parametrize("member", ["timezone", "week_start"])
def test_what_everybody_has_cannot_be_cleared(alice: Person, member: str) -> None:
    assert expect.errors(alice.patch("/v1/me", {member: None}), "not_nullable") == [(f"#/{member}", "not_nullable")]


def test_what_is_left_out_is_left_alone(alice: Person) -> None:
    alice.patch("/v1/me", {"display_name": "Ada", "timezone": "Europe/Berlin", "week_start": "sunday"})
    alice.patch("/v1/me", {"week_start": "saturday"})
    account = me(alice)
    assert (account["display_name"], account["timezone"], account["week_start"]) == ("Ada", "Europe/Berlin", "saturday")


def test_a_change_makes_a_new_etag(alice: Person) -> None:
    response = alice.patch("/v1/me", {"display_name": "Ada"})
    assert response.headers["ETag"] == response.get_json()["etag"] == '"2"'


def test_a_patch_that_changes_nothing_keeps_the_etag(alice: Person) -> None:
    etag = alice.patch("/v1/me", {"display_name": "Ada"}).headers["ETag"]
    assert alice.patch("/v1/me", {"display_name": "Ada", "timezone": "UTC"}).headers["ETag"] == etag


def test_read_only_members_may_be_sent_back_as_they_were_read(alice: Person) -> None:
    response = alice.patch("/v1/me", {**me(alice), "display_name": "Ada"})
    assert (response.status_code, response.get_json()["display_name"]) == (200, "Ada")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", "01980000-0000-7000-8000-000000000000"),
        ("etag", '"7"'),
        ("email", "eve@example.com"),
        ("created_at", "2020-01-01T00:00:00Z"),
    ],
)
def test_read_only_members_cannot_be_changed(alice: Person, member: str, value: str) -> None:
    before = me(alice)
    response = alice.patch("/v1/me", {member: value, "display_name": "Ada"})
    assert expect.errors(response, "read_only") == [(f"#/{member}", "read_only")]
    assert me(alice) == before


def test_not_even_the_case_of_the_address_is_changed_here(alice: Person) -> None:
    response = alice.patch("/v1/me", {"email": "ALICE@example.com"})
    assert expect.errors(response, "read_only") == [("#/email", "read_only")]


@pytest.mark.parametrize("member", ["password", "password_hash", "user_id", "version", "disabled_at"])
def test_what_is_no_member_is_refused(alice: Person, member: str) -> None:
    assert expect.errors(alice.patch("/v1/me", {member: "x"})) == [(f"#/{member}", "unknown_member")]


def test_a_change_from_the_current_version_is_made(alice: Person) -> None:
    response = alice.patch("/v1/me", {"display_name": "Ada"}, headers={"If-Match": '"1"'})
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')


def test_a_change_from_a_stale_version_is_refused_with_the_current_one(alice: Person) -> None:
    alice.patch("/v1/me", {"display_name": "Ada"})
    response = alice.patch("/v1/me", {"display_name": "Eve"}, headers={"If-Match": '"1"'})
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"2"'
    assert me(alice)["display_name"] == "Ada"


def test_everybody_else_stays_as_they_are(alice: Person, bob: Person) -> None:
    before = me(bob)
    alice.patch("/v1/me", {"display_name": "Ada", "timezone": "Europe/Berlin", "week_start": "sunday"})
    assert me(bob) == before


def test_the_id_of_somebody_else_does_not_lead_to_them(alice: Person, bob: Person, admin: Admin) -> None:
    before = admin.execute("SELECT * FROM app.users ORDER BY user_id")
    response = alice.patch("/v1/me", {"id": bob.id, "display_name": "Mallory"})
    assert expect.errors(response, "read_only") == [("#/id", "read_only")]
    assert admin.execute("SELECT * FROM app.users ORDER BY user_id") == before


def test_nobody_has_no_account_to_change(anonymous: Person) -> None:
    expect.problem(anonymous.patch("/v1/me", {"display_name": "Ada"}), 401, "missing_token")

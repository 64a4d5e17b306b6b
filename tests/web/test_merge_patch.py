"""JSON Merge Patch (RFC 7396): absent leaves alone, null clears, read-only members may only be sent back."""

from typing import Any

import expect
import pytest
from conftest import Person

READ_ONLY_ECHOES = {
    "id": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11",
    "etag": '"7"',
    "status": "completed",
    "parent_id": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11",
    "position": "a0",
    "completed_at": "2001-01-01T00:00:00.000Z",
    "created_at": "2001-01-01T00:00:00.000Z",
    "updated_at": "2001-01-01T00:00:00.000Z",
    "deleted_at": "2001-01-01T00:00:00.000Z",
}


@pytest.fixture
def task(alice: Person) -> dict[str, Any]:
    created: dict[str, Any] = alice.post("/v1/tasks", {"title": "first", "notes": "n", "priority": "low"}).get_json()
    return created


@pytest.fixture
def path(task: dict[str, Any]) -> str:
    return f"/v1/tasks/{task['id']}"


@pytest.mark.parametrize(
    "change", [{"title": "second"}, {"notes": "m"}, {"notes": None}, {"notes": ""}, {"priority": "none"}]
)
def test_a_member_that_is_sent_changes_and_no_other(
    alice: Person, task: dict[str, Any], path: str, change: dict[str, Any]
) -> None:
    after = alice.patch(path, change).get_json()
    assert {**after, "etag": task["etag"], "updated_at": task["updated_at"]} == {**task, **change}
    assert alice.get(path).get_json() == after


def test_several_members_change_at_once(alice: Person, task: dict[str, Any], path: str) -> None:
    after = alice.patch(path, {"title": "second", "notes": None, "priority": "high"}).get_json()
    assert (after["title"], after["notes"], after["priority"], after["etag"]) == ("second", None, "high", '"2"')


def test_every_change_is_one_version(alice: Person, path: str) -> None:
    tags = [alice.patch(path, {"title": f"title {n}"}).headers["ETag"] for n in range(3)]
    assert tags == ['"2"', '"3"', '"4"']


def test_a_change_moves_updated_at_and_not_created_at(alice: Person, task: dict[str, Any], path: str) -> None:
    after = alice.patch(path, {"title": "second"}).get_json()
    assert after["updated_at"] > task["updated_at"]
    assert after["created_at"] == task["created_at"]


@pytest.mark.parametrize(
    "patch",
    [{}, {"title": "first"}, {"title": " first\t"}, {"notes": "n"}, {"priority": "low"}, {"title": "first", "notes": "n"}],
)
def test_a_patch_that_changes_nothing_writes_nothing(
    alice: Person, task: dict[str, Any], path: str, patch: dict[str, Any]
) -> None:
    response = alice.patch(path, patch)
    assert (response.status_code, response.get_json()) == (200, task)
    assert response.headers["ETag"] == task["etag"]


def test_clearing_what_is_clear_writes_nothing(alice: Person, path: str) -> None:
    cleared = alice.patch(path, {"notes": None}).get_json()
    assert alice.patch(path, {"notes": None}).get_json() == cleared


@pytest.mark.parametrize("notes", ["", "m"])
def test_clear_and_empty_are_not_the_same(alice: Person, path: str, notes: str) -> None:
    alice.patch(path, {"notes": None})
    after = alice.patch(path, {"notes": notes}).get_json()
    assert (after["notes"], after["etag"]) == (notes, '"3"')


@pytest.mark.parametrize("member", ["title", "priority"])
def test_a_member_that_always_has_a_value_cannot_be_cleared(
    alice: Person, task: dict[str, Any], path: str, member: str
) -> None:
    assert expect.errors(alice.patch(path, {member: None}), "not_nullable") == [(f"#/{member}", "not_nullable")]
    assert alice.get(path).get_json() == task


def test_what_was_read_can_be_sent_back_whole(alice: Person, task: dict[str, Any], path: str) -> None:
    response = alice.patch(path, alice.get(path).get_json())
    assert (response.status_code, response.get_json()) == (200, task)


def test_what_was_read_can_be_sent_back_with_one_member_changed(alice: Person, path: str) -> None:
    after = alice.patch(path, {**alice.get(path).get_json(), "title": "second"}).get_json()
    assert (after["title"], after["etag"]) == ("second", '"2"')


@pytest.mark.parametrize("member", READ_ONLY_ECHOES)
def test_a_read_only_member_may_be_sent_back(alice: Person, task: dict[str, Any], path: str, member: str) -> None:
    assert alice.patch(path, {member: task[member]}).get_json() == task


@pytest.mark.parametrize("member", READ_ONLY_ECHOES)
def test_a_read_only_member_does_not_hinder_a_change(alice: Person, task: dict[str, Any], path: str, member: str) -> None:
    assert alice.patch(path, {member: task[member], "title": "second"}).get_json()["title"] == "second"


@pytest.mark.parametrize(("member", "value"), READ_ONLY_ECHOES.items())
@pytest.mark.parametrize("change", [{}, {"title": "second"}], ids=["alone", "with a change"])
def test_a_read_only_member_cannot_be_changed(
    alice: Person, task: dict[str, Any], path: str, member: str, value: str, change: dict[str, str]
) -> None:
    response = alice.patch(path, {**change, member: value})
    assert expect.errors(response, "read_only") == [(f"#/{member}", "read_only")]
    assert alice.get(path).get_json() == task


def test_every_read_only_member_that_differs_is_named(alice: Person, path: str) -> None:
    errors = expect.errors(alice.patch(path, READ_ONLY_ECHOES), "read_only")
    assert errors == sorted((f"#/{member}", "read_only") for member in READ_ONLY_ECHOES)


def test_an_instant_may_be_sent_back_in_another_zone(alice: Person, task: dict[str, Any], path: str) -> None:
    elsewhere = task["created_at"].replace("Z", "+00:00")
    assert alice.patch(path, {"created_at": elsewhere}).status_code == 200


def test_an_old_version_sent_back_whole_is_refused(alice: Person, task: dict[str, Any], path: str) -> None:
    alice.patch(path, {"title": "second"})
    errors = expect.errors(alice.patch(path, task), "read_only")
    assert ("#/etag", "read_only") in errors
    assert alice.get(path).get_json()["title"] == "second"


@pytest.mark.parametrize("content_type", ["application/merge-patch+json", "application/json"])
def test_both_content_types_mean_the_same(alice: Person, path: str, content_type: str) -> None:
    response = alice.patch(path, data=b'{"notes": null}', content_type=content_type)
    assert (response.status_code, response.get_json()["notes"], response.get_json()["title"]) == (200, None, "first")


def test_there_is_no_put(alice: Person, path: str) -> None:
    response = alice("PUT", path, json={"title": "second"})
    expect.problem(response, 405, "method_not_allowed")
    assert "PUT" not in response.headers["Allow"]


def test_a_change_is_read_back_by_the_list(alice: Person, path: str) -> None:
    after = alice.patch(path, {"title": "second"}).get_json()
    assert alice.get("/v1/tasks").get_json()["items"] == [after]

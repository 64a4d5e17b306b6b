"""Lists over HTTP, as a client meets them. Their order and their end have files of their own."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import arrange
import expect
import pytest
from conftest import Admin, Cluster, Person
from flask import Flask

NOWHERE = "/v1/lists/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
NIL = str(UUID(int=0))
# What is refused wherever there is a name, and why.
BAD_NAMES = [
    ("", "too_short"),
    (" ", "too_short"),
    ("x" * 101, "too_long"),
    ("a\nb", "invalid_characters"),
    ("a\x00b", "invalid_characters"),
    ("\ud800", "invalid_characters"),
    (7, "invalid_type"),
    (["x"], "invalid_type"),
]
BAD_COLORS = [
    ("", "invalid_format"),
    ("red", "invalid_format"),
    ("#fff", "invalid_format"),
    ("#12345g", "invalid_format"),
    ("#1234567", "invalid_format"),
    ("#123456\n", "invalid_format"),
    ("#１２３４５６", "invalid_format"),
    (0x123456, "invalid_type"),
]
NO_BOOLEANS: list[Any] = ["true", 1, 0, "yes", [], {}]


@pytest.fixture
def quota(app: Flask) -> Iterator[Callable[[int], None]]:
    """Set how many lists a user may have."""
    config = app.config["TASKAPP"]

    def set_to(lists: int) -> None:
        app.config["TASKAPP"] = replace(config, lists_per_user=lists)

    yield set_to
    app.config["TASKAPP"] = config


def create(person: Person, name: str = "Household", **members: Any) -> dict[str, Any]:
    response = person.post("/v1/lists", {"name": name, **members})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.get_json()
    return body


def path_of(body: dict[str, Any]) -> str:
    return f"/v1/lists/{body['id']}"


# Creating.


def test_a_new_list_has_every_member(alice: Person) -> None:
    body = create(alice)
    assert UUID(body.pop("id")).version == 7
    assert body.pop("created_at") == body.pop("updated_at")
    assert body.pop("position")
    assert body == {
        "etag": '"1.0.0"',
        "name": "Household",
        "color": None,
        "archived": False,
        "task_counts": {"open": 0, "completed": 0},
        "deleted_at": None,
    }


def test_a_created_list_comes_back_whole(alice: Person) -> None:
    created = alice.post("/v1/lists", {"name": "  e\u0301 👩‍👩‍👧 ' \\ % ", "color": "#1e88E5"})
    body = created.get_json()
    assert (created.status_code, created.headers["Location"]) == (201, path_of(body))
    assert created.headers["ETag"] == body["etag"]
    assert (body["name"], body["color"]) == ("é 👩‍👩‍👧 ' \\ %", "#1E88E5")
    assert alice.get(created.headers["Location"]).get_json() == body


@pytest.mark.parametrize("character", ["x", "ä", "日", "🗑"])
def test_a_name_has_up_to_100_code_points(alice: Person, character: str) -> None:
    assert create(alice, character * 100)["name"] == character * 100
    assert expect.errors(alice.post("/v1/lists", {"name": character * 101})) == [("#/name", "too_long")]


@pytest.mark.parametrize(("name", "code"), BAD_NAMES)
def test_what_is_no_name_is_invalid(alice: Person, name: Any, code: str) -> None:
    assert expect.errors(alice.post("/v1/lists", {"name": name})) == [("#/name", code)]


def test_a_list_has_a_name(alice: Person) -> None:
    assert expect.errors(alice.post("/v1/lists", {})) == [("#/name", "required")]
    assert expect.errors(alice.post("/v1/lists", {"name": None}), "not_nullable") == [("#/name", "not_nullable")]


@pytest.mark.parametrize(("color", "code"), BAD_COLORS)
def test_what_is_no_color_is_invalid(alice: Person, color: Any, code: str) -> None:
    assert expect.errors(alice.post("/v1/lists", {"name": "x", "color": color})) == [("#/color", code)]


@pytest.mark.parametrize(
    "member", ["user_id", "version", "position", "archived", "task_counts", "creation_fingerprint", "etag"]
)
def test_what_a_client_cannot_create_a_list_with_is_refused(alice: Person, member: str) -> None:
    assert expect.errors(alice.post("/v1/lists", {"name": "x", member: "x"})) == [(f"#/{member}", "unknown_member")]


@pytest.mark.parametrize("id_", ["x", "", 7, None, ["x"]])
def test_an_id_is_a_uuid(alice: Person, id_: Any) -> None:
    response = alice.post("/v1/lists", {"name": "x", "id": id_})
    assert [error["pointer"] for error in response.get_json()["errors"]] == ["#/id"]
    assert response.status_code == 422


def test_the_nil_uuid_is_no_id(alice: Person) -> None:
    assert expect.errors(alice.post("/v1/lists", {"name": "x", "id": NIL})) == [("#/id", "invalid_value")]


def test_a_client_may_choose_the_id(alice: Person) -> None:
    chosen = str(uuid4())
    assert create(alice, id=chosen)["id"] == chosen


def test_creating_the_same_again_answers_the_list_there_is(alice: Person, admin: Admin) -> None:
    sent = {"id": str(uuid4()), "name": "Household", "color": "#abcdef"}
    body = alice.post("/v1/lists", sent).get_json()
    arrange.task(admin, alice, body["id"])
    again = alice.post("/v1/lists", {**sent, "name": " Household ", "color": "#ABCDEF"})
    assert (again.status_code, again.headers["Location"], again.headers["ETag"]) == (200, path_of(body), '"1.1.0"')
    assert again.get_json() == {**body, "etag": '"1.1.0"', "task_counts": {"open": 1, "completed": 0}}
    assert len(alice.get("/v1/lists").get_json()["items"]) == 1


def test_a_list_that_has_changed_since_is_still_the_one_created(alice: Person) -> None:
    sent = {"id": str(uuid4()), "name": "Household"}
    created = alice.post("/v1/lists", sent)
    alice.patch(created.headers["Location"], {"name": "Home"})
    again = alice.post("/v1/lists", sent)
    assert (again.status_code, again.get_json()["name"]) == (200, "Home")


def test_no_color_and_null_are_the_same(alice: Person) -> None:
    sent = {"id": str(uuid4()), "name": "Household"}
    alice.post("/v1/lists", sent)
    assert alice.post("/v1/lists", {**sent, "color": None}).status_code == 200


@pytest.mark.parametrize("other", [{"name": "Other"}, {"color": "#000000"}])
def test_an_id_that_is_taken_by_something_else_is_a_conflict(alice: Person, other: dict[str, str]) -> None:
    sent = {"id": str(uuid4()), "name": "Household"}
    body = alice.post("/v1/lists", sent).get_json()
    expect.problem(alice.post("/v1/lists", {**sent, **other}), 409, "id_conflict")
    assert alice.get(path_of(body)).get_json() == body


def test_an_id_of_somebody_else_is_free(alice: Person, bob: Person) -> None:
    theirs = create(bob, "BOB SECRET")
    mine = create(alice, id=theirs["id"])
    assert (alice.get(path_of(mine)).get_json(), bob.get(path_of(theirs)).get_json()) == (mine, theirs)


def test_no_more_lists_than_the_quota(alice: Person, bob: Person, quota: Callable[[int], None]) -> None:
    quota(2)
    first = str(uuid4())
    create(alice, id=first)
    create(alice)
    expect.problem(alice.post("/v1/lists", {"name": "Household"}), 422, "quota_exceeded")
    assert alice.post("/v1/lists", {"id": first, "name": "Household"}).status_code == 200
    create(bob)
    # One in the trash counts.
    alice.delete(f"/v1/lists/{first}")
    expect.problem(alice.post("/v1/lists", {"name": "Household"}), 422, "quota_exceeded")
    alice.delete("/v1/trash")
    create(alice)


# Reading.


def test_counts_are_of_what_is_not_in_the_trash(alice: Person, admin: Admin) -> None:
    body = create(alice)
    other = create(alice, "Other")
    parent = arrange.task(admin, alice, body["id"])
    arrange.task(admin, alice, body["id"], parent_id=parent)
    arrange.task(admin, alice, body["id"], status="completed")
    arrange.task(admin, alice, body["id"], status="cancelled")
    for status in ("open", "completed"):
        arrange.task(admin, alice, body["id"], status=status, deleted_at="now")
        arrange.task(admin, alice, other["id"], status=status)
        arrange.task(admin, alice, status=status)
    read = alice.get(path_of(body)).get_json()
    assert (read["task_counts"], read["etag"]) == ({"open": 2, "completed": 1}, '"1.2.1"')
    assert alice.get("/v1/lists").get_json()["items"][0] == read


def test_somebody_elses_tasks_in_a_list_of_the_same_id_are_not_counted(alice: Person, bob: Person, admin: Admin) -> None:
    body = create(alice)
    create(bob, id=body["id"])
    arrange.task(admin, bob, body["id"])
    assert alice.get(path_of(body)).get_json() == body


def test_what_the_client_has_is_not_sent_again(alice: Person) -> None:
    body = create(alice)
    for header in ('"1.0.0"', 'W/"1.0.0"', '"2", "1.0.0"', "*"):
        response = alice.get(path_of(body), headers={"If-None-Match": header})
        assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", '"1.0.0"')


def test_other_counts_are_another_list_to_who_reads_it(alice: Person, admin: Admin) -> None:
    body = create(alice)
    arrange.task(admin, alice, body["id"])
    for header in (body["etag"], '"1"', '"1.1"', '"1.1.0.0"', '"2.1.0"'):
        response = alice.get(path_of(body), headers={"If-None-Match": header})
        assert (response.status_code, response.headers["ETag"]) == (200, '"1.1.0"')


@pytest.mark.parametrize("archived", [None, "include", "only", "exclude"])
def test_lists_put_away_are_listed_unless_the_filter_says_otherwise(alice: Person, archived: str | None) -> None:
    kept, away = create(alice, "kept"), create(alice, "away")
    alice.patch(path_of(away), {"archived": True})
    query = {} if archived is None else {"archived": archived}
    ids = [item["id"] for item in alice.get("/v1/lists", query_string=query).get_json()["items"]]
    expected = {"only": [away["id"]], "exclude": [kept["id"]]}
    assert ids == expected.get(archived or "include", [kept["id"], away["id"]])


@pytest.mark.parametrize("query", ["archived=1", "archived=true", "archived=", "sort=created_at", "sort=", "limit=0", "x=1"])
def test_what_is_no_parameter_is_refused(alice: Person, query: str) -> None:
    response = alice.get(f"/v1/lists?{query}")
    assert [place for place, _ in expect.errors(response)] == ["?" + query.partition("=")[0]]


# Changing.


def test_a_patch_changes_what_it_names(alice: Person) -> None:
    body = create(alice, color="#111111")
    response = alice.patch(path_of(body), {"name": " Home ", "archived": True})
    changed = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"2.0.0"')
    assert changed == {
        **body,
        "name": "Home",
        "archived": True,
        "etag": '"2.0.0"',
        "updated_at": changed["updated_at"],
    }
    assert alice.get(path_of(body)).get_json() == changed


def test_null_clears_the_color(alice: Person) -> None:
    body = create(alice, color="#111111")
    assert alice.patch(path_of(body), {"color": None}).get_json()["color"] is None


def test_a_patch_that_changes_nothing_writes_nothing(alice: Person, admin: Admin) -> None:
    body = create(alice, color="#abcdef")
    before = admin.execute("SELECT xmin, * FROM app.lists")
    for patch in ({}, {"name": "Household ", "color": "#ABCDEF", "archived": False}, body):
        response = alice.patch(path_of(body), patch)
        assert (response.status_code, response.get_json()) == (200, body)
    assert admin.execute("SELECT xmin, * FROM app.lists") == before


def test_read_only_members_may_be_sent_back_as_they_were_read(alice: Person, admin: Admin) -> None:
    body = create(alice)
    arrange.task(admin, alice, body["id"], status="completed")
    read = alice.get(path_of(body)).get_json()
    response = alice.patch(path_of(body), {**read, "name": "Home"})
    assert (response.status_code, response.headers["ETag"]) == (200, '"2.0.1"')


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"),
        ("etag", '"1"'),
        ("etag", '"1.0.1"'),
        ("position", "a"),
        ("task_counts", {"open": 1, "completed": 0}),
        ("task_counts", {"open": 0, "completed": 2**63 - 1}),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("updated_at", "2020-01-01T00:00:00Z"),
        ("deleted_at", "2020-01-01T00:00:00Z"),
    ],
)
def test_read_only_members_cannot_be_changed(alice: Person, member: str, value: Any) -> None:
    body = create(alice)
    response = alice.patch(path_of(body), {member: value, "name": "Home"})
    assert expect.errors(response, "read_only") == [(f"#/{member}", "read_only")]
    assert alice.get(path_of(body)).get_json() == body


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        *[({"name": name}, ("#/name", code)) for name, code in BAD_NAMES],
        *[({"color": color}, ("#/color", code)) for color, code in BAD_COLORS],
        *[({"archived": no_boolean}, ("#/archived", "invalid_type")) for no_boolean in NO_BOOLEANS],
        ({"task_counts": {"open": 1}}, ("#/task_counts/completed", "required")),
        ({"task_counts": {"open": 2**63, "completed": 0}}, ("#/task_counts/open", "out_of_range")),
        ({"task_counts": {"open": -1, "completed": 0}}, ("#/task_counts/open", "out_of_range")),
        ({"task_counts": {"open": 1.5, "completed": 0}}, ("#/task_counts/open", "invalid_type")),
        ({"task_counts": {"open": "1", "completed": 0}}, ("#/task_counts/open", "invalid_type")),
        ({"task_counts": {"open": True, "completed": 0}}, ("#/task_counts/open", "invalid_type")),
        ({"task_counts": {"open": 0, "completed": 0, "cancelled": 0}}, ("#/task_counts/cancelled", "unknown_member")),
        ({"task_counts": [0, 0]}, ("#/task_counts", "invalid_type")),
        ({"position": "\x00"}, ("#/position", "invalid_characters")),
        ({"user_id": "x"}, ("#/user_id", "unknown_member")),
        ({"version": 1}, ("#/version", "unknown_member")),
    ],
)
def test_what_is_no_patch_changes_nothing(alice: Person, patch: dict[str, Any], error: tuple[str, str]) -> None:
    body = create(alice)
    assert expect.errors(alice.patch(path_of(body), patch)) == [error]
    assert alice.get(path_of(body)).get_json() == body


@pytest.mark.parametrize("member", ["name", "archived", "task_counts", "id"])
def test_what_a_list_always_has_cannot_be_cleared(alice: Person, member: str) -> None:
    response = alice.patch(path_of(create(alice)), {member: None})
    assert expect.errors(response, "not_nullable") == [(f"#/{member}", "not_nullable")]


@pytest.mark.parametrize("header", ['"1.0.0"', '"7.0.0", "1.0.0"', '"1.5.12"', "*"])
def test_a_change_of_the_version_the_client_has_is_made_whatever_its_counts(
    alice: Person, admin: Admin, header: str
) -> None:
    body = create(alice)
    arrange.task(admin, alice, body["id"])
    response = alice.patch(path_of(body), {"name": "Home"}, headers={"If-Match": header})
    assert (response.status_code, response.headers["ETag"]) == (200, '"2.1.0"')


@pytest.mark.parametrize(
    "header", ['"2.0.0"', 'W/"1.0.0"', '"1"', '"1.0"', '"1.0.0.0"', '"1.x.0"', '"1..0"', '"01.0.0"', '""']
)
@pytest.mark.parametrize("patch", [{"name": "Home"}, {}], ids=["a change", "nothing"])
def test_a_change_of_another_version_is_refused_with_the_current_one(
    alice: Person, admin: Admin, patch: dict[str, str], header: str
) -> None:
    body = create(alice)
    arrange.task(admin, alice, body["id"])
    response = alice.patch(path_of(body), patch, headers={"If-Match": header})
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"1.1.0"'
    assert alice.get(path_of(body)).get_json()["name"] == "Household"


def test_of_two_changes_of_one_version_the_second_is_refused(alice: Person, admin: Admin, cluster: Cluster) -> None:
    body = create(alice)
    phone = arrange.apart(alice)
    response = arrange.meanwhile(
        cluster,
        lambda: phone.patch(path_of(body), {"name": "Phone"}, headers={"If-Match": body["etag"]}),
        "UPDATE app.lists SET name = 'Desk', version = 2",
    )
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"2.0.0"'
    assert alice.get(path_of(body)).get_json()["name"] == "Desk"


# Whose.


@pytest.mark.parametrize(
    ("method", "suffix", "json"),
    [
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/move", {}),
        ("POST", "/restore", None),
    ],
)
def test_only_the_owner_has_a_list(
    alice: Person, bob: Person, anonymous: Person, admin: Admin, method: str, suffix: str, json: Any
) -> None:
    body = create(alice)
    before = admin.execute("SELECT * FROM app.lists")
    theirs = expect.problem(bob(method, path_of(body) + suffix, json=json), 404, "not_found")
    never = expect.problem(bob(method, NOWHERE + suffix, json=json), 404, "not_found")
    same = {"instance", "request_id"}
    assert {k: v for k, v in theirs.items() if k not in same} == {k: v for k, v in never.items() if k not in same}
    expect.problem(anonymous(method, path_of(body) + suffix, json=json), 401, "missing_token")
    assert admin.execute("SELECT * FROM app.lists") == before


def test_everybody_lists_and_creates_their_own(alice: Person, bob: Person, anonymous: Person) -> None:
    create(alice)
    assert bob.get("/v1/lists").get_json() == {"items": [], "next_cursor": None}
    expect.problem(anonymous.get("/v1/lists"), 401, "missing_token")
    expect.problem(anonymous.post("/v1/lists", {"name": "x"}), 401, "missing_token")

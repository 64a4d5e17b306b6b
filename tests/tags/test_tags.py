"""Tags over HTTP: counted, renamed, merged, deleted; in all tasks of their owner."""

from typing import Any
from urllib.parse import quote

import arrange
import expect
import pytest
from conftest import Admin, Cluster, Person


def tags(person: Person) -> list[tuple[str, int]]:
    return [(item["name"], item["task_count"]) for item in person.get("/v1/tags").get_json()["items"]]


def tags_of(admin: Admin, task_id: str) -> tuple[list[str], int]:
    """The tags of a task, and its version."""
    ((names, version),) = admin.execute("SELECT tags, version FROM app.tasks WHERE id = %s", task_id)
    return names, version


def path(name: str) -> str:
    return "/v1/tags/" + quote(name, safe="")


# Listing.


def test_tags_are_listed_by_name_without_regard_to_case(alice: Person, bob: Person, admin: Admin) -> None:
    arrange.tag(admin, alice, "b", "Ä", "A", "ab", "C")
    arrange.tag(admin, bob, "SECRET")
    assert tags(alice) == [("A", 0), ("ab", 0), ("b", 0), ("C", 0), ("Ä", 0)]


def test_tasks_are_counted_unless_they_are_in_the_trash(alice: Person, bob: Person, admin: Admin) -> None:
    arrange.tag(admin, alice, "home", "work", "gone")
    arrange.tag(admin, bob, "home")
    parent = arrange.task(admin, alice, tags=["home", "work"])
    arrange.task(admin, alice, tags=["home"], parent_id=parent, status="completed")
    arrange.task(admin, alice, tags=["work", "gone"], deleted_at="now")
    arrange.task(admin, alice)
    arrange.task(admin, bob, tags=["home"])
    assert tags(alice) == [("gone", 0), ("home", 2), ("work", 1)]


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_pages_hold_every_tag_once(alice: Person, admin: Admin, limit: int) -> None:
    arrange.tag(admin, alice, "e", "A", "d", "B", "c")
    arrange.task(admin, alice, tags=["e", "c"])
    seen, where = [], f"/v1/tags?limit={limit}"
    for _ in range(6):
        response = alice.get(where)
        seen += [(item["name"], item["task_count"]) for item in response.get_json()["items"]]
        if expect.next_page(response) is None:
            break
        where = response.headers["Link"].removeprefix("<").removesuffix('>; rel="next"')
    assert seen == [("A", 0), ("B", 0), ("c", 1), ("d", 0), ("e", 1)]


def test_the_longest_key_fits_into_a_cursor(alice: Person, admin: Admin) -> None:
    # Each of these is three code points of two bytes when it is folded.
    arrange.tag(admin, alice, "\u0390" * 64, "z\U0010ffff" * 32, "\u03b0" * 64)
    first = alice.get("/v1/tags?limit=1").get_json()
    second = alice.get("/v1/tags", query_string={"limit": 1, "cursor": first["next_cursor"]}).get_json()
    third = alice.get("/v1/tags", query_string={"limit": 1, "cursor": second["next_cursor"]}).get_json()
    assert (len(third["items"]), third["next_cursor"]) == (1, None)


@pytest.mark.parametrize("query", ["limit=0", "cursor=", "sort=name"])
def test_what_is_no_parameter_is_refused(alice: Person, query: str) -> None:
    response = alice.get(f"/v1/tags?{query}")
    assert [place for place, _ in expect.errors(response)] == ["?" + query.partition("=")[0]]


def test_a_cursor_that_never_was_one_is_refused(alice: Person) -> None:
    expect.problem(alice.get("/v1/tags?cursor=x"), 400, "invalid_cursor")


# Renaming.


def test_a_renamed_tag_keeps_its_place_in_every_task(alice: Person, admin: Admin) -> None:
    arrange.tag(admin, alice, "a", "b", "c")
    middle = arrange.task(admin, alice, tags=["a", "b", "c"], updated_at="2020-01-01")
    trashed = arrange.task(admin, alice, tags=["b"], deleted_at="now")
    without = arrange.task(admin, alice, tags=["a"])
    response = alice.patch(path("b"), {"name": " New e\u0301 "})
    assert (response.status_code, response.get_json()) == (200, {"name": "New é", "task_count": 1})
    assert tags_of(admin, middle) == (["a", "New é", "c"], 2)
    assert tags_of(admin, trashed) == (["New é"], 2)
    assert tags_of(admin, without) == (["a"], 1)
    assert tags(alice) == [("a", 2), ("c", 1), ("New é", 1)]
    assert admin.execute("SELECT updated_at > now() - interval '1 minute' FROM app.tasks WHERE id = %s", middle) == [(True,)]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Home", "hOME"),
        ("Straße", "STRASSE"),
        ("é", "E\u0301"),
        ("Home", " home "),
        ("a/b", "A/B"),
        ("/", "/"),
        ("/x/", "/X/"),
    ],
)
def test_a_tag_is_found_without_regard_to_case(alice: Person, admin: Admin, stored: str, asked: str) -> None:
    arrange.tag(admin, alice, stored)
    assert alice.patch(path(asked), {"name": "new"}).get_json() == {"name": "new", "task_count": 0}
    assert alice.delete(path("NEW")).status_code == 204


@pytest.mark.parametrize(
    "name", ["a/b", "/a", "a/", "//", "a?b", "a#b", "a%2Fb", "a&b=c", "ä 🗑", "a b", "'", "\\", "%", "+", '"', "{}"]
)
def test_any_name_is_an_address(alice: Person, admin: Admin, name: str) -> None:
    arrange.tag(admin, alice, "before")
    task = arrange.task(admin, alice, tags=["before"])
    assert alice.patch(path("before"), {"name": name}).get_json() == {"name": name, "task_count": 1}
    assert tags(alice) == [(name, 1)]
    assert alice.patch(path(name), {"name": "after"}).status_code == 200
    assert tags_of(admin, task) == (["after"], 3)


def test_another_case_of_the_same_name_is_a_rename(alice: Person, admin: Admin) -> None:
    arrange.tag(admin, alice, "home")
    task = arrange.task(admin, alice, tags=["home"])
    assert alice.patch(path("home"), {"name": "HOME"}).get_json() == {"name": "HOME", "task_count": 1}
    assert tags_of(admin, task) == (["HOME"], 2)
    assert tags(alice) == [("HOME", 1)]


@pytest.mark.parametrize(
    "patch", [{}, {"name": "Home"}, {"name": " Home "}, {"task_count": 1}, {"name": "Home", "task_count": 1}]
)
def test_a_patch_that_changes_nothing_writes_nothing(alice: Person, admin: Admin, patch: dict[str, Any]) -> None:
    arrange.tag(admin, alice, "Home")
    arrange.task(admin, alice, tags=["Home"])
    before = admin.execute("SELECT xmin, * FROM app.tasks"), admin.execute("SELECT xmin, * FROM app.tags")
    assert alice.patch(path("home"), patch).get_json() == {"name": "Home", "task_count": 1}
    assert (admin.execute("SELECT xmin, * FROM app.tasks"), admin.execute("SELECT xmin, * FROM app.tags")) == before


def test_a_tag_that_gets_the_name_of_another_becomes_one_with_it(alice: Person, admin: Admin) -> None:
    arrange.tag(admin, alice, "job", "Work", "x")
    only_old = arrange.task(admin, alice, tags=["x", "job"])
    both = arrange.task(admin, alice, tags=["job", "x", "Work"])
    only_target = arrange.task(admin, alice, tags=["Work"])
    trashed = arrange.task(admin, alice, tags=["Work", "job"], deleted_at="now")
    response = alice.patch(path("JOB"), {"name": "WORK"})
    assert (response.status_code, response.get_json()) == (200, {"name": "Work", "task_count": 3})
    assert tags_of(admin, only_old) == (["x", "Work"], 2)
    assert tags_of(admin, both) == (["x", "Work"], 2)
    assert tags_of(admin, only_target) == (["Work"], 1)
    assert tags_of(admin, trashed) == (["Work"], 2)
    assert tags(alice) == [("Work", 3), ("x", 2)]
    expect.problem(alice.patch(path("job"), {"name": "other"}), 404, "not_found")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "too_short"),
        (" ", "too_short"),
        ("x" * 65, "too_long"),
        ("a,b", "invalid_characters"),
        ("a\nb", "invalid_characters"),
        ("a\x00b", "invalid_characters"),
        ("\ud800", "invalid_characters"),
        (7, "invalid_type"),
    ],
)
def test_what_is_no_name_is_invalid(alice: Person, admin: Admin, name: Any, code: str) -> None:
    arrange.tag(admin, alice, "home")
    assert expect.errors(alice.patch(path("home"), {"name": name})) == [("#/name", code)]
    assert tags(alice) == [("home", 0)]


def test_a_name_has_up_to_64_code_points(alice: Person, admin: Admin) -> None:
    arrange.tag(admin, alice, "home")
    for name in ("🗑" * 64, "\u0390" * 64, "\ufb03" * 64):
        before = tags(alice)[0][0]
        assert alice.patch(path(before), {"name": name}).get_json()["name"] == name


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        ({"task_count": "0"}, ("#/task_count", "invalid_type")),
        ({"task_count": -1}, ("#/task_count", "out_of_range")),
        ({"task_count": 2**63}, ("#/task_count", "out_of_range")),
        ({"key": "x"}, ("#/key", "unknown_member")),
        ({"user_id": "x"}, ("#/user_id", "unknown_member")),
    ],
)
def test_what_is_no_patch_is_refused(alice: Person, patch: dict[str, Any], error: tuple[str, str]) -> None:
    assert expect.errors(alice.patch(path("home"), patch)) == [error]


def test_a_name_cannot_be_cleared(alice: Person) -> None:
    assert expect.errors(alice.patch(path("home"), {"name": None}), "not_nullable") == [("#/name", "not_nullable")]


@pytest.mark.parametrize("count", [0, 2, 2**63 - 1])
def test_the_count_cannot_be_changed(alice: Person, admin: Admin, count: int) -> None:
    arrange.tag(admin, alice, "home")
    arrange.task(admin, alice, tags=["home"])
    response = alice.patch(path("home"), {"name": "new", "task_count": count})
    assert expect.errors(response, "read_only") == [("#/task_count", "read_only")]
    assert tags(alice) == [("home", 1)]


# Deleting.


def test_a_deleted_tag_is_taken_off_all_tasks(alice: Person, admin: Admin) -> None:
    arrange.tag(admin, alice, "a", "B")
    task = arrange.task(admin, alice, tags=["a", "B"])
    trashed = arrange.task(admin, alice, tags=["B"], deleted_at="now")
    without = arrange.task(admin, alice, tags=["a"])
    response = alice.delete(path("b"))
    assert (response.status_code, response.data) == (204, b"")
    assert tags_of(admin, task) == (["a"], 2)
    assert tags_of(admin, trashed) == ([], 2)
    assert tags_of(admin, without) == (["a"], 1)
    assert tags(alice) == [("a", 2)]
    expect.problem(alice.delete(path("b")), 404, "not_found")


# Whose, and what for.


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("name", ["unknown", "a,b", "x" * 65, "\x00", "\n", " ", "\ufffd", "日本語", "'", "%s"])
def test_a_tag_that_is_none_is_not_found(alice: Person, name: str, method: str) -> None:
    json = {"name": "new"} if method == "PATCH" else None
    expect.problem(alice(method, path(name), json=json), 404, "not_found")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_path_that_is_no_text_is_not_found(alice: Person, method: str) -> None:
    json = {"name": "new"} if method == "PATCH" else None
    expect.problem(alice(method, "/v1/tags/%ff%ed%a0%80", json=json), 404, "not_found")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_only_the_owner_has_a_tag(alice: Person, bob: Person, anonymous: Person, admin: Admin, method: str) -> None:
    arrange.tag(admin, alice, "home")
    arrange.task(admin, alice, tags=["home"])
    before = admin.execute("SELECT xmin, * FROM app.tasks"), admin.execute("SELECT xmin, * FROM app.tags")
    json = {"name": "new"} if method == "PATCH" else None
    expect.problem(bob(method, path("home"), json=json), 404, "not_found")
    expect.problem(anonymous(method, path("home"), json=json), 401, "missing_token")
    assert (admin.execute("SELECT xmin, * FROM app.tasks"), admin.execute("SELECT xmin, * FROM app.tags")) == before


def test_the_same_tag_of_somebody_else_stays_as_it_is(alice: Person, bob: Person, admin: Admin) -> None:
    arrange.tag(admin, alice, "home", "old")
    arrange.tag(admin, bob, "home", "old")
    theirs = arrange.task(admin, bob, tags=["home", "old"])
    alice.patch(path("home"), {"name": "new"})
    alice.delete(path("old"))
    assert tags_of(admin, theirs) == (["home", "old"], 1)
    assert tags(bob) == [("home", 1), ("old", 1)]


def test_nobody_lists_no_tags(anonymous: Person) -> None:
    expect.problem(anonymous.get("/v1/tags"), 401, "missing_token")


def test_a_condition_is_not_ignored(alice: Person, admin: Admin) -> None:
    arrange.tag(admin, alice, "home")
    response = alice.patch(path("home"), {"name": "new"}, headers={"If-Match": '"1"'})
    expect.problem(response, 412, "precondition_failed")


# At the same moment.

# What app.get_or_create_tags does, and another statement that uses the tag, before their commit.
TAGGING = (
    "SELECT FROM app.users WHERE user_id = %(user)s FOR NO KEY UPDATE;"
    " INSERT INTO app.tasks (user_id, id, title, tags) VALUES (%(user)s, gen_random_uuid(), 'late', ARRAY['home'])"
)


@pytest.mark.parametrize(("patch", "left"), [({"name": "new"}, ["new"]), ({"name": "Other"}, ["Other"]), (None, [])])
def test_a_task_that_is_given_the_tag_at_the_same_moment_is_changed_too(
    alice: Person, admin: Admin, cluster: Cluster, patch: dict[str, str] | None, left: list[str]
) -> None:
    arrange.tag(admin, alice, "home", "Other")
    phone = arrange.apart(alice)
    response = arrange.meanwhile(
        cluster,
        lambda: phone.delete(path("home")) if patch is None else phone.patch(path("home"), patch),
        TAGGING % {"user": f"'{alice.id}'"},
    )
    assert response.status_code in (200, 204), response.text
    assert admin.execute("SELECT tags, version FROM app.tasks") == [(left, 2)]


def test_a_tag_that_is_gone_at_the_same_moment_is_not_found(alice: Person, admin: Admin, cluster: Cluster) -> None:
    arrange.tag(admin, alice, "home")
    phone = arrange.apart(alice)
    statement = "SELECT FROM app.users WHERE user_id = %s FOR NO KEY UPDATE; DELETE FROM app.tags"
    response = arrange.meanwhile(cluster, lambda: phone.patch(path("home"), {"name": "new"}), statement, alice.id)
    expect.problem(response, 404, "not_found")
    assert tags(alice) == []

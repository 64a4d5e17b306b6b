"""The end of a list, and what becomes of its tasks."""

from typing import Any
from uuid import uuid4

import arrange
import expect
import pytest
from conftest import Admin, Cluster, Person

EVERY_WAY = pytest.mark.parametrize("query", ["", "?tasks=inbox", "?tasks=trash"])


def create(person: Person, name: str = "Household", **members: Any) -> str:
    list_id: str = person.post("/v1/lists", {"name": name, **members}).get_json()["id"]
    return list_id


def inbox(admin: Admin, person: Person) -> str:
    """The titles of somebody's tasks in the Inbox, in order; of subtasks too."""
    rows = admin.execute(
        "SELECT title FROM app.tasks WHERE user_id = %s AND list_id IS NULL AND deleted_at IS NULL ORDER BY position, id",
        person.id,
    )
    return "".join(title for (title,) in rows)


def row(admin: Admin, task_id: str, *columns: str) -> tuple[Any, ...]:
    (found,) = admin.execute(f"SELECT {', '.join(columns)} FROM app.tasks WHERE id = %s", task_id)
    return found


def versions(admin: Admin) -> dict[str, int]:
    """The version of every task, by its title."""
    return {str(title): int(version) for title, version in admin.execute("SELECT title, version FROM app.tasks")}


@EVERY_WAY
def test_a_deleted_list_is_gone(alice: Person, query: str) -> None:
    list_id = create(alice)
    response = alice.delete(f"/v1/lists/{list_id}{query}")
    assert (response.status_code, response.data) == (204, b"")
    expect.problem(alice.get(f"/v1/lists/{list_id}"), 404, "not_found")
    expect.problem(alice.delete(f"/v1/lists/{list_id}{query}"), 404, "not_found")


@pytest.mark.parametrize("query", ["", "?tasks=inbox"])
def test_its_tasks_go_to_the_end_of_the_inbox_in_their_order(alice: Person, admin: Admin, query: str) -> None:
    list_id = create(alice)
    arrange.task(admin, alice, title="x", position="a1")
    arrange.task(admin, alice, title="z")
    for title, position in (("c", "aa"), ("a", "Z1"), ("d", "b"), ("b", "a3")):
        arrange.task(admin, alice, list_id, title=title, position=position)
    before = versions(admin)
    assert alice.delete(f"/v1/lists/{list_id}{query}").status_code == 204
    arrange.task(admin, alice, title="e")
    assert inbox(admin, alice) == "xzabcde"
    after = versions(admin)
    assert before == dict.fromkeys("xzabcd", 1)
    assert after == {"x": 1, "z": 1, "a": 2, "b": 2, "c": 2, "d": 2, "e": 1}


def test_more_tasks_than_a_digit_counts_keep_their_order(alice: Person, admin: Admin) -> None:
    list_id = create(alice)
    admin.execute(
        "INSERT INTO app.tasks (user_id, id, title, list_id, position)"
        " SELECT %s, gen_random_uuid(), n || ' ', %s, 'a' || app.rank_digits(n) FROM generate_series(1, 200) AS n",
        alice.id,
        list_id,
    )
    alice.delete(f"/v1/lists/{list_id}")
    assert inbox(admin, alice).split() == [str(n) for n in range(1, 201)]


def test_a_task_that_goes_to_the_inbox_has_just_changed(alice: Person, admin: Admin) -> None:
    list_id = create(alice)
    task = arrange.task(admin, alice, list_id, updated_at="2020-01-01")
    alice.delete(f"/v1/lists/{list_id}")
    assert row(admin, task, "updated_at > now() - interval '1 minute'", "list_id", "deleted_at") == (True, None, None)


@EVERY_WAY
def test_subtasks_stay_with_their_parents_in_their_order(alice: Person, admin: Admin, query: str) -> None:
    list_id = create(alice)
    parent = arrange.task(admin, alice, list_id, title="p")
    first = arrange.task(admin, alice, list_id, title="1", parent_id=parent, position="a5")
    second = arrange.task(admin, alice, list_id, title="2", parent_id=parent, position="a7")
    assert alice.delete(f"/v1/lists/{list_id}{query}").status_code == 204
    columns = ("parent_id::text", "position", "list_id", "version")
    assert row(admin, first, *columns) == (parent, "a5", None, 2)
    assert row(admin, second, *columns) == (parent, "a7", None, 2)
    assert row(admin, parent, "parent_id", "list_id", "version") == (None, None, 2)


def test_with_trash_its_tasks_go_there_together(alice: Person, admin: Admin) -> None:
    list_id = create(alice)
    parent = arrange.task(admin, alice, list_id)
    arrange.task(admin, alice, list_id, parent_id=parent)
    arrange.task(admin, alice, list_id, status="completed")
    arrange.task(admin, alice, title="stays")
    assert alice.delete(f"/v1/lists/{list_id}?tasks=trash").status_code == 204
    gone = admin.execute("SELECT deleted_at, list_id, version FROM app.tasks WHERE title = 'x'")
    assert len(gone) == 3
    assert len(set(gone)) == 1
    assert gone[0][1:] == (None, 2)
    assert inbox(admin, alice) == "stays"


@EVERY_WAY
def test_what_is_in_the_trash_stays_there_since_when_it_was(alice: Person, admin: Admin, query: str) -> None:
    list_id = create(alice)
    parent = arrange.task(admin, alice, list_id)
    tasks = [
        arrange.task(admin, alice, list_id, deleted_at="2026-01-01 00:00Z"),
        arrange.task(admin, alice, list_id, deleted_at="2026-01-01 00:00Z", parent_id=parent),
    ]
    assert alice.delete(f"/v1/lists/{list_id}{query}").status_code == 204
    for task in tasks:
        assert row(admin, task, "list_id", "deleted_at = '2026-01-01 00:00Z'") == (None, True)


@EVERY_WAY
def test_the_tasks_of_other_lists_and_people_stay_as_they_are(alice: Person, bob: Person, admin: Admin, query: str) -> None:
    list_id = create(alice)
    arrange.task(admin, alice, create(alice, "Other"))
    arrange.task(admin, alice)
    assert create(bob, id=list_id) == list_id
    arrange.task(admin, bob, list_id)
    before = admin.execute("SELECT xmin, * FROM app.tasks ORDER BY id")
    assert alice.delete(f"/v1/lists/{list_id}{query}").status_code == 204
    assert admin.execute("SELECT xmin, * FROM app.tasks ORDER BY id") == before
    assert bob.get(f"/v1/lists/{list_id}").status_code == 200


def test_there_is_always_room_in_the_inbox(alice: Person, admin: Admin) -> None:
    list_id = create(alice)
    for title, position in (("a", "a"), ("b", "z" * 60), ("c", "z" * 64)):
        arrange.task(admin, alice, title=title, position=position)
    arrange.task(admin, alice, list_id, title="d")
    assert alice.delete(f"/v1/lists/{list_id}").status_code == 204
    assert inbox(admin, alice) == "abcd"


@pytest.mark.parametrize("query", ["tasks=delete", "tasks=", "tasks=inbox&tasks=inbox", "x=1"])
def test_what_is_no_fate_of_tasks_is_refused(alice: Person, query: str) -> None:
    list_id = create(alice)
    response = alice.delete(f"/v1/lists/{list_id}?{query}")
    assert [place for place, _ in expect.errors(response)] == ["?" + query.partition("=")[0]]
    assert alice.get(f"/v1/lists/{list_id}").status_code == 200


@pytest.mark.parametrize("header", ['"1.0.0"', '"1.7.7"', '"5.0.0", "1.0.0"', "*"])
def test_the_version_the_client_has_is_deleted_whatever_its_counts(alice: Person, admin: Admin, header: str) -> None:
    list_id = create(alice)
    arrange.task(admin, alice, list_id)
    assert alice.delete(f"/v1/lists/{list_id}", headers={"If-Match": header}).status_code == 204


@EVERY_WAY
@pytest.mark.parametrize("header", ['"2.0.0"', 'W/"1.1.0"', '"1"', '""'])
def test_another_version_is_not_deleted(alice: Person, admin: Admin, query: str, header: str) -> None:
    list_id = create(alice)
    arrange.task(admin, alice, list_id)
    before = admin.execute("SELECT xmin, * FROM app.tasks")
    response = alice.delete(f"/v1/lists/{list_id}{query}", headers={"If-Match": header})
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"1.1.0"'
    assert admin.execute("SELECT xmin, * FROM app.tasks") == before


@pytest.mark.parametrize("query", ["", "?tasks=trash"])
def test_a_task_that_is_put_into_it_at_the_same_moment_goes_along(
    alice: Person, admin: Admin, cluster: Cluster, query: str
) -> None:
    list_id, task = create(alice), str(uuid4())
    phone = arrange.apart(alice)
    response = arrange.meanwhile(
        cluster,
        lambda: phone.delete(f"/v1/lists/{list_id}{query}"),
        "INSERT INTO app.tasks (user_id, id, title, list_id) VALUES (%s, %s, 'late', %s)",
        alice.id,
        task,
        list_id,
    )
    assert response.status_code == 204
    assert row(admin, task, "list_id", "version", "deleted_at IS NOT NULL") == (None, 2, query != "")


@pytest.mark.parametrize("query", ["", "?tasks=trash"])
def test_a_task_that_leaves_it_at_the_same_moment_stays_where_it_went(
    alice: Person, admin: Admin, cluster: Cluster, query: str
) -> None:
    list_id, other = create(alice), create(alice, "Other")
    task = arrange.task(admin, alice, list_id)
    phone = arrange.apart(alice)
    response = arrange.meanwhile(
        cluster,
        lambda: phone.delete(f"/v1/lists/{list_id}{query}"),
        "UPDATE app.tasks SET list_id = %s, version = 2 WHERE id = %s",
        other,
        task,
    )
    assert response.status_code == 204
    assert row(admin, task, "list_id::text", "version", "deleted_at") == (other, 2, None)


def test_a_list_that_changes_at_the_same_moment_is_not_deleted_as_the_version_before(
    alice: Person, admin: Admin, cluster: Cluster
) -> None:
    list_id = create(alice)
    phone = arrange.apart(alice)
    response = arrange.meanwhile(
        cluster,
        lambda: phone.delete(f"/v1/lists/{list_id}", headers={"If-Match": '"1.0.0"'}),
        "UPDATE app.lists SET name = 'Changed', version = 2",
    )
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"2.0.0"'
    assert alice.get(f"/v1/lists/{list_id}").get_json()["name"] == "Changed"

"""Lists in the trash, and how they and their tasks come back."""

from typing import Any
from uuid import uuid4

import arrange
import expect
import pytest
from conftest import Admin, Cluster, Person

EVERY_WAY = pytest.mark.parametrize("query", ["", "?tasks=trash"], ids=["inbox", "trash"])
CHANGES_WITH_IT = {"etag", "updated_at"}


def create(person: Person, name: str = "Household", **members: Any) -> str:
    response = person.post("/v1/lists", {"name": name, **members})
    assert response.status_code == 201, response.text
    list_id: str = response.get_json()["id"]
    return list_id


def make(person: Person, **members: Any) -> str:
    response = person.post("/v1/tasks", {"title": "x", **members})
    assert response.status_code == 201, response.text
    task_id: str = response.get_json()["id"]
    return task_id


def delete(person: Person, list_id: str, query: str = "") -> None:
    response = person.delete(f"/v1/lists/{list_id}{query}")
    assert response.status_code == 204, response.text


def restore(person: Person, list_id: str) -> dict[str, Any]:
    response = person.post(f"/v1/lists/{list_id}/restore")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    assert response.headers["ETag"] == body["etag"]
    return body


def lists(person: Person, query: str = "") -> list[str]:
    return [item["id"] for item in person.get(f"/v1/lists{query}").get_json()["items"]]


def tasks(person: Person) -> dict[str, dict[str, Any]]:
    """Every task, by its id, in the trash or not; without what each change changes."""
    items = [
        item
        for deleted in ("exclude", "only")
        for item in person.get(f"/v1/tasks?limit=200&archived=include&deleted={deleted}").get_json()["items"]
    ]
    return {item["id"]: {name: value for name, value in item.items() if name not in CHANGES_WITH_IT} for item in items}


def a_full_list(person: Person) -> tuple[str, dict[str, str]]:
    """A list with a task of every kind, and what they are called."""
    there = create(person)
    made = {"one": make(person, list_id=there), "two": make(person, list_id=there, after=None)}
    made["part"] = make(person, parent_id=made["one"])
    made["other part"] = make(person, parent_id=made["one"], after=None)
    made["done"] = make(person, list_id=there)
    made["thrown away"] = make(person, list_id=there)
    made["part thrown away"] = make(person, parent_id=made["one"])
    person.post(f"/v1/tasks/{made['done']}/complete")
    for name in ("thrown away", "part thrown away"):
        person.delete(f"/v1/tasks/{made[name]}")
    make(person, title="in the Inbox")
    return there, made


@EVERY_WAY
def test_a_restored_list_has_its_tasks_where_they_were(alice: Person, query: str) -> None:
    there, _ = a_full_list(alice)
    before, of_list = tasks(alice), alice.get(f"/v1/lists/{there}").get_json()
    delete(alice, there, query)
    assert {task["list_id"] for task in tasks(alice).values()} == {None}
    back = restore(alice, there)
    assert tasks(alice) == before
    assert back == alice.get(f"/v1/lists/{there}").get_json()
    assert back == {**of_list, "etag": '"3.4.1"', "updated_at": back["updated_at"]}


@EVERY_WAY
def test_a_list_can_be_deleted_and_restored_again_and_again(alice: Person, query: str) -> None:
    there, _ = a_full_list(alice)
    before = tasks(alice)
    for way in (query, "", "?tasks=trash", query):
        delete(alice, there, way)
        restore(alice, there)
    assert tasks(alice) == before


@EVERY_WAY
def test_an_archived_list_takes_its_tasks_back(alice: Person, query: str) -> None:
    there, titles = a_full_list(alice)
    alice.patch(f"/v1/lists/{there}", {"archived": True})
    before = tasks(alice)
    delete(alice, there, query)
    added = [] if query else [make(alice, parent_id=titles["one"])]
    assert restore(alice, there)["archived"] is True
    after = tasks(alice)
    assert {task_id: after[task_id] for task_id in before} == before
    assert [after[task_id]["list_id"] for task_id in added] == [there] * len(added)


@EVERY_WAY
def test_a_deleted_list_is_in_the_trash_and_nowhere_else(alice: Person, query: str) -> None:
    there, kept = create(alice, color="#1E88E5"), create(alice, "Kept")
    alice.patch(f"/v1/lists/{there}", {"archived": True})
    before = alice.get(f"/v1/lists/{there}").get_json()
    delete(alice, there, query)
    assert (lists(alice), lists(alice, "?archived=only")) == ([kept], [])
    assert lists(alice, "?deleted=only") == lists(alice, "?deleted=only&archived=only") == [there]
    (item,) = alice.get("/v1/lists?deleted=only").get_json()["items"]
    assert item["deleted_at"] == item["updated_at"] is not None
    assert item == {**before, "etag": '"3.0.0"', **{name: item[name] for name in ("deleted_at", "updated_at")}}
    for response in (
        alice.get(f"/v1/lists/{there}"),
        alice.patch(f"/v1/lists/{there}", {"name": "x"}),
        alice.post(f"/v1/lists/{there}/move", {}),
        alice.delete(f"/v1/lists/{there}{query}"),
    ):
        expect.problem(response, 404, "not_found")
    assert restore(alice, there)["archived"] is True
    assert alice.get(f"/v1/tasks?list_id={there}").get_json()["items"] == []


def test_restoring_is_idempotent_and_never_restores_what_is_gone(alice: Person, bob: Person) -> None:
    there, _ = a_full_list(alice)
    before = alice.get(f"/v1/lists/{there}").get_json()
    assert restore(alice, there) == before
    delete(alice, there)
    expect.problem(bob.post(f"/v1/lists/{there}/restore"), 404, "not_found")
    back = restore(alice, there)
    assert restore(alice, there) == back
    delete(alice, there, "?permanent=true")
    expect.problem(alice.post(f"/v1/lists/{there}/restore"), 404, "not_found")


# What something has moved since stays where that put it. Requests about a task, each with its body.
ELSEWHERE, PARENT = str(uuid4()), str(uuid4())
MOVES: dict[str, list[tuple[str, str, Any]]] = {
    "moved in the Inbox": [("POST", "/move", {"after": None})],
    "moved into a list": [("POST", "/move", {"list_id": ELSEWHERE})],
    "patched into a list": [("PATCH", "", {"list_id": ELSEWHERE})],
    "made a subtask": [("POST", "/move", {"parent_id": PARENT})],
    "thrown away": [("DELETE", "", None)],
    "thrown away and restored": [("DELETE", "", None), ("POST", "/restore", None)],
}


@pytest.mark.parametrize("requests", MOVES.values(), ids=MOVES)
def test_what_was_moved_since_stays_where_it_is_with_its_subtasks(
    alice: Person, requests: list[tuple[str, str, Any]]
) -> None:
    there = create(alice)
    create(alice, "Elsewhere", id=ELSEWHERE)
    moved, other = make(alice, list_id=there), make(alice, list_id=there)
    make(alice, id=PARENT)
    if requests is not MOVES["made a subtask"]:
        make(alice, parent_id=moved)
    delete(alice, there)
    for method, suffix, body in requests:
        assert alice(method, f"/v1/tasks/{moved}{suffix}", json=body).status_code in (200, 204)
    before = tasks(alice)
    restore(alice, there)
    after = tasks(alice)
    assert after[other]["list_id"] == there
    assert {**after, other: None} == {**before, other: None}
    # Nothing remembers it any more.
    delete(alice, there)
    restore(alice, there)
    assert tasks(alice) == after


def test_a_task_restored_by_itself_stays_in_the_inbox(alice: Person) -> None:
    there = create(alice)
    alone, other = make(alice, list_id=there), make(alice, list_id=there)
    part = make(alice, parent_id=alone)
    delete(alice, there, "?tasks=trash")
    assert alice.post(f"/v1/tasks/{alone}/restore").get_json()["list_id"] is None
    restore(alice, there)
    assert [tasks(alice)[task]["list_id"] for task in (alone, part, other)] == [None, None, there]
    assert alice.get("/v1/tasks?deleted=only").get_json()["items"] == []


def test_changes_other_than_moves_leave_a_task_its_way_back(alice: Person) -> None:
    there = create(alice)
    task = make(alice, list_id=there)
    delete(alice, there)
    alice.patch(f"/v1/tasks/{task}", {"title": "Changed", "list_id": None})
    alice.post(f"/v1/tasks/{task}/complete")
    part = make(alice, parent_id=task)
    restore(alice, there)
    assert [tasks(alice)[one]["list_id"] for one in (task, part)] == [there, there]


def test_a_part_that_left_its_parent_stays_where_it_went(alice: Person) -> None:
    there = create(alice)
    parent = make(alice, list_id=there)
    stays, leaves = make(alice, parent_id=parent), make(alice, parent_id=parent)
    delete(alice, there)
    alice.post(f"/v1/tasks/{leaves}/move", {"parent_id": None})
    restore(alice, there)
    assert [tasks(alice)[task]["list_id"] for task in (parent, stays, leaves)] == [there, there, None]


@pytest.mark.parametrize("how", ["create", "move", "patch", "restore"])
def test_no_task_is_put_into_a_list_in_the_trash(alice: Person, how: str) -> None:
    there = create(alice)
    task = make(alice, list_id=there if how == "restore" else None)
    if how == "restore":
        alice.delete(f"/v1/tasks/{task}")
    delete(alice, there)
    if how == "restore":
        assert alice.post(f"/v1/tasks/{task}/restore").get_json()["list_id"] is None
        return
    response = {
        "create": lambda: alice.post("/v1/tasks", {"title": "x", "list_id": there}),
        "move": lambda: alice.post(f"/v1/tasks/{task}/move", {"list_id": there}),
        "patch": lambda: alice.patch(f"/v1/tasks/{task}", {"list_id": there}),
    }[how]()
    assert expect.errors(response) == [("#/list_id", "unknown_list")]


def test_a_task_that_is_put_into_a_list_while_that_is_deleted_is_refused(alice: Person, cluster: Cluster) -> None:
    there = create(alice)
    phone = arrange.apart(alice)
    response = arrange.meanwhile(
        cluster,
        lambda: phone.post("/v1/tasks", {"title": "late", "list_id": there}),
        "UPDATE app.lists SET deleted_at = now() WHERE id = %s",
        there,
    )
    assert expect.errors(response) == [("#/list_id", "unknown_list")]


def test_a_restored_list_is_where_it_was_among_the_lists(alice: Person) -> None:
    one, two, three = create(alice), create(alice), create(alice)
    delete(alice, two)
    assert lists(alice) == [one, three]
    # The neighbours do not see it, and cannot be put behind it.
    before = alice.get(f"/v1/lists/{three}").get_json()
    assert alice.post(f"/v1/lists/{three}/move", {"after": one}).get_json() == before
    assert expect.errors(alice.post(f"/v1/lists/{three}/move", {"after": two})) == [("#/after", "unknown_list")]
    restore(alice, two)
    assert lists(alice) == [one, two, three]


@pytest.mark.parametrize(("header", "status"), [('"2.0.0"', 200), ('"1.0.0", "2.7.7"', 200), ("*", 200), ('"1.0.0"', 412)])
def test_the_version_the_client_has_is_restored(alice: Person, header: str, status: int) -> None:
    there = create(alice)
    task = make(alice, list_id=there)
    delete(alice, there)
    response = alice.post(f"/v1/lists/{there}/restore", headers={"If-Match": header})
    assert response.status_code == status
    assert tasks(alice)[task]["list_id"] == (there if status == 200 else None)
    if status == 412:
        assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"2.0.0"'


@pytest.mark.parametrize("from_trash", [False, True])
@EVERY_WAY
def test_a_list_deleted_for_good_takes_no_task_with_it(alice: Person, admin: Admin, query: str, from_trash: bool) -> None:
    there, made = a_full_list(alice)
    if from_trash:
        delete(alice, there, query)
        delete(alice, there, "?permanent=true")
    else:
        delete(alice, there, f"{query}&permanent=true" if query else "?permanent=true")
    assert lists(alice) == lists(alice, "?deleted=only") == []
    found = tasks(alice)
    assert set(made.values()) < set(found)
    assert {task["list_id"] for task in found.values()} == {None}
    assert (found[made["one"]]["deleted_at"] is not None) == (query != "")
    assert admin.execute("SELECT count(*) FROM app.tasks WHERE restore_list_id IS NOT NULL") == [(0,)]


def test_emptying_the_trash_empties_it_of_lists_too(alice: Person, bob: Person) -> None:
    there, thrown, kept, theirs = create(alice), create(alice), create(alice), create(bob)
    inbox, gone = make(alice, list_id=there), make(alice, list_id=thrown)
    delete(alice, there)
    delete(alice, thrown, "?tasks=trash")
    delete(bob, theirs)
    assert alice.delete("/v1/trash").status_code == 204
    assert (lists(alice), lists(alice, "?deleted=only"), lists(bob, "?deleted=only")) == ([kept], [], [theirs])
    assert inbox in tasks(alice)
    assert gone not in tasks(alice)
    expect.problem(alice.post(f"/v1/lists/{there}/restore"), 404, "not_found")


def test_lists_in_the_trash_count_towards_the_quota_and_are_exported(alice: Person, admin: Admin) -> None:
    there = create(alice)
    delete(alice, there)
    admin.execute(
        "INSERT INTO app.lists (user_id, id, name) SELECT %s, gen_random_uuid(), 'x' FROM generate_series(1, 499)", alice.id
    )
    expect.problem(alice.post("/v1/lists", {"name": "x"}), 422, "quota_exceeded")
    (exported,) = [item for item in alice.get("/v1/me/export").get_json()["lists"] if item["deleted_at"]]
    assert exported["id"] == there
    restore(alice, there)
    expect.problem(alice.post("/v1/lists", {"name": "x"}), 422, "quota_exceeded")


@pytest.mark.parametrize(
    ("scopes", "statuses"),
    [
        (("lists:write",), (403, 403)),
        (("tasks:write",), (403, 403)),
        (("lists:write", "tasks:write"), (200, 204)),
    ],
)
def test_restoring_and_emptying_need_both_scopes(alice: Person, scopes: tuple[str, ...], statuses: tuple[int, int]) -> None:
    there = create(alice)
    delete(alice, there)
    script = arrange.script(alice, *scopes)
    assert (
        script.post(f"/v1/lists/{there}/restore").status_code,
        script.delete("/v1/trash").status_code,
    ) == statuses


@EVERY_WAY
def test_the_database_lets_no_list_go_into_the_trash_with_its_tasks(alice: Person, admin: Admin, query: str) -> None:
    """Whoever writes the row itself is refused, as whoever names a list in the trash is."""
    there = create(alice)
    task = make(alice, list_id=there)
    with pytest.raises(Exception, match="tasks_list_id_fkey"):
        admin.execute("UPDATE app.lists SET deleted_at = now() WHERE id = %s", there)
    delete(alice, there, query)
    with pytest.raises(Exception, match="tasks_list_id_fkey"):
        admin.execute("UPDATE app.tasks SET list_id = %s WHERE id = %s", there, task)
    assert alice.post("/v1/lists", {"id": str(uuid4()), "name": "x"}).status_code == 201

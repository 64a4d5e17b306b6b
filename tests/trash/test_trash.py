"""Deleting tasks, having them back, and deleting them for good."""

from typing import Any
from uuid import uuid4

import arrange
import expect
import pytest
from conftest import Admin, Cluster, Person

NOWHERE = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"


def create(person: Person, **members: Any) -> str:
    """Create a task; return its path."""
    response = person.post("/v1/tasks", {"title": "x", **members})
    assert response.status_code == 201, response.text
    return response.headers["Location"]


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def a_list(person: Person) -> str:
    list_id: str = person.post("/v1/lists", {"name": "x"}).get_json()["id"]
    return list_id


def thrown(person: Person) -> dict[str, dict[str, Any]]:
    """What is in the trash, by path."""
    items = person.get("/v1/tasks?deleted=only&limit=200").get_json()["items"]
    return {f"/v1/tasks/{task['id']}": task for task in items}


def delete(person: Person, path: str, **kwargs: Any) -> None:
    response = person.delete(path, **kwargs)
    assert (response.status_code, response.data) == (204, b""), response.text


def restore(person: Person, path: str) -> dict[str, Any]:
    response = person.post(f"{path}/restore")
    assert response.status_code == 200, response.text
    task: dict[str, Any] = response.get_json()
    assert response.headers["ETag"] == task["etag"]
    return task


def test_a_deleted_task_is_not_found_and_lies_in_the_trash(alice: Person) -> None:
    path, other = create(alice, tags=["a"], due={"date": "2026-12-01"}), create(alice)
    before = alice.get(path).get_json()
    delete(alice, path)
    for response in (
        alice.get(path),
        alice.patch(path, {"title": "y"}),
        alice.post(f"{path}/move", {}),
        alice.post(f"{path}/complete", {}),
        alice.post(f"{path}/reopen"),
        alice.delete(path),
    ):
        expect.problem(response, 404, "not_found")
    assert [f"/v1/tasks/{task['id']}" for task in alice.get("/v1/tasks").get_json()["items"]] == [other]
    task = thrown(alice)[path]
    assert task["deleted_at"] == task["updated_at"] is not None
    changed = {"deleted_at": task["deleted_at"], "updated_at": task["updated_at"], "etag": '"2"'}
    assert thrown(alice) == {path: {**before, **changed}}


def test_subtasks_go_and_come_with_their_parent(alice: Person) -> None:
    path = create(alice)
    parts = [create(alice, parent_id=id_of(path)) for _ in range(2)]
    before = [alice.get(part).get_json() for part in parts]
    delete(alice, path)
    assert set(thrown(alice)) == {path, *parts}
    assert len({task["deleted_at"] for task in thrown(alice).values()}) == 1
    restore(alice, path)
    assert thrown(alice) == {}
    for part, task in zip(parts, before, strict=True):
        now = alice.get(part).get_json()
        assert now == {**task, "etag": '"3"', "updated_at": now["updated_at"]}


def test_a_subtask_that_was_in_the_trash_before_stays_there(alice: Person) -> None:
    path = create(alice)
    one, two = (create(alice, parent_id=id_of(path)) for _ in range(2))
    delete(alice, one)
    before = thrown(alice)[one]
    delete(alice, path)
    assert thrown(alice)[one] == before
    restore(alice, path)
    assert thrown(alice) == {one: before}
    assert alice.get(two).status_code == 200
    assert restore(alice, one)["parent_id"] == id_of(path)


def test_restoring_is_idempotent(alice: Person) -> None:
    path = create(alice)
    before = alice.get(path).get_json()
    assert restore(alice, path) == before
    delete(alice, path)
    task = restore(alice, path)
    assert task == alice.get(path).get_json() == {**before, "etag": '"3"', "updated_at": task["updated_at"]}
    assert restore(alice, path) == task


def test_what_was_completed_comes_back_completed(alice: Person) -> None:
    path = create(alice)
    alice.post(f"{path}/complete", {})
    delete(alice, path)
    assert restore(alice, path)["status"] == "completed"


def test_a_subtask_comes_back_to_its_parent_into_the_list_where_that_is_by_now(alice: Person) -> None:
    there = a_list(alice)
    path = create(alice)
    part, other = (create(alice, parent_id=id_of(path)) for _ in range(2))
    delete(alice, part)
    assert alice.patch(path, {"list_id": there}).status_code == 200
    task = restore(alice, part)
    assert (task["parent_id"], task["list_id"]) == (id_of(path), there)
    assert alice.get(other).get_json()["list_id"] == there


@pytest.mark.parametrize("how", ["in the trash", "purged later"])
def test_a_subtask_comes_back_without_a_parent_that_is_in_the_trash(alice: Person, how: str) -> None:
    there = a_list(alice)
    path = create(alice, list_id=there)
    part, other = (create(alice, parent_id=id_of(path)) for _ in range(2))
    delete(alice, path)
    task = restore(alice, part)
    assert (task["parent_id"], task["list_id"], task["deleted_at"]) == (None, there, None)
    if how == "purged later":
        delete(alice, f"{path}?permanent=true")
        assert alice.get(part).get_json() == task
    else:
        restore(alice, path)
        assert alice.get(other).get_json()["parent_id"] == id_of(path)
        assert alice.get(part).get_json() == task


@pytest.mark.parametrize("tasks", ["inbox", "trash"])
def test_a_task_comes_back_into_the_inbox_when_its_list_is_gone(alice: Person, tasks: str) -> None:
    there = a_list(alice)
    path = create(alice, list_id=there)
    part = create(alice, parent_id=id_of(path))
    delete(alice, path)
    assert alice.delete(f"/v1/lists/{there}?tasks={tasks}").status_code == 204
    task = restore(alice, path)
    assert (task["list_id"], task["deleted_at"]) == (None, None)
    assert (alice.get(part).get_json()["list_id"], alice.get(part).get_json()["parent_id"]) == (None, id_of(path))


def test_what_went_into_the_trash_with_its_list_can_be_had_back_whole(alice: Person) -> None:
    there = a_list(alice)
    path = create(alice, list_id=there)
    part = create(alice, parent_id=id_of(path))
    assert alice.delete(f"/v1/lists/{there}?tasks=trash").status_code == 204
    assert set(thrown(alice)) == {path, part}
    assert restore(alice, path)["list_id"] is None
    assert alice.get(part).get_json()["parent_id"] == id_of(path)


def test_a_tag_renamed_meanwhile_is_the_new_one(alice: Person) -> None:
    path = create(alice, tags=["old"])
    delete(alice, path)
    alice.patch("/v1/tags/old", {"name": "new"})
    assert restore(alice, path)["tags"] == ["new"]


@pytest.mark.parametrize("from_trash", [False, True])
def test_a_task_is_deleted_for_good_from_anywhere_with_its_subtasks(alice: Person, admin: Admin, from_trash: bool) -> None:
    path, kept = create(alice), create(alice)
    create(alice, parent_id=id_of(path))
    if from_trash:
        delete(alice, path)
    delete(alice, f"{path}?permanent=true")
    assert admin.execute("SELECT id::text FROM app.tasks") == [(id_of(kept),)]
    for response in (alice.post(f"{path}/restore"), alice.delete(f"{path}?permanent=true"), alice.delete(path)):
        expect.problem(response, 404, "not_found")


def test_deleting_a_subtask_for_good_leaves_its_parent(alice: Person) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    delete(alice, f"{part}?permanent=true")
    assert alice.get(path).status_code == 200


def test_not_permanent_is_into_the_trash(alice: Person) -> None:
    path = create(alice)
    delete(alice, f"{path}?permanent=false")
    assert set(thrown(alice)) == {path}


@pytest.mark.parametrize("value", ["", "1", "yes", "True"])
def test_what_is_neither_true_nor_false_is_refused(alice: Person, value: str) -> None:
    path = create(alice)
    assert expect.errors(alice.delete(f"{path}?permanent={value}")) == [("?permanent", "invalid_type")]
    assert alice.get(path).status_code == 200


@pytest.mark.parametrize("query", ["", "?permanent=true"])
def test_deleting_another_version_is_refused(alice: Person, query: str) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    response = alice.delete(f"{path}{query}", headers={"If-Match": '"7"'})
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"1"'
    assert alice.get(path).status_code == alice.get(part).status_code == 200
    delete(alice, f"{path}{query}", headers={"If-Match": '"1"'})


def test_restoring_another_version_is_refused(alice: Person) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    delete(alice, path)
    response = alice.post(f"{path}/restore", headers={"If-Match": '"1"'})
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"2"'
    assert set(thrown(alice)) == {path, part}
    assert alice.post(f"{path}/restore", headers={"If-Match": '"2"'}).status_code == 200


def test_nothing_of_somebody_else_is_deleted_or_restored(alice: Person, bob: Person, admin: Admin) -> None:
    path, gone = create(alice), create(alice)
    delete(alice, gone)
    before = admin.execute("SELECT to_jsonb(t) FROM app.tasks t ORDER BY id")
    for response in (
        bob.delete(path),
        bob.delete(f"{path}?permanent=true"),
        bob.delete(f"{gone}?permanent=true"),
        bob.post(f"{gone}/restore"),
        bob.post(f"{path}/restore"),
        alice.post(f"{NOWHERE}/restore"),
    ):
        expect.problem(response, 404, "not_found")
    delete(bob, "/v1/trash")
    assert thrown(bob) == {}
    assert admin.execute("SELECT to_jsonb(t) FROM app.tasks t ORDER BY id") == before


def test_emptying_the_trash_deletes_what_is_in_it_and_nothing_else(alice: Person, bob: Person, admin: Admin) -> None:
    path, kept, his = create(alice), create(alice), create(bob)
    part = create(alice, parent_id=id_of(path))
    loose = create(alice, parent_id=id_of(kept))
    delete(alice, path)
    delete(alice, loose)
    delete(bob, his)
    delete(alice, "/v1/trash")
    assert thrown(alice) == {}
    assert {id for (id,) in admin.execute("SELECT id::text FROM app.tasks")} == {id_of(kept), id_of(his)}
    expect.problem(alice.post(f"{part}/restore"), 404, "not_found")
    delete(alice, "/v1/trash")


@pytest.mark.parametrize(("method", "path"), [("DELETE", NOWHERE), ("POST", f"{NOWHERE}/restore"), ("DELETE", "/v1/trash")])
def test_nobody_has_no_trash(anonymous: Person, method: str, path: str) -> None:
    expect.problem(anonymous(method, path), 401, "missing_token")


def test_an_id_in_the_trash_is_taken(alice: Person) -> None:
    chosen = str(uuid4())
    delete(alice, create(alice, id=chosen))
    expect.problem(alice.post("/v1/tasks", {"title": "another", "id": chosen}), 409, "id_conflict")
    assert alice.post("/v1/tasks", {"title": "x", "id": chosen}).status_code == 200


def test_no_subtask_is_made_of_what_is_in_the_trash(alice: Person) -> None:
    path, other = create(alice), create(alice)
    delete(alice, path)
    response = alice.post("/v1/tasks", {"title": "x", "parent_id": id_of(path)})
    assert expect.errors(response) == [("#/parent_id", "unknown_task")]
    assert expect.errors(alice.post(f"{other}/move", {"parent_id": id_of(path)})) == [("#/parent_id", "unknown_task")]


def test_a_subtask_made_meanwhile_goes_into_the_trash_too(alice: Person, admin: Admin, cluster: Cluster) -> None:
    path = create(alice)
    part = str(uuid4())
    meanwhile = "INSERT INTO app.tasks (user_id, id, title, parent_id) VALUES (%s, %s, 'part', %s)"
    answer = arrange.meanwhile(cluster, lambda: alice.delete(path), meanwhile, alice.id, part, id_of(path))
    assert answer.status_code == 204
    assert set(thrown(alice)) == {path, f"/v1/tasks/{part}"}


def test_no_task_is_lost_with_a_parent_that_goes_meanwhile(alice: Person, admin: Admin, cluster: Cluster) -> None:
    path = create(alice)
    meanwhile = "UPDATE app.tasks SET deleted_at = now(), version = version + 1 WHERE id = %s"
    request = {"title": "part", "parent_id": id_of(path)}
    answer = arrange.meanwhile(cluster, lambda: alice.post("/v1/tasks", request), meanwhile, id_of(path))
    assert expect.errors(answer) == [("#/parent_id", "unknown_task")]
    assert set(thrown(alice)) == {path}


def test_a_subtask_is_restored_without_a_parent_that_goes_meanwhile(alice: Person, admin: Admin, cluster: Cluster) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    delete(alice, part)
    # The parent goes into the trash while the subtask comes out of it.
    meanwhile = "UPDATE app.tasks SET deleted_at = now(), version = version + 1 WHERE id = %s"
    answer = arrange.meanwhile(cluster, lambda: alice.post(f"{part}/restore"), meanwhile, id_of(path))
    assert answer.status_code == 200
    task = answer.get_json()
    assert (task["parent_id"], task["deleted_at"]) == (None, None)

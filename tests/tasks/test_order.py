"""The order that users give to their tasks, against a plain Python list."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any
from uuid import UUID, uuid4

import arrange
import expect
import pytest
from conftest import Admin, Person
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from isolation.acting import acting, api
from sqlalchemy.dialects import postgresql

from taskapp.database.identity import SessionUser
from taskapp.features.tasks import queries

# The list, and the parent.
Group = tuple[str | None, str | None]

places = st.integers(0, 1_000)


def create(person: Person, **members: Any) -> str:
    response = person.post("/v1/tasks", {"title": "x", **members})
    assert response.status_code == 201, response.text
    task_id: str = response.get_json()["id"]
    return task_id


def move(person: Person, task_id: str, **target: Any) -> dict[str, Any]:
    response = person.post(f"/v1/tasks/{task_id}/move", target)
    assert response.status_code == 200, response.text
    task: dict[str, Any] = response.get_json()
    return task


def order(person: Person, group: Group = (None, None), sort: str = "position") -> list[str]:
    list_id, parent = group
    query = {"list_id": list_id or "inbox", "parent_id": parent or "none", "sort": sort, "limit": 200}
    response = person.get("/v1/tasks", query_string=query)
    assert response.status_code == 200, response.text
    return [task["id"] for task in response.get_json()["items"]]


class Arranging(RuleBasedStateMachine):
    """Two clients of one user arrange tasks; `groups` is what they would see on paper."""

    def __init__(self, person: Person, admin: Admin) -> None:
        super().__init__()
        self.clients = (person, arrange.apart(person))
        self.admin = admin
        self.turn = 0
        self.groups: dict[Group, list[str]] = {}
        self.homes: dict[str, Group] = {}
        # When each went into the trash.
        self.trash: dict[str, int] = {}
        self.touched: set[Group] = set()

    @property
    def client(self) -> Person:
        self.turn += 1
        return self.clients[self.turn % 2]

    @initialize()
    def begin(self) -> None:
        self.admin.execute("DELETE FROM app.tasks; DELETE FROM app.lists")
        made = [self.client.post("/v1/lists", {"name": "x"}).get_json()["id"] for _ in range(2)]
        self.lists: list[str | None] = [None, *made]
        for list_id in self.lists:
            self.groups[list_id, None] = []
            self.put(create(self.client, list_id=list_id), (list_id, None))

    def group(self, place: int) -> Group:
        """A group to put something into, more often one of the lists."""
        parents = [id for id in self.live() if self.homes[id][1] is None]
        choices: list[Group] = [(list_id, None) for list_id in [*self.lists, *self.lists]]
        choices += [(self.homes[id][0], id) for id in parents]
        return choices[place % len(choices)]

    def live(self) -> list[str]:
        return sorted(id for id in self.homes if id not in self.trash)

    def put(self, task_id: str, group: Group, place: int | None = None) -> None:
        members = self.groups.setdefault(group, [])
        members.insert(len(members) if place is None else place, task_id)
        self.homes[task_id] = group
        self.touched.add(group)

    def take(self, task_id: str) -> None:
        group = self.homes[task_id]
        self.groups[group].remove(task_id)
        self.touched.add(group)

    def carry(self, parent: str, list_id: str | None) -> None:
        """Let the subtasks follow their parent into a list."""
        for (old, owner), members in list(self.groups.items()):
            if owner == parent and old != list_id:
                self.groups[list_id, parent] = members
                del self.groups[old, parent]
                self.touched.discard((old, parent))
                self.touched.add((list_id, parent))
        for id, (_, owner) in self.homes.items():
            if owner == parent:
                self.homes[id] = (list_id, parent)

    def where(self, place: int, group: Group, but: str | None = None) -> tuple[dict[str, Any], int | None]:
        """Choose last, first or behind somebody: what to send, and the index that is."""
        others = [id for id in self.groups.get(group, []) if id != but]
        match place % (len(others) + 2):
            case 0:
                return {}, None
            case 1:
                return {"after": None}, 0
            case n:
                return {"after": others[n - 2]}, n - 1

    @rule(place=places, after=places)
    def create(self, place: int, after: int) -> None:
        group = self.group(place)
        sent, index = self.where(after, group)
        self.put(create(self.client, list_id=group[0], parent_id=group[1], **sent), group, index)

    @precondition(lambda self: self.live())
    @rule(which=places, place=places, after=places, within=st.booleans())
    def move(self, which: int, place: int, after: int, within: bool) -> None:
        live = self.live()
        task_id = live[which % len(live)]
        group = self.homes[task_id] if within else self.group(place)
        sent, index = self.where(after, group, but=task_id)
        if not within:
            sent |= {"list_id": group[0], "parent_id": group[1]}
        too_deep = group[1] == task_id or (group[1] is not None and any(home[1] == task_id for home in self.homes.values()))
        if too_deep:
            response = self.client.post(f"/v1/tasks/{task_id}/move", sent)
            assert expect.errors(response) == [("#/parent_id", "too_deep")]
            return
        before = self.client.get(f"/v1/tasks/{task_id}").get_json()
        task = move(self.client, task_id, **sent)
        stays = list(self.groups[self.homes[task_id]])
        self.take(task_id)
        same = group == self.homes[task_id]
        self.carry(task_id, group[0])
        self.put(task_id, group, index)
        if same and self.groups[group] == stays:
            assert task == before

    @precondition(lambda self: self.live())
    @rule(which=places, place=places)
    def patch_the_list(self, which: int, place: int) -> None:
        tops = [id for id in self.live() if self.homes[id][1] is None]
        if tops:
            task_id, list_id = tops[which % len(tops)], self.lists[place % 3]
            response = self.client.patch(f"/v1/tasks/{task_id}", {"list_id": list_id})
            assert response.status_code == 200, response.text
            if list_id != self.homes[task_id][0]:
                self.take(task_id)
                self.carry(task_id, list_id)
                self.put(task_id, (list_id, None))

    @precondition(lambda self: self.live())
    @rule(which=places)
    def delete(self, which: int) -> None:
        live = self.live()
        task_id = live[which % len(live)]
        assert self.client.delete(f"/v1/tasks/{task_id}").status_code == 204
        for id in [task_id, *(id for id in live if self.homes[id][1] == task_id)]:
            self.take(id)
            self.trash[id] = self.turn

    @precondition(lambda self: self.trash)
    @rule(which=places)
    def restore(self, which: int) -> None:
        gone = sorted(self.trash)
        task_id = gone[which % len(gone)]
        assert self.client.post(f"/v1/tasks/{task_id}/restore").status_code == 200
        moment = self.trash.pop(task_id)
        list_id, parent = self.homes[task_id]
        self.homes[task_id] = (list_id, None if parent in self.trash else parent)
        back = [task_id]
        for id in gone:
            if self.homes[id][1] == task_id and self.trash.get(id) == moment:
                back.append(id)
                del self.trash[id]
        # It has the rank it had. Where that is among what was arranged since nobody promises; that the rest stays is.
        for group in {self.homes[id] for id in back}:
            seen = order(self.client, group)
            assert [id for id in seen if id not in back] == self.groups.get(group, [])
            assert set(seen) == {*self.groups.get(group, []), *(id for id in back if self.homes[id] == group)}
            self.groups[group] = seen

    @invariant()
    def the_lists_are_as_on_paper(self) -> None:
        for group in self.touched:
            assert order(self.client, group) == self.groups[group]
        self.touched = set()

    def teardown(self) -> None:
        for group, members in self.groups.items():
            assert order(self.client, group) == members
            assert order(self.client, group, "-position") == members[::-1]
        ranks = self.admin.execute("SELECT position FROM app.tasks")
        assert all(len(rank) <= 64 and not rank.endswith("0") for (rank,) in ranks)


@pytest.mark.parametrize("examples", [3, pytest.param(6, marks=pytest.mark.extended)])
def test_two_clients_see_the_order_of_a_plain_list(alice: Person, admin: Admin, examples: int) -> None:
    run_state_machine_as_test(
        lambda: Arranging(alice, admin),  # type: ignore[arg-type]
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("times", [500, pytest.param(2_000, marks=pytest.mark.extended)])
def test_moves_into_one_gap_make_room_again_and_again(app: Flask, alice: Person, admin: Admin, times: int) -> None:
    random = Random(11)
    ids = [create(alice) for _ in range(8)]
    first, *others = ids
    ((session_id,),) = admin.execute("SELECT id::text FROM app.sessions")
    rank = "SELECT max(length(position)), sum(version) FROM app.tasks"
    longest = 0
    moves_of = {id: queries.move(UUID(id), {"after": UUID(first)}, None) for id in others}
    with acting(SessionUser(UUID(alice.id), UUID(session_id))), app.app_context():
        for n in range(times):
            chosen = random.choice(others[1:])
            # Whether it is `applied` does not tell: when the others are given new ranks, its own may be the right one.
            assert api(app).execute(*moves_of[chosen])
            others.remove(chosen)
            others.insert(0, chosen)
            if n % 50 == 0:
                # As autovacuum would; without it the rows that were are read again and again.
                admin.execute("VACUUM app.tasks")
                assert order(alice) == [first, *others]
                longest = max(longest, admin.execute(rank)[0][0])
    assert order(alice) == [first, *others]
    assert 30 < longest <= 64
    # What was given a new rank to make room has a new version.
    assert int(admin.execute(rank)[0][1]) > times + len(ids)


@pytest.mark.parametrize("times", [200, pytest.param(1_000, marks=pytest.mark.extended)])
def test_many_moves_at_once_lose_and_double_nothing(alice: Person, admin: Admin, times: int) -> None:
    list_id = alice.post("/v1/lists", {"name": "x"}).get_json()["id"]
    ids = [create(alice) for _ in range(12)]

    def arranging(seed: int) -> Counter[int]:
        random, person = Random(seed), arrange.apart(alice)
        statuses: Counter[int] = Counter()
        for _ in range(times // 2):
            target: dict[str, Any] = random.choice(
                [
                    {},
                    {"after": None},
                    {"after": ids[0]},
                    {"after": random.choice(ids)},
                    {"list_id": list_id},
                    {"list_id": None},
                ]
            )
            statuses[person.post(f"/v1/tasks/{random.choice(ids)}/move", target).status_code] += 1
        return statuses

    with ThreadPoolExecutor(2) as pool:
        statuses = sum(pool.map(arranging, range(2)), Counter[int]())
    # 422: behind itself, or behind one that is in another list by now.
    assert set(statuses) <= {200, 422}, statuses
    assert statuses[200] > times // 2
    groups = [order(alice), order(alice, (list_id, None))]
    assert sorted(id for group in groups for id in group) == sorted(ids)
    assert admin.execute("SELECT count(DISTINCT (list_key, position)) FROM app.tasks") == [(12,)]


def test_creating_and_moving_at_once_puts_everything_somewhere(alice: Person, admin: Admin) -> None:
    first = create(alice)

    def arranging(n: int) -> list[str]:
        person = arrange.apart(alice)
        made = [create(person, **({"after": first} if k % 2 else {})) for k in range(40)]
        for id in made[::3]:
            move(person, id, after=first)
        return made

    with ThreadPoolExecutor(3) as pool:
        made = [id for ids in pool.map(arranging, range(3)) for id in ids]
    assert sorted(order(alice)) == sorted([first, *made])
    assert admin.execute("SELECT count(DISTINCT position) FROM app.tasks") == [(121,)]


def test_a_new_task_is_the_last_and_asks_no_other_where_that_is(alice: Person) -> None:
    ids = [create(alice) for _ in range(5)]
    assert order(alice) == ids
    sql: dict[str, str] = {}
    places: dict[str, dict[str, Any]] = {"last": {}, "first": {"after": None}}
    for name, place in places.items():
        statement: Any = queries.create(uuid4(), {"title": "x", **place}, None, 100)[0]
        sql[name] = str(statement.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert "rank_of_moved_task" in sql["first"]
    assert "rank_of_moved_task" not in sql["last"]
    assert "ORDER BY" not in sql["last"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_move_to_where_it_is_already_keeps_the_etag(alice: Person, place: int) -> None:
    list_id = alice.post("/v1/lists", {"name": "x"}).get_json()["id"]
    ids = [create(alice, list_id=list_id) for _ in range(3)]
    before = alice.get(f"/v1/tasks/{ids[place]}").get_json()
    targets: list[dict[str, Any]] = [{"after": ids[place - 1] if place else None}]
    if place == 2:
        targets.append({})
    for target in targets:
        for more in ({}, {"list_id": list_id}, {"parent_id": None}, {"list_id": list_id, "parent_id": None}):
            assert move(alice, ids[place], **target, **more) == before
    assert order(alice, (list_id, None)) == ids


def test_the_only_task_is_wherever_it_is_put(alice: Person) -> None:
    task_id = create(alice)
    before = alice.get(f"/v1/tasks/{task_id}").get_json()
    for target in ({}, {"after": None}, {"list_id": None}):
        assert move(alice, task_id, **target) == before


def test_tasks_of_one_rank_can_be_moved_apart(alice: Person, admin: Admin) -> None:
    ids = sorted(arrange.task(admin, alice, position="a1") for _ in range(4))
    assert order(alice) == ids
    move(alice, ids[3], after=ids[0])
    assert order(alice) == [ids[0], ids[3], ids[1], ids[2]]


# Between the two named "narrow", and between the three named "same", there is no room.
CROWDED = {
    "first": "Z",
    "short": "a1",
    "narrow": "b",
    "narrower": "b" + "0" * 62 + "1",
    "long": "b" + "0" * 40 + "1",
    "same": "c",
    "same too": "c",
    "same again": "c",
    "last": "z" * 64,
}
PLACES: dict[str | None, int] = {None: 0, **{name: n + 1 for n, name in enumerate(CROWDED)}}


def crowded(person: Person, admin: Admin) -> dict[str, str]:
    """Make tasks with these ranks; return their ids by name, in their order."""
    ids = sorted(str(uuid4()) for _ in CROWDED)
    for id, rank in zip(ids, CROWDED.values(), strict=True):
        arrange.task(admin, person, id=id, position=rank)
    assert order(person) == ids
    return dict(zip(CROWDED, ids, strict=True))


@pytest.mark.parametrize("place", [*PLACES, "at the end"])
def test_wherever_there_is_no_room_it_is_made_and_the_order_stays(alice: Person, admin: Admin, place: str | None) -> None:
    others = crowded(alice, admin)
    moved = create(alice, title="moved")
    target = {} if place == "at the end" else {"after": place and others[place]}
    move(alice, moved, **target)
    expected = list(others.values())
    expected.insert(PLACES.get(place, len(others)), moved)
    assert order(alice) == expected
    ranks = [rank for (rank,) in admin.execute("SELECT position FROM app.tasks ORDER BY position")]
    assert all(len(rank) <= 64 and not rank.endswith("0") for rank in ranks)


@pytest.mark.parametrize(
    ("place", "changed"),
    [
        ("narrow", {"narrow", "narrower", "long"}),
        ("same", {"narrower", "long", "same", "same too", "same again", "last"}),
        ("long", set()),
        ("last", {"last"}),
    ],
)
def test_making_room_changes_what_is_near_and_nothing_else(
    alice: Person, admin: Admin, place: str, changed: set[str]
) -> None:
    others = crowded(alice, admin)
    moved = create(alice, title="moved")
    admin.execute("UPDATE app.tasks SET updated_at = 'epoch'")
    everything = "SELECT id::text, position, version, updated_at FROM app.tasks WHERE title <> 'moved'"
    before = {id: rest for id, *rest in admin.execute(everything)}
    move(alice, moved, after=others[place])
    after = {id: rest for id, *rest in admin.execute(everything)}
    assert {name for name, id in others.items() if after[id] != before[id]} == changed
    # As many versions as changes, and of all else not even the moment.
    assert [version for _, version, _ in after.values()].count(2) == len(changed)


def test_room_is_made_for_a_user_alone(alice: Person, bob: Person, admin: Admin) -> None:
    others = crowded(alice, admin)
    crowded(bob, admin)
    his = "SELECT * FROM app.tasks WHERE user_id = %s ORDER BY id"
    before = admin.execute(his, bob.id)
    move(alice, create(alice), after=others["narrow"])
    assert admin.execute(his, bob.id) == before


def test_what_is_in_the_trash_is_no_neighbour(alice: Person) -> None:
    ids = [create(alice) for _ in range(3)]
    alice.delete(f"/v1/tasks/{ids[1]}")
    assert expect.errors(alice.post(f"/v1/tasks/{ids[2]}/move", {"after": ids[1]})) == [("#/after", "unknown_task")]
    assert expect.errors(alice.post("/v1/tasks", {"title": "x", "after": ids[1]})) == [("#/after", "unknown_task")]


def test_a_task_of_somebody_else_is_no_neighbour(alice: Person, bob: Person) -> None:
    hers, his = create(alice), create(bob)
    for target in ({"after": his}, {"parent_id": his}):
        (place,) = target
        assert expect.errors(alice.post(f"/v1/tasks/{hers}/move", target)) == [(f"#/{place}", "unknown_task")]
    expect.problem(alice.post(f"/v1/tasks/{his}/move", {}), 404, "not_found")


def test_the_ranks_of_others_are_compared_byte_by_byte_in_a_database_of_any_language(admin: Admin) -> None:
    ((source,),) = admin.execute("SELECT prosrc FROM pg_proc WHERE oid = 'app.rank_of_moved_task'::regproc")
    assert 'COLLATE "C"' in source

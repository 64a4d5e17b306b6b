"""How PostgreSQL answers the lists: by an index that begins with the owner, and without sorting all that the owner has."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from conftest import Admin, Person, register
from flask import Flask
from isolation.acting import acting, api
from sqlalchemy import ClauseElement, Executable
from sqlalchemy.ext.compiler import compiles

from taskapp.database.identity import SessionUser
from taskapp.features.tasks.listing import SORTS, TaskQuerySchema, listed

Node = dict[str, Any]

LIST = str(UUID(int=1))
PARENT = str(UUID(int=2))
PAGE = 50

# With these, the index has the order already.
INDEXED: dict[str, dict[str, Any]] = {
    "created_at": {},
    "updated_at": {},
    "due": {},
    "position in a list": {"sort": "position", "list_id": LIST},
    "position in the Inbox": {"sort": "position", "list_id": "inbox"},
    "position in the Inbox without subtasks": {"sort": "position", "list_id": "inbox", "parent_id": "none"},
    "position of subtasks": {"sort": "position", "parent_id": PARENT},
}
FILTERS: dict[str, dict[str, Any]] = {
    "status": {"status": ["open"]},
    "statuses": {"status": ["open", "cancelled"]},
    "list": {"list_id": [LIST]},
    "Inbox": {"list_id": ["inbox"]},
    "lists": {"list_id": [LIST, "inbox"]},
    "parent": {"parent_id": [PARENT]},
    "parents": {"parent_id": [PARENT, "none"]},
    "no parent": {"parent_id": ["none"]},
    "tag": {"tag": ["t1"]},
    "tags": {"tag": ["t1", "t2"]},
    "any tag": {"any_tag": ["t1", "t2"]},
    "not tag": {"not_tag": ["t1"]},
    **{f"archived {which}": {"archived": which} for which in ("exclude", "only", "include")},
    "tagged": {"tagged": "true"},
    "priority": {"priority": ["high", "low"]},
    **{f"due {which}": {"due": [which]} for which in ("none", "any", "overdue", "today", "upcoming")},
    "due today elsewhere": {"due": ["today"], "timezone": "Asia/Tokyo"},
    "overdue elsewhere": {"due": ["overdue"], "timezone": "Asia/Tokyo"},
    "due several": {"due": ["overdue", "today", "none"]},
    "due from": {"due_from": "2026-01-01"},
    "due to": {"due_to": "2026-01-01"},
    "available": {"available": "true"},
    "not available": {"available": "false"},
    "completed": {"completed_from": "2026-01-01T00:00:00Z", "completed_to": "2026-02-01T00:00:00Z"},
    "updated": {"updated_since": "2026-01-01T00:00:00Z"},
    "words": {"q": "task -other"},
    "trash": {"deleted": "only"},
}


class Explain(Executable, ClauseElement):
    """What PostgreSQL would do for a statement."""

    inherit_cache = False

    def __init__(self, statement: Any, sorting: bool) -> None:
        self.statement = statement
        self.sorting = sorting


@compiles(Explain)
def _explain(element: Explain, compiler: Any, **kwargs: Any) -> str:
    settings = "" if element.sorting else "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off; "
    return settings + "EXPLAIN (FORMAT JSON) " + str(compiler.process(element.statement, **kwargs))


@pytest.fixture(scope="module")
def owner(app: Flask, admin: Admin) -> Iterator[Person]:
    """Somebody with 700 tasks among others who have as many."""
    admin.execute("DELETE FROM app.users")
    owner, *others = (register(app, f"user-{n}") for n in range(30))
    # Without what the foreign keys and triggers check of each row: this takes as long as all the rest.
    admin.execute("SET session_replication_role = replica")
    for person in (owner, *others):
        fill(admin, person, 700)
    admin.execute("RESET session_replication_role")
    # Costs depend on the pages that the rows of earlier tests left, and on whether autovacuum has seen them.
    admin.execute("VACUUM (FULL, ANALYZE) app.tasks, app.lists, app.tags, app.users")
    yield owner
    admin.execute("DELETE FROM app.users")
    admin.execute("ANALYZE app.tasks, app.lists, app.tags, app.users")


@pytest.fixture(autouse=True)
def _empty() -> None:
    """Keep the rows from one test of this module to the next, instead of what conftest.py does."""


def fill(admin: Admin, person: Person, count: int) -> None:
    admin.execute("INSERT INTO app.lists (user_id, id, name) VALUES (%s, %s, 'x')", person.id, LIST)
    admin.execute(
        "INSERT INTO app.tags (user_id, key, name) SELECT %s, 't' || n, 'T' || n FROM generate_series(1, 9) n", person.id
    )
    admin.execute("INSERT INTO app.tasks (user_id, id, title) VALUES (%s, %s, 'parent')", person.id, PARENT)
    admin.execute(
        """
        INSERT INTO app.tasks (user_id, id, title, status, completed_at, priority, list_id, parent_id, position, tags,
                               start_date, due_date, due_time, due_timezone, due_sort, deleted_at, created_at, updated_at)
        SELECT %s, gen_random_uuid(), 'task ' || n, CASE WHEN n %% 3 = 0 THEN 'completed' ELSE 'open' END,
            CASE WHEN n %% 3 = 0 THEN now() - n * interval '1 hour' END,
            (ARRAY['none', 'low', 'medium', 'high'])[1 + n %% 4],
            CASE WHEN n %% 4 = 2 THEN %s::uuid END, CASE WHEN n %% 4 = 0 THEN %s::uuid END,
            'a' || app.rank_digits(1000 + (n * 7919) %% 10007),
            CASE WHEN n %% 4 = 0 THEN ARRAY['T' || 1 + n %% 9] ELSE '{}' END,
            CASE WHEN n %% 5 = 0 THEN current_date + n %% 60 - 30 END,
            CASE WHEN n %% 2 = 0 THEN current_date + n %% 99 - 50 END,
            CASE WHEN n %% 6 = 0 THEN time '10:00' END, CASE WHEN n %% 12 = 0 THEN 'Asia/Tokyo' END,
            app.due_sort_of(
                CASE WHEN n %% 2 = 0 THEN current_date + n %% 99 - 50 END, CASE WHEN n %% 6 = 0 THEN time '10:00' END,
                CASE WHEN n %% 12 = 0 THEN 'Asia/Tokyo' ELSE 'UTC' END),
            CASE WHEN n %% 30 = 7 THEN now() END, now() - n * interval '1 minute',
            now() - (n * 7919) %% 10007 * interval '1 s'
        FROM generate_series(1, %s) AS n
        """,
        person.id,
        LIST,
        PARENT,
        count,
    )


def explained(
    app: Flask,
    admin: Admin,
    owner: Person,
    query: dict[str, Any],
    from_middle: bool,
    rows_before: int = PAGE,
    sorting: bool = True,
) -> Node:
    """The plan of a page of the list: the first one, or one behind so many tasks.

    Without `sorting` PostgreSQL sorts only what it has to.
    """
    loaded = TaskQuerySchema().load(query)
    ((user_id, session_id),) = admin.execute("SELECT user_id::text, id::text FROM app.sessions WHERE user_id = %s", owner.id)
    with acting(SessionUser(UUID(user_id), UUID(session_id)), read_only=True), app.app_context():
        after = None
        if from_middle:
            row = api(app).execute(*listed(loaded, None, rows_before))[-1]
            after = (row.sort_key, row.id)
        statement, parameters = listed(loaded, after, PAGE + 1)
        ((plan,),) = api(app).execute(Explain(statement, sorting), parameters)
    found: Node = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return found


def nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def conditions(plan: Node, name: str) -> str:
    return " ".join(node.get(name, "") for node in nodes(plan))


def expect_owner_in_index(plan: Node) -> None:
    """Whatever reads tasks looks for their owner in an index."""
    readers = [node for node in nodes(plan) if node.get("Relation Name") == "tasks"]
    assert readers
    for reader in readers:
        assert reader["Node Type"] in {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, reader
        looked_up = [conditions(node, "Index Cond") for node in nodes(reader) if "Index Cond" in node]
        assert looked_up, reader
        assert all("user_id = " in condition for condition in looked_up), reader


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("from_middle", [False, True], ids=["first page", "page in the middle"])
def test_every_order_looks_for_the_owner_in_an_index(
    app: Flask, admin: Admin, owner: Person, sort: str, from_middle: bool
) -> None:
    query = {"sort": sort, **({"list_id": ["inbox"]} if "position" in sort else {})}
    expect_owner_in_index(explained(app, admin, owner, query, from_middle))


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_looks_for_the_owner_in_an_index(app: Flask, admin: Admin, owner: Person, name: str) -> None:
    for sort in ("-created_at", "due", "title"):
        expect_owner_in_index(explained(app, admin, owner, {**FILTERS[name], "sort": sort}, False))


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("name", INDEXED)
@pytest.mark.parametrize("from_middle", [False, True], ids=["first page", "page in the middle"])
def test_an_order_that_has_an_index_is_not_sorted(
    app: Flask, admin: Admin, owner: Person, name: str, sign: str, from_middle: bool
) -> None:
    query = {"sort": name, **INDEXED[name]}
    query = {member: [value] if member.endswith("_id") else value for member, value in query.items()}
    # Which is cheaper for a few hundred rows, an index or to sort them, depends on what earlier tests left in the table.
    plan = explained(app, admin, owner, {**query, "sort": sign + query["sort"]}, from_middle, sorting=False)
    expect_owner_in_index(plan)
    # What is sorted is a page: the two parts of one, together.
    sorts = [node for node in nodes(plan) if "Sort" in node["Node Type"]]
    assert len(sorts) == (sign + name == "-due"), plan
    assert all("Append" in [node["Node Type"] for node in nodes(sort)] for sort in sorts), plan
    if from_middle:
        assert "ROW(" in conditions(plan, "Index Cond"), plan
        assert "ROW(" not in conditions(plan, "Filter"), plan


def test_behind_the_last_due_date_a_page_begins_in_the_index_too(app: Flask, admin: Admin, owner: Person) -> None:
    plan = explained(app, admin, owner, {"sort": "-due"}, True, rows_before=450)
    (reader,) = (node for node in nodes(plan) if node.get("Relation Name") == "tasks")
    assert all(part in reader["Index Cond"] for part in ("user_id = ", "ROW(", "due_sort = ")), plan
    assert not [node for node in nodes(plan) if "Sort" in node["Node Type"]], plan


def test_a_full_page_of_due_dates_looks_for_no_task_without_one(app: Flask, admin: Admin, owner: Person) -> None:
    plan = explained(app, admin, owner, {"sort": "-due"}, False)
    (second,) = (node for node in nodes(plan) if "One-Time Filter" in node)
    assert all("due_sort = " in node["Index Cond"] for node in nodes(second) if node.get("Relation Name") == "tasks"), plan


@pytest.mark.parametrize("sort", ["-created_at", "due"])
@pytest.mark.parametrize("name", ["status", "tag", "words", "due overdue"])
def test_a_page_in_the_middle_of_what_is_filtered_begins_in_the_index(
    app: Flask, admin: Admin, owner: Person, sort: str, name: str
) -> None:
    plan = explained(app, admin, owner, {**FILTERS[name], "sort": sort}, True)
    expect_owner_in_index(plan)


def test_somebody_with_few_tasks_among_many_is_looked_up_too(app: Flask, admin: Admin, owner: Person) -> None:
    few = register(app, f"few-{uuid4()}")
    plan = explained(app, admin, few, {"sort": "-created_at"}, False)
    expect_owner_in_index(plan)

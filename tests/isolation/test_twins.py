"""Two users with the same ids: whatever one of them does to what has an id, the other's of that id stays as it was.

The functions and triggers of the schema run as who calls them and name no owner, so policies alone keep them apart; where
those do not hold, as for a superuser, triggers and foreign keys have to name the owner themselves.
"""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from conftest import Admin

from isolation.conftest import NOT_GRANTED, ActAs, SqlClient, User, in_the_trash, rows_of
from taskapp.database.identity import Anonymous

PART, SIBLING, SECOND_LIST, TRASHED_LIST = (str(uuid4()) for _ in range(4))
TAG = "Shared"
READ_ONLY = "25006"

Ids = Mapping[str, object]


@pytest.fixture(autouse=True)
def _alike(admin: Admin, owner: User, twin: User) -> None:
    """Give both two more lists, one of them in the trash, a second task in the first one, which remembers that, a part of
    the first task, and a tag on all of them.
    """
    for user in (owner, twin):
        admin.execute("INSERT INTO app.tags (user_id, key, name) VALUES (%s, 'shared', %s)", user.id, TAG)
        admin.execute("INSERT INTO app.lists (user_id, id, name) VALUES (%s, %s, 'second')", user.id, SECOND_LIST)
        admin.execute(
            "INSERT INTO app.lists (user_id, id, name, deleted_at) VALUES (%s, %s, 'third', now())", user.id, TRASHED_LIST
        )
        for task_id, parent_id in ((SIBLING, None), (PART, user.task_id)):
            admin.execute(
                "INSERT INTO app.tasks (user_id, id, title, list_id, parent_id, tags, due_date, due_time)"
                " VALUES (%s, %s, %s, %s, %s, %s, '2026-12-01', '09:00')",
                user.id,
                task_id,
                user.secret,
                user.list_id,
                parent_id,
                [TAG],
            )
        admin.execute(
            "UPDATE app.tasks SET restore_list_id = %s WHERE (user_id, id) = (%s, %s)", TRASHED_LIST, user.id, SIBLING
        )


@pytest.fixture
def ids(owner: User) -> Ids:
    return {
        "task": owner.task_id,
        "part": PART,
        "sibling": SIBLING,
        "list": owner.list_id,
        "second list": SECOND_LIST,
        "trashed list": TRASHED_LIST,
        "completion": owner.completion_id,
        "token": owner.token_id,
        "answer": owner.answer_key,
        "new": str(uuid4()),
    }


# Each of them changes something for whom the ids are.
CHANGES = {
    "move the list": "UPDATE app.lists SET position = app.rank_of_moved_list(%(list)s, %(second list)s, false),"
    " version = version + 1 WHERE id = %(list)s",
    "remove the list": "SELECT app.trash_list(%(list)s, NULL, false)",
    "remove the list and its tasks": "SELECT app.trash_list(%(list)s, ARRAY[1]::bigint[], true)",
    "purge the list": "SELECT app.purge_list(%(list)s, NULL, false)",
    "restore the list": "SELECT app.restore_list(%(trashed list)s, NULL)",
    "delete the list": "DELETE FROM app.lists WHERE id = %(list)s",
    "make a tag": "SELECT app.get_or_create_tags(ARRAY['new', 'shared'], ARRAY['New', 'SHARED'])",
    "rename the tag": "SELECT app.rename_tag('shared', 'renamed', 'Renamed', 'renamed', NULL)",
    "remove the tag": "SELECT app.remove_tag('shared')",
    "move the task": "UPDATE app.tasks SET position = app.rank_of_moved_task(%(task)s, %(list)s, NULL, %(sibling)s, false),"
    " version = version + 1 WHERE id = %(task)s",
    "move the task and its parts to the Inbox": "UPDATE app.tasks SET list_id = NULL WHERE id = %(task)s",
    "move the task and its parts to a list": "UPDATE app.tasks SET list_id = %(second list)s WHERE id = %(task)s",
    "complete the parts": "SELECT app.close_subtasks(%(task)s, 'completed', gen_random_uuid())",
    "make the part a task": "UPDATE app.tasks SET parent_id = NULL WHERE id = %(part)s",
    "make the other task a part": "UPDATE app.tasks SET parent_id = %(task)s WHERE id = %(sibling)s",
    "make another part": "INSERT INTO app.tasks (id, title, list_id, parent_id) VALUES (%(new)s, 'x', %(list)s, %(task)s)",
    "throw the task away and its parts": "UPDATE app.tasks SET deleted_at = now() WHERE id = %(task)s",
    "delete the task, its parts and its history": "DELETE FROM app.tasks WHERE id = %(task)s",
    "keep another answer": "INSERT INTO app.idempotency_records (key, request_fingerprint, status, body)"
    " VALUES ('new', sha256('x'), 201, 'x')",
    "forget the answer": "DELETE FROM app.idempotency_records WHERE key = %(answer)s",
    "take the completion back": "DELETE FROM app.completions WHERE id = %(completion)s",
    "write down another completion": "INSERT INTO app.completions (id, task_id, title, outcome)"
    " VALUES (%(new)s, %(task)s, 'x', 'completed')",
    "revoke the token": "DELETE FROM app.personal_access_tokens WHERE id = %(token)s",
    "go to another time zone": "UPDATE app.users SET timezone = 'Asia/Tokyo' WHERE (SELECT count(*) FROM app.tasks) > 0",
}
changes = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@changes
def test_what_a_user_does_reaches_nothing_of_another_with_the_same_ids(
    admin: Admin, owner: User, twin: User, as_api: ActAs, ids: Ids, change: str
) -> None:
    before, hers = rows_of(admin, owner.id), rows_of(admin, twin.id)
    assert as_api(twin.signed_in).outcome(change, ids) == 1
    assert rows_of(admin, owner.id) == before
    assert rows_of(admin, twin.id, "users") != hers, "it does nothing at all"


@changes
def test_what_nobody_does_reaches_nothing(
    admin: Admin, owner: User, twin: User, as_api: ActAs, ids: Ids, change: str
) -> None:
    before = rows_of(admin, owner.id), rows_of(admin, twin.id)
    as_api(Anonymous()).outcome(change, ids)
    assert (rows_of(admin, owner.id), rows_of(admin, twin.id)) == before


@changes
def test_what_a_user_does_to_ids_that_only_others_have_reaches_nothing(
    admin: Admin, owner: User, twin: User, other: User, as_api: ActAs, ids: Ids, change: str
) -> None:
    before = rows_of(admin, owner.id), rows_of(admin, twin.id)
    as_api(other.signed_in).outcome(change, ids)
    assert (rows_of(admin, owner.id), rows_of(admin, twin.id)) == before


@pytest.mark.parametrize("statement", ["UPDATE app.lists SET position = 'a1'", "UPDATE app.tasks SET position = 'a1'"])
def test_room_is_made_among_ones_own_only(
    admin: Admin, owner: User, twin: User, as_api: ActAs, ids: Ids, statement: str
) -> None:
    # All have the same rank, so that there is no room and all others are given another.
    admin.execute(statement)
    before, hers = rows_of(admin, owner.id), rows_of(admin, twin.id)
    client = as_api(twin.signed_in)
    client.rows(
        "SELECT app.rank_of_moved_list(gen_random_uuid(), least(%s::uuid, %s), false)", ids["list"], ids["second list"]
    )
    client.rows(
        "SELECT app.rank_of_moved_task(gen_random_uuid(), %s, NULL, least(%s::uuid, %s), false)",
        ids["list"],
        ids["task"],
        ids["sibling"],
    )
    assert rows_of(admin, owner.id) == before
    assert rows_of(admin, twin.id) != hers, "there was room"


# Where no policy holds, the keys and the triggers keep users apart.


def part_of(rows: Mapping[str, list[Any]]) -> list[Any]:
    return [task for task in rows["tasks"] if task["id"] == PART]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE app.tasks SET list_id = NULL WHERE user_id = %s AND id = %s",
        "UPDATE app.tasks SET deleted_at = now() WHERE user_id = %s AND id = %s",
        "DELETE FROM app.tasks WHERE user_id = %s AND id = %s",
        "UPDATE app.users SET timezone = 'Asia/Tokyo' WHERE user_id = %s AND %s IS NOT NULL",
    ],
    ids=["carried into another list", "carried into the trash", "deleted with it", "shifted"],
)
def test_what_a_trigger_or_a_key_carries_on_is_the_same_users_even_where_no_policy_holds(
    admin: Admin, owner: User, twin: User, change: str
) -> None:
    before, hers = rows_of(admin, owner.id), rows_of(admin, twin.id)
    admin.execute(change, twin.id, twin.task_id)
    assert rows_of(admin, owner.id) == before
    assert part_of(rows_of(admin, twin.id, "users")) != part_of(hers), "nothing was carried on"


@pytest.mark.parametrize("table", ["lists", "tags", "completions", "personal_access_tokens", "idempotency_records"])
def test_a_row_goes_with_its_owners_account_and_with_nobody_elses(
    admin: Admin, owner: User, twin: User, as_auth: ActAs, table: str
) -> None:
    before = rows_of(admin, owner.id)
    assert as_auth(twin.proven).outcome("DELETE FROM app.users") == 1
    assert admin.execute(f"SELECT DISTINCT user_id FROM app.{table}") == [(owner.id,)]
    assert rows_of(admin, owner.id) == before


def test_deleting_a_list_empties_that_column_of_its_owners_tasks_alone(
    admin: Admin, owner: User, twin: User, as_api: ActAs, ids: Ids
) -> None:
    assert as_api(twin.signed_in).outcome("DELETE FROM app.lists WHERE id = %(list)s", ids) == 1
    left = "SELECT DISTINCT user_id, list_id FROM app.tasks"
    assert sorted(admin.execute(left)) == sorted([(owner.id, owner.list_id), (twin.id, None)])


# What a function or a key says of an id does not tell whether somebody else has it.

ASKED = {
    "rank_of_moved_list": "SELECT app.rank_of_moved_list(%(list)s, NULL, true)",
    "rank_of_moved_list behind": "SELECT app.rank_of_moved_list(%(own list)s, %(list)s, false)",
    "trash_list": "SELECT app.trash_list(%(list)s, NULL, true)",
    "trash_list of a version": "SELECT app.trash_list(%(list)s, ARRAY[1]::bigint[], false)",
    "purge_list": "SELECT app.purge_list(%(list)s, NULL, true)",
    "detach_tasks_of_list": "SELECT app.detach_tasks_of_list(%(list)s, false)",
    "restore_list": "SELECT app.restore_list(%(trashed list)s, NULL)",
    "close_subtasks": "SELECT app.close_subtasks(%(task)s, 'completed', gen_random_uuid())",
    "reopen_subtasks": "SELECT app.reopen_subtasks(%(task)s, gen_random_uuid())",
    "rank_of_moved_task": "SELECT app.rank_of_moved_task(%(task)s, NULL, NULL, NULL, true)",
    "rank_of_moved_task in a list": "SELECT app.rank_of_moved_task(%(own task)s, %(list)s, NULL, NULL, true)",
    "rank_of_moved_task first in a list": "SELECT app.rank_of_moved_task(%(own task)s, %(list)s, NULL, NULL, false)",
    "rank_of_moved_task as a part": "SELECT app.rank_of_moved_task(%(own task)s, %(its list)s, %(task)s, NULL, true)",
    "rank_of_moved_task behind": "SELECT app.rank_of_moved_task(%(own task)s, %(its list)s, NULL, %(task)s, false)",
    "rank_of_moved_task behind in the list": "SELECT app.rank_of_moved_task(%(own task)s, %(list)s, NULL, %(task)s, false)",
    "siblings in a list": "SELECT app.siblings(%(list)s, NULL)",
    "siblings among parts": "SELECT app.siblings(NULL, %(task)s)",
    "id_after_user_lock": "SELECT app.id_after_user_lock(%(task)s)",
    "rename_tag": "SELECT app.rename_tag(%(tag)s, 'x', 'x', 'x', NULL)",
    "rename_tag counted": "SELECT app.rename_tag(%(tag)s, 'x', 'x', 'x', 3)",
    "remove_tag": "SELECT app.remove_tag(%(tag)s)",
    "claim_idempotency_key": "SELECT app.claim_idempotency_key(%(answer)s)",
    "task into a list": "INSERT INTO app.tasks (id, title, list_id) VALUES (gen_random_uuid(), 'x', %(list)s)",
    "task under a task": "INSERT INTO app.tasks (id, title, parent_id) VALUES (gen_random_uuid(), 'x', %(task)s)",
    "own task into a list": "UPDATE app.tasks SET list_id = %(list)s",
    "own task under a task": "UPDATE app.tasks SET parent_id = %(task)s",
    "own task under a task in a list": "UPDATE app.tasks SET list_id = %(list)s, parent_id = %(task)s",
    "completion of a task": "INSERT INTO app.completions (task_id, title, outcome) VALUES (%(task)s, 'x', 'completed')",
}


def told(client: SqlClient, statement: str, ids: Ids) -> str:
    """Return all that is told, but for the ids that were asked for and the ranks of this moment."""
    try:
        answer = str(client.rows(statement % {name: f"'{value}'" for name, value in ids.items()}))
    except psycopg2.Error as error:
        diag = error.diag
        answer = str((error.pgcode, diag.message_primary, diag.message_detail, diag.constraint_name, diag.table_name))
    for name, value in ids.items():
        answer = answer.replace(str(value), f"<{name}>")
    return re.sub("'[aZ][0-9A-Za-z]{6,}'", "<rank>", answer)


def existing_ids(owner: User) -> Ids:
    """Return the ids of the owner's things that a statement of ASKED can name."""
    return {
        "task": owner.task_id,
        "list": owner.list_id,
        "tag": "shared",
        "answer": owner.answer_key,
        "trashed list": TRASHED_LIST,
    }


def unknown_ids() -> Ids:
    """Return ids under the same names that no row has."""
    return {
        "task": str(uuid4()),
        "list": str(uuid4()),
        "tag": "nobodys",
        "answer": "nobodys",
        "trashed list": str(uuid4()),
    }


@pytest.mark.parametrize("statement", ASKED.values(), ids=ASKED)
def test_of_another_users_id_as_much_is_told_as_of_one_that_never_was(
    admin: Admin, owner: User, twin: User, other: User, as_api: ActAs, statement: str
) -> None:
    before = rows_of(admin, owner.id), rows_of(admin, twin.id)
    own = {"own task": other.task_id, "own list": other.list_id, "its list": other.list_id}
    hers, none = {**own, **existing_ids(owner)}, {**own, **unknown_ids()}
    for who in (other.signed_in, Anonymous()):
        assert told(as_api(who), statement, hers) == told(as_api(who), statement, none)
    assert (rows_of(admin, owner.id), rows_of(admin, twin.id)) == before


@pytest.mark.parametrize("statement", ASKED.values(), ids=ASKED)
def test_the_owner_of_an_id_is_told_something_else(owner: User, twin: User, as_api: ActAs, statement: str) -> None:
    """Without this, what is told above could be the same of any id."""
    own = {"own task": SIBLING, "own list": SECOND_LIST, "its list": owner.list_id}
    none = {**own, **unknown_ids()}
    of_none = told(as_api(owner.signed_in), statement, none)
    silent = {"id_after_user_lock", "detach_tasks_of_list", "close_subtasks", "reopen_subtasks"}
    alike = {
        *(ASKED[name] for name in silent),
        *(ASKED[name] for name in ASKED if name.startswith("rank_of_moved_") and "behind" not in name),
    }
    of_own = told(as_api(owner.signed_in), statement, {**own, **existing_ids(owner)})
    assert (of_own == of_none) == (statement in alike)


# The functions are for whom they are for.


@pytest.mark.parametrize("who", ["owner", "nobody"])
@pytest.mark.parametrize("change", [change for change in CHANGES.values() if "SELECT app." in change])
def test_log_in_and_operators_can_call_none_of_the_functions_on_content(
    admin: Admin, owner: User, as_auth: ActAs, as_operator: ActAs, ids: Ids, change: str, who: str
) -> None:
    before = rows_of(admin, owner.id)
    for role in (as_auth, as_operator):
        assert role(owner.proven if who == "owner" else Anonymous()).outcome(change, ids) == NOT_GRANTED
    assert rows_of(admin, owner.id) == before


@changes
def test_none_of_this_is_done_in_a_get(admin: Admin, owner: User, as_api: ActAs, ids: Ids, change: str) -> None:
    before = rows_of(admin, owner.id)
    assert as_api(owner.signed_in).in_a_get().outcome(change, ids) == READ_ONLY
    assert rows_of(admin, owner.id) == before


# Purging.


def test_a_purge_deletes_everybodys_tasks_that_were_thrown_away_30_days_ago_and_no_others(
    admin: Admin, owner: User, twin: User, other: User, as_operator: ActAs
) -> None:
    in_the_trash(admin, owner, 30.01)
    in_the_trash(admin, other, 300)
    in_the_trash(admin, twin, 29.99)
    kept = rows_of(admin, twin.id)
    # Of the owner's it is the task and its part, which was thrown away with it; the other task of hers was not.
    assert as_operator(Anonymous()).value("SELECT app.purge_tasks(100)") == 3
    assert rows_of(admin, twin.id) == kept
    assert admin.execute("SELECT id FROM app.tasks WHERE user_id = %s", owner.id) == [(SIBLING,)]
    assert admin.execute("SELECT id FROM app.tasks WHERE user_id = %s", other.id) == []
    assert admin.execute("SELECT user_id FROM app.completions") == [(twin.id,)]
    assert [admin.execute(f"SELECT count(*) FROM app.{table}") for table in ("users", "lists", "tags")] == [
        [(3,)],
        [(7,)],
        [(5,)],
    ]


@pytest.mark.parametrize("most", [0, 1])
def test_a_purge_deletes_no_more_than_it_is_told_to(
    admin: Admin, owner: User, other: User, as_operator: ActAs, most: int
) -> None:
    admin.execute("DELETE FROM app.tasks WHERE parent_id IS NOT NULL")
    for user in (owner, other):
        in_the_trash(admin, user, 31)
    assert as_operator(Anonymous()).value("SELECT app.purge_tasks(%s)", most) == most
    assert admin.execute("SELECT count(*) FROM app.tasks WHERE deleted_at IS NOT NULL") == [(2 - most,)]


@pytest.mark.parametrize("whose", ["owner", "other"])
def test_a_purge_for_one_user_is_a_purge_for_all(
    admin: Admin, owner: User, other: User, as_operator: ActAs, whose: str
) -> None:
    # The identity of the transaction makes no difference: no task is the operator's.
    admin.execute("DELETE FROM app.tasks WHERE parent_id IS NOT NULL")
    for user in (owner, other):
        in_the_trash(admin, user, 31)
    who = owner if whose == "owner" else other
    assert as_operator(who.proven).value("SELECT app.purge_tasks(100)") == 2


def test_only_an_operator_purges(admin: Admin, owner: User, as_api: ActAs, as_auth: ActAs) -> None:
    in_the_trash(admin, owner, 31)
    before = rows_of(admin, owner.id)
    for client in (as_api(owner.signed_in), as_api(Anonymous()), as_auth(owner.proven), as_auth(Anonymous())):
        assert client.outcome("SELECT app.purge_tasks(100)") == NOT_GRANTED
    assert rows_of(admin, owner.id) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM app.tasks RETURNING title",
        "DELETE FROM app.tasks WHERE title LIKE 'ALICE%%'",
        "SELECT FROM app.tasks WHERE title LIKE 'ALICE%%'",
        "SELECT FROM app.tasks WHERE title_words = 'secret'",
        "SELECT FROM app.tasks ORDER BY title_sort",
        "SELECT FROM app.tasks WHERE list_id IS NULL",
        "SELECT tasks FROM app.tasks",
        "SELECT * FROM app.tasks",
        "SELECT FROM app.tasks FOR UPDATE",
        "UPDATE app.tasks SET deleted_at = NULL",
        "TABLE app.completions",
        "TABLE app.lists",
        "TABLE app.tags",
        "COPY app.tasks TO STDOUT",
    ],
)
def test_an_operator_learns_nothing_of_what_was_thrown_away(
    admin: Admin, owner: User, as_operator: ActAs, statement: str
) -> None:
    in_the_trash(admin, owner, 31)
    before = rows_of(admin, owner.id)
    for who in (owner.proven, Anonymous()):
        assert as_operator(who).outcome(statement) == NOT_GRANTED
    assert rows_of(admin, owner.id) == before

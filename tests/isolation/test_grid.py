"""Owner, other user and nobody; select, insert, update and delete; every table, every login role; SQL and HTTP.

The grid is exact. A number is how many rows the statement touched, in silence; `NOT_GRANTED` and `POLICY` are the two ways
in which PostgreSQL says 42501.
"""

from collections.abc import Iterator

import pytest
from conftest import Admin, Person

from isolation.conftest import (
    A_HASH,
    NOBODYS,
    NOT_GRANTED,
    POLICY,
    ActAs,
    SqlClient,
    Stray,
    User,
    all_tables,
    in_the_trash,
    rows_of,
    tenant_tables,
)
from taskapp.database.database import Link
from taskapp.database.identity import Anonymous

UNIQUE_VIOLATION = "23505"
# What names the list or task of somebody else names none: the answer to an id that never was, too (test_twins.py).
UNKNOWN_ID = "23503"

# All aim at the owner's rows. `insert` leaves the owner to PostgreSQL, `insert theirs` names one.
STATEMENTS = {
    "users": {
        "select": "SELECT FROM app.users WHERE user_id = %(owner)s",
        "insert": "INSERT INTO app.users (email, password_hash) VALUES ('new@example.com', %(hash)s)",
        "insert theirs": "INSERT INTO app.users (user_id, email, password_hash) VALUES (%(owner)s, 'new@x.org', %(hash)s)",
        "update": "UPDATE app.users SET timezone = 'Asia/Tokyo' WHERE user_id = %(owner)s",
        "update email": "UPDATE app.users SET email = 'new@example.com' WHERE user_id = %(owner)s",
        "update password": "UPDATE app.users SET password_hash = %(hash)s WHERE user_id = %(owner)s",
        "close": "UPDATE app.users SET disabled_at = now() WHERE user_id = %(owner)s",
        "give away": "UPDATE app.users SET user_id = %(other)s WHERE user_id = %(owner)s",
        "delete": "DELETE FROM app.users WHERE user_id = %(owner)s",
        "truncate": "TRUNCATE app.users CASCADE",
    },
    "sessions": {
        "select": "SELECT FROM app.sessions WHERE user_id = %(owner)s",
        "insert": "INSERT INTO app.sessions (id, expires_at) VALUES (gen_random_uuid(), now() + interval '1 day')",
        "insert theirs": "INSERT INTO app.sessions (user_id, id, expires_at)"
        " VALUES (%(owner)s, gen_random_uuid(), now() + interval '1 day')",
        "update": "UPDATE app.sessions SET revoked_at = now() WHERE user_id = %(owner)s",
        "bring back": "UPDATE app.sessions SET revoked_at = NULL WHERE user_id = %(owner)s",
        "refresh": "UPDATE app.sessions SET generation = generation + 1, previous_refresh_issued_at = now(),"
        " last_used_at = now() WHERE user_id = %(owner)s",
        "prolong": "UPDATE app.sessions SET expires_at = expires_at + interval '1 day' WHERE user_id = %(owner)s",
        "disguise": "UPDATE app.sessions SET ip = NULL, user_agent = NULL, device_name = NULL WHERE user_id = %(owner)s",
        "give away": "UPDATE app.sessions SET user_id = %(other)s WHERE user_id = %(owner)s",
        "delete": "DELETE FROM app.sessions WHERE user_id = %(owner)s",
        "truncate": "TRUNCATE app.sessions CASCADE",
    },
    "tasks": {
        "select": "SELECT FROM app.tasks WHERE user_id = %(owner)s",
        "insert": "INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'new')",
        "insert theirs": "INSERT INTO app.tasks (user_id, id, title) VALUES (%(owner)s, gen_random_uuid(), 'new')",
        "insert into the list": "INSERT INTO app.tasks (id, title, list_id) VALUES (gen_random_uuid(), 'new', %(list)s)",
        "insert a part": "INSERT INTO app.tasks (id, title, list_id, parent_id)"
        " VALUES (gen_random_uuid(), 'new', %(list)s, %(task)s)",
        "insert as if old": "INSERT INTO app.tasks (id, title, created_at) VALUES (gen_random_uuid(), 'new', now())",
        "update": "UPDATE app.tasks SET title = 'changed' WHERE user_id = %(owner)s",
        "update more": "UPDATE app.tasks SET notes = 'x', status = 'completed', priority = 'high', tags = '{x}',"
        " start_date = now(), due_date = now(), due_time = '09:00', due_timezone = 'UTC', metadata = '{}', position = 'a1',"
        " list_id = NULL, parent_id = NULL, restore_list_id = NULL, restore_position = NULL, completed_at = now(),"
        " deleted_at = now(), version = 2, updated_at = now() WHERE user_id = %(owner)s",
        "move one's own there": "UPDATE app.tasks SET list_id = %(list)s WHERE user_id = %(other)s",
        "move one's own under it": "UPDATE app.tasks SET list_id = NULL, parent_id = %(task)s WHERE user_id = %(other)s",
        "rename": "UPDATE app.tasks SET id = gen_random_uuid() WHERE user_id = %(owner)s",
        "make older": "UPDATE app.tasks SET created_at = '2000-01-01' WHERE user_id = %(owner)s",
        "forget the request": "UPDATE app.tasks SET creation_fingerprint = NULL WHERE user_id = %(owner)s",
        "give away": "UPDATE app.tasks SET user_id = %(other)s WHERE user_id = %(owner)s",
        "delete": "DELETE FROM app.tasks WHERE user_id = %(owner)s",
        "truncate": "TRUNCATE app.tasks CASCADE",
    },
    "lists": {
        "select": "SELECT FROM app.lists WHERE user_id = %(owner)s",
        "insert": "INSERT INTO app.lists (id, name) VALUES (gen_random_uuid(), 'new')",
        "insert theirs": "INSERT INTO app.lists (user_id, id, name) VALUES (%(owner)s, gen_random_uuid(), 'new')",
        "update": "UPDATE app.lists SET name = 'changed' WHERE user_id = %(owner)s",
        "update more": "UPDATE app.lists SET color = '#000000', position = 'a1', archived = true, deleted_at = NULL,"
        " version = 2, updated_at = now() WHERE user_id = %(owner)s",
        "rename": "UPDATE app.lists SET id = gen_random_uuid() WHERE user_id = %(owner)s",
        "make older": "UPDATE app.lists SET created_at = '2000-01-01' WHERE user_id = %(owner)s",
        "forget the request": "UPDATE app.lists SET creation_fingerprint = NULL WHERE user_id = %(owner)s",
        "give away": "UPDATE app.lists SET user_id = %(other)s WHERE user_id = %(owner)s",
        "delete": "DELETE FROM app.lists WHERE user_id = %(owner)s",
        "truncate": "TRUNCATE app.lists CASCADE",
    },
    "tags": {
        "select": "SELECT FROM app.tags WHERE user_id = %(owner)s",
        "insert": "INSERT INTO app.tags (key, name) VALUES ('new', 'New')",
        "insert theirs": "INSERT INTO app.tags (user_id, key, name) VALUES (%(owner)s, 'new', 'New')",
        "update": "UPDATE app.tags SET key = 'changed', name = 'changed' WHERE user_id = %(owner)s",
        "give away": "UPDATE app.tags SET user_id = %(other)s WHERE user_id = %(owner)s",
        "delete": "DELETE FROM app.tags WHERE user_id = %(owner)s",
        "truncate": "TRUNCATE app.tags CASCADE",
    },
    "completions": {
        "select": "SELECT FROM app.completions WHERE user_id = %(owner)s",
        "insert": "INSERT INTO app.completions (id, task_id, title, outcome)"
        " VALUES (gen_random_uuid(), %(task)s, 'new', 'completed')",
        "insert theirs": "INSERT INTO app.completions (user_id, id, task_id, title, outcome)"
        " VALUES (%(owner)s, gen_random_uuid(), %(task)s, 'new', 'completed')",
        "update": "UPDATE app.completions SET title = 'changed' WHERE user_id = %(owner)s",
        "make older": "UPDATE app.completions SET completed_at = '2000-01-01' WHERE user_id = %(owner)s",
        "give away": "UPDATE app.completions SET user_id = %(other)s WHERE user_id = %(owner)s",
        "delete": "DELETE FROM app.completions WHERE user_id = %(owner)s",
        "truncate": "TRUNCATE app.completions CASCADE",
    },
    "personal_access_tokens": {
        "select": "SELECT FROM app.personal_access_tokens WHERE user_id = %(owner)s",
        "select what it is": "SELECT id, name, scopes, prefix, created_at, last_used_at, expires_at"
        " FROM app.personal_access_tokens WHERE user_id = %(owner)s",
        "select the digest": "SELECT digest FROM app.personal_access_tokens WHERE user_id = %(owner)s",
        "guess the digest": "SELECT FROM app.personal_access_tokens WHERE digest = sha256('guess')",
        "insert": "INSERT INTO app.personal_access_tokens (id, name, scopes, prefix, digest, expires_at) VALUES"
        " (gen_random_uuid(), 'x', '{tasks:read}', 'tsk_pat_xxxx', sha256('new'), now() + interval '1 day')",
        "insert theirs": "INSERT INTO app.personal_access_tokens"
        " (user_id, id, name, scopes, prefix, digest, expires_at) VALUES"
        " (%(owner)s, gen_random_uuid(), 'x', '{tasks:read}', 'tsk_pat_xxxx', sha256('new'), now() + interval '1 day')",
        "use": "UPDATE app.personal_access_tokens SET last_used_at = now() WHERE user_id = %(owner)s",
        "prolong": "UPDATE app.personal_access_tokens SET expires_at = expires_at + interval '1 day'"
        " WHERE user_id = %(owner)s",
        "widen": "UPDATE app.personal_access_tokens SET scopes = '{tasks:write}' WHERE user_id = %(owner)s",
        "exchange": "UPDATE app.personal_access_tokens SET digest = sha256('new') WHERE user_id = %(owner)s",
        "disguise": "UPDATE app.personal_access_tokens SET name = 'x', prefix = 'tsk_pat_xxxx' WHERE user_id = %(owner)s",
        "give away": "UPDATE app.personal_access_tokens SET user_id = %(other)s WHERE user_id = %(owner)s",
        "delete": "DELETE FROM app.personal_access_tokens WHERE user_id = %(owner)s",
        "truncate": "TRUNCATE app.personal_access_tokens CASCADE",
    },
    "idempotency_records": {
        "select": "SELECT FROM app.idempotency_records WHERE user_id = %(owner)s",
        "insert": "INSERT INTO app.idempotency_records (key, request_fingerprint, status, body)"
        " VALUES ('new', sha256('new'), 201, 'new')",
        "insert theirs": "INSERT INTO app.idempotency_records (user_id, key, request_fingerprint, status, body)"
        " VALUES (%(owner)s, 'new', sha256('new'), 201, 'new')",
        "update": "UPDATE app.idempotency_records SET body = 'changed' WHERE user_id = %(owner)s",
        "keep for longer": "UPDATE app.idempotency_records SET stored_at = 'infinity' WHERE user_id = %(owner)s",
        "give away": "UPDATE app.idempotency_records SET user_id = %(other)s WHERE user_id = %(owner)s",
        "delete": "DELETE FROM app.idempotency_records WHERE user_id = %(owner)s",
        "truncate": "TRUNCATE app.idempotency_records CASCADE",
    },
    # Nobody's: all aim at the one row there is.
    "attempts": {
        "select": "SELECT FROM app.attempts WHERE key = decode(%(counter)s, 'hex')",
        "insert": "INSERT INTO app.attempts (key, count, since) VALUES (sha256('new'), 1, now())",
        "update": "UPDATE app.attempts SET count = 0 WHERE key = decode(%(counter)s, 'hex')",
        "update more": "UPDATE app.attempts SET since = now(), blocked_until = now(), succeeded_at = now()"
        " WHERE key = decode(%(counter)s, 'hex')",
        "give away": "UPDATE app.attempts SET key = sha256('new') WHERE key = decode(%(counter)s, 'hex')",
        "delete": "DELETE FROM app.attempts WHERE key = decode(%(counter)s, 'hex')",
        "truncate": "TRUNCATE app.attempts CASCADE",
    },
    # The trail of people at psql. Nobody of the application reads or writes it.
    "access_log": {
        "select": "SELECT FROM app.access_log",
        "insert": "INSERT INTO app.access_log (kind, login, reason, minutes) VALUES ('break-glass', 1, 'a reason', 1)",
        "update": "UPDATE app.access_log SET closed_at = now(), closed_by = 'me'",
        "delete": "DELETE FROM app.access_log",
        "truncate": "TRUNCATE app.access_log",
    },
}

Outcome = int | str
NEVER: tuple[Outcome, ...] = (NOT_GRANTED, NOT_GRANTED, NOT_GRANTED)
# What belongs to nobody has no owner to compare with: the role alone decides.
WHOEVER: tuple[Outcome, ...] = (1, 1, 1)

# What the owner, another user and nobody get. A command that is missing is granted to none of them.
GRID: dict[str, dict[str, dict[str, tuple[Outcome, ...]]]] = {
    "taskapp_api": {
        "users": {"select": (1, 0, 0), "update": (1, 0, 0)},
        "sessions": {"select": (1, 0, 0), "update": (1, 0, 0), "bring back": (POLICY, 0, 0)},
        "tasks": {
            "select": (1, 0, 0),
            "insert": (1, 1, POLICY),
            "insert into the list": (1, UNKNOWN_ID, POLICY),
            "insert a part": (1, UNKNOWN_ID, POLICY),
            "update": (1, 0, 0),
            "update more": (1, 0, 0),
            "move one's own there": (0, UNKNOWN_ID, 0),
            "move one's own under it": (0, UNKNOWN_ID, 0),
            "delete": (1, 0, 0),
        },
        "lists": {
            "select": (1, 0, 0),
            "insert": (1, 1, POLICY),
            "update": (1, 0, 0),
            "update more": (1, 0, 0),
            "delete": (1, 0, 0),
        },
        "tags": {"select": (1, 0, 0), "insert": (1, 1, POLICY), "update": (1, 0, 0), "delete": (1, 0, 0)},
        # What happened stays as it was: nothing updates a completion.
        "completions": {"select": (1, 0, 0), "insert": (1, UNKNOWN_ID, POLICY), "delete": (1, 0, 0)},
        "personal_access_tokens": {"select": (1, 0, 0), "select what it is": (1, 0, 0), "delete": (1, 0, 0)},
        "idempotency_records": {"select": (1, 0, 0), "insert": (1, 1, POLICY), "delete": (1, 0, 0)},
        "attempts": {},
        "access_log": {},
    },
    "taskapp_auth": {
        # An identity has one account, and these have theirs.
        "users": {
            "select": (1, 0, 0),
            "insert": (UNIQUE_VIOLATION, UNIQUE_VIOLATION, POLICY),
            "update email": (1, 0, 0),
            "update password": (1, 0, 0),
            "delete": (1, 0, 0),
        },
        "sessions": {
            "select": (1, 0, 0),
            "insert": (1, 1, POLICY),
            "update": (1, 0, 0),
            "bring back": (1, 0, 0),  # this one has not ended, and no other is found: see the test below
            "refresh": (1, 0, 0),
        },
        "tasks": {},
        "lists": {},
        "tags": {},
        "completions": {},
        "personal_access_tokens": {
            "select": (1, 0, 0),
            "select what it is": (1, 0, 0),
            "insert": (1, 1, POLICY),
            "delete": (1, 0, 0),
        },
        "idempotency_records": {},
        "attempts": {
            "select": WHOEVER,
            "insert": WHOEVER,
            "update": WHOEVER,
            "update more": WHOEVER,
            "delete": WHOEVER,
        },
        "access_log": {},
    },
}

# The person who runs the service acts on everybody's account, whoever the transaction is for. Here the grants alone limit
# what is reached, so nothing but what the commands of `flask users` need may ever stand here.
OPERATOR: dict[str, dict[str, tuple[Outcome, ...]]] = {
    "users": {
        "select": WHOEVER,
        "insert": (UNIQUE_VIOLATION, UNIQUE_VIOLATION, POLICY),
        "update password": WHOEVER,
        "close": WHOEVER,
    },
    # One that is not over, and has not been for 30 days, cannot be deleted: tests/trash/test_purging.py.
    "sessions": {"select": WHOEVER, "update": WHOEVER, "bring back": (POLICY, POLICY, POLICY), "delete": (0, 0, 0)},
    # Until a task or list has been in the trash for 30 days, it does not exist for them: see the tests below.
    "tasks": {"select": (0, 0, 0), "delete": (0, 0, 0)},
    "lists": {"select": (0, 0, 0), "delete": (0, 0, 0)},
    "tags": {},
    "completions": {},
    "personal_access_tokens": {"select": WHOEVER, "delete": WHOEVER},
    # Nor does an answer until it is a day old, and then it is nobody's by name.
    "idempotency_records": {},
    "attempts": {"select": WHOEVER, "update": WHOEVER},
    "access_log": {},
}

PEOPLE = ("owner", "other", "nobody")


def cells(*people: str) -> list[object]:
    """List role, table, command, person and outcome of every cell of the grid that is about `people`."""
    return [
        pytest.param(
            role,
            table,
            command,
            who,
            tables[table].get(command, NEVER)[PEOPLE.index(who)],
            id=f"{role} {table} {command} {who}",
        )
        for role, tables in GRID.items()
        for table in tables
        for command in STATEMENTS[table]
        for who in people
    ]


def granting(*commands: str) -> list[object]:
    """List the role and table of every part of the grid where somebody may use one of `commands` on a user's rows."""
    return [
        pytest.param(role, table, id=f"{role} {table}")
        for role in GRID
        for table in GRID[role]
        if table not in NOBODYS and any(command in GRID[role][table] for command in commands)
    ]


# Every command that changes a row.
UPDATES = ("update", "update more", "update email", "update password", "close", "refresh", "prolong", "disguise")


class People:
    """Who the grid is about, ready to run SQL."""

    def __init__(self, owner: User, other: User, counter: str, roles: dict[str, ActAs]) -> None:
        self.values = {
            "owner": owner.id,
            "other": other.id,
            "task": owner.task_id,
            "list": owner.list_id,
            "hash": A_HASH,
            "counter": counter,
        }
        self._who = {"owner": owner, "other": other}
        self._as = roles

    def client(self, role: str, who: str) -> SqlClient:
        user = self._who.get(who)
        if user is None:
            return self._as[role](Anonymous())
        return self._as[role](user.signed_in if role == "taskapp_api" else user.proven)


@pytest.fixture
def people(owner: User, other: User, counter: str, as_api: ActAs, as_auth: ActAs, as_operator: ActAs) -> People:
    roles = {"taskapp_api": as_api, "taskapp_auth": as_auth, "taskapp_operator": as_operator}
    return People(owner, other, counter, roles)


def test_every_table_stands_in_the_grid_for_every_role(admin: Admin) -> None:
    tables = all_tables(admin)
    assert tables
    assert {role: sorted(GRID[role]) for role in GRID} == {"taskapp_api": tables, "taskapp_auth": tables}
    assert sorted(OPERATOR) == tables
    assert sorted([*tenant_tables(admin), *NOBODYS]) == tables


def test_every_command_of_the_grid_is_one_that_is_tried() -> None:
    for tables in (*GRID.values(), OPERATOR):
        for table, commands in tables.items():
            assert commands.keys() <= STATEMENTS[table].keys()


@pytest.mark.parametrize(("role", "table", "command", "who", "expected"), cells("owner"))
def test_the_owner_can_do_what_is_granted_and_no_more(
    people: People, role: str, table: str, command: str, who: str, expected: Outcome
) -> None:
    assert people.client(role, who).outcome(STATEMENTS[table][command], people.values) == expected


@pytest.mark.parametrize(("role", "table", "command", "who", "expected"), cells("other", "nobody"))
def test_another_user_and_nobody_reach_nothing_of_the_owners(
    admin: Admin, people: People, role: str, table: str, command: str, who: str, expected: Outcome
) -> None:
    before = rows_of(admin, people.values["owner"])
    assert people.client(role, who).outcome(STATEMENTS[table][command], people.values) == expected
    assert rows_of(admin, people.values["owner"]) == before


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(("table", "command"), [(table, command) for table in STATEMENTS for command in STATEMENTS[table]])
def test_an_operator_can_do_what_is_granted_and_no_more(
    admin: Admin, people: People, table: str, command: str, who: str
) -> None:
    expected = OPERATOR[table].get(command, NEVER)[PEOPLE.index(who)]
    before = rows_of(admin, people.values["owner"])
    assert people.client("taskapp_operator", who).outcome(STATEMENTS[table][command], people.values) == expected
    unchanged = rows_of(admin, people.values["owner"], "users")
    assert unchanged["tasks"] == before["tasks"]
    assert unchanged == before or expected == 1


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(("days", "expected"), [(0, 0), (29.99, 0), (30.01, 1), (300, 1)])
@pytest.mark.parametrize("command", ["select", "delete"])
def test_an_operator_finds_a_task_once_it_has_been_in_the_trash_for_30_days(
    admin: Admin, owner: User, people: People, command: str, days: float, expected: Outcome, who: str
) -> None:
    in_the_trash(admin, owner, days)
    statement = STATEMENTS["tasks"][command]
    assert people.client("taskapp_operator", who).outcome(statement, people.values) == expected


@pytest.mark.parametrize(("role", "table"), granting("select"))
def test_a_select_without_a_condition_shows_only_ones_own_rows(people: People, role: str, table: str) -> None:
    rows = people.client(role, "other").rows(f"SELECT DISTINCT user_id FROM app.{table}")
    assert rows == [(people.values["other"],)]


@pytest.mark.parametrize(("role", "table"), granting("select"))
def test_a_select_without_a_condition_shows_nobody_nothing(people: People, role: str, table: str) -> None:
    assert people.client(role, "nobody").value(f"SELECT count(*) FROM app.{table}") == 0


@pytest.mark.parametrize(("role", "table"), granting("select"))
def test_a_script_that_knows_only_the_password_sees_nothing(owner: User, stray: Stray, role: str, table: str) -> None:
    # On a connection where no setting was ever made: they read NULL there, and '' after the first transaction.
    assert stray(role).value(f"SELECT count(*) FROM app.{table}") == 0


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("taskapp_api", "UPDATE app.tasks SET title = 'mine'"),
        ("taskapp_api", "UPDATE app.tasks SET list_id = NULL"),
        ("taskapp_api", "UPDATE app.tasks SET deleted_at = now()"),
        ("taskapp_api", "DELETE FROM app.tasks"),
        ("taskapp_api", "UPDATE app.lists SET name = 'Mine', position = 'a1'"),
        ("taskapp_api", "DELETE FROM app.lists"),
        ("taskapp_api", "UPDATE app.tags SET key = 'mine', name = 'Mine'"),
        ("taskapp_api", "DELETE FROM app.tags"),
        ("taskapp_api", "DELETE FROM app.completions"),
        ("taskapp_api", "DELETE FROM app.idempotency_records"),
        ("taskapp_api", "UPDATE app.users SET display_name = 'Mine'"),
        ("taskapp_api", "UPDATE app.sessions SET revoked_at = now()"),
        ("taskapp_api", "DELETE FROM app.personal_access_tokens"),
        ("taskapp_auth", "UPDATE app.users SET email = 'mine@example.com'"),
        ("taskapp_auth", "UPDATE app.users SET password_hash = password_hash"),
        ("taskapp_auth", "DELETE FROM app.users"),
        ("taskapp_auth", "DELETE FROM app.personal_access_tokens"),
        ("taskapp_auth", "UPDATE app.sessions SET revoked_at = now()"),
        ("taskapp_auth", "UPDATE app.sessions SET generation = generation + 1"),
    ],
)
def test_a_change_without_a_condition_reaches_only_ones_own_rows(
    admin: Admin, people: People, role: str, statement: str
) -> None:
    before = rows_of(admin, people.values["owner"])
    assert people.client(role, "other").outcome(statement) == 1
    assert rows_of(admin, people.values["owner"]) == before


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(
    ("role", "outcomes"),
    # taskapp_api refuses to enter by an ended session at all.
    [("taskapp_auth", (0, 0, 0)), ("taskapp_operator", (POLICY, POLICY, POLICY))],
)
def test_a_session_that_has_ended_is_not_brought_back(
    admin: Admin, people: People, role: str, outcomes: tuple[Outcome, ...], who: str
) -> None:
    admin.execute("UPDATE app.sessions SET revoked_at = now() WHERE user_id = %s", people.values["owner"])
    before = rows_of(admin, people.values["owner"])
    statement = STATEMENTS["sessions"]["bring back"]
    assert people.client(role, who).outcome(statement, people.values) == outcomes[PEOPLE.index(who)]
    assert rows_of(admin, people.values["owner"]) == before


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'new')",
        "INSERT INTO app.lists (id, name) VALUES (gen_random_uuid(), 'new')",
        "INSERT INTO app.tags (key, name) VALUES ('new', 'New')",
        "INSERT INTO app.completions (task_id, title, outcome) VALUES (%(task)s, 'new', 'completed')",
        "INSERT INTO app.idempotency_records (key, request_fingerprint, status, body)"
        " VALUES ('new', sha256('new'), 201, 'new')",
    ],
    ids=["task", "list", "tag", "completion", "answer"],
)
def test_a_new_row_belongs_to_whoever_inserts_it(owner: User, other: User, as_api: ActAs, statement: str) -> None:
    (row,) = as_api(other.signed_in).rows(f"{statement} RETURNING user_id".replace("%(task)s", f"'{other.task_id}'"))
    assert row == (other.id,)


def test_who_registers_gets_only_the_account_of_their_new_identity(as_auth: ActAs) -> None:
    new = User("carol")
    statement = "INSERT INTO app.users (email, password_hash) VALUES (%s, %s) RETURNING user_id"
    assert as_auth(new.proven).value(statement, new.email, A_HASH) == new.id


# Even if the owner's column were granted by mistake, the policies hold.


@pytest.fixture
def owners_column_granted(admin: Admin, role: str, table: str) -> Iterator[None]:
    """Grant what no migration grants, for the length of a test."""
    admin.execute(f"GRANT INSERT (user_id), UPDATE (user_id) ON app.{table} TO {role}")
    yield
    admin.execute(f"REVOKE INSERT (user_id), UPDATE (user_id) ON app.{table} FROM {role}")


@pytest.mark.usefixtures("owners_column_granted")
@pytest.mark.parametrize(("role", "table"), granting("insert"))
def test_a_policy_refuses_an_insert_for_somebody_else(admin: Admin, people: People, role: str, table: str) -> None:
    before = rows_of(admin, people.values["owner"])
    assert people.client(role, "other").outcome(STATEMENTS[table]["insert theirs"], people.values) == POLICY
    assert rows_of(admin, people.values["owner"]) == before


@pytest.mark.usefixtures("owners_column_granted")
@pytest.mark.parametrize(("role", "table"), granting(*UPDATES))
def test_a_policy_refuses_to_give_a_row_away(admin: Admin, people: People, role: str, table: str) -> None:
    before = rows_of(admin, people.values["owner"])
    assert people.client(role, "owner").outcome(STATEMENTS[table]["give away"], people.values) == POLICY
    assert rows_of(admin, people.values["owner"]) == before


@pytest.mark.usefixtures("owners_column_granted")
@pytest.mark.parametrize(("role", "table"), granting(*UPDATES))
def test_another_users_row_cannot_be_taken(admin: Admin, people: People, role: str, table: str) -> None:
    before = rows_of(admin, people.values["owner"])
    statement = f"UPDATE app.{table} SET user_id = %(other)s WHERE user_id = %(owner)s"
    assert people.client(role, "other").outcome(statement, people.values) == 0
    assert rows_of(admin, people.values["owner"]) == before


# Whose row has an id already cannot be found out: the owner leads every key.


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO app.tasks (id, title) VALUES (%(task)s, 'x')",
        "INSERT INTO app.tasks (id, title) VALUES (%(task)s, 'x') ON CONFLICT DO NOTHING",
        "INSERT INTO app.tasks (id, title) VALUES (%(task)s, 'x')"
        " ON CONFLICT (user_id, id) DO UPDATE SET title = 'z' WHERE tasks.title::int = 1",
        "MERGE INTO app.tasks USING (VALUES (%(task)s::uuid)) AS wanted (id) ON tasks.id = wanted.id"
        " WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, title) VALUES (wanted.id, 'x')",
    ],
    ids=["insert", "do nothing", "upsert", "merge"],
)
def test_the_id_of_another_users_task_is_free_to_use(
    admin: Admin, owner: User, other: User, as_api: ActAs, statement: str
) -> None:
    before = rows_of(admin, owner.id)
    assert as_api(other.signed_in).outcome(statement, {"task": owner.task_id}) == 1
    assert rows_of(admin, owner.id) == before
    owners = admin.execute("SELECT user_id FROM app.tasks WHERE id = %s", owner.task_id)
    assert sorted(owners) == sorted([(owner.id,), (other.id,)])


@pytest.mark.parametrize("how", ["", " ON CONFLICT DO NOTHING"], ids=["insert", "do nothing"])
@pytest.mark.parametrize(
    ("table", "columns", "values"),
    [
        ("lists", "id, name", "%(list)s, 'x'"),
        ("tags", "key, name", "%(key)s, 'x'"),
        ("completions", "id, task_id, title, outcome", "%(completion)s, %(own task)s, 'x', 'completed'"),
        ("idempotency_records", "key, request_fingerprint, status, body", "%(answer)s, sha256('x'), 201, 'x'"),
    ],
    ids=["list", "tag", "completion", "answer"],
)
def test_the_key_of_another_users_row_is_free_to_use(
    admin: Admin, owner: User, other: User, as_api: ActAs, table: str, columns: str, values: str, how: str
) -> None:
    before = rows_of(admin, owner.id)
    keys = {
        "list": owner.list_id,
        "key": owner.tag_key,
        "completion": owner.completion_id,
        "answer": owner.answer_key,
        "own task": other.task_id,
    }
    statement = f"INSERT INTO app.{table} ({columns}) VALUES ({values}){how}"
    assert as_api(other.signed_in).outcome(statement, keys) == 1
    assert rows_of(admin, owner.id) == before


def test_one_prepared_statement_shows_each_user_their_own_row(owner: User, other: User, as_api: ActAs) -> None:
    # Its plan is cached on the server connection, which users share behind a pooler.
    link = as_api(owner.signed_in).connection
    assert isinstance(link, Link)
    # Every message deallocates what was prepared before; here that is left out.
    link._preamble = b"CLOSE ALL; "
    as_api(owner.signed_in).rows("PREPARE titles AS SELECT title FROM app.tasks")
    seen = [as_api(user.signed_in).rows("EXECUTE titles") for user in (owner, other, owner)]
    assert seen == [[(owner.secret,)], [(other.secret,)], [(owner.secret,)]]


# The same over HTTP.

HTTP = [
    ("GET", "", None, (200, 404, 401)),
    ("PATCH", "", {"title": "changed"}, (200, 404, 401)),
    ("DELETE", "", None, (204, 404, 401)),
    ("DELETE", "?permanent=true", None, (204, 404, 401)),
    ("POST", "/move", {}, (200, 404, 401)),
    ("POST", "/complete", {}, (200, 404, 401)),
    ("POST", "/reopen", None, (200, 404, 401)),
    ("POST", "/restore", None, (200, 404, 401)),
]
over_http = pytest.mark.parametrize(
    ("method", "way", "body", "expected"), HTTP, ids=[f"{method} {way}".strip() for method, way, *_ in HTTP]
)


@pytest.fixture
def task(alice: Person) -> str:
    """The path of a task of Alice's."""
    return alice.post("/v1/tasks", {"title": "ALICE SECRET", "tags": ["ALICE SECRET"]}).headers["Location"]


@over_http
def test_the_owner_of_a_task_can(
    alice: Person, task: str, method: str, way: str, body: object, expected: tuple[int, ...]
) -> None:
    assert alice(method, task + way, json=body).status_code == expected[0]


@over_http
def test_another_user_of_the_api_cannot(
    admin: Admin, alice: Person, bob: Person, task: str, method: str, way: str, body: object, expected: tuple[int, ...]
) -> None:
    before = rows_of(admin, alice.id, "tasks", "tags")
    assert bob(method, task + way, json=body).status_code == expected[1]
    assert rows_of(admin, alice.id, "tasks", "tags") == before


@over_http
def test_nobody_can(
    admin: Admin, alice: Person, anonymous: Person, task: str, method: str, way: str, body: object, expected: tuple[int, ...]
) -> None:
    before = rows_of(admin, alice.id, "tasks", "tags")
    assert anonymous(method, task + way, json=body).status_code == expected[2]
    assert rows_of(admin, alice.id, "tasks", "tags") == before


def everything_of(person: Person, secret: str) -> None:
    """Let `person` have one thing of every kind, named `secret`."""
    assert person.post("/v1/lists", {"name": secret}).status_code == 201
    for then in ("/complete", None, ""):
        task = person.post("/v1/tasks", {"title": secret, "tags": [secret]}).headers["Location"]
        if then is not None:
            answer = person.post(task + then, {}) if then else person.delete(task)
            assert answer.status_code in (200, 204)


# Each list, and what of an item tells whose it is.
LISTS = [
    ("/v1/tasks?status=open", "title"),
    ("/v1/tasks?status=completed", "title"),
    ("/v1/tasks?deleted=only", "title"),
    ("/v1/tasks?q=secret&status=open", "title"),
    ("/v1/tasks?list_id=inbox&sort=position&status=open", "title"),
    ("/v1/lists", "name"),
    ("/v1/tags", "name"),
    ("/v1/completions", "title"),
]


@pytest.mark.parametrize(("path", "told"), LISTS, ids=[path for path, _ in LISTS])
def test_a_list_shows_only_what_is_ones_own(alice: Person, bob: Person, path: str, told: str) -> None:
    for person, secret in ((alice, "ALICE SECRET"), (bob, "BOB SECRET")):
        everything_of(person, secret)
    assert [item[told] for item in bob.get(path).get_json()["items"]] == ["BOB SECRET"]
    assert [item[told] for item in alice.get(path).get_json()["items"]] == ["ALICE SECRET"]


@pytest.mark.parametrize("path", ["/v1/tasks?tag=alice secret", "/v1/tasks?tag=ALICE SECRET&deleted=only"])
def test_another_users_tag_finds_nothing(alice: Person, bob: Person, path: str) -> None:
    everything_of(alice, "ALICE SECRET")
    everything_of(bob, "BOB SECRET")
    assert bob.get(path).get_json()["items"] == []


def test_emptying_the_trash_empties_only_ones_own(admin: Admin, alice: Person, bob: Person) -> None:
    for person in (alice, bob):
        everything_of(person, "SECRET")
    before = rows_of(admin, alice.id, "tasks")
    assert bob.delete("/v1/trash").status_code == 204
    assert rows_of(admin, alice.id, "tasks") == before
    in_trash = "SELECT count(*) FILTER (WHERE user_id = %s), count(*) FROM app.tasks WHERE deleted_at IS NOT NULL"
    assert admin.execute(in_trash, alice.id) == [(1, 1)]


def test_two_users_may_have_a_tag_of_the_same_name(admin: Admin, alice: Person, bob: Person) -> None:
    for person in (alice, bob):
        everything_of(person, "Shared")
    before = rows_of(admin, alice.id, "tags", "tasks")
    assert bob.patch("/v1/tags/shared", {"name": "Renamed"}).status_code == 200
    assert bob.delete("/v1/tags/renamed").status_code == 204
    assert bob.delete("/v1/tags/shared").status_code == 404
    assert rows_of(admin, alice.id, "tags", "tasks") == before


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/tasks?status=open", "title"),
        ("/v1/lists", "name"),
        ("/v1/tags", "name"),
        ("/v1/completions", "title"),
    ],
)
def test_a_cursor_from_another_users_list_shows_only_what_is_ones_own(
    alice: Person, bob: Person, path: str, told: str
) -> None:
    # Bob's comes behind Alice's first, whichever end the list begins at.
    for person, secret in ((alice, "ALICE SECRET"), (bob, "BOB SECRET"), (alice, "CAROL IS A SECRET")):
        everything_of(person, secret)
    path += "&" if "?" in path else "?"
    cursor = alice.get(f"{path}limit=1").get_json()["next_cursor"]
    assert cursor
    items = bob.get(f"{path}cursor={cursor}").get_json()["items"]
    assert [item[told] for item in items] == ["BOB SECRET"]


def test_everybody_gets_their_own_account(alice: Person, bob: Person) -> None:
    assert alice.get("/v1/me").get_json()["id"] == alice.id
    assert bob.get("/v1/me").get_json()["id"] == bob.id


@pytest.mark.parametrize("member", ["user_id", "owner", "owner_id"])
def test_a_task_cannot_be_given_away_over_http(alice: Person, bob: Person, task: str, member: str) -> None:
    assert alice.patch(task, {member: bob.id}).status_code == 422
    assert bob.get(task).status_code == 404

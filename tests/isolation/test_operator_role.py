"""Accounts and sessions, as seen by SQL of one's own choice on each role: what an injection could read, change or undo."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from conftest import Admin, Cluster

from isolation.conftest import A_HASH, NOT_GRANTED, POLICY, ActAs, SqlClient, Stray, User, in_the_trash
from taskapp.isolation.database import Cursor, Link
from taskapp.isolation.identity import LoggingIn, Nobody, Proven, Work
from taskapp.isolation.seal import SealKey

OWNED = ("users", "sessions", "tasks", "lists", "tags", "completions", "answers")


@pytest.fixture
def operator(stray: Stray) -> SqlClient:
    """Whoever has the operator's password and psql."""
    return stray("taskapp_operator")


@pytest.fixture
def as_operator(cluster: Cluster, seal_key: SealKey) -> Iterator[ActAs]:
    """Act as somebody through `taskapp_operator`, as `flask users create` does for the account it makes."""
    link: Link = psycopg2.connect(cluster.url("taskapp_operator"), connection_factory=Link)
    link.autocommit = True
    link.arm(seal_key)
    with closing(link):
        yield lambda who: SqlClient(link, Work(identity=who), Cursor)


@pytest.fixture(autouse=True)
def _a_counter(admin: Admin) -> Iterator[None]:
    """One row where attempts are counted, so that seeing none would mean something."""
    admin.execute("TRUNCATE app.attempts")
    admin.execute("INSERT INTO app.attempts (key, count, since) VALUES (%s, 3, now())", b"\x07" * 32)
    yield
    admin.execute("TRUNCATE app.attempts")


def revoke(admin: Admin, user: User) -> None:
    admin.execute("UPDATE app.sessions SET revoked_at = now() WHERE id = %s", user.session_id)


def live(admin: Admin, user: User) -> Any:
    ((is_live,),) = admin.execute("SELECT revoked_at IS NULL FROM app.sessions WHERE id = %s", user.session_id)
    return is_live


# The operator.


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM app.users",
        "SELECT * FROM app.users",
        "SELECT u FROM app.users u",
        "SELECT 1 FROM app.users WHERE password_hash LIKE '$argon2id$%%'",
        "SELECT 1 FROM app.users ORDER BY password_hash",
        "UPDATE app.users SET password_hash = password_hash",
        "UPDATE app.users SET disabled_at = now() RETURNING password_hash",
        "UPDATE app.users SET disabled_at = now() WHERE password_hash > 'x'",
        "SELECT * FROM app.users FOR UPDATE",
    ],
)
def test_an_operator_cannot_read_a_hash(operator: SqlClient, owner: User, statement: str) -> None:
    assert operator.outcome(statement) == NOT_GRANTED


@pytest.mark.parametrize("column", ["display_name", "timezone", "week_start"])
def test_an_operator_cannot_read_what_a_user_says_of_themselves(operator: SqlClient, owner: User, column: str) -> None:
    assert operator.outcome(f"SELECT {column} FROM app.users") == NOT_GRANTED


def test_an_operator_cannot_read_anything_of_a_task_but_whose_it_is_and_how_long_in_the_trash(
    operator: SqlClient, admin: Admin, owner: User
) -> None:
    in_the_trash(admin, owner, 31)
    columns = [
        name
        for (name,) in admin.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'app.tasks'::regclass AND attnum > 0 AND NOT attisdropped"
        )
    ]
    told = {column: operator.outcome(f"SELECT {column} FROM app.tasks") for column in columns}
    assert told == dict.fromkeys(columns, NOT_GRANTED) | dict.fromkeys(("user_id", "id", "deleted_at"), 1)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM app.tasks",
        "INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'x')",
        "UPDATE app.tasks SET title = 'x'",
        "UPDATE app.tasks SET deleted_at = now() - interval '31 days'",
    ],
)
def test_an_operator_cannot_touch_a_task(operator: SqlClient, admin: Admin, owner: User, statement: str) -> None:
    before = admin.execute("SELECT * FROM app.tasks")
    assert operator.outcome(statement) == NOT_GRANTED
    assert admin.execute("SELECT * FROM app.tasks") == before != []


@pytest.mark.parametrize("days", [None, 0, 29], ids=["not in the trash", "just thrown away", "29 days in the trash"])
@pytest.mark.parametrize("statement", ["SELECT user_id, id, deleted_at FROM app.tasks", "DELETE FROM app.tasks"])
def test_an_operator_sees_no_task_that_is_still_its_users(
    operator: SqlClient, admin: Admin, owner: User, statement: str, days: int | None
) -> None:
    admin.execute("UPDATE app.tasks SET deleted_at = now() - make_interval(days => %s)", days)
    before = admin.execute("SELECT * FROM app.tasks")
    assert operator.outcome(statement) == 0
    assert admin.execute("SELECT * FROM app.tasks") == before != []


def test_an_operator_may_delete_what_has_been_in_the_trash_for_30_days(
    operator: SqlClient, admin: Admin, owner: User
) -> None:
    ((all_of_them,),) = admin.execute("SELECT count(*) FROM app.tasks")
    admin.execute("UPDATE app.tasks SET deleted_at = now() - interval '30 days 1 minute'")
    assert operator.outcome("DELETE FROM app.tasks") == all_of_them > 0
    assert admin.execute("SELECT FROM app.tasks") == []


@pytest.mark.parametrize("table", ["lists", "tags", "completions", "answers"])
@pytest.mark.parametrize(
    "statement",
    ["SELECT user_id FROM app.{}", "SELECT * FROM app.{}", "UPDATE app.{} SET user_id = user_id"],
)
def test_an_operator_sees_nothing_of_lists_tags_completions_and_answers(
    operator: SqlClient, as_operator: ActAs, owner: User, table: str, statement: str
) -> None:
    for client in (operator, as_operator(owner.proven)):
        assert client.outcome(statement.format(table)) == NOT_GRANTED


@pytest.mark.parametrize("table", [*OWNED, "attempts"])
@pytest.mark.parametrize("statement", ["DELETE FROM app.{}", "TRUNCATE app.{} CASCADE", "DROP TABLE app.{}"])
def test_an_operator_cannot_delete(operator: SqlClient, admin: Admin, owner: User, table: str, statement: str) -> None:
    refused = operator.outcome(statement.format(table))
    # Of these they may delete what is old, and there is nothing old.
    old_ones = statement.startswith("DELETE") and table in ("tasks", "answers", "sessions")
    assert refused in ({0} if old_ones else {NOT_GRANTED, "42501"})
    ((count,),) = admin.execute(f"SELECT count(*) FROM app.{table}")
    assert count > 0


@pytest.mark.parametrize("column", ["device_name", "user_agent", "ip", "created_at", "generation", "refreshed_at"])
def test_an_operator_cannot_see_where_a_user_is_signed_in(operator: SqlClient, owner: User, column: str) -> None:
    assert operator.outcome(f"SELECT {column} FROM app.sessions") == NOT_GRANTED


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE app.sessions SET expires_at = now() + interval '1 year'",
        "UPDATE app.sessions SET generation = 1",
        "UPDATE app.sessions SET user_id = gen_random_uuid()",
        "INSERT INTO app.sessions (id, expires_at) VALUES (gen_random_uuid(), now() + interval '1 day')",
        "UPDATE app.users SET email = 'eve@example.com'",
        "UPDATE app.users SET user_id = gen_random_uuid()",
        "UPDATE app.users SET display_name = 'x'",
        "INSERT INTO app.attempts (key, count, since) VALUES ('', 0, now())",
        "UPDATE app.attempts SET succeeded_at = now()",
        "SELECT * FROM app_private.keys",
        "CREATE TABLE app.mine (x int)",
        "CREATE TEMPORARY TABLE mine (x int)",
        "SET ROLE taskapp_owner",
        "SET ROLE taskapp_api",
    ],
)
def test_an_operator_can_do_no_more_than_the_commands_need(
    operator: SqlClient, admin: Admin, owner: User, statement: str
) -> None:
    before = admin.execute("SELECT * FROM app.users, app.sessions")
    assert operator.outcome(statement) in (NOT_GRANTED, "42501")
    assert admin.execute("SELECT * FROM app.users, app.sessions") == before != []


@pytest.mark.parametrize(
    "call",
    [
        "app.enter(gen_random_uuid(), gen_random_uuid(), '', true)",
        "app.enter_login('alice@example.com', '')",
        "app.enter_token(gen_random_uuid(), '', '', NULL, true)",
        "app.count_login('', '')",
        "app.count_attempt('', 1, interval '1 s')",
        "app.login_succeeded('', '')",
        "app.login_email()",
    ],
)
def test_an_operator_can_call_none_of_the_functions_that_sign_in(operator: SqlClient, call: str) -> None:
    assert operator.outcome(f"SELECT {call}") == NOT_GRANTED


def test_an_operator_sees_every_accounts_metadata(operator: SqlClient, owner: User, other: User) -> None:
    seen = operator.rows("SELECT user_id::text, email FROM app.users ORDER BY email")
    assert seen == [(owner.id, owner.email), (other.id, other.email)]


def test_an_operator_cannot_make_an_account_without_an_identity_for_it(operator: SqlClient, admin: Admin) -> None:
    statement = "INSERT INTO app.users (email, password_hash) VALUES ('eve@example.com', %(hash)s)"
    assert operator.outcome(statement, {"hash": A_HASH}) == POLICY
    assert admin.execute("SELECT count(*) FROM app.users") == [(0,)]


def test_an_operator_makes_an_account_for_the_identity_it_is_for(as_operator: ActAs, admin: Admin) -> None:
    new = uuid4()
    statement = "INSERT INTO app.users (email, password_hash) VALUES ('eve@example.com', %(hash)s)"
    assert as_operator(Proven(new)).outcome(statement, {"hash": A_HASH}) == 1
    assert admin.execute("SELECT user_id::text FROM app.users") == [(str(new),)]


def test_an_operator_with_the_identity_of_a_user_sees_no_task_either(as_operator: ActAs, owner: User) -> None:
    assert as_operator(owner.proven).outcome("SELECT title FROM app.tasks") == NOT_GRANTED


def test_an_operator_ends_a_session(operator: SqlClient, admin: Admin, owner: User) -> None:
    assert operator.outcome("UPDATE app.sessions SET revoked_at = now()") == 1
    assert live(admin, owner) is False


def test_an_operator_ends_everybodys_access_tokens(operator: SqlClient, admin: Admin, owner: User, other: User) -> None:
    assert operator.outcome("DELETE FROM app.access_tokens WHERE user_id = %(id)s", {"id": owner.id}) == 1
    assert admin.execute("SELECT user_id FROM app.access_tokens") == [(other.id,)]


@pytest.mark.parametrize(
    "statement",
    [
        *(
            f"SELECT {column} FROM app.access_tokens"
            for column in ("id", "name", "scopes", "prefix", "digest", "created_at", "last_used_at", "expires_at", "*")
        ),
        "DELETE FROM app.access_tokens RETURNING name",
        "DELETE FROM app.access_tokens WHERE digest = sha256('guess')",
        "UPDATE app.access_tokens SET expires_at = now()",
        "UPDATE app.access_tokens SET user_id = user_id",
        "INSERT INTO app.access_tokens (id, name, scopes, prefix, digest, expires_at) VALUES"
        " (gen_random_uuid(), 'x', '{tasks:read}', 'tsk_pat_xxxx', sha256('x'), now() + interval '1 day')",
        "TRUNCATE app.access_tokens",
    ],
)
def test_an_operator_learns_of_an_access_token_no_more_than_whose_it_is(
    operator: SqlClient, as_operator: ActAs, admin: Admin, owner: User, statement: str
) -> None:
    for client in (operator, as_operator(owner.proven)):
        assert client.outcome(statement) == NOT_GRANTED
    assert admin.execute("SELECT user_id FROM app.access_tokens") == [(owner.id,)]


def test_an_operator_cannot_bring_a_session_back(operator: SqlClient, admin: Admin, owner: User) -> None:
    revoke(admin, owner)
    operator.outcome("UPDATE app.sessions SET revoked_at = NULL")
    assert live(admin, owner) is False


# Signed-in users, through taskapp_api.


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM app.users",
        "SELECT * FROM app.users",
        "SELECT 1 FROM app.users WHERE password_hash LIKE '$argon2id$%%'",
        "UPDATE app.users SET version = 2 RETURNING password_hash",
        "UPDATE app.users SET display_name = password_hash",
    ],
)
def test_a_user_cannot_read_even_their_own_hash_through_api(as_api: ActAs, owner: User, statement: str) -> None:
    assert as_api(owner.signed_in).outcome(statement) == NOT_GRANTED


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM app.attempts",
        "SELECT key FROM app.attempts",
        "UPDATE app.attempts SET count = 0",
        "DELETE FROM app.attempts",
        "INSERT INTO app.attempts (key, count, since) VALUES ('', 0, now())",
        "SELECT app.count_login('', '')",
        "SELECT app.count_attempt('', 1, interval '1 s')",
        "SELECT app.login_succeeded('', '')",
    ],
)
def test_a_user_cannot_reach_the_counters_through_api(as_api: ActAs, owner: User, statement: str) -> None:
    assert as_api(owner.signed_in).outcome(statement) == NOT_GRANTED


@pytest.mark.parametrize(
    "change",
    [
        "expires_at = now() + interval '1 year'",
        "created_at = now()",
        "last_used_at = now()",
        "refreshed_at = now()",
        "generation = 1",
        "user_id = gen_random_uuid()",
        "id = gen_random_uuid()",
        "ip = NULL",
        "device_name = 'x'",
        "user_agent = 'x'",
    ],
)
def test_a_user_cannot_prolong_or_disguise_a_session_through_api(as_api: ActAs, owner: User, change: str) -> None:
    assert as_api(owner.signed_in).outcome(f"UPDATE app.sessions SET {change}") == NOT_GRANTED


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO app.sessions (id, expires_at) VALUES (gen_random_uuid(), now() + interval '1 year')",
        "DELETE FROM app.sessions",
        "UPDATE app.users SET email = 'eve@example.com'",
        "UPDATE app.users SET password_hash = 'x'",
        "UPDATE app.users SET disabled_at = NULL",
        "UPDATE app.users SET created_at = now()",
        "DELETE FROM app.users",
    ],
)
def test_what_takes_a_password_is_not_to_be_had_through_api(as_api: ActAs, owner: User, statement: str) -> None:
    assert as_api(owner.signed_in).outcome(statement) == NOT_GRANTED


def test_a_user_ends_their_own_sessions_only(as_api: ActAs, admin: Admin, owner: User, other: User) -> None:
    assert as_api(owner.signed_in).outcome("UPDATE app.sessions SET revoked_at = now()") == 1
    assert (live(admin, owner), live(admin, other)) == (False, True)


def test_a_user_finds_no_session_of_anybody_else_to_end(as_api: ActAs, admin: Admin, owner: User, other: User) -> None:
    statement = "UPDATE app.sessions SET revoked_at = now() WHERE id = %(id)s"
    assert as_api(owner.signed_in).outcome(statement, {"id": other.session_id}) == 0
    assert live(admin, other) is True


def test_a_user_cannot_bring_back_a_session_of_anybody_else(as_api: ActAs, admin: Admin, owner: User, other: User) -> None:
    revoke(admin, other)
    statement = "UPDATE app.sessions SET revoked_at = NULL WHERE id = %(id)s"
    assert as_api(owner.signed_in).outcome(statement, {"id": other.session_id}) == 0
    assert live(admin, other) is False


def test_a_user_cannot_bring_back_a_session_of_their_own(as_api: ActAs, admin: Admin, owner: User) -> None:
    ended = str(uuid4())
    admin.execute(
        "INSERT INTO app.sessions (user_id, id, expires_at, revoked_at) VALUES (%s, %s, now() + interval '1 day', now())",
        owner.id,
        ended,
    )
    as_api(owner.signed_in).outcome("UPDATE app.sessions SET revoked_at = NULL WHERE id = %(id)s", {"id": ended})
    assert admin.execute("SELECT revoked_at IS NULL FROM app.sessions WHERE id = %s", ended) == [(False,)]


def test_a_user_changes_only_their_own_account(as_api: ActAs, admin: Admin, owner: User, other: User) -> None:
    assert as_api(owner.signed_in).outcome("UPDATE app.users SET display_name = 'Mallory'") == 1
    assert admin.execute("SELECT display_name FROM app.users WHERE user_id = %s", other.id) == [(None,)]


def test_without_an_identity_api_changes_no_session(stray: Stray, admin: Admin, owner: User) -> None:
    assert stray("taskapp_api").outcome("UPDATE app.sessions SET revoked_at = now()") == 0
    assert live(admin, owner) is True


# Log-in, through taskapp_auth.


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT title FROM app.tasks",
        "SELECT count(*) FROM app.tasks",
        "INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'x')",
        "UPDATE app.tasks SET title = 'x'",
        "DELETE FROM app.tasks",
        *(f"SELECT user_id FROM app.{table}" for table in ("lists", "tags", "completions", "answers")),
        *(f"DELETE FROM app.{table}" for table in ("lists", "tags", "completions", "answers")),
        "INSERT INTO app.lists (id, name) VALUES (gen_random_uuid(), 'x')",
        "INSERT INTO app.tags (key, name) VALUES ('x', 'x')",
    ],
)
def test_log_in_cannot_reach_a_task_whoever_it_acts_for(as_auth: ActAs, owner: User, statement: str) -> None:
    for who in (owner.proven, owner.logging_in, owner.signed_in, Nobody()):
        assert as_auth(who).outcome(statement) == NOT_GRANTED


@pytest.mark.parametrize("table", ["sessions", "users"])
def test_without_an_identity_log_in_sees_no_row(stray: Stray, as_auth: ActAs, owner: User, table: str) -> None:
    for nobody in (stray("taskapp_auth"), as_auth(Nobody())):
        assert nobody.value(f"SELECT count(*) FROM app.{table}") == 0


def test_whoever_logs_in_sees_no_session(as_auth: ActAs, owner: User) -> None:
    assert as_auth(LoggingIn(owner.email)).value("SELECT count(*) FROM app.sessions") == 0


@pytest.mark.parametrize("change", ["revoked_at = now()", "revoked_at = NULL", "generation = 9", "last_used_at = now()"])
def test_without_an_identity_log_in_changes_no_session(
    stray: Stray, as_auth: ActAs, owner: User, other: User, change: str
) -> None:
    for nobody in (stray("taskapp_auth"), as_auth(Nobody()), as_auth(owner.logging_in)):
        assert nobody.outcome(f"UPDATE app.sessions SET {change}") == 0


def test_who_proved_to_be_a_user_sees_that_users_sessions_only(as_auth: ActAs, owner: User, other: User) -> None:
    assert as_auth(owner.proven).rows("SELECT id::text FROM app.sessions") == [(owner.session_id,)]


def test_who_proved_to_be_a_user_ends_that_users_sessions_only(
    as_auth: ActAs, admin: Admin, owner: User, other: User
) -> None:
    assert as_auth(owner.proven).outcome("UPDATE app.sessions SET revoked_at = now()") == 1
    assert (live(admin, owner), live(admin, other)) == (False, True)


def test_log_in_cannot_prolong_a_session_beyond_its_absolute_end(as_auth: ActAs, owner: User) -> None:
    statement = "UPDATE app.sessions SET expires_at = now() + interval '1 year'"
    assert as_auth(owner.proven).outcome(statement) == NOT_GRANTED


@pytest.mark.parametrize("statement", ["UPDATE app.users SET email = 'eve@example.com'", "DELETE FROM app.users"])
def test_whoever_has_not_proved_anything_changes_no_account(
    as_auth: ActAs, admin: Admin, owner: User, statement: str
) -> None:
    for who in (Nobody(), owner.logging_in):
        assert as_auth(who).outcome(statement) == 0
    assert admin.execute("SELECT email FROM app.users") == [(owner.email,)]


def test_who_proved_to_be_a_user_deletes_that_account_only(as_auth: ActAs, admin: Admin, owner: User, other: User) -> None:
    before = admin.execute("SELECT * FROM app.tasks WHERE user_id = %s", other.id)
    assert as_auth(owner.proven).outcome("DELETE FROM app.users") == 1
    assert admin.execute("SELECT email FROM app.users") == [(other.email,)]
    assert admin.execute("SELECT * FROM app.tasks") == before


def test_nobody_but_an_operator_or_auth_reads_disabled_at(as_api: ActAs, owner: User) -> None:
    assert as_api(owner.signed_in).outcome("SELECT disabled_at FROM app.users") == NOT_GRANTED

"""What the login roles cannot do, whatever SQL they are made to run."""

from collections.abc import Iterator
from io import StringIO

import pytest
from conftest import Admin

from isolation.conftest import A_HASH, NOT_GRANTED, POLICY, ActAs, Server, Stray, User, all_tables, rows_of
from taskapp.database.identity import LoginAttempt
from taskapp.isolation.database_roles import LOGINS, OWNERS, PEOPLE

APPLICATION_ROLES = ("taskapp_api", "taskapp_auth", "taskapp_operator")


# No login role becomes another one, or makes anything of its own.


@pytest.mark.parametrize("role", APPLICATION_ROLES)
@pytest.mark.parametrize("wanted", [*OWNERS, *PEOPLE, "taskapp_migrator", "postgres"])
def test_the_application_cannot_take_on_another_role(stray: Stray, role: str, wanted: str) -> None:
    assert stray(role).outcome(f"SET ROLE {wanted}") == NOT_GRANTED


@pytest.mark.parametrize("role", APPLICATION_ROLES)
def test_the_application_cannot_become_another_login(stray: Stray, role: str) -> None:
    assert stray(role).outcome("SET SESSION AUTHORIZATION taskapp_owner") == NOT_GRANTED


@pytest.mark.parametrize("role", APPLICATION_ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE copy AS SELECT 1",
        "CREATE FUNCTION pg_temp.peek(text) RETURNS boolean LANGUAGE sql RETURN true",
        "CREATE TABLE app.mine ()",
        "CREATE TABLE public.mine ()",
        "CREATE SCHEMA mine",
        "CREATE POLICY mine ON app.tasks USING (true)",
        "DROP TABLE app.tasks",
        "DROP POLICY tasks_api_floor ON app.tasks",
        "ALTER POLICY tasks_operator_select ON app.tasks USING (true)",
        "DROP TRIGGER tasks_check_subtask ON app.tasks",
        "ALTER TABLE app.tasks DISABLE TRIGGER ALL",
        "ALTER FUNCTION app.rank_of_moved_task(uuid, uuid, uuid, uuid, boolean) SECURITY DEFINER",
        "SET session_replication_role = replica",
        "ALTER TABLE app.tasks DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE app.tasks OWNER TO CURRENT_USER",
        "ALTER FUNCTION app.current_user_id() IMMUTABLE",
        "CREATE PUBLICATION mine FOR TABLE app.tasks",
    ],
)
def test_the_application_cannot_make_or_change_anything_of_the_schema(stray: Stray, role: str, statement: str) -> None:
    assert stray(role).outcome(statement) == NOT_GRANTED


def test_switching_row_security_off_makes_a_query_fail_instead_of_opening_the_table(
    owner: User, other: User, as_api: ActAs
) -> None:
    statement = "SET LOCAL row_security = off; SELECT FROM app.tasks"
    assert as_api(other.signed_in).outcome(statement) == POLICY


@pytest.mark.parametrize("role", APPLICATION_ROLES)
def test_b29c_the_server_ends_what_the_application_would_not(server: Server, role: str) -> None:
    # Whoever may delete may lock a table, and anybody may sleep.
    limits = "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"
    login = server.login(role)
    in_force = {name: login.value("SELECT extract(epoch FROM current_setting(%s)::interval)::int", name) for name in limits}
    assert all(0 < seconds <= 10 for seconds in in_force.values()), in_force


@pytest.mark.parametrize("role", OWNERS)
def test_b29e_not_even_an_owner_calls_a_function_leakproof(server: Server, role: str) -> None:
    migrator = server.login("taskapp_migrator")
    migrator.rows(f"SET ROLE {role}")
    schema = "app" if role == "taskapp_owner" else "app_private"
    for word, expected in (("LEAKPROOF", NOT_GRANTED), ("", -1)):
        peek = f"CREATE FUNCTION {schema}.peek(text) RETURNS boolean LANGUAGE sql STABLE {word} RETURN true"
        assert migrator.outcome(f"BEGIN; {peek}") == expected
        migrator.rows("ROLLBACK")


def test_b42_a_do_block_sees_only_ones_own_rows(server: Server) -> None:
    # It cannot be taken away without a superuser, so it has to be under the policies like anything else.
    told = server.client("taskapp_api", server.other.signed_in).rows(
        "DO $$ BEGIN PERFORM set_config('probe.seen', (SELECT string_agg(title, ',') FROM app.tasks), true); END $$;"
        "SELECT current_setting('probe.seen')"
    )
    assert told == [(server.other.secret,)]


def test_b57_a_parallel_plan_shows_only_ones_own_rows(server: Server) -> None:
    # Enough rows for a second worker to pay, and counted, or the planner's choice hangs on when autovacuum last came by.
    server.client("taskapp_api", server.owner.signed_in).rows(
        "INSERT INTO app.tasks (id, title) SELECT gen_random_uuid(), 'task' FROM generate_series(1, 2000)"
    )
    server.login("taskapp_migrator").rows("SET ROLE taskapp_owner; ANALYZE app.tasks")
    parallel = (
        "SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0;"
        "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_indexonlyscan = off; "
    )
    bob = server.client("taskapp_api", server.other.signed_in)
    plan = bob.rows(f"{parallel} EXPLAIN (COSTS OFF) SELECT title FROM app.tasks")
    assert "Gather" in plan[0][0]
    assert bob.rows(f"{parallel} SELECT title FROM app.tasks") == [(server.other.secret,)]


# COPY goes another way through the server than SELECT and INSERT.


def test_a_copy_out_shows_only_ones_own_rows(owner: User, other: User, as_api: ActAs) -> None:
    bob, out = as_api(other.signed_in), StringIO()
    bob.rows("BEGIN")
    bob.connection.cursor().copy_expert("COPY app.tasks (title) TO STDOUT", out)
    assert out.getvalue() == f"{other.secret}\n"


def test_a_copy_in_is_refused(owner: User, as_api: ActAs) -> None:
    assert as_api(owner.signed_in).outcome("COPY app.tasks (id, title) FROM STDIN") == "0A000"


# No role of the application has what only another one needs.


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM app.users",
        "SELECT * FROM app.users",
        "SELECT users FROM app.users",
        "SELECT FROM app.users WHERE password_hash LIKE '$argon2id$%'",
        "SELECT FROM app.users ORDER BY password_hash",
        "COPY app.users TO STDOUT",
        "UPDATE app.users SET version = 2 RETURNING password_hash",
        "UPDATE app.users SET display_name = password_hash",
    ],
)
def test_who_is_signed_in_cannot_read_even_their_own_password_hash(owner: User, as_api: ActAs, statement: str) -> None:
    assert as_api(owner.signed_in).outcome(statement) == NOT_GRANTED


def test_who_logs_in_sees_the_one_account_of_that_address(owner: User, other: User, as_auth: ActAs) -> None:
    assert as_auth(owner.logging_in).rows("SELECT email FROM app.users") == [(owner.email,)]


def test_who_logs_in_with_an_unknown_address_sees_no_account(owner: User, as_auth: ActAs) -> None:
    stranger = User("mallory")
    assert as_auth(stranger.logging_in).rows("SELECT email FROM app.users") == []


def test_who_logs_in_sees_no_session(owner: User, as_auth: ActAs) -> None:
    assert as_auth(owner.logging_in).rows("SELECT id FROM app.sessions") == []


# The transaction is not a read-only one, since log-ins are counted. What is the user's it cannot write all the same.
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("INSERT INTO app.sessions (id, expires_at) VALUES (gen_random_uuid(), now() + interval '1 day')", POLICY),
        ("UPDATE app.sessions SET revoked_at = now()", 0),
        ("UPDATE app.sessions SET generation = generation + 1", 0),
        ("DELETE FROM app.sessions", NOT_GRANTED),
        ("INSERT INTO app.users (email, password_hash) VALUES ('new@example.com', %(hash)s)", POLICY),
        ("UPDATE app.users SET password_hash = %(hash)s", 0),
        ("UPDATE app.users SET email = 'new@example.com'", 0),
        ("DELETE FROM app.users", 0),
    ],
)
def test_who_logs_in_cannot_write(
    admin: Admin, owner: User, other: User, as_auth: ActAs, statement: str, expected: object
) -> None:
    before = rows_of(admin, owner.id), rows_of(admin, other.id)
    assert as_auth(owner.logging_in).outcome(statement, {"hash": A_HASH}) == expected
    assert (rows_of(admin, owner.id), rows_of(admin, other.id)) == before


def test_an_address_forged_while_logging_in_shows_no_account(owner: User, other: User, as_auth: ActAs) -> None:
    forged = "SELECT set_config('app.login_email', %s, true); SELECT email FROM app.users"
    assert as_auth(other.logging_in).rows(forged, owner.email) == []


@pytest.mark.parametrize("pattern", ["%", "_lice@example.com", "alice@example.com' OR true --"])
def test_an_address_is_compared_and_not_matched(owner: User, as_auth: ActAs, pattern: str) -> None:
    # The seal holds: this is what the application itself would send for such an address.
    assert as_auth(LoginAttempt(pattern)).rows("SELECT email FROM app.users") == []


# The keys, and the roles that own things.


@pytest.mark.parametrize("role", [*LOGINS])
@pytest.mark.parametrize("statement", ["SELECT FROM app_private.keys", "SELECT app_private.verify_seal('x', 'y')"])
def test_no_login_role_reaches_the_keys(admin: Admin, stray: Stray, role: str, statement: str) -> None:
    assert admin.execute("SELECT key_id FROM app_private.keys")
    assert stray(role).outcome(statement) == NOT_GRANTED


@pytest.mark.parametrize("schema", ["app", "app_private"])
def test_a_role_that_may_read_all_data_reads_no_row(server: Server, schema: str) -> None:
    # What a login for reports is given elsewhere. It passes grants, and no policy.
    with server.undone() as superuser:
        tables = superuser.rows(
            "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname = %s AND tablename <> 'alembic_version'",
            schema,
        )
        filled = [table for (table,) in tables if superuser.value(f"SELECT count(*) FROM {table}")]
        assert filled
        superuser.rows("CREATE ROLE reports; GRANT pg_read_all_data TO reports; SET LOCAL ROLE reports")
        seen = {table: superuser.value(f"SELECT count(*) FROM {table}") for table in filled}
    assert seen == dict.fromkeys(filled, 0)


def test_the_migrator_by_itself_reads_no_table(admin: Admin, owner: User, stray: Stray) -> None:
    migrator = stray("taskapp_migrator")
    assert {migrator.outcome(f"SELECT FROM app.{table}") for table in all_tables(admin)} == {NOT_GRANTED}


def test_the_definer_reads_no_row_of_users_but_the_tokens_of_an_identity_and_whom_a_ticket_is_for(
    admin: Admin, owner: User, stray: Stray
) -> None:
    migrator = stray("taskapp_migrator")
    migrator.rows("SET ROLE taskapp_definer")
    told = {table: migrator.outcome(f"SELECT FROM app.{table}") for table in all_tables(admin)}
    # The trail is its own to write.
    assert told == {
        **dict.fromkeys(told, NOT_GRANTED),
        "personal_access_tokens": 0,
        "users": 0,
        "access_log": told["access_log"],
    }


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT FROM app.{}", 0),
        ("UPDATE app.{} SET user_id = user_id", 0),
        ("DELETE FROM app.{}", 0),
        ("INSERT INTO app.{} DEFAULT VALUES", POLICY),
    ],
    ids=["select", "update", "delete", "insert"],
)
def test_the_role_that_owns_the_tables_reaches_no_row(
    admin: Admin, owner: User, stray: Stray, statement: str, expected: object
) -> None:
    before = rows_of(admin, owner.id)
    migrator = stray("taskapp_migrator")
    migrator.rows("SET ROLE taskapp_owner")
    assert {table: migrator.outcome(statement.format(table)) for table in before} == dict.fromkeys(before, expected)
    assert rows_of(admin, owner.id) == before


@pytest.mark.parametrize(
    ("table", "statement", "expected"),
    [
        ("attempts", "SELECT FROM app.{}", 0),
        ("attempts", "UPDATE app.{} SET count = 0", 0),
        ("attempts", "DELETE FROM app.{}", 0),
        ("attempts", "INSERT INTO app.{} (key, count, since) VALUES (sha256('new'), 1, now())", POLICY),
        ("access_log", "SELECT FROM app.{}", 0),
        ("access_log", "UPDATE app.{} SET reason = 'another'", 0),
        ("access_log", "DELETE FROM app.{}", 0),
        (
            "access_log",
            "INSERT INTO app.{} (kind, login, reason, minutes) VALUES ('break-glass', 1, 'a reason', 1)",
            POLICY,
        ),
    ],
)
def test_the_role_that_owns_the_tables_reaches_no_row_that_is_nobodys(
    admin: Admin, counter: str, stray: Stray, table: str, statement: str, expected: object
) -> None:
    admin.execute("INSERT INTO app.access_log (kind, login, reason, minutes) VALUES ('break-glass', 1, 'a reason', 1)")
    before = admin.execute(f"SELECT * FROM app.{table}")
    migrator = stray("taskapp_migrator")
    migrator.rows("SET ROLE taskapp_owner")
    assert migrator.outcome(statement.format(table)) == expected
    assert admin.execute(f"SELECT * FROM app.{table}") == before != []


# A careless policy of a later migration, open to everybody, does not widen what the floors leave.


@pytest.fixture
def careless_policy(stray: Stray, table: str) -> Iterator[None]:
    """Commit one, as a migration would, for the length of a test."""
    migrator = stray("taskapp_migrator")
    migrator.rows(f"SET ROLE taskapp_owner; CREATE POLICY careless ON app.{table} USING (true) WITH CHECK (true)")
    yield
    migrator.rows(f"DROP POLICY careless ON app.{table}")


@pytest.mark.usefixtures("careless_policy")
@pytest.mark.parametrize("table", ["users", "sessions", "tasks", "lists", "tags", "completions", "idempotency_records"])
def test_a_careless_policy_shows_a_signed_in_user_no_row_of_another(
    admin: Admin, owner: User, other: User, as_api: ActAs, table: str
) -> None:
    assert len(admin.execute(f"SELECT user_id FROM app.{table}")) == 2
    assert as_api(other.signed_in).rows(f"SELECT user_id FROM app.{table}") == [(other.id,)]


@pytest.mark.usefixtures("careless_policy")
@pytest.mark.parametrize("table", ["users", "sessions"])
def test_a_careless_policy_shows_a_proven_user_no_row_of_another(
    admin: Admin, owner: User, other: User, as_auth: ActAs, table: str
) -> None:
    assert len(admin.execute(f"SELECT user_id FROM app.{table}")) == 2
    assert as_auth(other.proven).rows(f"SELECT user_id FROM app.{table}") == [(other.id,)]


@pytest.mark.usefixtures("careless_policy")
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("tasks", "UPDATE app.tasks SET title = 'x'"),
        ("tasks", "DELETE FROM app.tasks"),
        ("lists", "UPDATE app.lists SET name = 'x'"),
        ("lists", "DELETE FROM app.lists"),
        ("tags", "UPDATE app.tags SET name = 'x'"),
        ("tags", "DELETE FROM app.tags"),
        ("completions", "DELETE FROM app.completions"),
        ("idempotency_records", "DELETE FROM app.idempotency_records"),
        ("users", "UPDATE app.users SET display_name = 'x'"),
        ("sessions", "UPDATE app.sessions SET revoked_at = now()"),
    ],
)
def test_a_careless_policy_lets_nobody_change_a_row_of_another(
    admin: Admin, owner: User, other: User, as_api: ActAs, change: str
) -> None:
    before = rows_of(admin, owner.id)
    assert as_api(other.signed_in).outcome(change) == 1
    assert rows_of(admin, owner.id) == before


@pytest.mark.usefixtures("careless_policy")
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("users", "UPDATE app.users SET email = 'x@example.com'"),
        ("users", "DELETE FROM app.users"),
        ("sessions", "UPDATE app.sessions SET revoked_at = now()"),
    ],
)
def test_a_careless_policy_lets_no_proven_user_change_a_row_of_another(
    admin: Admin, owner: User, other: User, as_auth: ActAs, change: str
) -> None:
    before = rows_of(admin, owner.id)
    assert as_auth(other.proven).outcome(change) == 1
    assert rows_of(admin, owner.id) == before

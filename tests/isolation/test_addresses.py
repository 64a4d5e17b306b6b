"""An address belongs to one account. The constraint that says so is the one key that its owner does not lead."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from conftest import Admin, Cluster
from uuid_utils.compat import uuid7

from isolation.conftest import A_HASH, ActAs, Server, User
from taskapp.database.identity import Anonymous, PasswordVerified
from taskapp.database.patched_versions import is_patched
from taskapp.database.signature import SealKey, proven_subject
from taskapp.operations.users import queries

READ_HASH = "DO UPDATE SET password_hash = users.password_hash WHERE users.password_hash::int = 1"


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        ("(lower(email))", "42P10"),
        ("(email)", "42P10"),
        ("(email_key)", "42P10"),
        ("ON CONSTRAINT users_email_key", "42809"),
    ],
)
@pytest.mark.parametrize("role", ["taskapp_auth", "taskapp_operator"])
def test_an_upsert_by_address_reads_no_hash(server: Server, role: str, target: str, refused: str) -> None:
    client = server.client(role, PasswordVerified(uuid7()))
    with pytest.raises(psycopg2.Error) as error:
        client.rows(
            f"INSERT INTO app.users (email, password_hash) VALUES (%s, %s) ON CONFLICT {target} {READ_HASH}",
            server.owner.email.upper(),
            A_HASH,
        )
    assert error.value.pgcode == refused
    assert "argon2id" not in str(error.value)


def test_an_upsert_by_address_would_have_read_the_hash_through_a_unique_index(server: Server) -> None:
    """On servers without the fixes of 2026-11-12; without this, the test above could not fail."""
    key = SealKey.parse(server.cluster.environment["TASKAPP_SEAL_KEY"])
    with server.undone() as superuser:
        superuser.rows(
            "ALTER TABLE app.users DROP CONSTRAINT users_email_key;"
            "CREATE UNIQUE INDEX users_email_key ON app.users (lower(email))"
        )
        now = superuser.value("SELECT extract(epoch FROM clock_timestamp())::float8")
        user = str(uuid7())
        seal = key.seal(proven_subject("taskapp_auth", user), now)
        superuser.rows("SET LOCAL ROLE taskapp_auth; SELECT app.enter_password_verified(%s, %s)", user, seal)
        with pytest.raises(psycopg2.Error) as error:
            superuser.rows(
                f"INSERT INTO app.users (email, password_hash) VALUES (%s, %s) ON CONFLICT (lower(email)) {READ_HASH}",
                server.owner.email,
                A_HASH,
            )
    assert ("argon2id" in str(error.value)) == (not is_patched(server.admin.connection.server_version))


def test_do_nothing_observes_the_constraint(owner: User, as_auth: ActAs) -> None:
    insert = "INSERT INTO app.users (email, password_hash) VALUES (%(email)s, %(hash)s)"
    values = {"email": owner.email.upper(), "hash": A_HASH}
    assert as_auth(PasswordVerified(uuid7())).outcome(f"{insert} ON CONFLICT DO NOTHING RETURNING email", values) == 0
    assert as_auth(PasswordVerified(uuid7())).outcome(insert, values) == "23P01"
    assert as_auth(PasswordVerified(uuid7())).outcome(insert, {**values, "email": "free@example.com"}) == 1


def test_an_address_that_is_taken_cannot_be_moved_to(owner: User, other: User, as_auth: ActAs) -> None:
    change = "UPDATE app.users SET email = %(email)s"
    assert as_auth(other.proven).outcome(change, {"email": owner.email.title()}) == "23P01"
    assert as_auth(other.proven).outcome(change, {"email": other.email.title()}) == 1
    assert as_auth(other.proven).outcome(change, {"email": "bob@elsewhere.example"}) == 1


RACES: dict[str, Callable[[Any, int], None]] = {
    "inserts": lambda cur, n: cur.execute(
        "INSERT INTO app.users (user_id, email, password_hash, version)"
        " VALUES (gen_random_uuid(), 'race@example.com', %s, %s)",
        (A_HASH, n + 1),
    ),
    "changes": lambda cur, n: cur.execute(
        "UPDATE app.users SET email = 'Race@example.com' WHERE email = %s", (f"racer-{n}@example.com",)
    ),
}


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
def test_of_many_at_once_one_gets_the_address(cluster: Cluster, admin: Admin, race: Callable[[Any, int], None]) -> None:
    for n in range(8):
        admin.execute(
            "INSERT INTO app.users (user_id, email, password_hash) VALUES (gen_random_uuid(), %s, %s)",
            f"racer-{n}@example.com",
            A_HASH,
        )

    def run(n: int) -> str:
        with closing(psycopg2.connect(cluster.admin_url)) as conn, conn.cursor() as cur:
            try:
                race(cur, n)
                conn.commit()
            except psycopg2.Error as error:
                return error.pgcode or ""
            return "won"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(run, range(8)))
    # Two that insert at the same moment may each wait for the other: that is a deadlock, which the application tries again.
    assert outcomes.count("won") == 1
    assert set(outcomes) <= {"won", "23P01", "40P01"}
    assert admin.execute("SELECT count(*) FROM app.users WHERE lower(email) = 'race@example.com'") == [(1,)]


def test_a_log_in_finds_its_account_by_an_index(admin: Admin, owner: User, as_auth: ActAs) -> None:
    admin.execute(
        "INSERT INTO app.users (user_id, email, password_hash) SELECT gen_random_uuid(), g || '@example.com', %s"
        " FROM generate_series(1, 5000) AS g",
        A_HASH,
    )
    admin.execute("ANALYZE app.users")
    plan = "\n".join(row for (row,) in as_auth(owner.logging_in).rows("EXPLAIN SELECT password_hash FROM app.users"))
    assert "users_email_key" in plan
    assert "Seq Scan" not in plan
    assert as_auth(owner.logging_in).rows("SELECT email FROM app.users") == [(owner.email,)]


def test_an_operator_finds_an_account_by_an_index(admin: Admin, owner: User, as_operator: ActAs) -> None:
    admin.execute(
        "INSERT INTO app.users (user_id, email, password_hash) SELECT gen_random_uuid(), g || '@example.com', %s"
        " FROM generate_series(1, 5000) AS g",
        A_HASH,
    )
    admin.execute("ANALYZE app.users")
    find: Any = queries.find(owner.email.upper())
    statement = find.compile(compile_kwargs={"literal_binds": True})
    rows = as_operator(Anonymous()).rows(f"EXPLAIN {statement}")
    plan = "\n".join(row for (row,) in rows)
    assert "users_email_key" in plan
    assert as_operator(Anonymous()).rows(str(statement)) != []

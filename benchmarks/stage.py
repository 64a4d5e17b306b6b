"""What every benchmark plays on: a PostgreSQL of its own, and people with tasks in it.

The same tasks stand there twice: in `app`, where row-level security isolates them, and in `plain`, which belongs to the role
`contender` and has no isolation but what its application adds, and no index that a contender does not need.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import psycopg2
from conftest import free_port
from flask import Flask

from taskapp import create_app
from taskapp.config import Config
from taskapp.dev.embedded_postgres import EmbeddedServer
from taskapp.operations.database.provision import new_keys, new_passwords, provision, urls
from taskapp.web.authentication.access_token import access_tokens

# A limit that nobody reaches: counting is what is measured, not refusing.
_UNREACHED = "100000000"

# About what people write: most tasks have a few words of notes, a third a due date, some are done. Ids are as good as
# random, and yet can be named by a program that knows none of them.
TASKS = """
    INSERT INTO app.tasks (user_id, id, title, notes, priority, tags, due_date, due_time, due_timezone, metadata,
                           status, completed_at, position, created_at, updated_at)
    SELECT user_id, md5(email || ' ' || n)::uuid, 'Task number ' || n,
           CASE WHEN n %% 4 > 0 THEN repeat('a few words ', n %% 10) END,
           (ARRAY['none', 'low', 'medium', 'high'])[1 + n %% 4],
           CASE WHEN n %% 5 = 0 THEN ARRAY['home', 'money'] ELSE '{}' END,
           CASE WHEN n %% 3 = 0 THEN date '2026-01-01' + n %% 365 END, CASE WHEN n %% 9 = 0 THEN time '09:30' END,
           CASE WHEN n %% 9 = 0 THEN 'Europe/Berlin' END, '{"source": "import"}',
           CASE WHEN n %% 6 = 0 THEN 'completed' ELSE 'open' END, CASE WHEN n %% 6 = 0 THEN now() END,
           'a' || lpad(to_hex(n), 6, '0') || '1', now() - n * interval '1 minute', now() - n * interval '1 minute'
"""
_COPY = """
    INSERT INTO plain.users SELECT user_id, email FROM app.users;
    INSERT INTO plain.tasks
    SELECT id, user_id, version, title, notes, status, priority, list_id, parent_id, position, tags, start_date,
           due_date, due_time, due_timezone, due_at, metadata, completed_at, created_at, updated_at, deleted_at
    FROM app.tasks;
"""
_PLAIN = """
    CREATE ROLE contender LOGIN PASSWORD 'contender';
    GRANT CONNECT ON DATABASE taskapp TO contender;
    CREATE SCHEMA plain AUTHORIZATION contender;
    SET ROLE contender;
    CREATE TABLE plain.users (id uuid PRIMARY KEY, email text NOT NULL UNIQUE);
    CREATE TABLE plain.tasks (
        id           uuid PRIMARY KEY,
        user_id      uuid NOT NULL REFERENCES plain.users ON DELETE CASCADE,
        version      integer NOT NULL DEFAULT 1,
        title        text NOT NULL,
        notes        text,
        status       text NOT NULL DEFAULT 'open',
        priority     text NOT NULL DEFAULT 'none',
        list_id      uuid,
        parent_id    uuid,
        position     text NOT NULL DEFAULT '',
        tags         text[] NOT NULL DEFAULT '{}',
        start_date   date,
        due_date     date,
        due_time     time,
        due_timezone text,
        due_at       timestamptz,
        metadata     jsonb NOT NULL DEFAULT '{}',
        completed_at timestamptz,
        created_at   timestamptz NOT NULL DEFAULT now(),
        updated_at   timestamptz NOT NULL DEFAULT now(),
        deleted_at   timestamptz
    );
    CREATE INDEX ON plain.tasks (user_id, created_at, id) WHERE deleted_at IS NULL;
    RESET ROLE;
    ALTER ROLE contender SET search_path = plain;
"""


@dataclass(frozen=True)
class Person:
    """Somebody with tasks, signed in."""

    id: UUID
    session_id: UUID


@dataclass(frozen=True)
class Stage:
    """A running server, with what it takes to serve the application from it."""

    server: EmbeddedServer
    passwords: dict[str, str]
    environment: dict[str, str]
    database: str
    app: Flask

    @property
    def admin_url(self) -> str:
        """URL of the superuser, for whom nothing is isolated."""
        return _admin_url(self.server, self.database)

    @property
    def api_url(self) -> str:
        """URL of the role that the application reads tasks as, on the Unix socket."""
        return self.server.url("taskapp_api", self.passwords["taskapp_api"], self.database)

    @property
    def contender_url(self) -> str:
        """URL of the role that owns `plain`."""
        return f"postgresql://contender:contender@127.0.0.1:{self.server.port}/{self.database}"

    def execute(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, for whom nothing is isolated."""
        with closing(psycopg2.connect(self.admin_url)) as conn:
            conn.autocommit = True
            with conn.cursor() as cur:
                cur.execute(statement, values)
                return cur.fetchall() if cur.description else []

    def populate(self, people: int, tasks_each: int) -> list[Person]:
        """Put so many people with so many tasks each into both schemas, in place of whoever was there."""
        self.execute("TRUNCATE plain.users, app.users CASCADE")
        found = self.sign_up(people)
        self.execute(f"{TASKS} FROM app.users, generate_series(1, %(each)s) AS n", {"each": tasks_each})
        self.execute(_COPY)
        # Two statements, because VACUUM will not be one of several.
        self.execute("VACUUM ANALYZE")
        self.execute("CHECKPOINT")
        return found

    def sign_up(self, people: int) -> list[Person]:
        """Make accounts with a session and two tags each, for people who are not there yet."""
        self.execute(
            "INSERT INTO app.users (user_id, email, password_hash)"
            " SELECT md5(email)::uuid, email, %s"
            " FROM generate_series(1, %s) AS n, LATERAL (SELECT 'user' || n || '@example.com' AS email) AS address",
            ("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$c29tZWhhc2g", people),
        )
        self.execute(
            "INSERT INTO app.tags (user_id, key, name)"
            " SELECT user_id, tag, tag FROM app.users, unnest(ARRAY['home', 'money']) AS tag"
        )
        self.execute(
            "INSERT INTO app.sessions (user_id, id, expires_at) SELECT user_id, gen_random_uuid(), now() + interval '9 days'"
            " FROM app.users"
        )
        return [Person(UUID(user), UUID(session)) for user, session in self.execute("SELECT user_id, id FROM app.sessions")]

    def access_token(self, person: Person) -> str:
        """Sign a token as a log-in would; it is good for an hour."""
        with self.app.app_context():
            return access_tokens().issue(person.id, person.session_id)


@contextmanager
def stage() -> Iterator[Stage]:
    """Start an empty server, on a Unix socket and on a free port of 127.0.0.1; all of it is gone afterwards.

    Nothing waits for the disk (`fsync` is off), for everybody alike: this compares programs, not disks.
    """
    with (
        TemporaryDirectory(prefix="taskapp-bench-") as folder,
        EmbeddedServer(Path(folder) / "postgres", durable=False, tcp_port=free_port()) as server,
    ):
        made = _database(server, new_passwords(), new_keys("bench"), "taskapp")
        made.execute(_PLAIN)
        yield made


def beside(other: Stage, database: str) -> Stage:
    """Make another database on the same server, for the same roles and with the same keys, with nobody in it as yet."""
    return _database(other.server, other.passwords, other.environment, database)


def quieten(made: Stage) -> None:
    """Let nothing be cleaned up or analysed but when a benchmark says so."""
    made.execute("ALTER SYSTEM SET autovacuum = off")
    made.execute("SELECT pg_reload_conf()")


def _database(server: EmbeddedServer, passwords: dict[str, str], keys: dict[str, str], database: str) -> Stage:
    environment = {
        **keys,
        "TASKAPP_ENVIRONMENT": "local",
        "TASKAPP_ACCESS_TOKEN_SECONDS": "3600",
        "TASKAPP_REQUESTS_PER_MINUTE": _UNREACHED,
        "TASKAPP_TASKS_PER_USER": "1000000",
        **urls(lambda role: f"postgresql://{role}:{passwords[role]}@127.0.0.1:{server.port}/{database}"),
    }
    with closing(psycopg2.connect(server.admin_url)) as conn:
        conn.autocommit = True
        conn.cursor().execute(f"CREATE DATABASE {database}")
    provision(_admin_url(server, database), passwords, environment, say=print)
    return Stage(server, passwords, environment, database, create_app(Config.from_environment()))


def _admin_url(server: EmbeddedServer, database: str) -> str:
    return server.admin_url.replace("/postgres?", f"/{database}?")

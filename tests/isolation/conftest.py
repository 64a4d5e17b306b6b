"""The same people, one step closer to the database.

`owner` has a row in every table, `other` is somebody else with as many, and nobody is `Anonymous()`. They run SQL of their
own choice, as an injection would: `as_api` and `as_auth` in the application's own messages, `stray` beside them.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from conftest import Admin, Cluster
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, AsIs, connection, cursor

from taskapp.database import identity
from taskapp.database.database import Cursor, Link
from taskapp.database.identity import Identity, LoginAttempt, PasswordVerified, RequestContext, SessionUser, TokenUser
from taskapp.database.signature import SealKey, proven_subject, session_subject
from taskapp.web.authentication import personal_token

# The two ways in which PostgreSQL says 42501. Everything else is silence, or an SQLSTATE.
NOT_GRANTED = "permission denied"
POLICY = "row-level security"

# Tables whose rows belong to no user, and so have no owner's column. Whoever makes another one writes it here.
NOBODYS = ("access_log", "attempts")

TOMORROW = AsIs("now() + interval '1 day'")
ASKED = hashlib.sha256(b"asked").digest()
A_HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$c29tZWhhc2g"


def _uuid() -> str:
    return str(uuid4())


@dataclass(frozen=True)
class User:
    """An account with one session, one personal access token, and one task: in a list, with a tag, completed once before."""

    name: str
    id: str = field(default_factory=_uuid)
    session_id: str = field(default_factory=_uuid)
    task_id: str = field(default_factory=_uuid)
    list_id: str = field(default_factory=_uuid)
    completion_id: str = field(default_factory=_uuid)
    token_id: str = field(default_factory=_uuid)
    answer_key: str = field(default_factory=_uuid)

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    @property
    def secret(self) -> str:
        """The title of the task, the name of its list, and its tag."""
        return f"{self.name.upper()} SECRET"

    @property
    def tag_key(self) -> str:
        return self.secret.lower()

    @property
    def signed_in(self) -> SessionUser:
        return SessionUser(UUID(self.id), UUID(self.session_id))

    @property
    def token(self) -> str:
        """The personal access token: of the right form, and nobody else's."""
        random = hashlib.sha256(self.id.encode()).digest()[:26]
        return personal_token.PREFIX + urlsafe_b64encode(random + UUID(self.id).bytes).decode()

    def holding(self, scope: str | None, token: str | None = None) -> TokenUser:
        """Somebody with that token, or another one, at an operation that needs `scope`."""
        return TokenUser(UUID(self.id), personal_token.digest(token or self.token), scope)

    def session_in(self, role: str) -> str:
        """What is sealed when the user enters by the session, through that login role."""
        return session_subject(role, self.id, self.session_id)

    def proven_in(self, role: str) -> str:
        """What is sealed when the user enters by the password, through that login role."""
        return proven_subject(role, self.id)

    @property
    def purpose(self) -> str:
        """The setting `app.purpose` in a transaction of the session."""
        return f"session:{self.session_id}"

    @property
    def proven(self) -> PasswordVerified:
        return PasswordVerified(UUID(self.id))

    @property
    def logging_in(self) -> LoginAttempt:
        return LoginAttempt(self.email)


@dataclass(frozen=True)
class SqlClient:
    """Somebody who can run SQL of their own choice. Every call is one message, and so one transaction."""

    connection: connection
    work: RequestContext = field(default=RequestContext())
    cursor_factory: type[cursor] = cursor

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of the last statement, if it is one that has any."""
        with closing(self._executed(statement, values)) as cur:
            return cur.fetchall() if cur.description else []

    def value(self, statement: str, *values: Any) -> Any:
        """Return the one value of the last statement."""
        ((value,),) = self.rows(statement, *values)
        return value

    def outcome(self, statement: str, values: Mapping[str, Any] | None = None) -> int | str:
        """Return how many rows the last statement touched, or why it was refused: a grant, a policy, an SQLSTATE."""
        try:
            with closing(self._executed(statement, values)) as cur:
                return cur.rowcount
        except InsufficientPrivilege as error:
            return POLICY if POLICY in str(error) else NOT_GRANTED
        except psycopg2.Error as error:
            return error.pgcode or repr(error)

    def in_a_get(self) -> "SqlClient":
        """Return the same person in a request that only reads."""
        return replace(self, work=replace(self.work, read_only=True))

    def next_client(self) -> "SqlClient":
        """Return whoever a pooler gives this server connection next and who knows nothing of the application's recipe."""
        return SqlClient(self.connection)

    def _executed(self, statement: str, values: Any) -> cursor:
        token = identity.begin(self.work)
        try:
            cur = self.connection.cursor(cursor_factory=self.cursor_factory)
            cur.execute(statement, values or None)
            return cur
        finally:
            identity.end(token)


ActAs = Callable[[Identity], SqlClient]
Stray = Callable[[str], SqlClient]


@pytest.fixture
def owner(admin: Admin) -> User:
    """Alice, whose rows everything is about."""
    return stored(admin, User("alice"))


@pytest.fixture
def other(admin: Admin) -> User:
    """Bob, somebody else."""
    return stored(admin, User("bob"))


@pytest.fixture
def twin(admin: Admin, owner: User) -> User:
    """Carol, somebody else too, what of hers has an id has that of Alice's: each in its own user's keys."""
    return stored(
        admin,
        User(
            "carol",
            task_id=owner.task_id,
            list_id=owner.list_id,
            completion_id=owner.completion_id,
            token_id=owner.token_id,
            answer_key=owner.answer_key,
        ),
    )


def stored(admin: Admin, user: User) -> User:
    """Put a row of `user` into every table, past all policies."""
    rows: dict[str, dict[str, Any]] = {
        "users": {"email": user.email, "password_hash": A_HASH},
        "sessions": {"id": user.session_id, "expires_at": TOMORROW},
        "lists": {"id": user.list_id, "name": user.secret},
        "tags": {"key": user.tag_key, "name": user.secret},
        "tasks": {"id": user.task_id, "title": user.secret, "list_id": user.list_id, "tags": [user.secret]},
        "completions": {
            "id": user.completion_id,
            "task_id": user.task_id,
            "title": user.secret,
            "outcome": "completed",
        },
        "personal_access_tokens": {
            "id": user.token_id,
            "name": user.secret,
            "scopes": list(personal_token.SCOPES),
            "prefix": personal_token.shown(user.token),
            "digest": personal_token.digest(user.token),
            "expires_at": TOMORROW,
        },
        "idempotency_records": {"key": user.answer_key, "request_fingerprint": ASKED, "status": 201, "body": user.secret},
    }
    inserts: list[str] = []
    values: list[Any] = []
    for table, row in rows.items():
        columns = {"user_id": user.id, **row}
        inserts.append(f"INSERT INTO app.{table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})")
        values += columns.values()
    # In one message: nearly every test here begins with it.
    admin.execute("; ".join(inserts), *values)
    return user


def in_the_trash(admin: Admin, user: User, days: float) -> None:
    """Let the task of `user` have been in the trash for so long."""
    trash = "UPDATE app.tasks SET deleted_at = now() - make_interval(secs => %s * 86400) WHERE (user_id, id) = (%s, %s)"
    admin.execute(trash, days, user.id, user.task_id)


@pytest.fixture
def counter(admin: Admin) -> str:
    """The key, in hexadecimal digits, of a row that belongs to nobody."""
    key = "07" * 32
    admin.execute("TRUNCATE app.attempts")
    admin.execute("INSERT INTO app.attempts (key, count, since) VALUES (decode(%s, 'hex'), 3, now())", key)
    return key


def tenant_tables(admin: Admin) -> list[str]:
    """Read from the catalogue which tables hold rows of users: all of them, but for those that are named nobody's."""
    return [name for name in all_tables(admin) if name not in NOBODYS]


def all_tables(admin: Admin) -> list[str]:
    """Read from the catalogue which tables there are."""
    tables = admin.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'f')"
        " AND relname <> 'alembic_version' ORDER BY relname"
    )
    return [name for (name,) in tables]


def rows_of(admin: Admin, user_id: str | None, *proven: str) -> dict[str, list[Any]]:
    """Return every row of `user_id`: equal before and after means unchanged.

    Fail when a table of `proven`, or any table at all when none is named, has no row of theirs: that would prove nothing.
    """
    stored: dict[str, list[Any]] = {table: [] for table in tenant_tables(admin)}
    every = " UNION ALL ".join(f"SELECT '{table}', to_jsonb(t) FROM app.{table} t WHERE user_id = %s" for table in stored)
    for table, row in admin.execute(f"{every} ORDER BY 1, 2", *[user_id] * len(stored)):
        stored[table].append(row)
    assert all(stored[table] for table in proven or stored), stored
    return stored


@pytest.fixture(scope="session")
def seal_key(cluster: Cluster) -> SealKey:
    """The key the application seals identities with."""
    return SealKey.parse(cluster.environment["TASKAPP_SEAL_KEY"])


class Links:
    """One open connection per role, handed from test to test.

    Connecting, and filling the caches of a new server process, is more than half of a short test's time.
    """

    def __init__(self, cluster: Cluster, key: SealKey) -> None:
        self._cluster = cluster
        self._key = key
        self._idle: dict[str, Link] = {}

    @contextmanager
    def of(self, role: str) -> Iterator[ActAs]:
        """Act as anyone through `role`, on a connection without session state."""
        link = self._idle.pop(role, None) or linked(self._cluster, role, self._key)
        yield lambda who: SqlClient(link, RequestContext(identity=who), Cursor)
        if self._cleared(link):
            self._idle[role] = link
        else:
            link.close()

    @staticmethod
    def _cleared(link: Link) -> bool:
        """Discard the session's state; tell whether the connection is as good as a new one."""
        if link.closed or link.info.transaction_status != TRANSACTION_STATUS_IDLE or not link.is_unchanged():
            return False
        try:
            with link.cursor() as cur:
                cur.execute("DISCARD ALL")
        except psycopg2.OperationalError:  # A test has ended its process.
            return False
        return link.is_unchanged()

    def close(self) -> None:
        for link in self._idle.values():
            link.close()


@pytest.fixture(scope="session")
def links(cluster: Cluster, seal_key: SealKey) -> Iterator[Links]:
    """Connections of the application's roles that tests share, one test at a time."""
    with closing(Links(cluster, seal_key)) as links:
        yield links


@pytest.fixture
def as_api(links: Links) -> Iterator[ActAs]:
    """Act as a user through `taskapp_api`. All users of a test share one server connection."""
    with links.of("taskapp_api") as act:
        yield act


@pytest.fixture
def as_operator(links: Links) -> Iterator[ActAs]:
    """Act as a user through `taskapp_operator`."""
    with links.of("taskapp_operator") as act:
        yield act


@pytest.fixture
def as_auth(links: Links) -> Iterator[ActAs]:
    """Act as a user through `taskapp_auth`."""
    with links.of("taskapp_auth") as act:
        yield act


def linked(cluster: Cluster, role: str, key: SealKey) -> Link:
    link: Link = psycopg2.connect(cluster.url(role), connection_factory=Link)
    link.autocommit = True
    link.arm(key)
    return link


@dataclass(frozen=True)
class Server:
    """PostgreSQL in one version: the superuser there, Alice and Bob with their rows, and anybody at any login."""

    cluster: Cluster
    admin: Admin
    owner: User
    other: User
    _logins: ExitStack

    def client(self, role: str, who: Identity) -> SqlClient:
        """Be somebody through a login role, on a connection of one's own."""
        key = SealKey.parse(self.cluster.environment["TASKAPP_SEAL_KEY"])
        link = self._logins.enter_context(closing(linked(self.cluster, role, key)))
        return SqlClient(link, RequestContext(identity=who), Cursor)

    def login(self, role: str) -> SqlClient:
        """Log in without the application."""
        return self.person(self.cluster.url(role))

    def person(self, url: str) -> SqlClient:
        conn = self._logins.enter_context(closing(psycopg2.connect(url)))
        conn.autocommit = True
        return SqlClient(conn)

    @contextmanager
    def undone(self) -> Iterator[SqlClient]:
        """Be the superuser in one transaction that is rolled back, to make what no migration makes."""
        with closing(psycopg2.connect(self.cluster.admin_url)) as conn:
            yield SqlClient(conn)
            conn.rollback()


@pytest.fixture
def server(cluster: Cluster) -> Iterator[Server]:
    """The same scene on each version of PostgreSQL that there is."""
    with ExitStack() as logins, closing(psycopg2.connect(cluster.admin_url)) as conn:
        conn.autocommit = True
        admin = Admin(conn)
        admin.execute("DELETE FROM app.users")
        yield Server(cluster, admin, stored(admin, User("alice")), stored(admin, User("bob")), logins)
        admin.execute("DELETE FROM app.users")


@pytest.fixture
def stray(cluster: Cluster) -> Iterator[Stray]:
    """Log in as a role without the application: psql, a report, a script that knows the password."""
    with ExitStack() as stack:

        def connect(role: str) -> SqlClient:
            conn = stack.enter_context(closing(psycopg2.connect(cluster.url(role))))
            conn.autocommit = True
            return SqlClient(conn)

        yield connect

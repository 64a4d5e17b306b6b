"""People at psql, on PostgreSQL 15 to 18: each with a login of their own, made by `flask isolation dba add`.

`owner` and `other` are users with a row in every table. `ann` and `dan` may open tickets, `bea` and `carl` may break the
glass, `ivy` audits.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg2
import pytest
from click.testing import CliRunner, Result
from conftest import Admin, Cluster
from isolation.conftest import SqlClient, User, stored

from taskapp.operations.isolation.commands import isolation

PASSWORD = "a dozen characters or more"
STAFF: dict[str, tuple[str, ...]] = {
    "ann": (),
    "dan": (),
    "bea": ("--breakglass",),
    "carl": ("--breakglass",),
    "ivy": ("--auditor", "--no-tickets"),
}
DEAD = "TA005"
"""How PostgreSQL says that a ticket opens nothing, or is not to be had."""


@dataclass(frozen=True)
class Staff:
    """The people, and where they log in."""

    cluster: Cluster

    def url(self, name: str, port: int | None = None) -> str:
        """The login of `name` over TCP, or over whatever listens on `port` in front of the server."""
        place = urlsplit(self.cluster.tcp_url("taskapp_api", port))
        host = place.netloc.rpartition("@")[2]
        return place._replace(netloc=f"{name}:{PASSWORD.replace(' ', '%20')}@{host}").geturl()

    def add(self, name: str, *options: str) -> str:
        """Make a login, or change it, as an administrator does; return what that says."""
        made = run("dba", "add", name, "--admin-url", self.cluster.admin_url, *options, typed=PASSWORD)
        assert made.exit_code == 0, made.output
        return made.stdout

    def remove(self, name: str) -> str:
        """Take it away again."""
        gone = run("dba", "remove", name, "--admin-url", self.cluster.admin_url)
        assert gone.exit_code == 0, gone.output
        return gone.stdout

    def run(self, who: str, *arguments: str, typed: str | None = None) -> Result:
        """Let somebody run `flask isolation …` with their own URL."""
        return run(*arguments, "--url", self.url(who), typed=typed)


def run(*arguments: str, typed: str | None = None) -> Result:
    """Run `flask isolation …`; a failure is one of its own, never a traceback."""
    result: Result = CliRunner().invoke(isolation, list(arguments), input=None if typed is None else f"{typed}\n")
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    return result


def refused(result: Result) -> str:
    """Return what a command says when it refuses, which is all that it says."""
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr.removeprefix("Error: ").strip()


@pytest.fixture(scope="module")
def staff(cluster: Cluster) -> Iterator[Staff]:
    """Each has a login. Afterwards logins and trail are gone: to the doctor, an approval by a missing login is a finding."""
    staff = Staff(cluster)
    for name, options in STAFF.items():
        staff.add(name, *options)
    yield staff
    with closing(psycopg2.connect(cluster.admin_url)) as conn:
        conn.autocommit = True
        for name in STAFF:
            conn.cursor().execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        conn.cursor().execute("TRUNCATE app.access_log")


@pytest.fixture
def boss(cluster: Cluster) -> Iterator[Admin]:
    """The superuser, who begins every test with an empty database and no trail."""
    with closing(psycopg2.connect(cluster.admin_url)) as conn:
        conn.autocommit = True
        admin = Admin(conn)
        admin.execute("DELETE FROM app.users; TRUNCATE app.access_log")
        yield admin


@pytest.fixture
def owner(boss: Admin) -> User:
    """Alice, whose rows everything is about."""
    return stored(boss, User("alice"))


@pytest.fixture
def other(boss: Admin) -> User:
    """Bob, somebody else."""
    return stored(boss, User("bob"))


LogIn = Callable[..., SqlClient]


@pytest.fixture
def log_in(staff: Staff) -> Iterator[LogIn]:
    """Log in as somebody; with `group`, as the member of it that they are."""
    with ExitStack() as stack:

        def connect(name: str, group: str | None = None) -> SqlClient:
            conn = stack.enter_context(closing(psycopg2.connect(staff.url(name))))
            conn.autocommit = True
            client = SqlClient(conn)
            if group:
                client.rows(f"SET ROLE {group}")
            return client

        yield connect


@pytest.fixture
def ann(log_in: LogIn) -> SqlClient:
    """Somebody who may open tickets."""
    return log_in("ann", "taskapp_dba")


@pytest.fixture
def dan(log_in: LogIn) -> SqlClient:
    """Somebody else who may."""
    return log_in("dan", "taskapp_dba")


@pytest.fixture
def bea(log_in: LogIn) -> SqlClient:
    """Somebody who may break the glass."""
    return log_in("bea", "taskapp_breakglass")


@pytest.fixture
def carl(log_in: LogIn) -> SqlClient:
    """The second person."""
    return log_in("carl", "taskapp_breakglass")


@pytest.fixture
def ivy(log_in: LogIn) -> SqlClient:
    """An auditor."""
    return log_in("ivy", "taskapp_auditor")


def open_ticket(person: SqlClient, user: User, minutes: int = 60) -> int:
    """Open a ticket for the rows of `user`, and hold it out from now on; return its number."""
    number = int(person.value("SELECT app.open_ticket(%s, 'case 7: a missing task', %s)", user.id, minutes))
    hold(person, number)
    return number


def break_glass(asking: SqlClient, agreeing: SqlClient) -> int:
    """Let two persons open everybody's rows to the first; return the number."""
    number = int(asking.value("SELECT app.request_break_glass('case 8: index corruption')"))
    agreeing.rows("SELECT app.approve_break_glass(%s)", number)
    hold(asking, number)
    return number


def hold(person: SqlClient, number: int | str) -> None:
    """Hold out a ticket, as psql does for the length of its session."""
    person.rows("SELECT set_config('app.ticket', %s, false)", str(number))


def seen(person: SqlClient) -> set[str]:
    """Return the titles of all tasks that somebody sees."""
    return {title for (title,) in person.rows("SELECT title FROM app.tasks")}

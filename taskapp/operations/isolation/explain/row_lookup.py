"""Look up whether a row exists, as far as the caller may know, and what each policy says of it.

There are three ways. A ticket shows the rows of its user. An auditor sees of every row whose it is. Whoever has neither
learns what the rules say of any row of that user, and not whether there is one.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import click
from psycopg2 import sql
from psycopg2.extensions import connection, cursor

from taskapp.operations.isolation.dba_connection import becoming
from taskapp.operations.isolation.explain.expressions import Expression
from taskapp.operations.isolation.explain.policy_evaluation import Identity, Said, User, say
from taskapp.operations.isolation.explain.rules import Rules
from taskapp.operations.isolation.psql_session import closing_ticket

_TICKET_MINUTES = 5


@dataclass(frozen=True)
class Asked:
    """What somebody asks: with whose identity, whose row, which one; and what they give to be let look at it."""

    user: str
    owner: str | None
    row: str | None
    reason: str | None
    ticket: int | None


@dataclass(frozen=True)
class Seen:
    """What was seen.

    ``exists`` is None when nobody looked, and ``missing`` says what was not found. ``group`` is what one looked as.
    ``owner`` is whose row it is, or would be. ``alike`` counts rows of the same key that other users have, as far as one
    may know.
    """

    identity: Identity
    owner: Identity
    exists: bool | None
    missing: str | None
    group: str | None
    ticket: int | None
    alike: int
    said: Mapping[Expression, Said]


def look(conn: connection, rules: Rules, asked: Asked) -> Seen:
    """Look for the row as far as this login may, and let each policy speak of it.

    :raises click.ClickException: when that makes no sense, or is not for this login to know.
    """
    if asked.row is not None and not rules.has_owners:
        raise click.ClickException(f"rows of app.{rules.table} belong to no user: leave out ID, and see the rules")
    audits = _is_member(conn, "taskapp_auditor")
    if asked.reason is None and asked.ticket is None:
        return _as_auditor(conn, rules, asked) if audits else _as_anybody(conn, rules, asked)
    if not rules.has_owners or (rules.key and asked.row is None):
        raise click.ClickException("a ticket is for looking at a row: give its ID")
    seen = _with_ticket(conn, rules, asked)
    if seen.exists or not audits:
        return seen
    wider = _as_auditor(conn, rules, asked)
    return seen if wider.exists is None else replace(wider, ticket=seen.ticket)


def _as_anybody(conn: connection, rules: Rules, asked: Asked) -> Seen:
    names: dict[str, User] = {}

    def resolve(name: str) -> User:
        """Without looking up an address: only the same one is the same user."""
        if name not in names:
            names[name] = User(uuid4(), name, looked_up=False) if "@" in name else User(UUID(name))
        if len({user.looked_up for user in names.values()}) > 1:
            raise click.ClickException("give both users by id: looking up an address takes a ticket, or an auditor")
        return names[name]

    with reading(conn) as cur:
        return _seen(cur, rules, asked, resolve, None)


def _as_auditor(conn: connection, rules: Rules, asked: Asked) -> Seen:
    def resolve(name: str) -> User:
        cur.execute("SELECT user_id, email FROM app.users WHERE %s IN (user_id::text, lower(email))", (name,))
        found = cur.fetchone()
        if found is None:
            raise click.ClickException(f"there is no user {name}")
        return User(UUID(found[0]), found[1])

    with reading(conn, "taskapp_auditor") as cur:
        return _seen(cur, rules, asked, resolve, "taskapp_auditor")


def _with_ticket(conn: connection, rules: Rules, asked: Asked) -> Seen:
    def resolve(name: str) -> User:
        if name in (str(subject.id), subject.name.lower()):
            return subject
        if "@" in name:
            raise click.ClickException(f"give {name} by id: a ticket for {subject.name} looks up nobody else")
        return User(UUID(name))

    with _ticket(conn, asked) as number, reading(conn, "taskapp_dba", number) as cur:
        cur.execute("SELECT user_id, email FROM app.users")
        found = cur.fetchone()
        if found is None:
            raise click.ClickException(f"the user of ticket {number} is gone")
        subject = User(UUID(found[0]), found[1])
        if resolve((asked.owner or str(subject.id)).lower()) != subject:
            raise click.ClickException(f"ticket {number} is for the rows of {subject.name}, and for nobody else's")
        seen = _seen(cur, rules, replace(asked, owner=str(subject.id)), resolve, "taskapp_dba")
    return replace(seen, ticket=number)


@contextmanager
def _ticket(conn: connection, asked: Asked) -> Iterator[int]:
    """The ticket that was named, or one for as long as this takes."""
    if not _is_member(conn, "taskapp_dba"):
        raise click.ClickException(
            f"{conn.info.user} opens no tickets, and without one nobody looks at rows; flask isolation dba add makes logins"
            " that can"
        )
    if asked.ticket is not None:
        yield asked.ticket
        return
    whose = asked.owner or asked.user
    if whose == NOBODY:
        raise click.ClickException("nobody has no rows: say with --owner whose row it is")
    with becoming(conn, "taskapp_dba") as cur:
        cur.execute("SELECT app.open_ticket(%s, %s, %s)", (whose, asked.reason, _TICKET_MINUTES))
        ((number,),) = cur.fetchall()
    # Committed; from here on it is in the log, whatever happens.
    try:
        yield number
    finally:
        closing_ticket(conn, number, "taskapp_dba")


NOBODY = "nobody"
"""Who acts when nobody has signed in."""


@contextmanager
def reading(conn: connection, group: str | None = None, ticket: int | None = None) -> Iterator[cursor]:
    """Read in one transaction that cannot write, as a member of ``group``, or with no right but to log in."""
    with becoming(conn, group) if group else _logged_in(conn) as cur:
        # Without a search path PostgreSQL writes out every name that is not its own.
        cur.execute("SET TRANSACTION READ ONLY; SET LOCAL search_path = pg_catalog")
        cur.execute("SELECT set_config('app.ticket', %s, true)", (str(ticket or ""),))
        yield cur


@contextmanager
def _logged_in(conn: connection) -> Iterator[cursor]:
    with conn, conn.cursor() as cur:
        yield cur


def _is_member(conn: connection, group: str) -> bool:
    with reading(conn) as cur:
        # Made a member, and not by way of others: the migrator can end people's sessions, which makes it a member of theirs.
        cur.execute(
            "SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles p ON p.oid = m.member"
            " WHERE g.rolname = %s AND p.rolname = session_user",
            (group,),
        )
        return cur.rowcount > 0


def _seen(cur: cursor, rules: Rules, asked: Asked, resolve: Callable[[str], User], group: str | None) -> Seen:
    identity = None if asked.user == NOBODY else resolve(asked.user.lower())
    owner = resolve(asked.owner.lower()) if asked.owner else identity
    seen = Seen(identity, owner, None, None, None, None, 0, {})
    place = None
    if group and _may_look(cur, rules, asked, owner):
        # Whose it is, with the one that is asked about first. A ticket shows its own user's rows alone.
        only = owner if asked.owner or rules.key is None else None
        query = sql.SQL("SELECT user_id FROM {} ORDER BY user_id <> {}").format(
            _place(rules, only, asked.row), sql.Literal(str(owner.id) if owner else None)
        )
        cur.execute(query)
        owners = [UUID(found) for (found,) in cur]
        if owners and (owner is None or owners[0] != owner.id):
            owner = resolve(str(owners[0]))
        place = _place(rules, owner, asked.row) if owners else None
        missing = None if owners else f"{only.name} has no such row" if only else "there is no such row"
        seen = replace(seen, owner=owner, exists=bool(owners), missing=missing, group=group, alike=max(len(owners) - 1, 0))
    expressions = {e for policy in rules.policies for e in (policy.using, policy.check) if e}
    return replace(seen, said={e: say(cur, e, rules, identity, owner, place) for e in expressions})


def _may_look(cur: cursor, rules: Rules, asked: Asked, owner: Identity) -> bool:
    """Whether a row is asked about, and the group one looks as sees what it is told from others by."""
    if not rules.has_owners:
        return False
    if rules.key is None:
        return owner is not None
    if asked.row is None:
        return False
    cur.execute("SELECT has_column_privilege(%s, %s, 'SELECT')", (f"app.{rules.table}", rules.key[0]))
    ((may,),) = cur.fetchall()
    return bool(may)


def _place(rules: Rules, owner: Identity, row: str | None) -> sql.Composed:
    """Where the row is: what stands behind FROM."""
    table = sql.Identifier(rules.table)
    conditions = []
    if owner:
        conditions.append(sql.SQL("{}.user_id = {}").format(table, sql.Literal(str(owner.id))))
    if rules.key:
        conditions.append(sql.SQL("{}.{} = {}").format(table, sql.Identifier(rules.key[0]), sql.Literal(row)))
    return sql.SQL("app.{0} AS {0} WHERE {1}").format(table, sql.SQL(" AND ").join(conditions))

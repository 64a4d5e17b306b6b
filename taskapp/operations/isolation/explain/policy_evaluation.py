"""Evaluate one policy expression on one row for another identity."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor

from taskapp.operations.isolation.explain.expressions import Expression
from taskapp.operations.isolation.explain.rules import Rules


@dataclass(frozen=True)
class User:
    """Somebody rows belong to. Who was not looked up has an id that stands for theirs, and is never shown."""

    id: UUID
    email: str | None = None
    looked_up: bool = True

    @property
    def name(self) -> str:
        """What people call them."""
        return self.email or str(self.id)


Identity = User | None
"""Who acts, or nobody."""


class Verdict(StrEnum):
    """What an expression says. NULL refuses as NO does; ERROR refuses the whole statement; OPEN was not worked out."""

    YES = "yes"
    NO = "no"
    NULL = "null"
    ERROR = "error"
    OPEN = "?"


@dataclass(frozen=True)
class Said:
    """A verdict, and why it is ERROR or OPEN."""

    verdict: Verdict
    because: str | None = None


def assumed(identity: Identity) -> Mapping[str, tuple[str, str]]:
    """Say, for each function of ours that policies ask, what it is taken to return, in SQL and in words."""
    user = sql_uuid(identity)
    who = "nobody" if identity is None else identity.name
    return {
        "app.current_user_id": (user, f"app.current_user_id() is {who}"),
        "app.ticket_subject": (user, f"a ticket for {who} is open" if identity else "no ticket is open"),
        "app.break_glass_is_open": (
            "true" if identity else "false",
            "a break-glass is open" if identity else "no break-glass is open",
        ),
        "app.login_email": ("NULL::text", "nobody is logging in"),
    }


def sql_uuid(user: Identity) -> str:
    """Write a user's id as a constant of SQL."""
    return f"'{user.id}'::uuid" if user else "NULL::uuid"


def say(
    cur: cursor, expression: Expression, rules: Rules, identity: Identity, owner: Identity, place: sql.Composed | None
) -> Said:
    """Let PostgreSQL work out one expression.

    What reads no more than whose a row is needs no row: it is asked of one that is made up, of that owner. Anything else is
    asked of the row at ``place``, where one may look, and else left open. Whoever works it out is the person who asks, so
    no expression reads more than they may.
    """
    if expression.refused:
        return Said(Verdict.ERROR, f"calls {expression.refused[0]}(), which {rules.role.name} may not")
    values = {function: value for function, (value, _) in assumed(identity).items()}
    if unknown := [function for function in expression.calls if function not in values]:
        return Said(Verdict.OPEN, f"calls {unknown[0]}()")
    if expression.others:
        return Said(Verdict.OPEN, f"asks {expression.others[0]}")
    if expression.needs_the_session:
        return Said(Verdict.OPEN, f"depends on the session that asks: {expression.needs_the_session}")
    # What a policy may do to others who are held to it, it is not to do to the person who asks for an explanation.
    cur.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY (%s)"
        " AND provolatile = 'v'",
        (expression.functions,),
    )
    if volatile := cur.fetchone():
        return Said(Verdict.OPEN, f"calls {volatile[0]}(), which may do more than answer")
    if expression.needs_the_whole_row:
        return Said(Verdict.OPEN, "reads the row as a whole")
    beyond = [column for column in expression.columns if column != "user_id"]
    if beyond and place is None:
        return Said(Verdict.OPEN, f"depends on {', '.join(beyond)} of the row")
    if not beyond:
        place = sql.SQL("(SELECT {} AS user_id) AS {}").format(sql.SQL(sql_uuid(owner)), sql.Identifier(rules.table))
    elif hidden := _hidden(cur, rules, beyond):
        return Said(Verdict.OPEN, f"depends on {', '.join(hidden)} of the row, which this login may not read")
    assert place is not None
    cur.execute("SAVEPOINT verdict")
    try:
        cur.execute(sql.SQL("SELECT {} FROM {}").format(sql.SQL(f"({expression.with_values(values)})"), place))
    except psycopg2.DataError as error:
        # PostgreSQL's own words may quote the row.
        cur.execute("ROLLBACK TO verdict")
        return Said(Verdict.ERROR, f"fails with SQLSTATE {error.pgcode}")
    ((answer,),) = cur.fetchall()
    return Said(Verdict.NULL if answer is None else Verdict.YES if answer else Verdict.NO)


def _hidden(cur: cursor, rules: Rules, columns: list[str]) -> list[str]:
    """Of these columns, those that whoever looks may not read."""
    cur.execute(
        "SELECT c FROM unnest(%s) AS c WHERE NOT has_column_privilege(%s, c, 'SELECT')", (columns, f"app.{rules.table}")
    )
    return [column for (column,) in cur]

"""Read the live catalogue as facts: what a schema, its roles and its grants are, one line each.

Any login can read them. What differs between servers without a meaning is left out: OIDs, the order of columns, storage,
NULL access lists (spelt out by `acldefault`), NOT NULL constraints (`attnotnull` says it), a grantor who is the owner.
"""

from collections import defaultdict
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

from psycopg2.extensions import cursor

from taskapp.isolation.doctor.rows_as_role import rows_as


class Thing(NamedTuple):
    """An object of the catalogue: its kind in one word, and its name with the table that it is part of."""

    kind: str
    name: str


Facts = Mapping[Thing, Mapping[str, frozenset[str]]]
"""Of each object its properties: the values of each, of which most have one."""

_FACTS = files(__package__).joinpath("live_catalogue.sql").read_text(encoding="utf-8")


def read(cur: cursor) -> Facts:
    """Read the facts of this database, with names as a search of ``pg_catalog`` alone prints them.

    :raises psycopg2.Error: as the server has it.
    """
    cur.execute(_FACTS)
    found: defaultdict[Thing, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for kind, name, aspect, value in cur:
        found[Thing(kind, name)][aspect].add(value or "")
    revisions = rows_as(cur, "taskapp_owner", "app.alembic_version", "SELECT version_num FROM app.alembic_version")
    if revisions is not None:
        found[Thing("schema", "app")]["revision"].add(
            revisions if isinstance(revisions, str) else ", ".join(sorted(row[0] for row in revisions)) or "none"
        )
    return {thing: {aspect: frozenset(values) for aspect, values in of.items()} for thing, of in found.items()}

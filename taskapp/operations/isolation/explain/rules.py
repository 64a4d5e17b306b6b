"""Read from the catalogue what applies to one role and one table: role attributes, grants, policies. No row is read."""

from collections.abc import Mapping
from dataclasses import dataclass

import click
from psycopg2.extensions import cursor

from taskapp.operations.isolation.explain.expressions import Expression, read

COMMANDS = ("select", "insert", "update", "delete")
_COMMANDS_OF = {"r": ("select",), "a": ("insert",), "w": ("update",), "d": ("delete",), "*": COMMANDS}


@dataclass(frozen=True)
class Role:
    """A role: what lets it pass the policies of the table, if anything, whose rights it has, and whom it may become."""

    name: str
    passes: str | None
    inherits: tuple[str, ...]
    becomes: tuple[str, ...]
    uses_schema: bool


@dataclass(frozen=True)
class Grant:
    """What a role may do by one command: to all columns or to some; ``through`` names who else it was granted to."""

    every_column: bool
    columns: tuple[str, ...]
    through: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """A policy that applies to the role. A permissive one opens rows, a restrictive one refuses them."""

    name: str
    permissive: bool
    commands: tuple[str, ...]
    using: Expression | None
    check: Expression | None


@dataclass(frozen=True)
class Rules:
    """One role and one table. ``key`` is what tells a user's rows apart: column and type, or None for one row per user."""

    table: str
    role: Role
    columns: tuple[str, ...]
    key: tuple[str, str] | None
    enabled: bool
    forced: bool
    grants: Mapping[str, Grant]
    policies: tuple[Policy, ...]

    @property
    def has_owners(self) -> bool:
        """Whether each row belongs to a user."""
        return "user_id" in self.columns


_TABLE = """
SELECT c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner
FROM pg_class c WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'app') AND c.relname = %s
  AND c.relkind IN ('r', 'p', 'v')
"""
_TABLES = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'app')
  AND c.relkind IN ('r', 'p') ORDER BY 1
"""
_READ_BY_VIEW = """
SELECT DISTINCT t.relname FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
JOIN pg_class t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid
WHERE w.ev_class = %(table)s AND t.oid <> w.ev_class ORDER BY 1
"""
_COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = %(table)s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_KEY = """
SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = %(table)s AND i.indisprimary AND a.attname <> 'user_id'
"""
_ROLE = """
SELECT r.oid, r.rolsuper, r.rolbypassrls, has_schema_privilege(r.oid, 'app', 'USAGE'),
       pg_has_role(r.oid, %(owner)s::oid, 'USAGE'),
       ARRAY (SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
              WHERE m.member = r.oid AND pg_has_role(r.oid, g.oid, 'USAGE') ORDER BY 1),
       ARRAY (SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
              WHERE m.member = r.oid AND NOT pg_has_role(r.oid, g.oid, 'USAGE') ORDER BY 1)
FROM pg_roles r WHERE r.rolname = %(role)s
"""
# Who has what is PostgreSQL's own answer, which knows of owners, memberships and superusers; the lists of grants are read
# only to say through whom.
_GRANTS = """
SELECT lower(p.name), has_table_privilege(%(role)s::oid, c.oid, p.name),
       ARRAY (SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              AND p.name <> 'DELETE'
              AND has_column_privilege(%(role)s::oid, c.oid, a.attnum, replace(p.name, 'DELETE', 'SELECT'))
              ORDER BY a.attnum),
       ARRAY (SELECT DISTINCT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END
              FROM (SELECT (aclexplode(c.relacl)).* UNION ALL
                    SELECT (aclexplode(a.attacl)).* FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND NOT a.attisdropped) g
              WHERE g.privilege_type = p.name AND (g.grantee = 0 OR pg_has_role(%(role)s::oid, g.grantee, 'USAGE'))
                AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = %(role)s::oid)
              ORDER BY 1)
FROM pg_class c, (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS p (name) WHERE c.oid = %(table)s
"""
_POLICIES = """
SELECT p.polname, p.polpermissive, p.polcmd::text,
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
       ARRAY (SELECT a.attname::text FROM needs d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.policy = p.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid),
       ARRAY (SELECT f.pronamespace::regnamespace || '.' || f.proname FROM needs d JOIN pg_proc f ON f.oid = d.refobjid
              WHERE d.policy = p.oid AND d.refclassid = 'pg_proc'::regclass),
       ARRAY (SELECT f.pronamespace::regnamespace || '.' || f.proname FROM needs d JOIN pg_proc f ON f.oid = d.refobjid
              WHERE d.policy = p.oid AND d.refclassid = 'pg_proc'::regclass
                AND NOT has_function_privilege(%(role)s::oid, f.oid, 'EXECUTE')),
       ARRAY (SELECT DISTINCT pg_describe_object(d.refclassid, d.refobjid, 0) FROM needs d
              WHERE d.policy = p.oid AND d.refclassid <> 'pg_proc'::regclass
                AND NOT (d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid))
FROM pg_policy p
WHERE p.polrelid = %(table)s
  AND EXISTS (SELECT FROM unnest(p.polroles) AS o (id) WHERE o.id = 0 OR pg_has_role(%(role)s::oid, o.id, 'USAGE'))
ORDER BY p.polpermissive, p.polcmd <> '*', position(p.polcmd::text IN 'rawd'), p.polname
"""
_NEEDS = """
WITH needs AS (
    SELECT DISTINCT d.objid AS policy, d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend d
    WHERE d.classid = 'pg_policy'::regclass
)
"""


def rules_for(cur: cursor, role: str, table: str) -> Rules:
    """Read the catalogue. Names outside of ``pg_catalog`` have to be written out, so the search path has to be that alone.

    :raises click.ClickException: when there is no such role or table.
    """
    name = table.removeprefix("app.")
    cur.execute(_TABLE, (name,))
    found = cur.fetchone()
    if found is None:
        cur.execute(_TABLES)
        raise click.ClickException(f"there is no table {name} in schema app; there are {', '.join(t for (t,) in cur)}")
    oid, kind, enabled, forced, owner = found
    if kind == "v":
        cur.execute(_READ_BY_VIEW, {"table": oid})
        raise click.ClickException(f"app.{name} is a view: ask about what it reads, {', '.join(t for (t,) in cur)}")

    cur.execute(_ROLE, {"role": role, "owner": owner})
    found = cur.fetchone()
    if found is None:
        raise click.ClickException(f"there is no role {role}")
    role_oid, superuser, bypassrls, uses_schema, owns, inherits, becomes = found
    passes = (
        "is a superuser"
        if superuser
        else "has BYPASSRLS"
        if bypassrls
        else "owns the table, and row-level security is not forced"
        if owns and not forced
        else None
    )

    asked = {"table": oid, "role": role_oid}
    cur.execute(_COLUMNS, asked)
    columns = tuple(column for (column,) in cur)
    cur.execute(_KEY, asked)
    key = cur.fetchone()
    cur.execute(_GRANTS, asked)
    grants = {
        command: Grant(whole, tuple(granted), () if role in through else tuple(through))
        for command, whole, granted, through in cur
    }
    cur.execute(_NEEDS + _POLICIES, asked)
    policies = tuple(_policy(*row) for row in cur)
    described = Role(role, passes, tuple(inherits), tuple(becomes), uses_schema)
    return Rules(name, described, columns, key, enabled, forced, grants, policies)


def _policy(name: str, permissive: bool, command: str, using: str | None, check: str | None, *needs: list[str]) -> Policy:
    found = read(using, *needs) if using else None
    # Where there is no WITH CHECK, USING holds for what is written too.
    return Policy(name, permissive, _COMMANDS_OF[command], found, read(check, *needs) if check else found)

"""Rule and Finding, and the catalogue queries that rules share."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from taskapp.isolation.columns import WHOLE_TABLE, Right


@dataclass(frozen=True)
class Rule:
    """Something that has to hold in the catalogue.

    ``offenders`` is a query, after :data:`PRELUDE`, for whatever breaks it: one text column. ``only_warns`` says why a start
    goes on although the rule is broken: what breaks it shows and changes nothing, or is not the operator's to mend. Without
    it a broken rule stops a start, and ``why`` says what isolation would lose.
    """

    number: str
    statement: str
    why: str
    mend: str
    offenders: str
    only_warns: str = ""

    @property
    def severity(self) -> Literal["stops", "warns"]:
        """Tell what a broken rule does to a start in production."""
        return "warns" if self.only_warns else "stops"


@dataclass(frozen=True)
class Finding:
    """A rule that is broken, and by what; ``acknowledged`` says by which line of a file it is on purpose."""

    rule: str
    statement: str
    object: str
    why: str
    mend: str
    warns: bool = False
    acknowledged: str | None = None


@dataclass
class Trial:
    """How much was tried on a live database, and what came out otherwise than it has to."""

    attempts: int = 0
    findings: list[Finding] = field(default_factory=list)


def values(rows: Iterable[tuple[str | None, ...]]) -> str:
    """Write rows of text for SQL, as they stand behind VALUES."""
    return ", ".join(f"({', '.join(map(_quoted, row))})" for row in rows)


def _quoted(text: str | None) -> str:
    return "NULL::text" if text is None else "'" + text.replace("'", "''") + "'"


def not_among(rights: Iterable[Right]) -> str:
    """Write the condition that a row of ``granted`` is none of these rights."""
    right = f"nspname || '.' || relname, coalesce(attname, '{WHOLE_TABLE}'), who, privilege_type"
    return f"({right}) NOT IN (VALUES {values(rights)})"


# The rows that belong to no user, and so to no owner's column, key or floor.
NOBODYS = "('access_log', 'attempts')"
CREDENTIALS = "'hash|password|secret|token|digest'"

# Read by any login: nothing here needs a right to the schemas it is about.
PRELUDE = r"""
WITH room AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname IN ('app', 'app_private')
), elsewhere AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname NOT IN ('app', 'app_private', 'information_schema')
    AND nspname !~ '^pg_'
), relation AS (
    SELECT c.*, room.nspname FROM pg_class c JOIN room ON room.oid = c.relnamespace
), tenant AS (
    SELECT * FROM relation WHERE nspname = 'app' AND relkind IN ('r', 'p', 'f') AND relname <> 'alembic_version'
), col AS (
    SELECT tenant.oid, relname, a.attname, a.attnum, a.attnotnull, a.atttypid, a.attacl
    FROM tenant JOIN pg_attribute a ON a.attrelid = tenant.oid AND a.attnum > 0 AND NOT a.attisdropped
), granted AS (
    SELECT r.oid, r.nspname, r.relname, r.relkind, NULL::name AS attname, acl.grantee, acl.privilege_type, acl.is_grantable,
           acl.grantee::regrole::text AS who
    FROM relation r, aclexplode(r.relacl) AS acl WHERE acl.grantee <> r.relowner
    UNION ALL
    SELECT r.oid, r.nspname, r.relname, r.relkind, a.attname, acl.grantee, acl.privilege_type, acl.is_grantable,
           acl.grantee::regrole::text
    -- Before PostgreSQL 18 a dropped column keeps its rights, which nobody can use.
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND NOT a.attisdropped, aclexplode(a.attacl) AS acl
), policy AS (
    SELECT p.oid, p.polname, p.polrelid, p.polcmd, p.polpermissive, p.polroles, tenant.relname,
           pg_get_expr(polqual, polrelid) AS shown, pg_get_expr(polwithcheck, polrelid) AS written,
           polroles::regrole[]::text AS roles, format('policy %s on app.%s', polname, relname) AS told
    FROM pg_policy p JOIN tenant ON tenant.oid = p.polrelid
), function AS (
    -- An aggregate has no definition to look at; the golden catalogue has none.
    SELECT p.*, p.oid::regprocedure::text AS signature FROM pg_proc p JOIN room ON room.oid = p.pronamespace
    WHERE p.prokind <> 'a'
), policy_function AS (
    SELECT * FROM function WHERE signature = 'app_private.verify_seal(text,text)' OR oid IN (
        SELECT refobjid FROM pg_depend WHERE classid = 'pg_policy'::regclass AND refclassid = 'pg_proc'::regclass)
), role AS (
    SELECT * FROM pg_roles WHERE rolname LIKE 'taskapp\_%'
), membership AS (
    -- Who made a role in PostgreSQL 16 or later may pass it on, and neither inherits from it nor becomes it; before that
    -- there are no such options.
    SELECT who.rolname AS member, what.rolname AS role,
           coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, who.rolinherit) AS inherits,
           coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS becomes
    FROM pg_auth_members m JOIN pg_roles who ON who.oid = m.member JOIN pg_roles what ON what.oid = m.roleid
), person AS (
    SELECT * FROM pg_roles WHERE rolcanlogin AND rolname NOT LIKE 'taskapp\_%' AND rolname IN (
        SELECT member FROM membership WHERE (inherits OR becomes)
        AND role IN ('taskapp_dba', 'taskapp_auditor', 'taskapp_breakglass'))
)
"""

"""Inspect a database: version, revision, roles, keys, and what is to be done.

It is looked at here and not proved: whether isolation holds is for `flask isolation doctor` to find out.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from alembic.script import ScriptDirectory
from psycopg2.errors import InsufficientPrivilege, UndefinedTable
from psycopg2.extensions import connection, cursor

from taskapp import MIGRATIONS
from taskapp.config import Config
from taskapp.database.patched_versions import is_patched, warning, written
from taskapp.database.pooler_detection import is_pooled
from taskapp.database.signature import SealKey
from taskapp.isolation.database_roles import LOGINS, ROLES, wrong_roles
from taskapp.isolation.schema_revision import DraftSchemaError, is_draft, revision_of
from taskapp.isolation.signature_keys import StoredKey, is_believed, stored_keys
from taskapp.web.authentication.signing_keys import SigningKeys

_INIT = "flask database init"
_LOGS_NO_STATEMENT = {
    # A statement that fails, at a full disk for one, has what a user wrote in it, and a seal.
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length_on_error": "0",
    # Of modules that a server may have.
    "auto_explain.log_min_duration": "-1",
    "pgaudit.log": "none",
}
"""With these values PostgreSQL says in its log what went wrong, and not the statement."""
_ATTRIBUTES = ("superuser", "bypassrls", "createrole", "createdb", "replication")


@dataclass(frozen=True)
class Role:
    """A role of ours: what it may besides what it was granted, and whom it may become or has the rights of."""

    name: str
    login: bool
    inherit: bool
    attributes: list[str]
    member_of: list[str]
    as_it_should_be: bool


@dataclass(frozen=True)
class SigningKeyUse:
    """A key of access tokens in the environment of this process, and what it is good for now."""

    kid: str
    use: str


@dataclass
class Status:
    """What was seen. None stands for what this login may not see, or what is not there."""

    database: str
    login: str
    server: str
    has_rls_fixes: bool
    pooled: bool
    has_schema: bool
    revision: str | None
    newest_revision: str
    roles: list[Role]
    seal_keys: list[StoredKey] | None
    signing_keys: list[SigningKeyUse] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    to_do: list[str] = field(default_factory=list)


def look(conn: connection, config: Config | None) -> Status:
    """Look at the database of ``conn``, and at the keys of this process if it has a configuration.

    :raises psycopg2.Error: as the server has it.
    """
    with conn, conn.cursor() as cur:
        roles = _roles(cur)
        # The catalogue shows it to everybody, and the table itself does not.
        cur.execute(
            "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE (nspname, relname) = ('app', 'alembic_version')"
        )
        has_schema = cur.rowcount > 0
    keys = _seal_keys(conn)
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert head is not None
    seen = Status(
        database=conn.info.dbname,
        login=conn.info.user,
        server=written(conn.server_version),
        has_rls_fixes=is_patched(conn.server_version),
        pooled=is_pooled(conn),
        has_schema=has_schema,
        revision=revision_of(conn),
        newest_revision=head,
        roles=roles,
        seal_keys=keys,
    )
    if warned := warning(conn.server_version):
        seen.warnings.append(warned)
    _judge(seen, local=config is not None and config.environment == "local")
    _judge_log(conn, seen, config)
    if config is not None:
        _judge_environment(conn, seen, config)
    return seen


def _judge(seen: Status, *, local: bool) -> None:
    if seen.pooled and seen.login == "taskapp_migrator":
        seen.to_do.append("TASKAPP_MIGRATION_DATABASE_URL leads through a pooler: migrations need the direct endpoint")
    if missing := sorted(set(ROLES) - {role.name for role in seen.roles}):
        seen.to_do.append(f"the server has no role {', '.join(missing)}: {_INIT}")
    if wrong := [role.name for role in seen.roles if not role.as_it_should_be]:
        seen.to_do.append(f"rights or memberships that would undo isolation: {', '.join(wrong)}")
    if not seen.has_schema:
        seen.to_do.append(f"the schema is missing: {_INIT}")
    elif seen.revision is not None and is_draft(seen.revision):
        seen.to_do.append(str(DraftSchemaError(seen.revision, local=local)))
    elif seen.revision is not None and seen.revision < seen.newest_revision:
        seen.to_do.append(
            f"the database is at revision {seen.revision}, the code at {seen.newest_revision}: flask db upgrade"
        )
    elif seen.revision is not None and seen.revision > seen.newest_revision:
        # While a deployment goes on that is as it should be; the code of a release before cannot know how to undo it.
        seen.to_do.append(
            f"the database is at revision {seen.revision}, ahead of this code, which has {seen.newest_revision}: run the "
            f"release that migrated it, or take that back with its flask db downgrade {seen.newest_revision}"
        )
    if seen.seal_keys is not None and not any(key.believed for key in seen.seal_keys):
        seen.to_do.append(f"no seal key is believed, so nobody can sign in: {_INIT} --new-secrets")


def _judge_log(conn: connection, seen: Status, config: Config | None) -> None:
    """Look at what the server writes into its log of the statements of our logins."""
    with conn, conn.cursor() as cur:
        # A login's own value goes before that of the database and of the server, which this session has.
        cur.execute(
            "SELECT asked.name, found.value, array_agg(login ORDER BY login)"
            " FROM unnest(%s, %s) AS asked (name, value), unnest(%s) AS login, LATERAL (SELECT coalesce((SELECT"
            " split_part(entry, '=', 2) FROM pg_db_role_setting JOIN pg_roles r ON r.oid = setrole, unnest(setconfig) entry"
            " WHERE rolname = login AND split_part(entry, '=', 1) = asked.name"
            " AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
            " ORDER BY setdatabase DESC LIMIT 1), current_setting(asked.name, true)) AS value) AS found"
            " WHERE found.value <> asked.value GROUP BY 1, 2 ORDER BY 1, 2",
            (list(_LOGS_NO_STATEMENT), list(_LOGS_NO_STATEMENT.values()), list(LOGINS)),
        )
        wrong = cur.fetchall()
    # Where somebody else runs the server, there is nothing that the reader could do.
    said = seen.warnings if config is not None and config.platform == "neon" else seen.to_do
    for name, value, logins in wrong:
        of = "" if len(logins) == len(LOGINS) else f" for {', '.join(logins)}"
        said.append(
            f"the server's log gets statements, with what users wrote: {name} is {value}{of}:"
            f" ALTER SYSTEM SET {name} = '{_LOGS_NO_STATEMENT[name]}'"
        )


def _judge_environment(conn: connection, seen: Status, config: Config) -> None:
    signing = SigningKeys(config)
    now = time.time()
    believed = signing.at(now)
    if now < signing.switch_at < float("inf"):
        uses = [f"signs until {minute(config.jwt_switch_at)}", "signs after that"]
    else:
        uses = ["signs"] + ["is believed"] * (len(believed) - 1)
    seen.signing_keys = [SigningKeyUse(key.kid, use) for key, use in zip(believed, uses, strict=True)]
    if seen.seal_keys is None:
        return
    key_id = config.seal_key.partition(":")[0]
    ours = next((key for key in seen.seal_keys if key.key_id == key_id and key.believed), None)
    if ours is None:
        seen.to_do.append(f"TASKAPP_SEAL_KEY is {key_id}, which the database does not believe")
        return
    with conn, conn.cursor() as cur:
        is_ours = is_believed(cur, SealKey.parse(config.seal_key))
    if not is_ours:
        seen.to_do.append(
            f"TASKAPP_SEAL_KEY is {key_id}, and the database has another key of that name: requests are refused"
        )
    elif ours.not_after is not None:
        seen.to_do.append(
            f"TASKAPP_SEAL_KEY is {key_id}, which ends at {minute(ours.not_after)} UTC: deploy the environment that "
            "flask database rotate-key printed, or run it again"
        )


def _seal_keys(conn: connection) -> list[StoredKey] | None:
    try:
        with conn, conn.cursor() as cur:
            return stored_keys(cur)
    except (InsufficientPrivilege, UndefinedTable):
        return None


def _roles(cur: cursor) -> list[Role]:
    wrong = wrong_roles(cur)
    cur.execute(
        "SELECT r.rolname, rolcanlogin, rolinherit, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,"
        " ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid"
        " ORDER BY 1)"
        " FROM pg_roles r WHERE r.rolname = ANY (%s) ORDER BY array_position(%s::text[], r.rolname::text)",
        (list(ROLES), list(ROLES)),
    )
    return [
        Role(
            name,
            login,
            inherit,
            [what for what, has in zip(_ATTRIBUTES, more, strict=True) if has],
            groups,
            name not in wrong,
        )
        for name, login, inherit, *more, groups in cur
    ]


def minute(moment: datetime | None) -> str:
    """Write a moment as people read it, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else "-"

"""`flask database init`: provision a database, or repair one that is provisioned."""

from pathlib import Path

import click
import psycopg2
from psycopg2.extensions import connection
from sqlalchemy.exc import DBAPIError

from taskapp.config import ConfigError, given_secrets
from taskapp.config.postgresql_url import Parameters, read_url, write_url
from taskapp.database.patched_versions import PATCHED, warning, written
from taskapp.database.pooler_detection import is_pooled
from taskapp.isolation.database_roles import LOGINS, RolesError, existing_roles
from taskapp.isolation.schema_revision import DraftSchemaError
from taskapp.isolation.signature_keys import KeyringError
from taskapp.operations.database.environment import handing_over, write_options
from taskapp.operations.database.provision import Environment, new_key_id, new_keys, new_passwords, provision, urls
from taskapp.operations.isolation.dba_connection import clear, logged_in, said

_MIGRATION = "TASKAPP_MIGRATION_DATABASE_URL"
_OPERATOR = "TASKAPP_OPERATOR_DATABASE_URL"
_KEEP_OR_REPLACE = (
    "Load it, as by `set -a; . ./taskapp.env; set +a`, and all of it stays good;\n"
    "or give --new-secrets to replace every password and key, which voids the environment in use."
)


@click.command(short_help="Make roles and keys, migrate, print the environment.")
@click.option(
    "--admin-url",
    required=True,
    envvar="TASKAPP_ADMIN_DATABASE_URL",
    help="postgresql://owner@host/database, the direct endpoint, as the database's owner with CREATEROLE; also from "
    "TASKAPP_ADMIN_DATABASE_URL. Asks for the password if the URL has none.",
)
@click.option("--pooled-host", help="Host (and :port) of the transaction-mode pooler; on Neon it is found by itself.")
@click.option("--new-secrets", is_flag=True, help="Replace every password and key; the environment in use is void at once.")
@click.option("--given", is_flag=True, help="Take the passwords and keys of this environment, on a new server too.")
@click.option("--roles-only", is_flag=True, help="Stop after the roles: a backup is restored into that database next.")
@write_options
@clear
def init(
    admin_url: str,
    pooled_host: str | None,
    new_secrets: bool,
    given: bool,
    roles_only: bool,
    file: Path | None,
    force: bool,
) -> None:
    """Make roles and keys, migrate, and print the environment to set.

    Needs no superuser: the role that owns the database and may create roles is enough. Nothing secret is written to disk
    unless --write says where.

    Run it again, in the environment that it printed, to set roles, grants and settings right and to migrate: passwords and
    keys stay, and what is new is added. In no environment it refuses, as it would void the one in use.

    --given is for whoever has passwords and keys already, from `flask database new-secrets`, or because this server takes
    the place of another one: all of them have to be set, none is made, and nothing is printed.
    """
    admin = _direct(admin_url)
    if given and (new_secrets or pooled_host or file):
        raise click.UsageError("--given makes and prints nothing: not with --new-secrets, --pooled-host or --write")
    with handing_over(file, force=force) as hand_over:
        with logged_in(admin_url) as conn:
            _check_server(conn)
            # With the password that was asked for.
            admin_url = write_url({**admin, "password": conn.info.password})
            there = existing_roles(conn) & set(LOGINS)
        if given:
            environment = _given(admin_url)
            _provision(admin_url, _passwords(environment), environment, kept=True, roles_only=roles_only)
            return
        kept = _kept(admin_url) if there and not new_secrets else {}
        # Who is there keeps their password, also one that this environment does not know.
        passwords = {role: new for role, new in new_passwords().items() if not kept or role not in there} | _passwords(kept)
        environment = _environment(admin, passwords, kept, pooled_host)
        _provision(admin_url, passwords, environment, kept=bool(kept), roles_only=roles_only)
        hand_over(environment)


def _environment(admin: Parameters, passwords: dict[str, str], kept: Environment, pooled_host: str | None) -> Environment:
    """Name all that is to be set: what is kept as it stands, unless another pooler is to be named, and the rest anew."""
    made = urls(lambda role: _url(admin, role, passwords.get(role, ""), pooled_host))
    if pooled_host:
        kept = {name: value for name, value in kept.items() if name not in made or name == _MIGRATION}
    environment = {**made, **new_keys(new_key_id()), **kept}
    if "taskapp_operator" not in passwords:
        environment.pop(_OPERATOR)
    return environment


def _provision(admin_url: str, passwords: dict[str, str], environment: Environment, *, kept: bool, roles_only: bool) -> None:
    steps: list[str] = []

    def say(step: str) -> None:
        steps.append(step)
        click.echo(f"{step} …", err=True)

    try:
        provision(admin_url, passwords, environment, say, roles_only=roles_only)
    except (ConfigError, DraftSchemaError, RolesError, KeyringError) as error:
        raise click.ClickException(str(error)) from error
    except (psycopg2.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        assert isinstance(cause, psycopg2.Error)
        again = "" if kept or len(steps) < 2 else "\nNothing was printed, so run it again with --new-secrets."
        raise click.ClickException(f"{said(cause)}{again}") from error


def _direct(admin_url: str) -> Parameters:
    """Read the administrator's URL, which leads to the server itself."""
    try:
        admin = read_url(admin_url)
    except ValueError as error:
        raise click.UsageError(f"--admin-url {error}") from None
    if "-pooler" in (host := admin.get("host", "")):
        direct = host.replace("-pooler", "", 1)
        raise click.UsageError(f"--admin-url names a pooler; roles and migrations need the direct endpoint, {direct}")
    return admin


def _check_server(conn: connection) -> None:
    """Refuse what the rest could not be done with; warn of what it can, and of what is no reason to stop."""
    version = conn.server_version
    if version < min(PATCHED) * 10_000:
        raise click.ClickException(f"PostgreSQL {min(PATCHED)} or newer is needed; this is {written(version)}")
    if is_pooled(conn):
        raise click.ClickException(
            "--admin-url leads through a pooler; roles and migrations need the server itself: give the direct endpoint"
        )
    if (encoding := conn.info.parameter_status("server_encoding")) != "UTF8":
        raise click.ClickException(
            f"the database has the encoding {encoding}, in which not everything can be written: make it anew, by"
            f" CREATE DATABASE {conn.info.dbname} TEMPLATE template0 ENCODING 'UTF8'"
        )
    if warned := warning(version):
        click.echo(f"warning: {warned}", err=True)


def _kept(admin_url: str) -> Environment:
    """Return the secrets in use, of which only the operator's URL may be missing.

    :raises click.ClickException: when they are not given, or are those of another database.
    """
    environment, wrong = _judged(admin_url, {*urls(str), *new_keys("-")} - {_OPERATOR})
    if wrong:
        raise click.ClickException(
            f"this server was made ready before, and its environment is not given: {wrong}.\n{_KEEP_OR_REPLACE}"
        )
    return environment


def _given(admin_url: str) -> Environment:
    """Return all secrets, for a server that may know none of them yet.

    :raises click.ClickException: when one is not given, or they are those of another database.
    """
    environment, wrong = _judged(admin_url, {*urls(str), *new_keys("-")})
    if wrong:
        raise click.ClickException(f"--given takes passwords and keys from the environment: {wrong}")
    return environment


def _judged(admin_url: str, needed: set[str]) -> tuple[Environment, str]:
    """Return the secrets of this process, and what is wrong with them."""
    try:
        secrets = given_secrets()
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    if missing := sorted(needed - set(secrets)):
        return secrets, f"{', '.join(missing)} not set" if secrets else "no TASKAPP_ variables set"
    try:
        theirs, ours = _place(secrets[_MIGRATION]), _place(admin_url)
    except ValueError as error:
        raise click.ClickException(f"{_MIGRATION} {error}") from None
    if theirs != ours:
        return secrets, f"{_MIGRATION} is of {theirs}, not of {ours}"
    return secrets, ""


def _place(url: str) -> str:
    place = read_url(url)
    return f"{place.get('host', 'localhost')}:{place.get('port', '5432')}/{place.get('dbname', '')}"


def _passwords(kept: Environment) -> dict[str, str]:
    """Read each login role's password out of its URL.

    :raises click.ClickException: when one is no URL.
    """
    passwords = {}
    for name in urls(str).keys() & kept.keys():
        try:
            place = read_url(kept[name])
        except ValueError as error:
            raise click.ClickException(f"{name} {error}") from None
        if "user" in place and "password" in place:
            passwords[place["user"]] = place["password"]
    return passwords


_OF_THE_ADMINISTRATOR = ("user", "password", "passfile", "sslpassword")


def _url(admin: Parameters, role: str, password: str, pooled_host: str | None) -> str:
    """Write the administrator's URL for another role; all but migrations go through the pooler."""
    place = {name: value for name, value in admin.items() if name not in _OF_THE_ADMINISTRATOR}
    if role != "taskapp_migrator":
        place |= _pooler(place, pooled_host)
    return write_url({"user": role, "password": password, **place})


def _pooler(place: Parameters, given: str | None) -> Parameters:
    """Return host and port of the pooler: the one that is given, or Neon's; anywhere else there is nothing to guess."""
    if given is not None:
        try:
            named = read_url(f"postgresql://{given}/")
        except ValueError:
            named = {}
        if set(named) - {"host", "port"} or "host" not in named:
            raise click.UsageError("--pooled-host is a host, or host:port")
        return {"port": "", **named}
    name, dot, rest = place.get("host", "").partition(".")
    # Neon's answers at the first label with `-pooler`.
    return {"host": f"{name}-pooler.{rest}"} if dot and rest.endswith(".neon.tech") and "," not in rest else {}

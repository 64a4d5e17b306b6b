"""`flask database`: what an administrator does once per database.

Registered as a plugin of flask's (setup.cfg) and not on the application, which cannot start before this has run.
"""

from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import click
import psycopg2
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from taskapp.isolation.bootstrap import RolesError
from taskapp.provision import new_keys, new_passwords, provision, urls

database = AppGroup("database", help="Prepare a PostgreSQL database (Neon or any other).")


@database.command(with_appcontext=False)
@click.option("--admin-url", required=True, help="Direct URL of the database, as its owner with CREATEROLE.")
@click.option("--pooled-host", help="Host (and :port) of the transaction-mode pooler; on Neon it is found by itself.")
def init(admin_url: str, pooled_host: str | None) -> None:
    """Make roles and keys, migrate, and print the environment to set.

    Run it again and every password and key is replaced: the environment printed before is void then.
    """
    try:
        admin = urlsplit(admin_url)
        if admin.scheme not in {"postgresql", "postgres"}:
            raise ValueError("another scheme")
    except ValueError as error:
        raise click.UsageError("--admin-url has to be postgresql://role:password@host/database") from error
    if "-pooler" in (admin.hostname or ""):
        raise click.UsageError("--admin-url names a pooler; roles and migrations need the direct endpoint")
    direct = admin.netloc.rpartition("@")[2]

    passwords = new_passwords()

    def url_of(role: str) -> str:
        host = direct if role == "taskapp_migrator" else pooled_host or _neon_pooler(direct)
        return admin._replace(netloc=f"{role}:{quote(passwords[role])}@{host}").geturl()

    environment = {**urls(url_of), **new_keys(f"k{datetime.now(UTC):%Y%m%d%H%M%S}")}
    try:
        provision(admin_url, passwords, environment, lambda step: click.echo(f"{step} …", err=True))
    except RolesError as error:
        raise click.ClickException(str(error)) from error
    except (psycopg2.Error, DBAPIError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise click.ClickException(f"{admin.hostname or 'the database'}: {reason[0] if reason else error!r}") from error
    for name, value in environment.items():
        click.echo(f"{name}='{value}'")


def _neon_pooler(host: str) -> str:
    """Neon's pooler answers at the first label with ``-pooler``; anywhere else there is nothing to guess."""
    name, dot, rest = host.partition(".")
    return f"{name}-pooler.{rest}" if dot and rest.split(":")[0].endswith(".neon.tech") else host

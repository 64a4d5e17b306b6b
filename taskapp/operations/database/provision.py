"""Provision a database: secrets, roles, migrations and signature key, in the order of their dependencies."""

import os
import secrets
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

from flask_migrate import upgrade

from taskapp import create_app
from taskapp.config import Config
from taskapp.database.connect import connect
from taskapp.database.signature import SealKey
from taskapp.isolation.database_roles import LOGINS, make_roles
from taskapp.isolation.schema_revision import refuse_draft, revision_of
from taskapp.isolation.signature_keys import install_key
from taskapp.operations.generate_private_key import new_private_key

Environment = dict[str, str]


def new_passwords() -> dict[str, str]:
    """Make a password for each login role."""
    return {role: secrets.token_urlsafe(24) for role in LOGINS}


def new_key_id() -> str:
    """Name a seal key after the second it is made in, and so that no other key of that second has this name.

    A key of the same name would replace the other one in the database.
    """
    return f"k{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(4)}"


def new_keys(key_id: str) -> Environment:
    """Make the key that seals identities, under the name ``key_id``, and those that sign the two kinds of tokens."""
    return {
        "TASKAPP_SEAL_KEY": new_seal_key(key_id),
        "TASKAPP_JWT_PRIVATE_KEY": new_private_key(),
        "TASKAPP_REFRESH_KEYS": secrets.token_hex(32),
    }


def new_seal_key(key_id: str) -> str:
    """Make a key that seals identities, as the setting has it."""
    return f"{key_id}:{secrets.token_hex(32)}"


def urls(url_of: Callable[[str], str]) -> Environment:
    """Name each role's URL as the application knows it."""
    return {
        "TASKAPP_DATABASE_URL": url_of("taskapp_api"),
        "TASKAPP_AUTH_DATABASE_URL": url_of("taskapp_auth"),
        "TASKAPP_MIGRATION_DATABASE_URL": url_of("taskapp_migrator"),
        "TASKAPP_OPERATOR_DATABASE_URL": url_of("taskapp_operator"),
    }


def provision(
    admin_url: str,
    passwords: dict[str, str],
    environment: Environment,
    say: Callable[[str], None],
    *,
    roles_only: bool = False,
) -> None:
    """Make the roles, migrate, and install the seal key. Safe to repeat.

    This process takes on ``environment``, as every process that is to work with the database has to.

    :param passwords: of login roles, by name; one that exists and is not named keeps its own.
    :param roles_only: stop after the roles, which a backup names as owners: it brings tables and keys along.
    :param say: is told each step as it begins.
    :raises DraftSchemaError: when the database holds a draft of the schema, after the roles were made.
    :raises RolesError: when a role or the administrator is not what it has to be; nothing is changed then.
    :raises KeyringError: when the seal key was retired.
    :raises psycopg2.Error: as the server has it.
    :raises sqlalchemy.exc.DBAPIError: as the server has it.
    """
    for name in environment:
        # A file would be believed in its place.
        os.environ.pop(f"{name}_FILE", None)
    os.environ.update(environment)
    config = Config.from_environment()
    say("roles")
    make_roles(admin_url, passwords)
    if roles_only:
        return
    # As taskapp_migrator, who may read it; the administrator may not.
    with closing(connect(environment["TASKAPP_MIGRATION_DATABASE_URL"])) as conn:
        refuse_draft(revision_of(conn), local=config.environment == "local")
    say("migrations")
    with create_app(config).app_context():
        upgrade()
    say("seal key")
    install_key(environment["TASKAPP_MIGRATION_DATABASE_URL"], SealKey.parse(config.seal_key))

"""`flask database new-secrets`: generate every password and key before the server exists."""

import secrets
from pathlib import Path

import click

from taskapp.operations.database.environment import handing_over, write_options
from taskapp.operations.database.provision import new_key_id, new_keys, new_passwords


@click.command("new-secrets", short_help="Print passwords and keys for docker-compose.yml.")
@write_options
def new_secrets(file: Path | None, force: bool) -> None:
    """Make a password for each login and service of docker-compose.yml, and the keys; print them as its `.env`.

    No server is asked and none is needed. `flask database init --given` makes a database that knows them.
    """
    passwords = {f"{role.upper()}_PASSWORD": password for role, password in new_passwords().items()}
    others = {name: secrets.token_urlsafe(24) for name in ("POSTGRES_PASSWORD", "TASKAPP_REDIS_PASSWORD")}
    with handing_over(file, force=force) as hand_over:
        hand_over({**others, **passwords, **new_keys(new_key_id())})

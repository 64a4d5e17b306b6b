"""`flask database rotate-key`: replace signature key and access-token key in one deployment, without downtime."""

import time
from datetime import timedelta
from pathlib import Path

import click

from taskapp.config import Config, ConfigError, given_secrets, switching
from taskapp.database.signature import SealKey
from taskapp.isolation.signature_keys import KeyringError, hand_over
from taskapp.operations.database.environment import handing_over, write_options
from taskapp.operations.database.provision import new_key_id, new_seal_key
from taskapp.operations.generate_private_key import new_private_key
from taskapp.operations.isolation.dba_connection import clear
from taskapp.web.authentication.signing_keys import SigningKeys


@click.command("rotate-key", short_help="Replace the keys in use; no request fails.")
@click.option(
    "--overlap",
    metavar="MINUTES",
    default=24 * 60,
    show_default=True,
    type=click.IntRange(min=1, max=31 * 24 * 60),
    help="How long the old keys stay good. Within it every process has to be restarted with the new environment.",
)
@write_options
@clear
def rotate_key(overlap: int, file: Path | None, force: bool) -> None:
    """Replace the seal key and the key that signs access tokens; print the new environment.

    Run it in the environment in use, and restart every process with the one that it prints before the overlap is over. No
    request fails meanwhile and nobody is logged out, as old and new keys are good. When it is over, the old seal key is void
    and the new key begins to sign access tokens, in all processes at once; the old one's last tokens stay good until they
    expire. All of that happens by itself: there is no second step.

    TASKAPP_REFRESH_KEYS stays as it is: replacing it takes as long as its tokens last, and docs/security.md says how. Keys
    that somebody else may know are void at once with `flask database init --new-secrets`, which logs everybody out.
    """
    try:
        config, environment = Config.from_environment(), given_secrets()
    except ConfigError as error:
        raise click.ClickException(f"{error}. Run this in the environment in use.") from error
    signing = _signing_key(config)
    if config.migration_database_url is None:
        raise click.ClickException("TASKAPP_MIGRATION_DATABASE_URL is not set: the keys are taskapp_migrator's to replace")
    environment["TASKAPP_SEAL_KEY"] = new_seal_key(new_key_id())
    with handing_over(file, force=force) as hand_over_environment:
        old, new = SealKey.parse(config.seal_key), SealKey.parse(environment["TASKAPP_SEAL_KEY"])
        try:
            end = hand_over(config.migration_database_url, old, new, timedelta(minutes=overlap))
        except KeyringError as error:
            raise click.ClickException(f"{error}; is this the environment in use?") from error
        environment["TASKAPP_JWT_PRIVATE_KEY"] = switching([signing, new_private_key()], end)
        hand_over_environment(environment)
    click.echo(
        f"Restart every process with this environment before {end:%Y-%m-%d %H:%M:%S} UTC. "
        "Then the old keys end by themselves, and processes that still use them fail.",
        err=True,
    )


def _signing_key(config: Config) -> str:
    """Return the one key of access tokens that counts.

    :raises click.ClickException: when another one is about to take its place.
    """
    if config.environment == "local":
        raise click.ClickException("`make run` keeps keys of its own: it makes new ones when .taskapp/secrets.json is gone")
    keys = SigningKeys(config)
    signing, *others = keys.at(time.time())
    if others and config.jwt_switch_at is None:
        raise click.ClickException("TASKAPP_JWT_PRIVATE_KEY holds more than one key: finish with flask jwt-key first")
    if others:
        minutes = (keys.over_at - time.time()) // 60 + 1
        raise click.ClickException(f"a rotation is under way; the next one can begin in {minutes:.0f} minutes")
    return signing.pem

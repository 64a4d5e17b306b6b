"""`flask jwt-key`: replace the key that signs access tokens, without logging anybody out.

Three steps, each a deployment of the value it prints: `add` publishes a next key, `promote` signs with it, `retire` forgets
the old one. Between two, wait until everybody has seen the step before: verifiers keep the published keys for some minutes,
and the old key's last token lives on for its lifetime.
"""

import time

import click
from flask import current_app
from flask.cli import AppGroup

from taskapp.config import LOCAL_MARK
from taskapp.operations.generate_private_key import new_private_key
from taskapp.web.authentication.access_token import access_tokens

jwt_key = AppGroup("jwt-key", help="Replace the key that signs access tokens.")


def _keys() -> list[str]:
    """Return the keys that count by now, as PEM; the first signs."""
    return [key.pem for key in access_tokens().keys.at(time.time())]


def _show(keys: list[str], then: str) -> None:
    # The value goes to standard output alone, so that it can be sent to where secrets are kept.
    text = "\n".join(key.strip() for key in keys)
    if current_app.config["TASKAPP"].environment == "local":
        # Production goes on refusing what was made here.
        text = f"{LOCAL_MARK}\n{text}"
    click.echo(f"TASKAPP_JWT_PRIVATE_KEY='{text}\n'")
    click.echo(then, err=True)


@jwt_key.command()
def add() -> None:
    """Publish a next key beside the one that signs."""
    keys = _keys()
    if len(keys) > 1:
        raise click.ClickException("there is a next key already: promote it, or retire the old one")
    _show([*keys, new_private_key()], "Deploy this everywhere. Ten minutes later: flask jwt-key promote")


@jwt_key.command()
def promote() -> None:
    """Sign with the next key; go on believing the one before."""
    keys = _keys()
    if len(keys) < 2:
        raise click.ClickException("there is no next key: flask jwt-key add")
    minutes = current_app.config["TASKAPP"].access_token_seconds // 60 + 1
    _show([keys[-1], *keys[:-1]], f"Deploy this everywhere. {minutes} minutes later: flask jwt-key retire")


@jwt_key.command()
def retire() -> None:
    """Forget every key but the one that signs."""
    keys = _keys()
    if len(keys) < 2:
        raise click.ClickException("there is no old key")
    _show(keys[:1], "Deploy this everywhere. That is all.")

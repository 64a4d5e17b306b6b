"""The roles the application logs in as. Which one a query needs is the feature's to say, by one word."""

from typing import cast

from flask import Flask, current_app

from taskapp.config import Config, ConfigError
from taskapp.database.database import Database


def init_app(app: Flask, config: Config) -> None:
    """Prepare a pool for each; connections are made when first needed. Called by the application factory."""
    app.extensions["taskapp_api"] = Database(config.database_url, config)
    app.extensions["taskapp_auth"] = Database(config.auth_database_url, config)
    if config.operator_database_url is not None:
        app.extensions["taskapp_operator"] = Database(config.operator_database_url, config)


def api() -> Database:
    """What signed-in users do: can read a task, cannot read a password's hash."""
    return cast(Database, current_app.extensions["taskapp_api"])


def auth() -> Database:
    """Register and log in: can read one password's hash, cannot read a task."""
    return cast(Database, current_app.extensions["taskapp_auth"])


def operator() -> Database:
    """What the person who runs the service does: sees accounts, never what is in them.

    :raises ConfigError: when this process was not given that role.
    """
    if "taskapp_operator" not in current_app.extensions:
        raise ConfigError("TASKAPP_OPERATOR_DATABASE_URL is not set: this needs the role taskapp_operator")
    return cast(Database, current_app.extensions["taskapp_operator"])

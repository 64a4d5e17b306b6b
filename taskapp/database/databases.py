"""The databases of an application: one per login role. A query names the role it needs by one word."""

from dataclasses import dataclass

from flask import Flask

from taskapp.config import Config, ConfigError
from taskapp.database.database import Database
from taskapp.services import provide, service


@dataclass(frozen=True)
class Databases:
    """The same PostgreSQL as each role that this process has the password of."""

    api: Database
    auth: Database
    operator: Database | None

    def by_role(self) -> dict[str, Database]:
        """Return those of the served application by their role."""
        return {"taskapp_api": self.api, "taskapp_auth": self.auth}

    def dispose(self) -> None:
        """Close the idle connections of all of them."""
        for database in (self.api, self.auth, self.operator):
            if database is not None:
                database.dispose()


def init_app(app: Flask, config: Config) -> None:
    """Prepare a pool for each; connections are made when first needed. Called by the application factory."""
    operator = config.operator_database_url
    databases = Databases(
        api=Database(config.database_url, config),
        auth=Database(config.auth_database_url, config),
        operator=Database(operator, config) if operator is not None else None,
    )
    provide(app, databases)


def api() -> Database:
    """What signed-in users do: can read a task, cannot read a password's hash."""
    return service(Databases).api


def auth() -> Database:
    """Register and log in: can read one password's hash, cannot read a task."""
    return service(Databases).auth


def operator() -> Database:
    """What the person who runs the service does: sees accounts, never what is in them.

    :raises ConfigError: when this process was not given that role.
    """
    database = service(Databases).operator
    if database is None:
        raise ConfigError("TASKAPP_OPERATOR_DATABASE_URL is not set: this needs the role taskapp_operator")
    return database

"""Being somebody at the application's own pool, below HTTP, and applications on other roads to PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from conftest import Person
from flask import Flask

from isolation.conftest import User
from taskapp import create_app
from taskapp.config import Config
from taskapp.database import identity
from taskapp.database.database import Database
from taskapp.database.databases import Databases
from taskapp.database.identity import Identity, RequestContext
from taskapp.services import service
from taskapp.web.authentication.access_token import access_tokens


@contextmanager
def acting(who: Identity, *, read_only: bool = False, request_id: str = "test-1") -> Iterator[None]:
    """Do what follows as `who`."""
    token = identity.begin(RequestContext("acting", request_id, read_only, who))
    try:
        yield
    finally:
        identity.end(token)


def api(app: Flask) -> Database:
    """What the application reaches as `taskapp_api`."""
    database = service(Databases, app).api
    assert isinstance(database, Database)
    return database


@contextmanager
def application_on(url: Callable[[str], str], **settings: Any) -> Iterator[Flask]:
    """Another application with the same keys, which reaches each role by `url`."""
    urls = {"database_url": url("taskapp_api"), "auth_database_url": url("taskapp_auth")}
    app = create_app(replace(Config.from_environment(), **{**urls, **settings}))
    try:
        yield app
    finally:
        service(Databases, app).dispose()


def client_of(app: Flask, user: User) -> Person:
    """A user as a client of `app`, signed in without the time that a password takes."""
    with app.app_context():
        token = access_tokens().issue(UUID(user.id), UUID(user.session_id))
    return Person(app.test_client(), {"Authorization": f"Bearer {token}"}, user.id)

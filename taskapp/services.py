"""The services of an application, one of each type: made by the application factory, read while requests are answered."""

from typing import Any, TypeVar

from flask import Flask, current_app

_KEY = "taskapp"

Service = TypeVar("Service")


def provide(app: Flask, service: object) -> None:
    """Make ``service`` the application's one of its type."""
    app.extensions.setdefault(_KEY, {})[type(service)] = service


def service(kind: type[Service], app: Flask | None = None) -> Service:
    """Return the service of a type, of ``app`` or else of the application that answers the request.

    :raises KeyError: when the application has none.
    """
    services: dict[type[Any], Any] = (app or current_app).extensions[_KEY]
    found: Service = services[kind]
    return found

"""Connections outside the pool: by a URL that :func:`taskapp.config.postgresql_url.read_url` has read."""

from typing import Any

import psycopg2
from psycopg2.extensions import connection

from taskapp.config.postgresql_url import arguments


def connect(url: str, **more: Any) -> connection:
    """Connect by a URL.

    :raises ValueError: when it is none, with the rest of a sentence that begins with its name.
    :raises psycopg2.Error: as the server, or libpq, has it.
    """
    made: connection = psycopg2.connect(**{**arguments(url), **more})
    return made

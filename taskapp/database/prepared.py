"""Prepared statements of a feature: a statement, and the values of its parameters."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Executable


class Prepared(NamedTuple):
    """What :meth:`taskapp.database.database.Database.execute` takes, as the queries of features return it.

    A statement that is put together once for many requests has parameters; one that is made for one request has none.
    """

    statement: Executable
    parameters: Mapping[str, Any] = MappingProxyType({})

"""Reading requests strictly: what cannot be understood exactly is refused, never guessed at.

The libraries' defaults lose data quietly: a body of another content type counts as an empty patch, of two members with
one name the last one wins, an unknown query parameter is ignored.
"""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

import marshmallow as ma
from flask import Request
from webargs.flaskparser import FlaskParser

from taskapp.api.problems import FieldError, Problem, invalid


class Parser(FlaskParser):
    """webargs' parser with the house's rules."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """Read the body.

        :raises Problem: 415 for another content type, 400 for what is not JSON.
        """
        allowed = {"application/json"} | ({"application/merge-patch+json"} if req.method == "PATCH" else set())
        if req.mimetype not in allowed:
            raise Problem("unsupported_media_type")
        try:
            # RFC 8259 leaves duplicate names and NaN to the reader; RFC 7493 section 2 (I-JSON) refuses both.
            return json.loads(req.get_data(), object_pairs_hook=_object, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Problem("malformed_request", "The body is not valid JSON.") from error

    def handle_error(self, error: ma.ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        """Turn marshmallow's nested messages into the list of RFC 9457's ``errors``."""
        messages = error.messages
        assert isinstance(messages, dict)
        raise invalid(
            FieldError(message.code, str(message), pointer="#" + path if location == "json" else None, parameter=path[1:])
            for location, nested in messages.items()
            for path, message in _flatten(nested, "")
        ) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member name occurs twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _flatten(messages: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Walk marshmallow's messages, yielding each with the RFC 6901 pointer to its place."""
    if isinstance(messages, dict):
        for name, nested in messages.items():
            # marshmallow files what is wrong with an object as a whole under "_schema".
            step = "" if name == "_schema" else "/" + str(name).replace("~", "~0").replace("/", "~1")
            yield from _flatten(nested, path + step)
    else:
        for message in messages:
            yield path, message

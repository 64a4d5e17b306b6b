"""Reading requests strictly: what cannot be understood exactly is refused, never guessed at.

The libraries' defaults lose data quietly: a body of another content type counts as an empty patch, of two members with
one name the last one wins, an unknown query parameter is ignored, and so is a body that an operation does not take.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, NoReturn
from urllib.parse import quote

import marshmallow as ma
from flask import Request
from gunicorn.http.errors import ParseException
from webargs.flaskparser import FlaskParser

from taskapp.web.requests.request_target import is_text
from taskapp.web.responses.problems import FieldError, Problem, invalid
from taskapp.web.schema import Schema

DEEPEST = 10
WIDEST = 1_000

# RFC 9110 section 8.3.1. No blank can be matched in two ways, so a long header takes no longer than its length.
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = rf'({_NAME})=({_NAME}|"(?:[^"\\]|\\.)*")[ \t]*'
_CONTENT_TYPE = re.compile(rf"({_NAME}/{_NAME})[ \t]*((?:;[ \t]*(?:{_PARAMETER})?)*)")
# RFC 8259 section 8.1. The second is no registered name, and what many clients write.
_CHARSETS = {"utf-8", "utf8"}


class Parser(FlaskParser):
    """webargs' parser with the house's rules."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}

    def use_args(self, argmap: Any, *args: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Read by one instance of a schema: making one for each request would take longer than using it.

        Threads share it, so no schema or field may keep anything of what it loads.
        """
        return super().use_args(argmap() if isinstance(argmap, type) else argmap, *args, **kwargs)

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """Read the body.

        :raises Problem: 415 for another content type, charset or coding, 400 for what is not JSON, more than 10 levels deep,
            or too wide.
        """
        allowed = {"application/json"} | ({"application/merge-patch+json"} if req.method == "PATCH" else set())
        # Generated clients name the content type of a body that they leave out.
        if getattr(schema, "body_optional", False) and req.mimetype in {"", *allowed} and not body_of(req):
            return {}
        _check_media_type(req, allowed)
        try:
            # RFC 8259 leaves duplicate names and NaN to the reader; RFC 7493 section 2 (I-JSON) refuses both. It asks for
            # UTF-8; given bytes, `json` would guess among more encodings, and let lone surrogates in.
            value = json.loads(body_of(req).decode(), object_pairs_hook=_object, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Problem("malformed_request", "The body is not valid JSON.") from error
        for level, members in _containers(value):
            if level > DEEPEST:
                raise Problem("malformed_request", f"The body is nested more than {DEEPEST} levels deep.")
            if members > WIDEST:
                # Each would be looked at, and could be an error of its own.
                raise Problem("malformed_request", f"The body has an object or an array of more than {WIDEST} members.")
        return value

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        """Read the parameters of the URL.

        :raises Problem: 422 for one that is given twice, unless it is a list.
        """
        single = {name for name, field in schema.fields.items() if not isinstance(field, ma.fields.List)}
        twice = [name for name, values in req.args.lists() if len(values) > 1 and name in single]
        if twice:
            raise invalid(FieldError("duplicate", "Is given more than once.", parameter=name) for name in twice)
        return super().load_querystring(req, schema)

    def handle_error(self, error: ma.ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        """Turn marshmallow's nested messages into the list of RFC 9457's ``errors``."""
        messages = error.messages
        assert isinstance(messages, dict)
        raise invalid(
            FieldError(message.code, str(message), pointer="#" + "".join(map(_step, path)))
            if location == "json"
            else FieldError(message.code, str(message), parameter=path[0])
            for location, nested in messages.items()
            for path, message in _flatten(nested, [])
        ) from error


def body_of(req: Request) -> bytes:
    """Read the body.

    :raises Problem: 413. A body sent in chunks names no length, and werkzeug cuts such a one off at the limit. 400 when the
        chunks make no sense, or the client went away.
    """
    try:
        body = req.get_data()
    except (OSError, ParseException) as error:
        raise Problem("malformed_request", "The body could not be read.") from error
    if req.max_content_length is not None and len(body) >= req.max_content_length:
        raise Problem("payload_too_large")
    return body


def refuse_what_is_not_taken(req: Request, takes: Collection[str]) -> None:
    """Refuse the parts of a request that its operation declares nothing for.

    :param takes: the locations that it reads, such as ``query`` and ``json``, each by a schema of its own.
    :raises Problem: 422 for parameters and for a body, 400 for a query that is no text and a body that cannot be read.
    """
    if not is_text(req.query_string.decode("latin-1")):
        raise Problem("malformed_request", "The query is not percent-encoded UTF-8.")
    if "query" not in takes and req.query_string:
        _PARSER.parse(_NO_PARAMETERS, req, location="query")
    if "json" not in takes and _has_body(req):
        raise invalid([FieldError("unexpected_body", "Must not be there: this operation takes no body.", pointer="#")])


def _has_body(req: Request) -> bool:
    if req.content_length is not None:
        return req.content_length > 0
    try:
        return bool(req.stream.read(1))
    except (OSError, ParseException) as error:
        raise Problem("malformed_request", "The body could not be read.") from error


def _check_media_type(req: Request, allowed: Collection[str]) -> None:
    found = _CONTENT_TYPE.fullmatch(req.headers.get("Content-Type", "").strip(" \t"))
    if found is None or found[1].lower() not in allowed:
        raise Problem("unsupported_media_type")
    for name, value in re.findall(_PARAMETER, found[2]):
        # Also by its name of RFC 2231, `charset*`.
        if name.lower().startswith("charset") and re.sub(r"\\(.)", r"\1", value.strip('"')).lower() not in _CHARSETS:
            raise Problem("unsupported_media_type", "The body has to be UTF-8: name that charset, or none.")
    codings = req.headers.get("Content-Encoding", "").split(",")
    if any(coding.strip(" \t").lower() not in {"", "identity"} for coding in codings):
        # RFC 9110 section 12.5.3. To unpack what a client has packed takes more memory than it has sent.
        detail = "Send the body as it is: this API reads no compressed one."
        raise Problem("unsupported_media_type", detail, headers={"Accept-Encoding": "identity"})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member name occurs twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _containers(value: Any, level: int = 1) -> Iterator[tuple[int, int]]:
    """Walk the objects and arrays of a body, outermost first: how deep each is, and how many members it has."""
    if isinstance(value, dict | list):
        yield level, len(value)
        for item in value.values() if isinstance(value, dict) else value:
            yield from _containers(item, level + 1)


def _step(name: str) -> str:
    """Write one step of a pointer, as RFC 6901 has it within a fragment (section 6)."""
    return "/" + quote(name.replace("~", "~0").replace("/", "~1"), safe="!$&'()*+,;=:@?~", errors="replace")


def _flatten(messages: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
    """Walk marshmallow's messages, yielding each with the names that lead to its place."""
    if isinstance(messages, dict):
        for name, nested in messages.items():
            yield from _flatten(nested, [*path, str(name)])
    else:
        for message in messages:
            # marshmallow files what is wrong with an object as a whole under "_schema"; a client may use that name too.
            whole = path[-1:] == ["_schema"] and message.code != "unknown_member"
            yield path[:-1] if whole else path, message


_PARSER = Parser()
_NO_PARAMETERS = Schema()

"""What the document says of an operation, beyond what its schemas say: conditions, headers, failures."""

import inspect
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import marshmallow as ma
from flask_smorest.utils import resolve_schema_instance

from taskapp.web.openapi import error_responses
from taskapp.web.openapi.headers import BY_STATUS, COUNTED, EVERY_RESPONSE
from taskapp.web.requests import idempotency, preconditions

View = TypeVar("View", bound=Callable[..., Any])

CONDITIONS = {
    "IfMatch": {
        "name": "If-Match",
        "description": 'Change only the version with this ETag, such as `"3"`; else the answer is 412. `*` is any version.',
        "schema": {"type": "string", "pattern": preconditions.PATTERN},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "description": 'Answer 304, without a body, when the ETag is still this one, such as `"3"`.',
        "schema": {"type": "string", "pattern": preconditions.PATTERN},
    },
    "IdempotencyKey": {
        "name": idempotency.HEADER,
        "description": "A name you make for this request and no other, such as a UUID. Sent again with it within 24 hours, "
        "the request is not carried out a second time: the answer is the first one, with `Idempotency-Replayed: true`.",
        "schema": {"type": "string", "pattern": idempotency.PATTERN},
    },
}
"""Parameters in headers, by the names of their components.

They have no examples: tools that try an operation out send those, and the answers would be 412, 304, or an earlier one.
"""


def annotate(key: str, *values: str) -> Callable[[View], View]:
    """Make a decorator that leaves a note on a view, for :func:`document`."""

    def note(view: View) -> View:
        notes: dict[str, Any] = getattr(view, "_apidoc", {})
        view._apidoc = {**notes, key: [*notes.get(key, ()), *values]}  # type: ignore[attr-defined]
        return view

    return note


def locations(view: Any) -> frozenset[str]:
    """Return where an operation reads from, by the schemas it declares: ``query``, ``json``."""
    declared = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", ())
    return frozenset(parameter["in"] for parameter in declared)


def document(doc: dict[str, Any], doc_info: dict[str, Any], *, spec: Any, method: str, **_: Any) -> dict[str, Any]:
    """Complete what flask-smorest knows of an operation."""
    if conditions := doc_info.get("conditions"):
        doc["parameters"] = [*doc.get("parameters", []), *conditions]
    public = doc_info.get("manual_doc", {}).get("security") == []
    answers = {int(status): answer for status, answer in sorted(doc["responses"].items()) if int(status) < 400}
    for status, answer in answers.items():
        of_operation = [] if public else [*COUNTED]
        of_operation += ["Location"] if 201 in answers else []
        of_operation += [idempotency.REPLAYED] if "IdempotencyKey" in doc_info.get("conditions", ()) else []
        _describe(answer, status, of_operation)
    codes = error_responses.implied(doc, method) | set(doc_info.get("fails", ()))
    doc["responses"] = {
        **answers,
        **{status: _shared(spec, group) for status, group in error_responses.by_status(codes).items()},
    }
    return doc


def paragraph(documented: Any) -> str:
    """Return a docstring as Markdown."""
    return " ".join((inspect.getdoc(documented) or "").replace("``", "`").split())


def _describe(answer: dict[str, Any], status: int, of_operation: list[str]) -> None:
    schema: ma.Schema | None = next(
        (resolve_schema_instance(media["schema"]) for media in answer.get("content", {}).values()), None
    )
    members = set(schema.fields) if schema else set()
    names = [*EVERY_RESPONSE, *of_operation, *BY_STATUS.get(status, ())]
    names += ["ETag"] if members & {"etag", "task"} else []
    answer["headers"] = {**{name: name for name in names}, **answer.get("headers", {})}
    if answer["description"] == HTTPStatus(status).phrase:
        answer["description"] = (
            paragraph(type(schema)).partition(". ")[0].rstrip(".") + "." if schema else "Done; there is no body."
        )


def _shared(spec: Any, codes: list[str]) -> str:
    name, response = error_responses.component(codes)
    if name not in spec.components.responses:
        spec.components.response(name, response)
    return name

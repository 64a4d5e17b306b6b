"""What the document says of responses that holds for many operations: their headers, and the failures that have some."""

from http import HTTPStatus
from typing import Any

from apispec import APISpec

from taskapp.api.parser import DEEPEST
from taskapp.api.rate_limits import LIMIT, POLICY, RETRY_AFTER, WINDOW_SECONDS
from taskapp.config import Config

REQUEST_ID, CHALLENGE, LINK, ETAG, LOCATION = "X-Request-Id", "WWW-Authenticate", "Link", "ETag", "Location"


def _header(description: str, example: str | int, always: bool = True) -> dict[str, Any]:
    kind = "integer" if isinstance(example, int) else "string"
    return {"description": description, "required": always, "schema": {"type": kind, "example": example}}


HEADERS = {
    REQUEST_ID: _header("Names this request in the service's log.", "0198f3c27b1e7c559a3e5b1f6f0a9d11"),
    # Not said to be there always, as public operations fail with the same responses.
    POLICY: _header(
        "Which limit the request was counted by, how many it allows, in how many seconds from the first: `default` counts "
        "what one user sends, `anonymous` what one client network sends without a good token.",
        f'"default";q=600;w={WINDOW_SECONDS}',
        always=False,
    ),
    LIMIT: _header("How many requests remain, and in how many seconds all are there again.", '"default";r=598;t=42', False),
    RETRY_AFTER: _header("After so many seconds it is worth trying again.", 42),
    CHALLENGE: _header("How to show who one is (RFC 6750).", 'Bearer realm="taskapp"'),
    LINK: _header(
        "`rel=service-desc`: this document. On a page, `rel=next`: the next one, if there is one.",
        '</v1/tasks?cursor=…>; rel="next", </openapi.json>; rel="service-desc"',
    ),
    ETAG: _header("The version of what is in the body.", '"1"'),
    LOCATION: _header("Where the new resource is.", "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"),
}
_OF_FAILURES = {401: [CHALLENGE], 429: [RETRY_AFTER], 503: [RETRY_AFTER]}


def register_headers(spec: APISpec) -> None:
    """Make the components that responses refer to."""
    for name, header in HEADERS.items():
        spec.components.header(name, header, lazy=True)


def headers_of_failure(status: int | None) -> dict[str, str]:
    """Name the headers of a problem."""
    return _references([REQUEST_ID, POLICY, LIMIT, *_OF_FAILURES.get(status or 0, [])])


def describe_failures(config: Config) -> dict[int | None, str]:
    """Say what some failures mean here, by status."""
    return {
        400: f"It cannot be read. A body is one value of JSON, nested at most {DEEPEST} levels deep.",
        413: f"The body has more than {config.max_body_bytes:,} bytes.",
    }


def describe_responses(doc: dict[str, Any], *, public: bool, versioned: bool) -> None:
    """Add to an operation the failures that every such one has, and to its successes their headers.

    :param public: it asks for no token.
    :param versioned: it is under /v1.
    """
    responses = doc["responses"] = {str(status): response for status, response in doc["responses"].items()}
    of_body = [400, 413, 415] if "requestBody" in doc else []
    for failure in [*([] if public else [401]), *of_body, *([429, 503] if versioned else [])]:
        responses.setdefault(str(failure), HTTPStatus(failure).name)
    for status, response in responses.items():
        if isinstance(response, dict):
            names = [REQUEST_ID] + ([] if public else [POLICY, LIMIT]) + ([LINK] if versioned else [])
            if status == "304" or _shows_a_version(response):
                names.append(ETAG)
            if "201" in responses:
                names.append(LOCATION)
            response["headers"] = _references(names)


def _shows_a_version(response: dict[str, Any]) -> bool:
    schemas = [content["schema"] for content in response.get("content", {}).values()]
    fields = {name for schema in schemas for name in schema.fields}
    # What is answered is a thing with its version, or a task and what happened to it.
    return bool(fields & {"etag", "task"})


def _references(names: list[str]) -> dict[str, str]:
    return {name: name for name in names}

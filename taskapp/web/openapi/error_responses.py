"""What the document says of failures: which problems an operation may answer, and what each looks like.

Most follow from what an operation takes, so that no route has to repeat them; what only some views raise, they name with
:meth:`taskapp.web.blueprint.Blueprint.fails`.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from flask_smorest.utils import resolve_schema_instance

from taskapp.web.openapi.headers import BY_STATUS, COUNTED, EVERY_RESPONSE
from taskapp.web.openapi.problem_examples import example
from taskapp.web.responses.problems import PROBLEMS

MERGE_PATCH = "application/merge-patch+json"
_PUBLIC_URL = "https://tasks.example.com"


def implied(doc: dict[str, Any], method: str) -> set[str]:
    """Return the codes that follow from what an operation takes: its method, its parameters, its body."""
    # Parameters and bodies that an operation does not take are refused; see web/requests/parser.py.
    codes = {"internal_error", "service_unavailable", "validation_error"}
    # What the server refuses before the application sees it: see taskapp/serving/gunicorn_worker.py.
    codes |= {"malformed_request", "request_timeout", "uri_too_long", "headers_too_large"}
    if method != "get":
        # A condition that an operation does not know is refused; see web/blueprint.py.
        codes |= {"precondition_failed"}
    for parameter in doc.get("parameters", []):
        if isinstance(parameter, dict) and parameter["in"] == "query":
            codes |= {"invalid_cursor"} if "cursor" in resolve_schema_instance(parameter["schema"]).fields else set()
    if content := doc.get("requestBody", {}).get("content"):
        codes |= {"payload_too_large", "unsupported_media_type", "not_nullable"}
        codes |= {"read_only"} if MERGE_PATCH in content else set()
    return codes


def by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    """Sort codes into their statuses."""
    found = defaultdict(list)
    for code in sorted(codes, key=list(PROBLEMS).index):
        found[PROBLEMS[code].status].append(code)
    return dict(sorted(found.items()))


def component(codes: list[str]) -> tuple[str, dict[str, Any]]:
    """Make the reusable response for ``codes`` of one status, named after them."""
    status = PROBLEMS[codes[0]].status
    described = [f"`{code}`: {PROBLEMS[code].meaning}" for code in codes]
    examples = {code: {"summary": PROBLEMS[code].title, "value": example(code, _PUBLIC_URL)} for code in codes}
    response = {
        "description": described[0] if len(codes) == 1 else "\n".join(f"- {line}" for line in described),
        "headers": {name: name for name in (*EVERY_RESPONSE, *COUNTED, *BY_STATUS.get(status, ()))},
        "content": {"application/problem+json": {"schema": "Problem", "examples": examples}},
    }
    return "Or".join("".join(word.capitalize() for word in code.split("_")) for code in codes), response

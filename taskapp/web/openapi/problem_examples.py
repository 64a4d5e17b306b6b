"""An example of each kind of problem, made by the code that makes the real ones."""

from typing import Any

from taskapp.web.responses.problems import FieldError, Problem, invalid

_REQUEST_ID = "0198f3c27b1e7c559a3e5b1f6f0a9d11"
_TASK = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d12"

# Where a problem is typically met, if that is not the creation of a task.
_INSTANCES = {
    "invalid_credentials": "/v1/auth/login",
    "not_found": _TASK,
    "method_not_allowed": _TASK,
    "email_taken": "/v1/auth/register",
    "occurrence_mismatch": f"{_TASK}/complete",
    "precondition_failed": _TASK,
    "read_only": _TASK,
    "not_nullable": _TASK,
    "reauthentication_required": "/v1/me/password",
    "insufficient_scope": "/v1/me/export",
}

_POLICIES: dict[str, Any] = {"violated-policies": ["default"]}

# Those whose documents have members of their own.
_PROBLEMS = {
    "precondition_failed": Problem("precondition_failed", current_etag='"3"'),
    "rate_limited": Problem("rate_limited", None, **_POLICIES),
    "validation_error": invalid(
        [
            FieldError("too_short", "Must have 1 or more characters.", pointer="#/title"),
            FieldError("unknown_timezone", "Must be the name of an IANA time zone.", pointer="#/due/timezone"),
        ]
    ),
    "read_only": invalid([FieldError("read_only", "Cannot be changed.", pointer="#/created_at")]),
    "not_nullable": invalid([FieldError("not_nullable", "Must not be null.", pointer="#/title")]),
}


def example(code: str, public_url: str, prefix: str = "") -> dict[str, Any]:
    """Shape a document of this kind, as the service at ``public_url`` would below the path ``prefix``."""
    problem = _PROBLEMS.get(code) or Problem(code)
    return problem.document(public_url, prefix + _INSTANCES.get(code, "/v1/tasks"), _REQUEST_ID)

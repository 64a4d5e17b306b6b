"""Errors: one table, one shape (RFC 9457), one handler for everything that can go wrong.

`code` is the stable contract; `detail` may change. PostgreSQL's own words never leave the server: they can quote the very
row that a policy hides.
"""

import logging
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Flask, Response, g, request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from taskapp.database import identity
from taskapp.database.database import sqlstate
from taskapp.database.identity import TokenUser
from taskapp.web.proxy.path_prefix import public_path, public_url

logger = logging.getLogger("taskapp.problems")


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of failure: its status, its title, what has happened, and what whoever wrote the client is to do.

    ``meaning`` is also the ``detail`` of a problem that has none of its own; both are shown at ``/problems/``.
    """

    status: int
    title: str
    meaning: str
    remedy: str


PROBLEMS = {
    "malformed_request": ProblemType(
        400,
        "Malformed request",
        "The request could not be read: it is not valid HTTP, not valid JSON, or more than 10 levels deep.",
        "Let a JSON library write the body: UTF-8, one value, no member twice, no NaN. Let a URL library encode the query: "
        '`%` and two hex digits, UTF-8. Conditional headers take quoted tags: `If-Match: "3"`; `Idempotency-Key` and '
        "`Authorization` are sent once. Sending the same request again fails again.",
    ),
    "invalid_cursor": ProblemType(
        400,
        "Invalid cursor",
        "The cursor was not made by this API, or for another list. Start again without one.",
        "Pass `next_cursor` on exactly as you got it, with the same filters and the same sort as for the page before.",
    ),
    "missing_token": ProblemType(
        401,
        "Sign in first",
        "This operation needs an access token: `Authorization: Bearer <access token>`.",
        "Register or log in, and send the `access_token` of the answer in this header. Tokens in the URL or in the body do "
        "not count.",
    ),
    "invalid_token": ProblemType(
        401,
        "Invalid token",
        "The token is malformed, expired or revoked, or its session has ended.",
        "Trade your refresh token at `POST /v1/auth/refresh` once, and repeat the request with the new access token. If "
        "that fails too, the session is over: let the user log in. A personal access token has to be made anew.",
    ),
    "invalid_credentials": ProblemType(
        401,
        "Invalid credentials",
        "No account has this e-mail address together with this password.",
        "Ask the user to type both again. The answer is the same whether or not the address has an account. Attempts are "
        "counted, so do not repeat them by program.",
    ),
    "not_found": ProblemType(
        404,
        "Not found",
        "There is no such resource, or none that belongs to you.",
        "Check the address. If it is right, the resource is gone, or never was yours: drop it from what you keep. Tasks in "
        "the trash are found with `GET /v1/tasks?deleted=only`.",
    ),
    "insufficient_scope": ProblemType(
        403,
        "Insufficient scope",
        "A personal access token was sent that is not good for this operation. Where one could be, the header "
        "`WWW-Authenticate` names the scope it needs.",
        "Make a token with that scope, or sign in: what concerns the account itself takes an access token.",
    ),
    "method_not_allowed": ProblemType(
        405,
        "Method not allowed",
        "The resource exists and does not offer this method; the header Allow names those it does.",
        "Use one of the methods in `Allow`. Changes are made with PATCH; there is no PUT.",
    ),
    "request_timeout": ProblemType(
        408,
        "Request timeout",
        "The request did not come in within 20 seconds, or whatever this service allows.",
        "Send it again, in one go, on a new connection. Nothing of it was carried out.",
    ),
    "email_taken": ProblemType(
        409,
        "E-mail address taken",
        "An account with this e-mail address exists already.",
        "Offer to log in instead, or ask for another address. Capital letters make no difference.",
    ),
    "id_conflict": ProblemType(
        409,
        "Id taken",
        "You have something with this id already, and it was created from something else.",
        "Take a new UUID for every new thing, and send the same one only to repeat the very same request.",
    ),
    "list_archived": ProblemType(
        409,
        "Archived list",
        "The list is archived: no task can be created in it or moved into it.",
        "Choose another list, or take it out of the archive with `updateList` and `archived: false`, and send the request "
        "again. Tasks that are in the list can be changed, completed and moved out of it.",
    ),
    "occurrence_mismatch": ProblemType(
        409,
        "Another occurrence",
        "The occurrence named is not the one that is due now, and was not completed before.",
        "Get the task again, and show what is due now before completing it.",
    ),
    "quota_exceeded": ProblemType(
        422,
        "Quota exceeded",
        "You have as many of these as one account may have.",
        "Delete some, and empty the trash: what is in it counts too.",
    ),
    "idempotency_in_progress": ProblemType(
        409,
        "Still under way",
        "A request with this `Idempotency-Key` is being carried out.",
        "Send it again after the seconds named in `Retry-After`; you will get its answer.",
    ),
    "idempotency_key_reused": ProblemType(
        422,
        "Idempotency key reused",
        "This `Idempotency-Key` was used for another request within the last 24 hours.",
        "Make a new key for every request, and send the same one only to repeat the very same request.",
    ),
    "precondition_failed": ProblemType(
        412,
        "Precondition failed",
        "The resource has changed since: If-Match does not name its current ETag.",
        "Get the resource, apply the change to what is there now, and send it with the new ETag; `current_etag` names it. "
        "An operation that knows no conditions refuses them too, as `detail` then says: leave the header out.",
    ),
    "payload_too_large": ProblemType(
        413,
        "Payload too large",
        "The body of the request is over the limit: 256 KiB, unless this service has another.",
        "Send a smaller body. Every text has a limit of its own besides, which the API reference names.",
    ),
    "uri_too_long": ProblemType(
        414,
        "URI too long",
        "The request line is over the limit: 8,190 bytes, unless this service has another.",
        "Ask for less at a time: fewer filters, a shorter search. A cursor is never so long.",
    ),
    "headers_too_large": ProblemType(
        431,
        "Headers too large",
        "A header of the request is over the limit, or there are too many of them.",
        "Send only the headers that this API knows. One that grew by itself, such as Cookie, is not needed here.",
    ),
    "unsupported_media_type": ProblemType(
        415,
        "Unsupported media type",
        "Send the body as application/json; a PATCH also as application/merge-patch+json.",
        "Set the header `Content-Type: application/json`. With curl that takes `-H`: `-d` alone sends a form. Send UTF-8, "
        "and no compressed body.",
    ),
    "validation_error": ProblemType(
        422,
        "Validation failed",
        "The request was understood and some of its members are not acceptable; `errors` lists them.",
        "Mend each place that `errors` names: `pointer` is one in the body (RFC 6901; `#` is all of it), `parameter` one of "
        "the URL. Go by the `code` of each, and show its `detail` to people.",
    ),
    "read_only": ProblemType(
        422,
        "Read-only member",
        "Read-only members may be sent back as they are, but not with another value.",
        "Leave out the members that `errors` names, or send them as you got them.",
    ),
    "not_nullable": ProblemType(
        422,
        "Not nullable",
        "The members named in `errors` cannot be cleared with null.",
        "Leave a member out to keep its value, or send another value.",
    ),
    "rate_limited": ProblemType(
        429,
        "Too many requests",
        "Wait for the seconds named in Retry-After, then try again.",
        "Let the client wait by itself for as long as `Retry-After` says. Trying earlier does not shorten it.",
    ),
    "reauthentication_required": ProblemType(
        403,
        "Password needed",
        "This operation needs your current password, and the one given is not it.",
        "Ask the user for the current password and send it as `password`. The access token is still good.",
    ),
    "internal_error": ProblemType(
        500,
        "Internal error",
        "Something went wrong on our side. The request id leads its operators to the cause.",
        "Report it to whoever runs the service, with the `request_id`. A change may have been made or not: look before you "
        "repeat it.",
    ),
    "service_unavailable": ProblemType(
        503,
        "Service unavailable",
        "The service cannot answer right now. Try again after the seconds named in Retry-After.",
        "Wait for as long as `Retry-After` says and try again, longer each time. A change may have been made, so repeat one "
        "only if that does no harm: a new task, for instance, under an id that you chose.",
    ),
}

RETRY_AFTER_SECONDS = 2

_BY_STATUS = {
    400: "malformed_request",
    404: "not_found",
    429: "rate_limited",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    503: "service_unavailable",
}

# SQLSTATE, or its class of two characters, to a code. What is missing is our own fault, so a 500.
_BY_SQLSTATE = {
    "TA001": "invalid_token",  # the session has ended, or there is no such token
    "TA004": "insufficient_scope",
    "08": "service_unavailable",  # connection exception
    "53": "service_unavailable",  # insufficient resources, too many connections
    "57": "service_unavailable",  # operator intervention: shut down, still starting, statement timeout
    "58": "service_unavailable",  # the server's own files or disk fail
    "55P03": "service_unavailable",  # lock timeout
    "25P03": "service_unavailable",  # idle in a transaction for too long: the server has ended the connection
    "25P04": "service_unavailable",  # so it has after a transaction of more than 30 s
    "25P02": "service_unavailable",  # an earlier statement of the transaction failed, so nothing of it is kept
    "40": "service_unavailable",  # deadlock, serialisation: rolled back, so trying again is safe
}
CHECK_VIOLATION = "23514"
UNKNOWN_TIMEZONE = "22023"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one member of the body (``pointer``, RFC 6901) or one parameter of the URL."""

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def to_dict(self) -> dict[str, str]:
        """Shape the entry of ``errors``."""
        place = {"pointer": self.pointer} if self.pointer is not None else {"parameter": self.parameter or ""}
        return {**place, "code": self.code, "detail": self.detail}


# What the database refuses, by the name of the constraint; some of these are raised by our functions there.
_BY_CONSTRAINT: dict[str, str | FieldError] = {
    "users_email_key": "email_taken",
    "users_timezone_known": FieldError("unknown_timezone", "Is not known to this server.", pointer="#/timezone"),
    "personal_access_tokens_name_check": FieldError("invalid_value", "Is not acceptable.", pointer="#/name"),
    "personal_access_tokens_expires_at_check": FieldError("out_of_range", "Must be in the future.", pointer="#/expires_at"),
    "lists_id_check": FieldError("invalid_value", "Must not be the nil UUID.", pointer="#/id"),
    "lists_after_unknown": FieldError("unknown_list", "Must be another one of your lists.", pointer="#/after"),
    "tags_task_count": FieldError("read_only", "Cannot be changed.", pointer="#/task_count"),
    "tasks_id_not_nil": FieldError("invalid_value", "Must not be the nil UUID.", pointer="#/id"),
    "tasks_list_id_fkey": FieldError("unknown_list", "Must be one of your lists.", pointer="#/list_id"),
    "tasks_list_archived": "list_archived",
    "tasks_parent_id_fkey": FieldError("unknown_task", "Must be one of your tasks.", pointer="#/parent_id"),
    "tasks_parent_is_another": FieldError("too_deep", "Must be another task.", pointer="#/parent_id"),
    "tasks_one_level": FieldError("too_deep", "A subtask has no subtasks.", pointer="#/parent_id"),
    "tasks_list_of_parent": FieldError("list_of_parent", "A subtask is in the list of its parent.", pointer="#/list_id"),
    "tasks_after_unknown": FieldError(
        "unknown_task", "Must be another task of the same list and parent.", pointer="#/after"
    ),
    "tasks_due_date_required": FieldError("required", "Is required.", pointer="#/due/date"),
    "tasks_due_time_required": FieldError(
        "required", "A time zone needs a time: set it, or clear the zone with it.", pointer="#/due/time"
    ),
    "tasks_due_in_range": FieldError("out_of_range", "Must lie within the years 1 to 9999, also in UTC.", pointer="#/due"),
    "tasks_metadata_check": FieldError("too_many", "Must have 50 or fewer keys.", pointer="#/metadata"),
}


# The database has a list of its own of time zones, which may be older than ours.
_NO_SUCH_ZONE = FieldError("unknown_timezone", "Is not known to this server.", pointer="#/due/timezone")


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """Raise it anywhere below a request to answer with a problem document."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        errors: Iterable[FieldError] = (),
        headers: dict[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail or PROBLEMS[code].meaning
        self.errors = list(errors)
        self.headers = headers or {}
        self.extensions = extensions

    def document(self, public_url: str, path: str, request_id: str) -> dict[str, Any]:
        """Shape the document of RFC 9457 section 3, for the request it answers.

        :param public_url: what ``type`` begins with; without an origin it is relative (RFC 9457 section 3.1.1).
        """
        kind = PROBLEMS[self.code]
        body: dict[str, Any] = {
            "type": f"{public_url}/problems/{self.code.replace('_', '-')}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "instance": path,
            "code": self.code,
            "request_id": request_id,
            **self.extensions,
        }
        if self.errors:
            body["errors"] = [error.to_dict() for error in self.errors]
        return body


MOST_ERRORS = 50
"""So many are listed; `detail` has the number of all."""


def invalid(errors: Iterable[FieldError]) -> Problem:
    """Make the 422 for ``errors``; where all are of one kind that has a code of its own, that is the problem's."""
    errors = list(errors)
    kinds = {error.code for error in errors}
    code = kinds.pop() if kinds == {"read_only"} or kinds == {"not_nullable"} else "validation_error"
    members = "1 member is invalid." if len(errors) == 1 else f"{len(errors)} members are invalid."
    return Problem(code, members if code == "validation_error" else None, errors=errors[:MOST_ERRORS])


def init_app(app: Flask) -> None:
    """Answer every failure of ``app`` with a problem. Called by the application factory."""
    app.register_error_handler(Problem, problem_response)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(DBAPIError, _database_error)
    app.register_error_handler(PoolTimeout, _pool_timeout)
    app.register_error_handler(Exception, _unhandled)


def problem_response(problem: Problem) -> Response:
    """Answer with the document of ``problem``, and the headers that belong to it."""
    kind = PROBLEMS[problem.code]
    g.problem_code = problem.code
    body = problem.document(public_url(), public_path(request.path), identity.current().request_id)
    headers = dict(problem.headers)
    if kind.status == 401:
        # RFC 6750 section 3: the error is named only when a token was there to be wrong.
        reason = ', error="invalid_token"' if problem.code == "invalid_token" else ""
        headers["WWW-Authenticate"] = f'Bearer realm="taskapp"{reason}'
    if problem.code == "insufficient_scope":
        who = identity.current().identity
        # RFC 6750 section 3: all that are needed, with a blank between two.
        needed = f', scope="{" ".join((who.scope, *who.also))}"' if isinstance(who, TokenUser) and who.scope else ""
        headers["WWW-Authenticate"] = f'Bearer realm="taskapp", error="insufficient_scope"{needed}'
    if kind.status == 503:
        headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return Response(orjson.dumps(body), kind.status, headers, content_type="application/problem+json")


def _http_exception(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:
        return error
    code = _BY_STATUS.get(error.code)
    if code is None:
        logger.error("no problem for HTTP status %s", error.code)
        code = "internal_error" if error.code >= 500 else "malformed_request"
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    return problem_response(Problem(code, headers=headers))


def violated(error: DBAPIError) -> str | None:
    """Return the name of the constraint that a statement would have broken."""
    name: str | None = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return name


def _database_error(error: DBAPIError) -> Response:
    return problem_response(database_problem(error))


def database_problem(error: DBAPIError) -> Problem:
    """Make the problem that tells a client of an error of the database, and log what it does not tell."""
    state = sqlstate(error)
    constraint = violated(error)
    if state == UNKNOWN_TIMEZONE:
        return invalid([_NO_SUCH_ZONE])
    if constraint is not None and constraint.endswith("_user_id_fkey"):
        # The account was deleted while this request was under way.
        return Problem("invalid_token")
    if constraint in _BY_CONSTRAINT:
        known = _BY_CONSTRAINT[constraint]
        return Problem(known) if isinstance(known, str) else invalid([known])
    if state == CHECK_VIOLATION and constraint is not None and constraint.endswith("_check"):
        # The CHECKs repeat the schemas' rules. Where the two disagree, as on characters that only one of them knows yet, the
        # client is told the place. PostgreSQL names such a constraint <table>_<column>_check.
        _log_database_error(error, state, constraint, "validation_error")
        column = constraint.removesuffix("_check").partition("_")[2]
        return invalid([FieldError("invalid_value", "Is not acceptable.", pointer=f"#/{column}")])
    code = _BY_SQLSTATE.get(state) or _BY_SQLSTATE.get(state[:2])
    if code is None and (error.connection_invalidated or (not state and error.statement is None)):
        # Lost on the way, or never reached: psycopg2 has no SQLSTATE for either. Or given up on, as one to a standby.
        code = "service_unavailable"
    if code not in {"invalid_token", "insufficient_scope"}:
        _log_database_error(error, state, constraint, code)
    return Problem(code or "internal_error")


def _log_database_error(error: DBAPIError, state: str, constraint: str | None, code: str | None) -> None:
    # Errors of the classes 22 (data) and 23 (integrity) quote what a user wrote; the log gets their code and place only.
    diag = getattr(error.orig, "diag", None)
    message = getattr(diag, "message_primary", None) or (str(error.orig) if not state else None)
    told = {
        "sqlstate": state,
        "constraint": constraint,
        "database_message": None if state[:2] in {"22", "23"} else message,
    }
    if code != "service_unavailable":
        # A database that cannot serve is not to be found in our code, and while it is away everybody's request ends here.
        told["stack"] = "".join(traceback.format_tb(error.__traceback__))
    logger.error("database error", extra=told)


def _pool_timeout(error: PoolTimeout) -> Response:
    logger.error("no free database connection")
    return problem_response(Problem("service_unavailable"))


def _unhandled(error: Exception) -> Response:
    logger.error("unhandled exception", exc_info=error)
    return problem_response(Problem("internal_error"))

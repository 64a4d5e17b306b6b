"""Answering a request that comes again with its first answer, by the header ``Idempotency-Key``.

After draft-ietf-httpapi-idempotency-key-header-06. The key is claimed, the effect made and the answer kept in one
transaction, so there is never one without the other. Kept are success, and what the rules of tasks and lists refuse. Where a
body was not accepted, a sign-in failed or a server was away, the key may be used again.
"""

import functools
import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from flask import Response, request
from sqlalchemy import Executable, ForeignKeyConstraint, Index, Insert, Row, SmallInteger, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, aliased, mapped_column

from taskapp.database import databases
from taskapp.database.database import sqlstate
from taskapp.database.models import Base, Owned
from taskapp.web.current_config import settings
from taskapp.web.requests.idempotent_create import reached
from taskapp.web.requests.parser import body_of
from taskapp.web.responses.problems import FieldError, Problem, problem_response

View = TypeVar("View", bound=Callable[..., Any])

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

KEPT_PROBLEMS = {"not_found", "id_conflict", "occurrence_mismatch", "precondition_failed", "quota_exceeded"}
# A string of RFC 8941 section 3.3.3 with 1 to 255 characters, or its content as it is, which most clients send. A comma is
# only in the former: it is also what a server or proxy writes between the values of two headers.
_QUOTED = r'"(?:[ !#-\[\]-~]|\\["\\]){1,255}"'
_BARE = r"[!#-+\--~][ -+\--~]{0,254}"
PATTERN = f"^({_QUOTED}|{_BARE})$"

_KEPT_HOURS = 24
# A deadlock or the like; and what comes of trying on after a statement of the transaction has failed.
_UNDONE = {"40", "25"}


class Answer(Owned, Base):
    """What a request was answered with. The database's rules about it are in migration 0106."""

    __tablename__ = "idempotency_records"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id"], ["app.users.user_id"], name="idempotency_records_user_id_fkey", ondelete="CASCADE"
        ),
        Index("idempotency_records_stored_at_idx", "user_id", "stored_at"),
        {"comment": "What requests with an Idempotency-Key were answered with; kept for 24 hours, then purged."},
    )

    key: Mapped[str] = mapped_column(
        primary_key=True, comment="The Idempotency-Key, unique within its owner's rows.", sort_order=-1
    )
    request_fingerprint: Mapped[bytes] = mapped_column(comment="SHA-256 of method, path and body of the request.")
    status: Mapped[int] = mapped_column(SmallInteger, comment="HTTP status of the answer.")
    body: Mapped[str] = mapped_column(comment="Body of the answer.")
    location: Mapped[str | None] = mapped_column(comment="Header Location of the answer, or NULL.")
    etag: Mapped[str | None] = mapped_column(comment="Header ETag of the answer, or NULL.")
    stored_at: Mapped[datetime] = mapped_column(server_default=text("now()"), comment="When the request was answered first.")


def idempotent(view: View) -> View:
    """Wrap a view: with a key that was answered before, it is not called.

    :raises Problem: 400 for a malformed key, 409 when a request with it is under way, 422 when it was used for another one.
    """

    @functools.wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Response:
        header = request.headers.get(HEADER)
        if header is None:
            return cast(Response, view(*args, **kwargs))
        key, request_fingerprint = _read(header), _fingerprint()
        try:
            return _answer(key, request_fingerprint, lambda: view(*args, **kwargs))
        except DBAPIError as error:
            if sqlstate(error)[:2] not in _UNDONE:
                raise
        # Another transaction was in the way. All of this one is undone, so it may be tried again.
        return _answer(key, request_fingerprint, lambda: view(*args, **kwargs))

    return cast(View, answer)


def _answer(key: str, request_fingerprint: bytes, view: Callable[[], Response]) -> Response:
    with databases.api().together() as transaction:
        (row,) = transaction.execute(_claim(key))
        if not row.claimed:
            return _replayed(row, request_fingerprint)
        if row.full:
            raise Problem("quota_exceeded", f"You have used too many keys within {_KEPT_HOURS} hours.")
        try:
            response = view()
        except Problem as problem:
            if problem.code not in KEPT_PROBLEMS:
                raise
            response = problem_response(problem)
        transaction.execute(_store(key, request_fingerprint, response))
    return response


def _read(header: str) -> str:
    if re.fullmatch(_QUOTED, header):
        return re.sub(r"\\(.)", r"\1", header[1:-1])
    if re.fullmatch(_BARE, header):
        return header
    error = FieldError("invalid_value", "Must be one key of 1 to 255 printable ASCII characters.", parameter=HEADER)
    raise Problem("malformed_request", f"The header {HEADER} is malformed.", errors=[error])


def _fingerprint() -> bytes:
    return hashlib.sha256(b"\0".join((request.method.encode(), request.path.encode(), body_of(request)))).digest()


def _claim(key: str) -> Executable:
    """Select whether ``key`` is ours now, or else the answer it was given before, if any; and whether others can be kept."""
    claimed = select(func.app.claim_idempotency_key(key).label("claimed")).subquery("claim")
    kept = (Answer.request_fingerprint, Answer.status, Answer.body, Answer.location, Answer.etag)
    since = func.now() - timedelta(hours=_KEPT_HOURS)
    others = aliased(Answer)
    full = reached(select(others.key).where(others.stored_at >= since), settings().answers_per_user)
    before = (Answer.key == key) & (Answer.stored_at >= since)
    return select(claimed.c.claimed, full, *kept).select_from(claimed.outerjoin(Answer, before))


def _store(key: str, request_fingerprint: bytes, response: Response) -> Insert:
    return insert(Answer).values(
        key=key,
        request_fingerprint=request_fingerprint,
        status=response.status_code,
        body=response.get_data(as_text=True),
        location=response.headers.get("Location"),
        etag=response.headers.get("ETag"),
    )


def _replayed(row: Row[Any], request_fingerprint: bytes) -> Response:
    if row.request_fingerprint is None:
        # Also when the other request was answered between the beginning of our statement and its look at the key.
        raise Problem("idempotency_in_progress", headers={"Retry-After": "1"})
    if row.request_fingerprint != request_fingerprint:
        raise Problem("idempotency_key_reused")
    headers = {"Location": row.location, "ETag": row.etag}
    response = Response(
        row.body,
        row.status,
        {name: value for name, value in headers.items() if value is not None},
        content_type="application/json" if row.status < 400 else "application/problem+json",
    )
    response.headers[REPLAYED] = "true"
    return response

"""Answering a request that comes again with its first answer, by the header ``Idempotency-Key``.

After draft-ietf-httpapi-idempotency-key-header-06. The key is claimed, the effect made and the answer kept in one
transaction, so there is never one without the other. Only what asking again would not change is kept: success, and what the
rules of tasks and lists refuse. Where a body was not accepted, a sign-in failed or a server was away, the key may be
used again.
"""

import functools
import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, cast

from flask import Response, request
from sqlalchemy import ForeignKeyConstraint, Index, Insert, Row, Select, SmallInteger, func, insert, select, text
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.api.problems import FieldError, Problem, problem_response
from taskapp.isolation import roles
from taskapp.isolation.models import Base, Owned

View = TypeVar("View", bound=Callable[..., Any])

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

_KEPT_PROBLEMS = {"not_found", "id_conflict", "occurrence_mismatch", "precondition_failed", "quota_exceeded"}
# A string of RFC 8941 section 3.3.3, or its content as it is, which most clients send.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-~][ -~]*")
_LONGEST = 255


class Answer(Owned, Base):
    """What a request was answered with. The database's rules about it are in migration 0010."""

    __tablename__ = "answers"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["app.users.user_id"], name="answers_user_id_fkey", ondelete="CASCADE"),
        Index("answers_answered_at_idx", "user_id", "answered_at"),
        {"comment": "What requests with an Idempotency-Key were answered with; kept for 24 hours."},
    )

    key: Mapped[str] = mapped_column(
        primary_key=True, comment="The Idempotency-Key, unique within its owner's rows.", sort_order=-1
    )
    asked: Mapped[bytes] = mapped_column(comment="SHA-256 of method, path and body of the request.")
    status: Mapped[int] = mapped_column(SmallInteger, comment="HTTP status of the answer.")
    body: Mapped[str] = mapped_column(comment="Body of the answer.")
    location: Mapped[str | None] = mapped_column(comment="Header Location of the answer, or NULL.")
    etag: Mapped[str | None] = mapped_column(comment="Header ETag of the answer, or NULL.")
    answered_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), comment="When the request was answered first."
    )


def answer_once(view: View) -> View:
    """Wrap a view: with a key that was answered before, it is not called.

    :raises Problem: 400 for a malformed key, 409 when a request with it is under way, 422 when it was used for another one.
    """

    @functools.wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Response:
        header = request.headers.get(HEADER)
        if header is None:
            return cast(Response, view(*args, **kwargs))
        key, asked = _read(header), _fingerprint()
        with roles.api().together() as transaction:
            (row,) = transaction.execute(_claim(key))
            if not row.claimed:
                return _again(row, asked)
            try:
                response: Response = view(*args, **kwargs)
            except Problem as problem:
                if problem.code not in _KEPT_PROBLEMS:
                    raise
                response = problem_response(problem)
            transaction.execute(_keep(key, asked, response))
        return response

    return cast(View, answer)


def _read(header: str) -> str:
    if quoted := _QUOTED.fullmatch(header):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    else:
        key = header if _BARE.fullmatch(header) else ""
    if not 1 <= len(key) <= _LONGEST:
        error = FieldError("invalid_value", f"Must have 1 to {_LONGEST} printable ASCII characters.", parameter=HEADER)
        raise Problem("malformed_request", f"The header {HEADER} is malformed.", errors=[error])
    return key


def _fingerprint() -> bytes:
    return hashlib.sha256(b"\0".join((request.method.encode(), request.full_path.encode(), request.get_data()))).digest()


def _claim(key: str) -> Select[tuple[bool, bytes, int, str, str, str]]:
    """Select whether ``key`` is ours now, and the answer it was given before, if any."""
    claimed = select(func.app.claim_key(key).label("claimed")).subquery("claim")
    kept = (Answer.asked, Answer.status, Answer.body, Answer.location, Answer.etag)
    return select(claimed.c.claimed, *kept).select_from(claimed.outerjoin(Answer, Answer.key == key))


def _keep(key: str, asked: bytes, response: Response) -> Insert:
    return insert(Answer).values(
        key=key,
        asked=asked,
        status=response.status_code,
        body=response.get_data(as_text=True),
        location=response.headers.get("Location"),
        etag=response.headers.get("ETag"),
    )


def _again(row: Row[tuple[bool, bytes, int, str, str, str]], asked: bytes) -> Response:
    if row.asked is None:
        # Also when the other request was answered between the beginning of our statement and its look at the key.
        raise Problem("idempotency_in_progress", headers={"Retry-After": "1"})
    if row.asked != asked:
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

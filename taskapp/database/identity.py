"""Who acts. The answer is a plain value in a context variable; the database module reads it, nobody else needs to.

There is no "may this user?" anywhere in the application: PostgreSQL's policies decide which rows exist for an identity.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from uuid import UUID

from taskapp.database.query_stats import QueryStats


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No identity: every policy answers with zero rows."""


@dataclass(frozen=True, slots=True)
class SessionUser:
    """The owner of a session that has not ended. Enters through the role ``taskapp_api``."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """Somebody who claims an e-mail address: may see that one account's credentials, through ``taskapp_auth``."""

    email: str


@dataclass(frozen=True, slots=True)
class PasswordVerified:
    """A user whose password was just verified or set: may open a session, through ``taskapp_auth``."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class TokenUser:
    """Whoever sent a personal access token that names this user. Enters through the role ``taskapp_api``.

    Nothing of it is known to be true: the database looks the token up by its digest, and refuses the transaction when there
    is none, or when it is not good for the operation's ``scope``. None is the scope that any token has. The scopes in
    ``also`` are required besides; all of them permit writing.
    """

    user_id: UUID
    digest: bytes = field(repr=False)
    scope: str | None
    also: tuple[str, ...] = ()


_SHOWN = re.compile(r"[A-Za-z0-9._-]{1,64}")

Identity = Anonymous | SessionUser | TokenUser | LoginAttempt | PasswordVerified


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The context of a request, or of another piece of work, that a database message belongs to.

    ``operation`` and ``request_id`` are what other database sessions may see of it; they stand in an SQL comment.
    ``read_only`` makes PostgreSQL refuse every write, and makes one retry after a lost connection harmless. ``trace_id`` is
    that of the client's trace (W3C Trace Context). ``query_stats`` stay the same when the identity changes.
    """

    operation: str = "-"
    request_id: str = "-"
    read_only: bool = False
    identity: Identity = field(default=Anonymous())
    trace_id: str | None = None
    query_stats: QueryStats = field(default_factory=QueryStats, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not (_SHOWN.fullmatch(self.operation) and _SHOWN.fullmatch(self.request_id)):
            raise ValueError("operation and request id stand in an SQL comment: only [A-Za-z0-9._-] may")


_work: ContextVar[RequestContext] = ContextVar("taskapp_work", default=RequestContext())  # noqa: B039 - it is frozen


def current() -> RequestContext:
    """Return the work under way, or work by nobody."""
    return _work.get()


def begin(work: RequestContext) -> Token[RequestContext]:
    """Make ``work`` the current one; hand the token to :func:`end`."""
    return _work.set(work)


def act_as(identity: Identity) -> None:
    """Go on with the current work as ``identity``."""
    _work.set(replace(_work.get(), identity=identity))


def continue_trace(trace_id: str) -> None:
    """Go on with the current work as part of a trace."""
    _work.set(replace(_work.get(), trace_id=trace_id))


@contextmanager
def resumed(work: RequestContext) -> Iterator[None]:
    """Go on with ``work`` for a while, such as between two pieces of a response that is being streamed."""
    token = begin(work)
    try:
        yield
    finally:
        end(token)


def end(token: Token[RequestContext]) -> None:
    """Go back to what was current before :func:`begin`, so that a thread's next request starts as nobody."""
    _work.reset(token)

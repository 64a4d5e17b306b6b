"""One request, one message: the only place where a request talks to PostgreSQL.

psycopg2 speaks the simple protocol, in which all statements of one message are one implicit transaction, on one server
connection, in one round trip, through PgBouncer's transaction mode too. So every message that leaves here reads

    /* taskapp listTasks 0198f3c2 … */ BEGIN; …; COMMIT; SELECT app.enter_session(user, session, seal, …); SELECT …

and what the driver hands back is the result of the last statement. `app.enter_session` sets the identity for this
transaction only; when the message ends, PostgreSQL forgets it. The reader's three questions:

*Can a statement go out without an identity?* The preamble is added by the cursor class, below SQLAlchemy: Core, ORM and
raw cursors all pass through `Cursor.execute`. What goes around it (COPY, callproc) acts as nobody and sees zero rows.

*Can one request's identity reach another?* We set nothing for longer than a transaction, every message sets it anew
(nobody is written out too), and within an explicit transaction the identity may not change. What injected SQL may have left
on the connection is cleared first (`_PREAMBLE`); what changes how a message is read closes the connection (`_REPORTED`).

*What do others see of it?* `pg_stat_activity` shows the first `track_activity_query_size` bytes of a query to every
session of the same role. The leading comment is padded past that, so others see the operation and the request id, never
a literal and never a seal.
"""

import logging
import select
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import orjson
import psycopg2
from psycopg2.extensions import (
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INERROR,
    connection,
    cursor,
)
from sqlalchemy import Connection, Dialect, Engine, ExceptionContext, Executable, Row, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.sql.dml import UpdateBase

from taskapp.config import Config
from taskapp.config.postgresql_url import arguments
from taskapp.database import identity
from taskapp.database.circuit_breaker import CircuitBreaker
from taskapp.database.identity import Anonymous, LoginAttempt, PasswordVerified, RequestContext, SessionUser, TokenUser
from taskapp.database.pool import Pool, PoolUse
from taskapp.database.response_timeout import DatabaseTimeout, ResponseTimeout
from taskapp.database.signature import SealKey, bearer_subject, login_subject, proven_subject, session_subject

logger = logging.getLogger("taskapp.isolation")

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Database:
    """PostgreSQL as one of our login roles, acting for whoever :mod:`taskapp.database.identity` says."""

    def __init__(self, url: str, config: Config) -> None:
        self._engine, self._breaker = _engine(url, config)

    def execute(self, statement: Executable, parameters: Parameters = None) -> Sequence[Row[Any]]:
        """Run one statement: one message, one transaction. Return its rows; none when it does not return any.

        A connection that died on the way is replaced, and read-only work is sent once more. A write is not: it may have
        been applied. What lost to another transaction, in a deadlock for one, is sent once more as well.

        With several sets of parameters it runs once for each, all in one transaction.

        :raises sqlalchemy.exc.DBAPIError: as the server or the connection has it.
        """
        if (joined := _together.get()) is not None and joined.database is self:
            return joined.execute(statement, parameters)
        if isinstance(parameters, Sequence) and _takes_several_messages(statement, parameters):
            with self.transaction() as transaction:
                return transaction.execute(statement, parameters)
        try:
            return self._execute_once(statement, parameters)
        except DBAPIError as error:
            # Class 40 is a deadlock or the like: PostgreSQL has undone all of it. A server that only reads has done nothing.
            undone = sqlstate(error).startswith("40") or is_read_only(error)
            if not (undone or (error.connection_invalidated and identity.current().read_only)):
                raise
            return self._execute_once(statement, parameters)

    def _execute_once(self, statement: Executable, parameters: Parameters) -> Sequence[Row[Any]]:
        with self._engine.connect() as conn:
            return _rows(conn, statement, parameters)

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """Run several statements as one transaction: n + 1 messages, the last of them COMMIT.

        An exception, also one that a statement raised and the caller swallowed, rolls all of it back.

        :raises RuntimeError: within :meth:`together`; it would not be part of that.
        """
        if _together.get() is not None:
            raise RuntimeError("a transaction within another one would be committed by itself")
        with self._engine.connect() as conn:
            link = conn.connection.dbapi_connection
            assert isinstance(link, Link)
            link.open_block()
            try:
                yield Transaction(self, conn)
                if link.get_transaction_status() == TRANSACTION_STATUS_INERROR:
                    # PostgreSQL would answer this COMMIT by rolling back, without an error.
                    raise RuntimeError("a statement of this transaction failed, so nothing of it can be kept")
                if link.close_block():
                    conn.exec_driver_sql("COMMIT")
            except BaseException:
                try:
                    if link.close_block() and not conn.invalidated:
                        conn.exec_driver_sql("ROLLBACK")
                except DBAPIError:
                    conn.invalidate()
                raise

    @contextmanager
    def together(self) -> Iterator["Transaction"]:
        """Make one transaction of all that is executed as this role meanwhile, by code that need not know of it.

        Nothing in it is sent once more: a statement that fails takes the others along.
        """
        with self.transaction() as transaction:
            token = _together.set(transaction)
            try:
                yield transaction
            finally:
                _together.reset(token)

    def pool_use(self) -> PoolUse:
        """Tell how many connections are in use."""
        assert isinstance(self._engine.pool, Pool)
        return self._engine.pool.use()

    def dispose(self) -> None:
        """Close the idle connections."""
        self._breaker.reset()
        self._engine.dispose()


class Transaction:
    """What :meth:`Database.transaction` yields."""

    def __init__(self, database: Database, conn: Connection) -> None:
        self.database = database
        self._conn = conn

    def execute(self, statement: Executable, parameters: Parameters = None) -> Sequence[Row[Any]]:
        """Run one of the transaction's statements: one message."""
        return _rows(self._conn, statement, parameters)


_together: ContextVar[Transaction | None] = ContextVar("taskapp_together", default=None)


def sqlstate(error: DBAPIError) -> str:
    """Return what PostgreSQL calls an error, or nothing when it was not PostgreSQL that spoke."""
    return getattr(error.orig, "pgcode", None) or ""


def is_read_only(error: DBAPIError) -> bool:
    """Tell whether a server has refused to write: a standby, as after a failover, or one that an operator has fenced off.

    Where the request itself is one that must not write, the server is right, and the statement is our own mistake.
    """
    return sqlstate(error) == _READ_ONLY and not identity.current().read_only


def _takes_several_messages(statement: Executable, parameters: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether SQLAlchemy may split this: an INSERT of 1000 sets or 32,700 values, or rows wanted back in order."""
    return len(parameters) > 500 or (isinstance(statement, UpdateBase) and len(statement.exported_columns) > 0)


def _rows(conn: Connection, statement: Executable, parameters: Parameters) -> Sequence[Row[Any]]:
    if isinstance(parameters, Sequence) and not parameters:
        # SQLAlchemy would take no sets of parameters for one set without any, and change every row.
        raise ValueError("there is no set of parameters to run this statement with")
    result = conn.execute(statement, parameters)
    return result.all() if result.returns_rows else ()


def _now() -> float:
    """Read a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


_PREAMBLE = b"BEGIN; CLOSE ALL; RESET ALL; UNLISTEN *; DEALLOCATE ALL; "
"""Clears what injected SQL may have left on the server connection; `app.enter_…` releases its advisory locks.

A transaction of its own: it lasts when the rest of the message fails, and the rest begins with the role's own limits,
isolation level and access mode. docs/isolation.md lists what a session can keep and what clears it.
"""
_APPLICATION_NAME = "taskapp"
# With these on, messages of other users are written to the server's log. A login may change its own defaults, which
# RESET ALL restores. A session keeps the defaults that it began with; a pooler may send the next message to a later session.
_PRINTS = ("debug_print_parse", "debug_print_rewritten", "debug_print_plan")

# Settings whose changes the server reports by itself. RESET ALL in the next message would be too late for some of them: the
# server decodes and parses a message as a whole before it runs the first statement.
_REPORTED = (
    "client_encoding",
    "standard_conforming_strings",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "default_transaction_read_only",
    "session_authorization",
)
# What statements and the driver rely on, whatever the defaults of the server, the database, the role and the environment.
_RELIED_ON = {
    "DateStyle": "ISO, MDY",  # psycopg2 reads no other
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "gin_fuzzy_search_limit": "0",
    "row_security": "on",  # off makes every statement fail
    "exit_on_error": "off",
    "transaction_isolation": "read committed",
    "transaction_deferrable": "off",
}
_END_SECONDS = 2
_READ_ONLY = "25006"


class Link(connection):
    """A psycopg2 connection that puts the current identity in front of whatever it is asked to run."""

    answer_seconds = float("inf")  # how long a message may take
    place: Mapping[str, Any] | None = None  # how to connect once more, to end what is given up on
    fresh = True  # nobody has had it from the pool yet
    _key: SealKey | None = None  # none until `arm`: SQLAlchemy's own questions at connect are asked by nobody
    _block: RequestContext | bool = False  # False: no explicit transaction. True: BEGIN is due. Otherwise it is open
    _ending = False  # the next message is the COMMIT or ROLLBACK of a transaction, and needs no identity

    def arm(self, key: SealKey) -> None:
        """Ask the server once for what every message needs: its clock, and how much of a query it shows to others."""
        with self.cursor() as cur:
            # What RESET ALL goes back to is what counts from now on.
            cur.execute(
                "RESET ALL; SELECT extract(epoch FROM clock_timestamp())::float8,"
                " (SELECT setting::int FROM pg_settings WHERE name = 'track_activity_query_size'), session_user::text,"
                " current_setting('application_name'),"
                " ARRAY(SELECT name FROM unnest(%s, %s) AS relied (name, value) WHERE current_setting(name, true) <> value),"
                " ARRAY(SELECT name FROM unnest(%s) AS name WHERE current_setting(name)::bool OR pg_backend_pid() <> %s)",
                (list(_RELIED_ON), list(_RELIED_ON.values()), list(_PRINTS), self.info.backend_pid),
            )
            row = cur.fetchone()
        assert row is not None
        # Seals expire on the server's clock. Counting on from here, this host's own date may be wrong, or be set right in
        # the middle, and seals stay valid.
        self._server_minus_ours = row[0] - _now()
        self._shown_bytes: int = row[1]
        self._role: str = row[2]
        self._name = uuid4().hex
        again = [f"SET {name} = off" for name in row[5]]
        # A pooler sets the name once for each client, and RESET ALL takes that back.
        again += [] if row[3] == _APPLICATION_NAME else [f"SET application_name = '{_APPLICATION_NAME}'"]
        relied = [f"SET LOCAL {name} = '{_RELIED_ON[name]}'" for name in row[4]]
        self._preamble = _PREAMBLE + "".join(f"{each}; " for each in (*again, "COMMIT", *relied)).encode()
        self._reported = self._parameters()
        self._key = key

    def is_on_standby(self) -> bool:
        """Tell whether the server is a standby, by what it has reported: this sends nothing. A pooler may report nothing."""
        return self._parameter("in_hot_standby") == "on"

    def is_unchanged(self) -> bool:
        """Tell whether the server reads messages as it did at first, by what it has reported: this sends nothing."""
        return self._key is None or self._parameters() == self._reported

    def _parameters(self) -> list[str]:
        return [self._parameter(name) for name in _REPORTED]

    def _parameter(self, name: str) -> str:
        return self.info.parameter_status(name) or ""

    def message(self, cur: "Cursor", statements: Iterable[bytes]) -> bytes:
        """Compose one message: a private comment, the preamble that is due, and the statements."""
        # The line break ends a comment that a statement may end in.
        body = b"\n; ".join(statements)
        if self._key is None or self._ending:
            self._ending = False
            return body
        work = identity.current()
        self._comment = f"/* taskapp {work.operation} {work.request_id} {self._name}"
        if isinstance(self._block, RequestContext):
            if work != self._block:
                # InitPlans run at the first FETCH, so a cursor opened by one user would read as the other.
                raise RuntimeError("the identity may not change within a transaction")
        else:
            body = self._enter(cur, work, self._key) + b"; " + body
            if self._block:
                body = b"BEGIN; " + body
                self._block = work
            body = self._preamble + body
        return self._comment.encode().ljust(self._shown_bytes) + b" */ " + body

    def _enter(self, cur: "Cursor", work: RequestContext, key: SealKey) -> bytes:
        """Write the statement that sets the identity of one transaction."""

        def seal(subject: str) -> str:
            return key.seal(subject, _now() + self._server_minus_ours)

        role = self._role
        match work.identity:
            case SessionUser(user_id, session_id):
                sealed = seal(session_subject(role, user_id, session_id))
                return cur.mogrify(
                    "SELECT app.enter_session(%s, %s, %s, %s)", (str(user_id), str(session_id), sealed, work.read_only)
                )
            case TokenUser(user_id, digest, scope, also):
                # Not a seal of the user: whether the token is genuine is for the database to find out.
                claim = seal(bearer_subject(role, user_id, digest))
                # Each scope is asked for by a call of its own; the first that the token lacks ends the transaction.
                calls = (
                    cur.mogrify("app.enter_token(%s, %s, %s, %s, %s)", (str(user_id), digest, claim, one, work.read_only))
                    for one in (scope, *also)
                )
                return b"SELECT " + b", ".join(calls)
            case LoginAttempt(email):
                return cur.mogrify("SELECT app.enter_login(%s, %s)", (email, seal(login_subject(role, email))))
            case PasswordVerified(user_id):
                return cur.mogrify(
                    "SELECT app.enter_password_verified(%s, %s)", (str(user_id), seal(proven_subject(role, user_id)))
                )
            case Anonymous():
                return cur.mogrify("SELECT app.enter_anonymous(%s)", (work.read_only,))

    def open_block(self) -> None:
        """Let the next message begin an explicit transaction."""
        self._block = True

    def close_block(self) -> bool:
        """Go back to one transaction per message. Tell whether there is a transaction to end, by the next message."""
        self._ending, self._block = isinstance(self._block, RequestContext), False
        return self._ending

    def end_statement(self) -> None:
        """End the server process that is still working on this connection's message, which was given up on.

        Its socket is closed, which PostgreSQL notices only when it has something to say. Cancelling would not do: a DO block
        can catch that. Behind a pooler the process is found by the comment of the message, as anywhere.
        """
        if self.place is None or self._key is None:
            return
        place = {**self.place, "connect_timeout": _END_SECONDS, "connection_factory": None, "cursor_factory": None}
        try:
            with closing(psycopg2.connect(**place)) as other, ResponseTimeout(other, _END_SECONDS + 1):
                cur = other.cursor()
                other.autocommit = True
                cur.execute(
                    "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"
                    " WHERE usename = session_user AND state <> 'idle' AND starts_with(query, %s)",
                    (_END_SECONDS * 1000, self._comment),
                )
                ended = [row[0] for row in cur.fetchall()]
            if not ended:
                logger.warning(
                    "a statement that was given up on was not found: it has ended by itself, has not reached PostgreSQL,"
                    " or still runs and track_activities is off"
                )
            elif not all(ended):
                logger.warning("a statement that was given up on was terminated and may still be running")
        except psycopg2.Error as error:
            logger.warning("a statement that was given up on may still be running: %s", str(error).strip())


class Cursor(cursor):
    """The cursor of a :class:`Link`."""

    connection: Link

    def execute(self, query: Any, vars: Any = None) -> None:
        """Send ``query`` as the current identity, in one message."""
        if self.name is not None:
            raise psycopg2.NotSupportedError(
                "psycopg2's named cursors send DECLARE by themselves; DECLARE and FETCH within Database.transaction()"
            )
        self._send([self.mogrify(query, vars)])

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> None:
        """Send ``query`` once for each set of values, all in one message and so in one transaction."""
        statements = [self.mogrify(query, values) for values in vars_list]
        if statements:
            self._send(statements)

    def _send(self, statements: Iterable[bytes]) -> None:
        message = self.connection.message(self, statements)
        sent = time.perf_counter()
        try:
            with ResponseTimeout(self.connection, self.connection.answer_seconds):
                super().execute(message)
        except DatabaseTimeout:
            self.connection.end_statement()
            raise
        finally:
            identity.current().query_stats.add(sent, time.perf_counter())


def _engine(url: str, config: Config) -> tuple[Engine, CircuitBreaker]:
    """Make the pool of one role, and the door that its connections come in by."""
    settings: dict[str, Any] = {
        **arguments(url),
        "connection_factory": Link,
        "cursor_factory": Cursor,
        "application_name": _APPLICATION_NAME,
        "connect_timeout": config.connect_seconds,
        # A peer that vanished without a word while the connection was idle is noticed within a minute.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    engine = create_engine(
        "postgresql+psycopg2://",
        # The implicit transaction of each message is the transaction, so neither SQLAlchemy nor psycopg2 may send a
        # BEGIN or a ROLLBACK of its own: each would be a round trip.
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        poolclass=Pool,
        pool_size=config.threads,
        max_overflow=0,
        # A free connection may be one that somebody else is about to make.
        pool_timeout=config.connect_seconds + config.pool_wait_seconds,
        pool_use_lifo=True,
        # Nobody here has hstore columns, so looking for that type would be a message for nothing.
        use_native_hstore=False,
        json_deserializer=orjson.loads,
        # Parameters are people's content: keep them out of exceptions, and so out of the log.
        hide_parameters=True,
        connect_args=settings,
    )
    key = SealKey.parse(config.seal_key)

    def make(place: Mapping[str, Any]) -> Link:
        link: Link = psycopg2.connect(**place)
        link.answer_seconds = config.answer_seconds
        link.place = place
        return link

    def probe() -> Link:
        # Not from the pool: what is idle there may be as dead as that on which somebody waited in vain.
        link = make(settings)
        link.autocommit = True
        link.arm(key)
        return link

    breaker = CircuitBreaker(probe, most=config.connect_seconds)

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, record: object, arguments: object, place: dict[str, Any]) -> connection:
        return breaker.connect(lambda: make(place))

    @event.listens_for(engine, "handle_error")
    def give_up(context: ExceptionContext) -> None:
        # The address leads to another server by now, or soon; a connection to this one would stay here for ever, and so
        # would all others of the pool.
        if isinstance(context.sqlalchemy_exception, DBAPIError) and is_read_only(context.sqlalchemy_exception):
            context.is_disconnect = True
        error = context.original_exception
        if isinstance(error, DatabaseTimeout) and error.waited_since is not None:
            breaker.trip(error.waited_since)

    @event.listens_for(engine, "connect")
    def arm(link: Link, record: object) -> None:
        link.arm(key)

    @event.listens_for(engine, "checkin")
    def close_unless_idle(link: Link | None, record: object) -> None:
        # A transaction that is still open, by a stray BEGIN for one, would take in the next request; and a message to a
        # server that reads it otherwise than it was written would change what the next user writes. A standby may have been
        # left behind by a failover, so it answers one request; by then the address may lead to the primary.
        if link is not None and (
            link.get_transaction_status() != TRANSACTION_STATUS_IDLE or not link.is_unchanged() or link.is_on_standby()
        ):
            link.close()

    @event.listens_for(engine, "checkout")
    def discard_if_dead(link: Link, record: object, proxy: object) -> None:
        if link.fresh:
            # Should it be dead already, its message will say so. After two dead ones in a row SQLAlchemy would give up, with
            # an error that is none of the database's.
            link.fresh = False
            return
        if link.closed:
            raise DisconnectionError("this connection was closed on our side")
        # PostgreSQL never speaks to an idle connection except to end it, so a readable socket is a closed one. That
        # costs no round trip, where a ping (pool_pre_ping) would.
        poll = select.poll()
        poll.register(link.fileno(), select.POLLIN)
        if poll.poll(0):
            raise DisconnectionError("the server closed this idle connection")

    return engine, breaker

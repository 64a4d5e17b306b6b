"""What is counted for Prometheus. Labels are names of operations, codes and the like: none grows with what clients send."""

from functools import cache
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from taskapp.database.pool import PoolUse
from taskapp.serving.request_record import RequestRecord

REGISTRY = CollectorRegistry()

_REQUESTS = Histogram(
    "taskapp_request_seconds",
    "Requests by operation and class of status, and how long they took.",
    ["operation", "status"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
_MESSAGES = Counter("taskapp_database_messages", "Messages sent to PostgreSQL.", ["operation"], registry=REGISTRY)
_DATABASE_SECONDS = Counter(
    "taskapp_database_seconds", "Time spent waiting for PostgreSQL to answer them.", ["operation"], registry=REGISTRY
)
_PROBLEMS = Counter(
    "taskapp_problems",
    "Requests answered with a problem, by its code and status.",
    ["operation", "code", "status"],
    registry=REGISTRY,
)
_LOGINS = Counter("taskapp_logins", "Log-ins: ok, refused or throttled.", ["outcome"], registry=REGISTRY)

# Of workers that have ended, nothing is in use.
_POOL_SIZE = Gauge(
    "taskapp_pool_size", "Connections that may be open.", ["role"], registry=REGISTRY, multiprocess_mode="livesum"
)
_POOL_CHECKED_OUT = Gauge(
    "taskapp_pool_checked_out", "Connections in use.", ["role"], registry=REGISTRY, multiprocess_mode="livesum"
)
_POOL_WAITING = Gauge(
    "taskapp_pool_waiting", "Requests that wait for a connection.", ["role"], registry=REGISTRY, multiprocess_mode="livesum"
)
_BUILD = Gauge("taskapp_build_info", "Always 1.", ["version"], registry=REGISTRY, multiprocess_mode="livemax")
_BUILD.labels(version("taskapp")).set(1)

_OUTCOMES = {200: "ok", 401: "refused", 429: "throttled"}


def count(ended: RequestRecord) -> None:
    """Count a request that has ended."""
    operation, query_stats = ended.work.operation, ended.work.query_stats
    _requests(operation, ended.status // 100).observe(ended.seconds)
    if query_stats.messages:
        messages, seconds = _database(operation)
        messages.inc(query_stats.messages)
        seconds.inc(query_stats.seconds)
    if ended.code is not None:
        _PROBLEMS.labels(operation, ended.code, ended.status).inc()
    if operation == "login" and ended.status in _OUTCOMES:
        _LOGINS.labels(_OUTCOMES[ended.status]).inc()


def count_refused(code: str, status: int) -> None:
    """Count a request that the server refused by itself."""
    _PROBLEMS.labels("-", code, status).inc()


def show_pool(role: str, use: PoolUse) -> None:
    """Show how much of a pool is in use by this process."""
    _POOL_SIZE.labels(role).set(use.size)
    _POOL_CHECKED_OUT.labels(role).set(use.checked_out)
    _POOL_WAITING.labels(role).set(use.waiting)


# Finding the child for labels takes longer than counting does.
@cache
def _requests(operation: str, status_class: int) -> Histogram:
    return _REQUESTS.labels(operation, f"{status_class}xx")


@cache
def _database(operation: str) -> tuple[Counter, Counter]:
    return _MESSAGES.labels(operation), _DATABASE_SECONDS.labels(operation)

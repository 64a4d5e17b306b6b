"""How gunicorn serves the application; it reads this file by itself."""

import os
import shutil
import socket
import sys
import tempfile
from typing import Any

from taskapp.config import Config, ConfigError
from taskapp.database.signature import SealKey
from taskapp.isolation.doctor.catalogue.acknowledgements import AcknowledgementsError, acknowledged
from taskapp.isolation.doctor.startup_check import NotIsolatedError, insist, insist_on_seal

try:
    _config = Config.from_environment()
except ConfigError as error:
    sys.exit(f"taskapp cannot start: {error}")

bind = f"{_config.host}:{_config.port}"
workers = _config.workers
worker_class = "taskapp.serving.gunicorn_worker.Worker"
threads = _config.threads
# Of each worker process. A connection costs it 30 kB, and at most what a request may have, header and body; who comes when
# there are so many waits in the queue of the listening socket, until one of them is closed.
worker_connections = 500
backlog = 1024
# Room for a cursor and for filters in any script; a longer line is refused before the application sees it.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 4094

# What proxies say of a request is believed by the application, for TRUSTED_PROXIES of them, and by nobody else: by default
# gunicorn believes whoever connects from this host, as a proxy does.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}

# Signals are enough to steer it. By itself gunicorn makes a socket in the home of its user: a container has none, and two
# services of one user would share it.
control_socket_disable = True

# A request that PostgreSQL's statement_timeout has not ended by then is lost anyway.
timeout = 30
graceful_timeout = 30
# Longer than the idle timeout of the usual proxies would be a race; a client's next request within seconds is the case.
keepalive = 5

# Of a body that the application did not read, gunicorn reads so much to keep the connection, and then closes it.
_DRAINED_BYTES = 64 * 1024


def on_starting(server: Any) -> None:
    """Prepare what all workers share, and refuse to serve where isolation does not hold; in the parent process, so once."""
    if _config.environment == "production":
        _insist_on_isolation(server)
    if _config.metrics_port is not None:
        _listen_for_prometheus(server, _config.metrics_host, _config.metrics_port)


def _insist_on_isolation(server: Any) -> None:
    try:
        warnings = insist(
            {"taskapp_api": _config.database_url, "taskapp_auth": _config.auth_database_url},
            _config.connect_seconds,
            acknowledged(_config.acknowledged, None if _config.platform == "none" else _config.platform),
        )
        insist_on_seal(_config.database_url, SealKey.parse(_config.seal_key), _config.connect_seconds)
    except (NotIsolatedError, AcknowledgementsError) as error:
        sys.exit(f"taskapp cannot start: {error}")
    for warning in warnings:
        server.log.warning("%s %s: %s", warning.rule, warning.object, warning.mend)


def _listen_for_prometheus(server: Any, host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server.metrics_listener = socket.create_server((host, port), family=family)
    except OSError as error:
        sys.exit(f"taskapp cannot start: TASKAPP_METRICS_PORT {port} of {host} cannot be used: {error.strerror}")
    # prometheus_client reads it when it is first imported, which is later. One that was inherited is somebody else's.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = server.metrics_folder = tempfile.mkdtemp(prefix="taskapp-metrics-")


def pre_fork(server: Any, worker: Any) -> None:
    """Hand down where Prometheus is listened for; None when it is not."""
    worker.metrics_listener = getattr(server, "metrics_listener", None)


def post_worker_init(worker: Any) -> None:
    """Answer Prometheus, if it is listened for."""
    if worker.metrics_listener is not None:
        # Not above: whatever the parent process has loaded, each worker has too.
        from taskapp.serving.metrics_endpoint import serve  # noqa: PLC0415

        serve(worker.metrics_listener, worker.app.wsgi())


def child_exit(server: Any, worker: Any) -> None:
    """Take what a worker had in use out of the sums; what it counted stays."""
    if worker.metrics_listener is not None:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Leave nothing behind."""
    if hasattr(server, "metrics_folder"):
        shutil.rmtree(server.metrics_folder, ignore_errors=True)


def pre_request(worker: Any, req: Any) -> None:
    """Announce `Connection: close` where gunicorn may close, as after a 413: it ignores that header from an application."""
    headers = dict(req.headers)
    if worker.nr_conns >= worker.worker_connections:
        # Others wait to connect: after this answer it is their turn.
        req.force_close()
    if "TRANSFER-ENCODING" in headers or int(headers.get("CONTENT-LENGTH", 0)) > _DRAINED_BYTES:
        req.force_close()


logger_class = "taskapp.serving.gunicorn_worker.Log"
logconfig_dict = {
    "formatters": {"json": {"()": "taskapp.serving.json_log.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "WARNING", "handlers": []},
    "loggers": {"gunicorn.error": {"level": "WARNING", "handlers": ["stderr"], "propagate": False}},
}
proc_name = "taskapp"

"""Notify each recorder (access log, metrics, tracing) once per request."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from flask import Flask, Response, g, request
from werkzeug.routing import Rule

from taskapp.config import Config, ConfigError
from taskapp.database import identity
from taskapp.services import provide, service
from taskapp.serving import access_log
from taskapp.serving.request_record import Recorder, RequestRecord

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@dataclass(frozen=True)
class Recorders:
    """Who is notified: of each request, and of each that the server refused before the application saw it."""

    of_requests: Sequence[Recorder]
    count_refused: Callable[[str, int], None]
    """Takes the problem's code and the status."""


def init_app(app: Flask, config: Config) -> None:
    """Tell the log, and what else is switched on. Called by the application factory."""
    app.before_request(_start)
    recorders: list[Recorder] = [access_log.write]
    count_refused: Callable[[str, int], None] = _ignore
    # Neither library is loaded before somebody wants it, because each takes memory in every worker.
    if config.metrics_port is not None:
        from taskapp.serving import metrics  # noqa: PLC0415

        recorders.append(metrics.count)
        count_refused = metrics.count_refused
    if config.otlp_endpoint is not None:
        try:
            from taskapp.serving import tracing  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: "
                f"pip install -r requirements-tracing.txt ({error})"
            ) from error
        recorders.append(tracing.init_app(app, config.otlp_endpoint))
    provide(app, Recorders(recorders, count_refused))
    app.after_request(_end)


def _ignore(code: str, status: int) -> None:
    """Count nothing: metrics are off. The server's own log has a line for it."""


def _start() -> None:
    g.started = time.perf_counter()


def _end(response: Response) -> Response:
    recorders = service(Recorders).of_requests
    route, path = _route_and_path(request.url_rule, request.view_args, request.path)
    ended = RequestRecord(
        work=identity.current(),
        method=request.method if request.method in _METHODS else "-",
        path=path,
        route=route,
        status=response.status_code,
        seconds=0,
        code=g.get("problem_code"),
        span=g.get("span"),
    )
    if response.is_streamed:
        # It goes on asking the database while it is being sent.
        response.call_on_close(partial(_notify_later, recorders, ended, g.started))
    else:
        _notify(recorders, ended, g.started)
    return response


def _notify(recorders: Sequence[Recorder], ended: RequestRecord, started: float) -> None:
    ended.seconds = time.perf_counter() - started
    for record in recorders:
        record(ended)


def _notify_later(recorders: Sequence[Recorder], ended: RequestRecord, started: float) -> None:
    with identity.resumed(ended.work):
        _notify(recorders, ended, started)


def _route_and_path(rule: Rule | None, arguments: dict[str, Any] | None, path: str) -> tuple[str | None, str]:
    """Return the path where it has nothing but ids in it. What matches no route may be anything: a title, a token."""
    if rule is None:
        return None, "-"
    if arguments and not all(isinstance(value, UUID) for value in arguments.values()):
        path = rule.rule
    return rule.rule, path

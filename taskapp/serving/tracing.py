"""OpenTelemetry: a span for each request, with one below it for each message to PostgreSQL.

No statement, no address and no id of a user is in them; the request id leads to the line of the log, which has those.
"""

import time
from importlib.metadata import version

from flask import Flask, g, request
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from taskapp.database import identity
from taskapp.serving.request_record import Recorder, RequestRecord

_PARENT = TraceContextTextMapPropagator()


def init_app(app: Flask, endpoint: str) -> Recorder:
    """Begin a span with each request, and return what ends it. Called when spans are to be sent somewhere."""
    ours = Resource({"service.name": "taskapp", "service.version": version("taskapp")})
    # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes first.
    provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    tracer = provider.get_tracer("taskapp")

    def start() -> None:
        work = identity.current()
        given = {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}
        g.span = span = tracer.start_span(work.operation, _PARENT.extract(given), SpanKind.SERVER)
        if span.is_recording():
            work.query_stats.times = []
        identity.continue_trace(format_trace_id(span.get_span_context().trace_id))

    app.before_request(start)
    return lambda ended: _end(tracer, ended)


def _end(tracer: Tracer, ended: RequestRecord) -> None:
    span: Span = ended.span
    if span.is_recording():
        span.set_attributes(_attributes(ended))
        if ended.status >= 500:
            span.set_status(StatusCode.ERROR, ended.code)
        _send_messages(tracer, span, ended.work.query_stats.times or [])
    span.end()


def _attributes(ended: RequestRecord) -> dict[str, str | int | float]:
    query_stats = ended.work.query_stats
    known = {"http.route": ended.route, "error.type": ended.code}
    return {
        "http.request.method": ended.method,
        "http.response.status_code": ended.status,
        "taskapp.request_id": ended.work.request_id,
        "taskapp.database.messages": query_stats.messages,
        "taskapp.database.milliseconds": round(query_stats.seconds * 1000, 2),
        **{name: value for name, value in known.items() if value is not None},
    }


def _send_messages(tracer: Tracer, parent: Span, times: list[tuple[float, float]]) -> None:
    # Spans are dated in nanoseconds since 1970, by another clock than ours.
    epoch = time.time_ns() - int(time.perf_counter() * 1e9)
    for sent, answered in times:
        below = set_span_in_context(parent)
        start = epoch + int(sent * 1e9)
        message = tracer.start_span("message", below, SpanKind.CLIENT, {"db.system.name": "postgresql"}, start_time=start)
        message.end(epoch + int(answered * 1e9))

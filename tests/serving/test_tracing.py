"""Spans, as a collector gets them by OTLP: one for a request, named by its operation, with one below it for each message."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from conftest import Cluster, Person, free_port
from live import serving
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from waiting import wait_until

from taskapp import create_app
from taskapp.config import Config, ConfigError

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(ThreadingHTTPServer):
    """Keeps what is exported to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()

    def exported(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.exported()
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, str]:
        (attributes,) = {
            tuple((each.key, each.value.string_value) for each in resource.resource.attributes)
            for request in self.exported()
            for resource in request.resource_spans
        }
        return dict(attributes)


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.paths.add(self.path)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def lasted(span: Span) -> int:
    """Return its nanoseconds."""
    return span.end_time_unix_nano - span.start_time_unix_nano


def attributes(span: Span) -> dict[str, Any]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


def settings(server: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "NO_PROXY": "*"}


@pytest.mark.extended
def test_a_request_is_a_span_with_its_messages_below_it(
    cluster: Cluster, alice: Person, capfd: pytest.CaptureFixture[str]
) -> None:
    with collector() as server:
        named = {"OTEL_SERVICE_NAME": "tasks-of-the-test"}
        with (
            serving({**cluster.environment, **settings(server), **named}) as url,
            httpx.Client(base_url=url, headers=alice.headers, trust_env=False, timeout=60) as client,
        ):
            made = client.post("/v1/tasks", json={"title": "title-nobody-may-read"})
            traced = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            found = client.get(made.headers["Location"], headers=traced)
            unsampled = client.get("/v1/tasks", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
            client.post("/v1/auth/login", json={"email": "alice@example.com", "password": "not her password"})
            client.get("/no-such-path-nobody-may-read")
        # What was left is sent when a worker ends.
        spans = server.spans()
    assert server.paths == {"/v1/traces"}
    assert server.resource()["service.name"] == "tasks-of-the-test"
    assert server.resource()["service.version"]
    assert (made.status_code, found.status_code, unsampled.status_code) == (201, 200, 200)
    requests = {span.name: span for span in spans if span.kind == Span.SPAN_KIND_SERVER}
    assert set(requests) == {"getHealth", "createTask", "getTask", "login", "-"}
    get = requests["getTask"]
    assert (get.trace_id.hex(), get.parent_span_id.hex()) == (TRACE, PARENT)
    assert requests["createTask"].parent_span_id == b""
    told = attributes(get)
    assert told.pop("taskapp.database.milliseconds") > 0
    assert told == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/v1/tasks/<uuid:task_id>",
        "taskapp.request_id": found.headers["X-Request-Id"],
        "taskapp.database.messages": 1,
    }
    (message,) = [span for span in spans if span.parent_span_id == get.span_id]
    assert (message.name, message.kind, message.trace_id) == ("message", Span.SPAN_KIND_CLIENT, get.trace_id)
    assert attributes(message) == {"db.system.name": "postgresql"}
    # Dated by two clocks, which are read one after the other: their difference is as long as the machine is busy.
    assert abs(message.start_time_unix_nano - get.start_time_unix_nano) < 60e9
    assert 0 < lasted(message) < lasted(get)
    assert attributes(requests["login"])["error.type"] == "invalid_credentials"
    assert attributes(requests["-"])["error.type"] == "not_found"
    # The line of the log leads there.
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    by_operation = {line["operation"]: line["trace_id"] for line in lines if line["message"] == "request"}
    assert by_operation["getTask"] == by_operation["listTasks"] == TRACE
    assert by_operation["createTask"] == requests["createTask"].trace_id.hex()
    # Nothing that anybody wrote, no statement, nobody's address or token.
    sent = b"".join(server.bodies)
    token = alice.headers["Authorization"].split()[1]
    secret = ["nobody-may-read", "alice@example.com", "not-her-password", token, "SELECT", "app.tasks", str(alice.id)]
    assert [word for word in secret if word.encode() in sent] == []


def test_a_failure_of_ours_is_a_span_with_an_error(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"postgresql://taskapp_api:x@127.0.0.1:{free_port()}/taskapp"
    with collector() as server:
        for name, value in {**settings(server), "OTEL_BSP_SCHEDULE_DELAY": "20"}.items():
            monkeypatch.setenv(name, value)
        app = create_app(replace(Config.from_environment(), database_url=nowhere))
        assert app.test_client().get("/readyz").status_code == 503
        wait_until(lambda: len(server.spans()) > 0)
        (span,) = server.spans()
    assert span.name == "getReadiness"
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"] == "service_unavailable"


def test_what_the_library_has_to_say_is_in_the_log_in_json(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    create_app()
    logging.getLogger("opentelemetry.exporter").warning("no collector")
    assert json.loads(capsys.readouterr().err)["message"] == "no collector"


def test_an_endpoint_without_the_library_stops_the_start(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test may have loaded it.
    monkeypatch.delattr("taskapp.serving.tracing", raising=False)
    monkeypatch.setitem(sys.modules, "taskapp.serving.tracing", None)
    with pytest.raises(ConfigError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT .*requirements-tracing\.txt"):
        create_app(replace(Config.from_environment(), otlp_endpoint="http://127.0.0.1:4318"))

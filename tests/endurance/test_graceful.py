"""A server that is told to end: what has come in is answered, nothing new is taken, and nothing is lost."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
from arrange import task
from concurrency import holding
from conftest import Admin, Cluster, Person, free_port
from live import PROJECT, gunicorn, port_of
from waiting import DEADLINE_SECONDS, wait_until

from endurance.accounts import registered
from endurance.durations import length
from endurance.retrying_creator import Maker, making

CLIENTS = length(6, 16)
ROUNDS = length(1, 5)
MADE = length(2, 50)
"""So many tasks each client makes between two restarts."""


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


def told_to_end(process: "subprocess.Popen[bytes]", port: int) -> None:
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: is_refused(port), "connections refused after SIGTERM")


def test_what_is_under_way_is_answered_while_nothing_new_is_taken(cluster: Cluster, admin: Admin, alice: Person) -> None:
    path = f"/v1/tasks/{task(admin, alice)}"
    with (
        gunicorn({**cluster.environment, "TASKAPP_WORKERS": "2"}) as (url, process),
        closing(http.client.HTTPConnection("127.0.0.1", port_of(url), timeout=DEADLINE_SECONDS)) as under_way,
        closing(http.client.HTTPConnection("127.0.0.1", port_of(url), timeout=DEADLINE_SECONDS)) as arriving,
    ):
        headers = {**alice.headers, "Content-Type": "application/json"}
        body = json.dumps({"title": "It arrived in the end"}).encode()
        arriving.putrequest("POST", "/v1/tasks")
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            arriving.putheader(name, value)
        arriving.endheaders(body[:10])
        with holding(cluster, "SELECT FROM app.tasks WHERE user_id = %s FOR UPDATE", alice.id) as queue:
            under_way.request("PATCH", path, b'{"title": "y"}', {**headers, "Content-Type": "application/merge-patch+json"})
            asked = queue(under_way.getresponse)
            told_to_end(process, port_of(url))
            arriving.send(body[10:])
            answer = arriving.getresponse()
            assert answer.status == 201
            answer.read()
            assert process.poll() is None
        answer = asked.result()
        assert (answer.status, json.loads(answer.read())["title"]) == (200, "y")
        assert process.wait(DEADLINE_SECONDS) == 0
    assert admin.execute("SELECT count(*) FROM app.tasks") == [(2,)]


def test_who_is_connected_and_says_nothing_does_not_keep_it(cluster: Cluster) -> None:
    # If it waited for them, it would do so for an hour.
    environment = {**cluster.environment, "GUNICORN_CMD_ARGS": "--graceful-timeout=3600"}
    with gunicorn(environment) as (url, process), ExitStack() as clients:
        for _ in range(20):
            clients.enter_context(socket.create_connection(("127.0.0.1", port_of(url))))
        idle = clients.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port_of(url))))
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        told_to_end(process, port_of(url))
        assert process.wait(DEADLINE_SECONDS) == 0


def asking(port: int) -> http.client.HTTPConnection:
    """Connect and ask."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    client.request("GET", "/healthz")
    return client


def test_a_worker_that_is_told_to_end_before_it_begins_comes_to_a_good_end(cluster: Cluster, tmp_path: Path) -> None:
    for name in ("gunicorn.conf.py", "taskapp"):
        (tmp_path / name).symlink_to(PROJECT / name)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # The application is loaded when the gate is closed again.
    (tmp_path / "wsgi.py").write_text(f"open({str(gate)!r}).read()\n{(PROJECT / 'wsgi.py').read_text()}")
    port = free_port()
    environment = {**os.environ, **cluster.environment, "TASKAPP_WORKERS": "1", "TASKAPP_PORT": str(port)}
    command = [sys.executable, "-m", "gunicorn", "wsgi:app"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        with gate.open("w"):
            (worker,) = psutil.Process(process.pid).children()
            client = asking(port)
            process.terminate()
            worker.terminate()
        with closing(client):
            assert client.getresponse().status == 200
        _, told = process.communicate(timeout=DEADLINE_SECONDS)
        assert process.returncode == 0
        assert "Exception in worker process" not in told
    finally:
        process.kill()
        process.wait()


def test_two_hosts_are_restarted_one_after_the_other_and_nobody_notices(cluster: Cluster, admin: Admin) -> None:
    ports = [free_port(), free_port()]
    environment = {**cluster.environment, "TASKAPP_WORKERS": length("1", "2")}
    with ExitStack() as both:
        hosts = [both.enter_context(ExitStack()) for _ in ports]
        for host, port in zip(hosts, ports, strict=True):
            host.enter_context(gunicorn(environment, port=port))
        tokens = [registered(f"http://127.0.0.1:{ports[0]}", f"maker-{n}") for n in range(CLIENTS)]
        with making(ports, tokens) as makers:
            for _ in range(ROUNDS):
                for host, port in zip(hosts, ports, strict=True):
                    wait_for_more(makers)
                    host.close()
                    host.enter_context(gunicorn(environment, port=port))
            wait_for_more(makers)
    assert [failure for maker in makers for failure in maker.failed] == []
    # Who connects in the moment between a worker's last look into the queue and its close is cut off: one of 45,827, over 24
    # restarts. That moment may come once in each.
    assert sum(maker.cut_off for maker in makers) <= 2 * ROUNDS
    rows = {task_id for (task_id,) in admin.execute("SELECT id::text FROM app.tasks")}
    made = set().union(*(maker.made for maker in makers))
    sys.stdout.write(f"{len(made)} tasks made by {CLIENTS} clients through {2 * ROUNDS} restarts\n")
    assert rows == made


def wait_for_more(makers: list[Maker]) -> None:
    """Wait until each client has made some more tasks."""
    least = {maker: len(maker.made) + MADE for maker in makers}
    wait_until(
        lambda: all(len(maker.made) >= number for maker, number in least.items()), f"{MADE} more tasks of each client"
    )

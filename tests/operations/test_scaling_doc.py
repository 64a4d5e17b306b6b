"""docs/operations/scaling.md reckons right: with the defaults of the settings, and as many connections as pools have."""

import re

from flask import Flask
from live import PROJECT

from taskapp.config.settings import settings
from taskapp.database.databases import Databases
from taskapp.services import service

PAGE = (PROJECT / "docs" / "operations" / "scaling.md").read_text()
DEFAULTS = {found.variable: found.default for found in settings()}
ROWS = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| ([\d,]+) \|$", PAGE, re.MULTILINE)


def test_the_table_of_connections_is_reckoned_right() -> None:
    assert len(ROWS) == 4
    for hosts, workers, threads, connections in ROWS:
        assert int(hosts) * int(workers) * int(threads) * 2 == int(connections.replace(",", ""))


def test_its_first_row_is_one_host_as_it_ships() -> None:
    assert tuple(map(int, ROWS[0][1:3])) == (DEFAULTS["TASKAPP_WORKERS"], DEFAULTS["TASKAPP_THREADS"])


def test_a_worker_has_a_connection_for_each_thread_and_role(app: Flask) -> None:
    assert (
        sum(database.pool_use().size for database in service(Databases, app).by_role().values())
        == 2 * app.config["TASKAPP"].threads
    )


def test_the_defaults_that_it_names_are_those() -> None:
    named = re.findall(r"`(TASKAPP_\w+)` \((\d+)\)", PAGE)
    assert len(named) >= 3
    assert [(name, value) for name, value in named if str(DEFAULTS[name]) != value] == []

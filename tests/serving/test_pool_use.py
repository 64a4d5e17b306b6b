"""How much of a pool is in use: what the gauges show."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from conftest import Cluster
from isolation.acting import acting
from sqlalchemy import text
from waiting import wait_until

from taskapp import create_app
from taskapp.config import Config
from taskapp.database.database import Database
from taskapp.database.databases import Databases
from taskapp.database.identity import Anonymous
from taskapp.database.pool import PoolUse
from taskapp.services import service


@pytest.fixture
def two_connections(cluster: Cluster) -> Iterator[Database]:
    small = create_app(replace(Config.from_environment(), threads=2, pool_wait_seconds=60))
    yield service(Databases, small).api
    service(Databases, small).dispose()


def select_one(database: Database) -> None:
    with acting(Anonymous()):
        database.execute(text("SELECT 1"))


def test_what_is_in_use_and_who_waits_is_known(two_connections: Database) -> None:
    database = two_connections
    assert database.pool_use() == PoolUse(size=2, checked_out=0, waiting=0)
    with ThreadPoolExecutor(1) as threads:
        with acting(Anonymous()), database.transaction() as one:
            one.execute(text("SELECT 1"))
            assert database.pool_use() == PoolUse(size=2, checked_out=1, waiting=0)
            with database.transaction() as two:
                two.execute(text("SELECT 1"))
                third = threads.submit(select_one, database)
                wait_until(lambda: database.pool_use().waiting > 0)
                assert database.pool_use() == PoolUse(size=2, checked_out=2, waiting=1)
        third.result(60)
    assert database.pool_use() == PoolUse(size=2, checked_out=0, waiting=0)


def test_nobody_waits_who_has_given_up(cluster: Cluster) -> None:
    small = create_app(replace(Config.from_environment(), threads=1, pool_wait_seconds=1, connect_seconds=2))
    database: Database = service(Databases, small).api
    with acting(Anonymous()), database.transaction() as one:
        one.execute(text("SELECT 1"))
        assert small.test_client().get("/readyz").status_code == 503
        assert database.pool_use() == PoolUse(size=1, checked_out=1, waiting=0)
    database.dispose()

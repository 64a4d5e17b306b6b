"""A pooler is known by what it does; a proxy that keeps to one server process is none."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from conftest import Cluster

from isolation.pooler import PgBouncer
from isolation.session_proxy import SessionProxy
from taskapp.database.pooler_detection import is_pooled


def pooled(url: str) -> bool:
    with closing(psycopg2.connect(url)) as conn:
        return is_pooled(conn)


@pytest.fixture(scope="module", params=[1, 4], ids=["one server connection", "four server connections"])
def pooler(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[PgBouncer]:
    with PgBouncer(cluster, size=request.param) as pooler:
        yield pooler


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[SessionProxy]:
    with SessionProxy(cluster.server.port) as proxy:
        yield proxy


def test_the_server_itself_is_no_pooler(cluster: Cluster) -> None:
    assert not pooled(cluster.url("taskapp_api"))
    assert not pooled(cluster.tcp_url("taskapp_api"))


@pytest.mark.extended
def test_a_pooler_is_one(pooler: PgBouncer) -> None:
    assert pooled(pooler.url("taskapp_api"))


@pytest.mark.extended
def test_a_pooler_is_one_also_while_others_use_it(pooler: PgBouncer) -> None:
    with closing(psycopg2.connect(pooler.url("taskapp_auth"))) as other, other.cursor() as cur:
        cur.execute("SELECT 1")
        assert pooled(pooler.url("taskapp_api"))


@pytest.mark.extended
def test_a_pooler_that_takes_turns_at_its_server_connections_is_one(cluster: Cluster) -> None:
    with PgBouncer(cluster, size=2, more="server_round_robin = 1") as pooler:
        url = pooler.url("taskapp_api")
        with closing(psycopg2.connect(url)) as one, closing(psycopg2.connect(url)) as two:
            # Both at once take a server connection each, which stay.
            for conn in (one, two):
                conn.cursor().execute("SELECT 1")
        assert pooled(pooler.url("taskapp_api"))


def test_a_proxy_with_a_server_process_for_each_connection_is_none(cluster: Cluster, proxy: SessionProxy) -> None:
    url = cluster.tcp_url("taskapp_api", proxy.port)
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cur:
        cur.execute("SELECT pg_backend_pid()")
        assert cur.fetchone() != (conn.info.backend_pid,), "the proxy has to tell of another process"
    assert not pooled(url)

"""`flask database init` needs the server itself, and knows a pooler by what it does."""

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from conftest import Cluster
from isolation.pooler import PgBouncer
from isolation.session_proxy import SessionProxy

from admin.conftest import Neon, printed_environment, refusal, succeed
from taskapp.operations.database.commands import database


@pytest.fixture
def pooler(neon: Neon) -> Iterator[PgBouncer]:
    with PgBouncer(Cluster(neon.server, {"admin": "secret"}, {}, "")) as pooler:
        yield pooler


def roles(neon: Neon) -> int:
    ((count,),) = neon.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'taskapp%'")
    return int(count)


@pytest.mark.extended
def test_through_a_pooler_it_refuses_and_makes_nothing(neon: Neon, pooler: PgBouncer) -> None:
    before = roles(neon)
    said = refusal("database", "init", "--admin-url", neon.url(port=pooler.port), "--new-secrets")
    assert said.splitlines()[-1].startswith("Error: --admin-url leads through a pooler")
    assert roles(neon) == before


def test_who_gives_no_password_is_asked_for_it(neon: Neon) -> None:
    with patch.dict(os.environ):
        arguments = ["init", "--new-secrets", "--admin-url", neon.url().replace(":secret@", "@")]
        result = CliRunner().invoke(database, arguments, input="secret\n")
    assert result.exit_code == 0, result.output
    assert len(printed_environment(result.stdout)) == 7


def test_neons_pooler_is_known_by_its_name_and_the_direct_host_is_told() -> None:
    url = "postgresql://admin:secret@ep-a-1-pooler.eu-central-1.aws.neon.tech/neondb"
    said = refusal("database", "init", "--admin-url", url)
    assert "need the direct endpoint, ep-a-1.eu-central-1.aws.neon.tech" in said


def test_through_a_proxy_that_keeps_to_one_server_process_it_works(neon: Neon) -> None:
    # As before Neon's direct endpoint.
    with SessionProxy(neon.server.port) as proxy:
        succeed("database", "init", "--admin-url", neon.url(port=proxy.port), "--new-secrets")
    assert roles(neon) == 10

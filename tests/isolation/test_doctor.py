"""The doctor on a migrated database: well, and broken on purpose in every way that there is a rule for."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from conftest import CELL, Cluster
from psycopg2.extensions import connection

from isolation.breakages import BREAKAGES, Breakage
from taskapp.isolation.doctor.cross_user_probe import try_it
from taskapp.isolation.doctor.model import Finding
from taskapp.isolation.doctor.run import RULES, examine

POSSIBLE = [breakage for breakage in BREAKAGES if breakage.since <= CELL.postgres]
FIRST = {breakage.rule: breakage for breakage in reversed(POSSIBLE)}
breakages = pytest.mark.parametrize(
    "breakage",
    # make test tries one breakage of each rule, make test-all all.
    [pytest.param(each, marks=() if FIRST[each.rule] is each else pytest.mark.extended) for each in POSSIBLE],
    ids=[f"{each.rule} {each.name}" for each in POSSIBLE],
)


def broken_rules(conn: connection) -> tuple[set[str], set[str]]:
    """Ask the doctor, in an open transaction of a superuser, which rules are broken and which only warn."""
    with conn.cursor() as cur:
        findings = examine(cur)
    return {each.rule for each in findings if not each.warns}, {each.rule for each in findings if each.warns} - {"L32"}


@pytest.fixture(scope="session")
def breakable(cluster: Cluster) -> Iterator[connection]:
    """A superuser's connection to each version of PostgreSQL. What is broken is brought back by a rollback."""
    with closing(psycopg2.connect(cluster.admin_url)) as conn:
        yield conn


@pytest.fixture(scope="module")
def findings(cluster: Cluster) -> list[Finding]:
    """What the doctor finds as the application's own login."""
    with closing(psycopg2.connect(cluster.url("taskapp_api"))) as conn, conn.cursor() as cur:
        return examine(cur)


@pytest.mark.parametrize("number", [rule.number for rule in RULES if rule.number != "L32"])
def test_nothing_breaks_the_rule(findings: list[Finding], number: str) -> None:
    assert [finding.object for finding in findings if finding.rule == number] == []


def test_he_finds_nothing_on_a_migrated_database(breakable: connection) -> None:
    assert broken_rules(breakable) == (set(), set())
    breakable.rollback()


@breakages
def test_he_notices(breakable: connection, breakage: Breakage) -> None:
    try:
        with breakable.cursor() as cur:
            cur.execute(breakage.sql)
            found, warned = broken_rules(breakable)
            if breakage.rule.startswith("C"):
                found |= {finding.rule for finding in try_it(breakable).findings}
    finally:
        breakable.rollback()
    assert breakage.rule in (warned if breakage.drift else found)
    assert not breakage.drift or found == set()


def test_there_is_a_breakage_for_every_rule() -> None:
    assert {rule.number for rule in RULES if rule.number != "L32"} <= {breakage.rule for breakage in BREAKAGES}


def test_every_rule_has_a_number_of_its_own() -> None:
    assert len({rule.number for rule in RULES}) == len(RULES)

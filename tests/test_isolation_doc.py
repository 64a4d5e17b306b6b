"""docs/isolation.md tells the truth: its commands print what it says, and what its tables cite exists."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import doc_citations
import psycopg2
import pytest
from click.testing import CliRunner
from conftest import Cluster
from doc_citations import PROJECT
from isolation.breakages import BREAKAGES
from isolation.test_mutations import MUTATIONS
from live import COMMANDS, path_with_psql
from walkthrough import blocks, joined, pattern

from taskapp.isolation.columns import COLUMNS
from taskapp.isolation.doctor.run import RULES
from taskapp.operations.isolation.commands import isolation

PAGE = (PROJECT / "docs" / "isolation.md").read_text()
ROWS = doc_citations.rows(PAGE, "B")
RULE_ROWS = doc_citations.rows(PAGE, "L")
# The numbers that reviewers of this project know the footguns by.
NUMBERS = [
    *(f"B{number}" for number in range(1, 9)),
    *(f"B{number}" for number in range(10, 20)),
    *(f"B19{letter}" for letter in "abcde"),
    *(f"B{number}" for number in range(20, 30)),
    *(f"B29{letter}" for letter in "abcde"),
    *(f"B{number}" for number in (*range(30, 45), *range(50, 60), *range(60, 66))),
]
PASSWORD = "a dozen characters or more"


# What it says is printed.


@pytest.fixture
def ann(cluster: Cluster) -> Iterator[str]:
    """A person with a login of her own; what follows the `@` of her URL."""
    made = CliRunner().invoke(isolation, ["dba", "add", "ann", "--admin-url", cluster.admin_url], input=f"{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    yield urlsplit(cluster.tcp_url("taskapp_api")).netloc.rpartition("@")[2]
    with closing(psycopg2.connect(cluster.admin_url)) as conn:
        conn.autocommit = True
        conn.cursor().execute("DROP OWNED BY ann; DROP ROLE ann")


@pytest.mark.extended
def test_every_command_prints_what_the_page_says(cluster: Cluster, ann: str, tmp_path: Path) -> None:
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"*:*:*:ann:{PASSWORD}\n")
    passwords.chmod(0o600)
    environment = {
        "PATH": path_with_psql(),
        "HOME": str(tmp_path),
        "PGPASSFILE": str(passwords),
        "TASKAPP_MIGRATION_DATABASE_URL": cluster.url("taskapp_migrator"),
    }
    printed, looked = "", 0
    for block in blocks(PAGE):
        if block.language == "text":
            assert re.fullmatch(pattern(block.text), joined(printed)), f"{block.text}\n--- is not ---\n{printed}"
            looked += 1
            continue
        typed = block.text.replace(".venv/bin/", COMMANDS).replace("db.example.com", ann)
        ran = subprocess.run(
            ["sh", "-c", typed], env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
        printed = ran.stdout
    assert looked == 5


def test_every_block_is_one_that_is_run_or_printed() -> None:
    fences = re.findall(r"^```(\w*)", PAGE, re.MULTILINE)
    assert fences == ["sh", "", "text", ""] * 5


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make (\w+)`", PAGE))))
def test_every_target_that_is_named_is_in_the_makefile(target: str) -> None:
    assert f"\n{target}: " in (PROJECT / "Makefile").read_text()


def test_it_says_in_how_many_ways_isolation_is_broken_on_purpose() -> None:
    assert f"`make mutants` breaks isolation in {len(MUTATIONS)} ways" in PAGE
    assert f"`make score` does it in {len(BREAKAGES)} ways" in PAGE


# The doctor's rules.


def test_every_rule_of_the_doctor_stands_there_with_what_it_does_to_a_start_and_why() -> None:
    rules = sorted((rule.number, rule.statement, rule.severity, rule.only_warns or rule.why) for rule in RULES)
    assert [tuple(row) for row in RULE_ROWS] == rules


def test_every_rule_that_is_cited_is_one() -> None:
    cited = {number for row in ROWS for number in re.findall(r"\bL\d\d\b", " ".join(row))}
    assert cited <= {rule.number for rule in RULES}
    assert len(cited) > 30


# What estimates tell.


def test_the_columns_with_statistics_are_those_of_the_manifest() -> None:
    found = re.findall(r"^\| (?:ids|states|moments|log-ins.*?) \| (.*?) \|", PAGE, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(found))) - {"attempts"}
    # Of the trail the page names the one that has none; versions and seal keys are nobody's.
    elsewhere = ("app.access_log", "app.alembic_version", "app_private.keys")
    assert named == {column.name for column in COLUMNS if column.has_statistics and column.table not in elsewhere}
    assert [c.name for c in COLUMNS if c.table == "app.access_log" and not c.has_statistics] == ["reason"]


# The footguns.


def test_every_footgun_has_one_row() -> None:
    assert [row[0] for row in ROWS] == NUMBERS


def test_every_row_says_what_goes_wrong_and_what_prevents_it() -> None:
    assert [row[0] for row in ROWS if len(row) != 4 or not all(row[:3])] == []


def test_a_row_without_a_test_says_why() -> None:
    assert [row[0] for row in ROWS if not doc_citations.tests(row[3]) and not row[2].startswith("Does not apply")] == []


def test_what_only_the_doctor_watches_names_the_rule_that_is_broken() -> None:
    watched = [row for row in ROWS if "test_he_notices" in row[3]]
    broken = {breakage.rule for breakage in BREAKAGES}
    assert watched
    assert [row[0] for row in watched if not broken & set(re.findall(r"\bL\d\d\b", row[2]))] == []


@pytest.mark.parametrize("path", doc_citations.files(PAGE))
def test_every_file_that_is_cited_exists(path: str) -> None:
    assert (PROJECT / path).exists()


@pytest.mark.parametrize("test", doc_citations.tests(PAGE))
def test_every_test_that_is_cited_exists(test: str) -> None:
    assert doc_citations.is_a_test(test)

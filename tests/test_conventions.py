"""What a reader may rely on everywhere, kept so by reading the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
SOURCES = sorted((PROJECT / "taskapp").rglob("*.py"))
MIGRATIONS = [*sorted((PROJECT / "migrations" / "versions").glob("*.py")), PROJECT / "migrations" / "env.py"]

# What a feature has besides models, schemas, queries and routes.
BESIDES = {
    # Signing in is more than its endpoints.
    "taskapp/features/auth/events.py",
    "taskapp/features/auth/password_strength.py",
    "taskapp/features/auth/passwords.py",
    "taskapp/features/auth/reauthentication.py",
    "taskapp/features/auth/refresh_token.py",
    "taskapp/features/auth/sessions.py",
    "taskapp/features/auth/session_lifetime.py",
    "taskapp/features/auth/login_throttle.py",
    "taskapp/features/account/export.py",
    # What a task is due by, and what a list of tasks is filtered and sorted by.
    "taskapp/features/tasks/due.py",
    "taskapp/features/tasks/listing.py",
    # What a search looks for, and in which words.
    "taskapp/features/tasks/search.py",
    "taskapp/features/tasks/tag_names.py",
    "taskapp/features/tasks/words.py",
}

# `flask users` runs as taskapp_operator, who is nobody's user and sees every account: no policy can join an account with
# its sessions there. No request gets there, which test_no_request_reaches_the_operators_statements holds it to.
ACROSS_ACCOUNTS = "taskapp/operations/users/queries.py"

# They make and feed the database; a request never gets there.
APART = {
    *("taskapp/dev/embedded_postgres.py", "taskapp/dev/run.py", "taskapp/operations/database/provision.py"),
    # People at psql, each on a connection of their own.
    *("taskapp/operations/isolation/dba_connection.py", "taskapp/operations/isolation/psql_session.py"),
}


def name(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def findings(paths: list[Path], pattern: str) -> list[str]:
    """Name every line that matches."""
    found = []
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{name(path)}:{number}: {line.strip()}")
    return found


def calls(path: Path) -> Iterator[str]:
    """The dotted name of everything that is called in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def literals(path: Path) -> Iterator[str]:
    """Every string of a file, less its docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_there_is_something_to_read() -> None:
    assert len(SOURCES) > 30
    assert len(MIGRATIONS) > 3


def test_only_isolation_connects_for_a_request() -> None:
    connecting = {
        name(path)
        for path in SOURCES
        for call in calls(path)
        if call.rpartition(".")[2] in {"create_engine", "ThreadedConnectionPool", "SimpleConnectionPool"}
        or call == "psycopg2.connect"
    }
    others = {path for path in connecting if not path.startswith(("taskapp/isolation/", "taskapp/database/"))} - APART
    assert others == set(), "requests connect by taskapp/database/database.py only"
    assert "taskapp/database/database.py" in connecting


def test_nobody_compares_owners() -> None:
    comparing = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            if any(isinstance(side, ast.Attribute | ast.Name) and ast.unparse(side).endswith("user_id") for side in sides):
                comparing.append(f"{name(path)}:{node.lineno}")  # type: ignore[attr-defined]
    found = [place for place in comparing if place.partition(":")[0] != ACROSS_ACCOUNTS]
    assert found == [], "a policy of PostgreSQL compares owners, Python does not"
    assert comparing, f"{ACROSS_ACCOUNTS} needs no exception any more"


def test_no_request_reaches_the_operators_statements() -> None:
    users = {
        name(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(
            f"{getattr(node, 'module', '')}.{alias.name}".strip(".").startswith("taskapp.operations.users.queries")
            for alias in node.names
        )
    }
    assert users == {"taskapp/operations/users/commands.py"}, (
        "only the command `flask users` may import the operator's statements"
    )


def test_nobody_filters_by_owner() -> None:
    statements = [path for path in SOURCES if path.name in {"queries.py", "routes.py"}]
    features = [path for path in statements if name(path) != ACROSS_ACCOUNTS]
    assert len(features) > 4
    found = findings(features, r"(where|filter|filter_by|having)\(.*user_id")
    assert found == [], "policies of PostgreSQL filter by owner, statements do not"


def test_only_config_reads_the_environment() -> None:
    readers = {line.partition(":")[0] for line in findings(SOURCES, r"\bos\.(environ|getenv)\b|\bfrom os import .*environ")}
    # psql gets the environment of whoever starts it.
    config = {"taskapp/config/setting.py", "taskapp/config/settings.py"}
    # libpq reads variables for what a URL leaves out.
    assert readers <= {
        *config,
        "taskapp/config/postgresql_url.py",
        "taskapp/operations/database/provision.py",
        "taskapp/dev/run.py",
        "taskapp/operations/isolation/psql_session.py",
    }
    assert readers >= config


@pytest.mark.parametrize("path", [*SOURCES, *MIGRATIONS], ids=name)
def test_no_setting_outlives_its_transaction(path: Path) -> None:
    lasting = [
        text
        for text in literals(path)
        if re.search(r"set_config\s*\([^;]*?,\s*(false|'f'|0)\s*\)", text, re.IGNORECASE)
        or re.search(r"\bSET\s+(SESSION\s+)?app\.", text, re.IGNORECASE)
        or re.search(r"\bSET\s+SESSION\s+AUTHORIZATION\b", text, re.IGNORECASE)
    ]
    assert lasting == [], "a setting of a connection in a pool has to end with its transaction"


@pytest.mark.parametrize(
    "text",
    ["SELECT set_config('app.user_id', 'x', false)", "set app.user_id = 'x'", "SET SESSION app.user_id TO 'x'"],
)
def test_a_setting_that_would_outlive_its_transaction_would_be_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(f"STATEMENT = {text!r}\n")
    with pytest.raises(AssertionError):
        test_no_setting_outlives_its_transaction(tmp_path / "bad.py")


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_b35_no_role_outlives_its_transaction(path: Path) -> None:
    assert [text for text in literals(path) if re.search(r"\bSET\s+(SESSION\s+)?ROLE\b", text, re.IGNORECASE)] == []


@pytest.mark.parametrize("path", [*SOURCES, *MIGRATIONS], ids=name)
def test_b29d_nothing_is_notified(path: Path) -> None:
    # Whoever may connect may listen, whatever the channel and whoever's the payload.
    notifying = [text for text in literals(path) if re.search(r"\bNOTIFY\b|pg_notify", text, re.IGNORECASE)]
    assert notifying == [], "what is notified reaches every login"


def test_migrations_import_nothing_that_changes() -> None:
    # A migration has to do tomorrow what it did the day it was written. Their runner asks whether isolation holds today.
    assert findings(MIGRATIONS[:-1], r"^\s*(from|import) taskapp") == []
    lasting = r"(?!\.isolation\.(doctor\.|schema_revision )|\.database\.pooler_detection |\.config\.postgresql_url )"
    assert findings(MIGRATIONS[-1:], r"^\s*(from|import) taskapp" + lasting) == []


def test_migrations_are_numbered_one_after_the_other() -> None:
    versions = sorted((PROJECT / "migrations" / "versions").glob("*.py"))
    revisions = [re.findall(r'^revision = "(\d{4})"$', path.read_text(), re.MULTILINE) for path in versions]
    before = [re.findall(r'^down_revision = (?:"(\d{4})"|None)$', path.read_text(), re.MULTILINE) for path in versions]
    assert revisions == [[f"{number:04}"] for number in range(101, len(versions) + 101)]
    assert before == [[""], *revisions[:-1]]
    assert [path.name[:4] for path in versions] == [revision for (revision,) in revisions]


def test_tests_that_compare_times_stand_in_endurance() -> None:
    tests = [path for path in (PROJECT / "tests").rglob("*.py") if path.parent.name != "endurance"]
    marked = findings(tests, r"^\s*(@|pytestmark = )pytest\.mark\.endurance")
    assert marked == [], "`make endurance` runs tests/endurance, and nothing else runs what bears this mark"


def test_there_is_no_drawer_for_the_rest() -> None:
    assert [name(path) for path in SOURCES if re.search("util|helper|common|misc", path.stem)] == []


def test_nothing_waits_to_be_done() -> None:
    assert findings([*SOURCES, *MIGRATIONS], r"\b(TODO|FIXME|XXX|HACK)\b") == []


def test_every_feature_has_the_same_files() -> None:
    allowed = {"__init__.py", "models.py", "schemas.py", "queries.py", "routes.py"}
    features = {path.parent for path in SOURCES if path.name == "routes.py"}
    assert {name(feature) for feature in features} == {
        "taskapp/features/auth",
        "taskapp/features/account",
        "taskapp/features/users",
        "taskapp/features/lists",
        "taskapp/features/tags",
        "taskapp/features/tasks",
        "taskapp/features/tokens",
        "taskapp/features/completions",
        "taskapp/features/trash",
        "taskapp/features/keys",
        "taskapp/features/health",
        "taskapp/features/pages",
    }
    others = {name(path) for feature in features for path in feature.glob("*.py") if path.name not in allowed}
    assert others == BESIDES, "a feature has models, schemas, queries and routes; what else it has stands in BESIDES"

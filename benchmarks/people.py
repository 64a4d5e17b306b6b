"""Whom wrk acts for: 200 people with 500 tasks each."""

from pathlib import Path

from benchmarks.stage import Stage

PEOPLE = 200
TASKS_EACH = 500


def write_people(made: Stage, path: Path) -> None:
    """Put them into the database, and write a line for each: a token and the ids of the tasks."""
    people = made.populate(PEOPLE, TASKS_EACH)
    tasks = dict(made.execute("SELECT user_id::text, string_agg(id::text, ' ') FROM app.tasks GROUP BY 1"))
    path.write_text("".join(f"{made.access_token(person)} {tasks[str(person.id)]}\n" for person in people))

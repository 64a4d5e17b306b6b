"""Many tasks, quickly: ten millions in minutes, into the table as the migrations make it."""

import os
from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.stage import TASKS, Person, Stage

_ROWS_AT_ONCE = 100_000

# In the order in which people write them, so that one's tasks lie scattered among everybody's, as they do in real life.
_FROM = """
    FROM (
        SELECT n, user_id, email
        FROM unnest(%(people)s::uuid[], %(counts)s::int[]) AS someone (user_id, tasks)
        JOIN app.users USING (user_id)
        JOIN generate_series(%(first)s, %(last)s) AS n ON n <= tasks
        ORDER BY n DESC
    ) AS wanted
"""


def fill(stage: Stage, counts: Sequence[int]) -> list[Person]:
    """Let there be a person for each of ``counts``, with so many tasks, where nobody was; return them in that order.

    Every check is made and every generated column computed. The indexes are built at the end, as pg_restore would do, and
    not row by row: while they are not `ready`, PostgreSQL does not keep them up, and REINDEX makes them what they were.
    """
    people = stage.sign_up(len(counts))
    given = {"people": [str(person.id) for person in people], "counts": list(counts)}
    stage.execute("UPDATE pg_index SET indisready = false WHERE indrelid = 'app.tasks'::regclass")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(
            pool.map(lambda span: stage.execute(TASKS + _FROM, {**given, "first": span[0], "last": span[1]}), spans(counts))
        )
    stage.execute("SET maintenance_work_mem = '1GB'; REINDEX TABLE app.tasks")
    stage.execute("VACUUM (FREEZE, ANALYZE)")
    stage.execute("CHECKPOINT")
    ((tasks, unready),) = stage.execute(
        "SELECT (SELECT count(*) FROM app.tasks),"
        " (SELECT count(*) FROM pg_index WHERE NOT (indisready AND indisvalid AND indislive))"
    )
    if tasks != sum(counts) or unready:
        raise RuntimeError(f"{tasks} tasks in place of {sum(counts)}, and {unready} indexes that are not ready")
    return people


def spans(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Cut the numbers of the tasks, from the oldest on, into spans of about so many rows as one statement is good for."""
    spans = []
    ordered = sorted(counts)
    last = ordered[-1]
    while last:
        first, rows = last, 0
        while first and rows < _ROWS_AT_ONCE:
            rows += len(ordered) - bisect_left(ordered, first)
            first -= 1
        spans.append((first + 1, last))
        last = first
    return spans

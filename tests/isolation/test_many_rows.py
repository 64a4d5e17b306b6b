"""What changes thousands of tasks writes each of them once, and reads each a few times, whatever the planner believes."""

import pytest
from conftest import Admin

from isolation.conftest import ActAs, User

TASKS = 400
# A handful of indexes are looked into for each task. Comparing each with each would read 400 times as much.
READS_EACH = 12

CHANGES = {
    "rename a tag": ("", "app.rename_tag('many', 'others', 'Others', 'others', NULL)"),
    "delete a tag": ("", "app.remove_tag('many')"),
    "delete a list": ("", "app.trash_list(%(list)s, NULL, false)"),
    "delete a list and its tasks": ("", "app.trash_list(%(list)s, NULL, true)"),
    "restore a list from the Inbox": ("SELECT app.trash_list(%(list)s, NULL, false);", "app.restore_list(%(list)s, NULL)"),
    "restore a list from the trash": ("SELECT app.trash_list(%(list)s, NULL, true);", "app.restore_list(%(list)s, NULL)"),
    "complete the parts of a task": ("", "app.close_subtasks(%(task)s, 'completed', %(list)s)"),
    "reopen the parts of a task": (
        "SELECT app.close_subtasks(%(task)s, 'completed', %(list)s);",
        "app.reopen_subtasks(%(task)s, %(list)s)",
    ),
}
# In this transaction, and in what the connection did lately: how many rows were written, and read.
COUNTS = (
    "ARRAY[pg_stat_get_xact_tuples_updated('app.tasks'::regclass), (SELECT sum(pg_stat_get_xact_tuples_returned(c))"
    " FROM (SELECT 'app.tasks'::regclass::oid AS c"
    " UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = 'app.tasks'::regclass) AS relations)]::bigint[]"
)


@pytest.mark.parametrize("statistics", [False, True], ids=["as before the first autovacuum", "with statistics"])
@pytest.mark.parametrize("change", CHANGES)
def test_each_task_is_written_once_and_read_a_few_times(
    admin: Admin, owner: User, as_api: ActAs, change: str, statistics: bool
) -> None:
    admin.execute("DELETE FROM app.completions")
    admin.execute("INSERT INTO app.tags (user_id, key, name) VALUES (%s, 'many', 'Many')", owner.id)
    admin.execute(
        "INSERT INTO app.tasks (user_id, id, title, list_id, parent_id, tags)"
        " SELECT %s, gen_random_uuid(), 'x', %s, %s, '{Many}' FROM generate_series(1, %s)",
        *(owner.id, owner.list_id, owner.task_id if "parts" in change else None, TASKS),
    )
    if statistics:
        admin.execute("ANALYZE app.tasks")
    else:
        admin.execute("DELETE FROM pg_statistic WHERE starelid = 'app.tasks'::regclass")
        admin.execute("UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE oid = 'app.tasks'::regclass")
    before, then = CHANGES[change]
    ids = {"list": f"'{owner.list_id}'", "task": f"'{owner.task_id}'"}
    client = as_api(owner.signed_in)
    if before:
        client.rows(before % ids)
    ((earlier, later),) = client.rows(
        f"SELECT set_config('test.counts', ({COUNTS})::text, true); SELECT {then % ids};"
        f" SELECT current_setting('test.counts')::bigint[], {COUNTS}"
    )
    written, read = (after - before for before, after in zip(earlier, later, strict=True))
    of_the_owner = 1 if "list" in change else 0
    assert written == TASKS + of_the_owner
    assert TASKS <= read < TASKS * READS_EACH

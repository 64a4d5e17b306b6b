"""The statements on tags, one per operation. None names an owner: the policies do.

What changes a tag changes the tasks that have it, in a function of the database: a task that is being given the tag at the
same moment has to be seen, so it waits for its turn and looks again, which no single statement can.
"""

from sqlalchemy import BigInteger, Text, bindparam, func, select

from taskapp.database.prepared import Prepared
from taskapp.features.tasks.models import Tag, Task
from taskapp.features.tasks.tag_names import tag_key
from taskapp.features.tasks.words import words
from taskapp.web.requests.merge_patch import Patch


def page(after: str | None, limit: int) -> Prepared:
    """Select up to ``limit`` tags from the key behind ``after`` on, each with the number of its tasks."""
    # All are counted at once: under RLS no index finds the tasks of a tag, so each tag would read all tasks.
    used = select(func.unnest(Task.tags).label("name")).where(Task.deleted_at.is_(None)).subquery()
    counted = select(used.c.name, func.count().label("tasks")).group_by(used.c.name).subquery()
    statement = (
        select(Tag.key, Tag.name, func.coalesce(counted.c.tasks, 0).label("task_count"))
        .outerjoin(counted, counted.c.name == Tag.name)
        .order_by(Tag.key)
        .limit(limit)
    )
    return Prepared(statement if after is None else statement.where(Tag.key > after))


def patch(key: str, changes: Patch) -> Prepared:
    """Rename a tag, in the tasks too, or merge it into the one that has the name; select it. No row if there is none."""
    name = changes.changes.get("name")
    renamed = func.app.rename_tag(
        key,
        bindparam("new_key", None if name is None else tag_key(name), Text),
        bindparam("new_name", name, Text),
        bindparam("new_words", None if name is None else words(tag_key(name)), Text),
        bindparam("counted", changes.echoes.get("task_count"), BigInteger),
    ).table_valued("name", "task_count")
    return Prepared(select(renamed))


def remove(key: str) -> Prepared:
    """Delete a tag, from the tasks too. Select whether there was one."""
    return Prepared(select(func.app.remove_tag(key).label("removed")))

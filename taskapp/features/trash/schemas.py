"""What deleting takes."""

from taskapp.web.schema import Flag, Schema


class DeleteQuerySchema(Schema):
    """How to delete a task."""

    permanent = Flag(
        load_default=False,
        metadata={"description": "`true` deletes it for good, also from the trash, with its subtasks and its history."},
    )

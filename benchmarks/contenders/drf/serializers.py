"""The JSON shape of a task."""

from typing import Any

from rest_framework import serializers

from drf.models import Task


class DueSerializer(serializers.Serializer):
    """The columns of the due date as one member."""

    date = serializers.DateField(source="due_date")
    time = serializers.TimeField(source="due_time", allow_null=True, required=False)
    timezone = serializers.CharField(source="due_timezone", allow_null=True, required=False)
    at = serializers.DateTimeField(source="due_at", read_only=True)

    def to_representation(self, instance: Task) -> dict[str, Any] | None:
        """Write null for a task that is not due."""
        return None if instance.due_date is None else super().to_representation(instance)


class TaskSerializer(serializers.ModelSerializer):
    """All of it."""

    etag = serializers.ReadOnlyField()
    due = DueSerializer(source="*", required=False)

    class Meta:
        """What is shown, and what of that is not for the client to say."""

        model = Task
        fields = (
            *("id", "etag", "title", "notes", "status", "priority", "list_id", "parent_id", "position", "tags"),
            *("start_date", "due", "metadata", "completed_at", "created_at", "updated_at", "deleted_at"),
        )
        read_only_fields = (
            *("id", "status", "list_id", "parent_id", "position"),
            *("completed_at", "created_at", "updated_at", "deleted_at"),
        )

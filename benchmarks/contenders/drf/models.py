"""The tables, which are there already."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models


class User(models.Model):
    """Whoever is signed in."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.TextField(unique=True)

    is_authenticated = True

    class Meta:
        """Made by the benchmark."""

        managed = False
        db_table = "users"


class Task(models.Model):
    """What there is to do."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    version = models.IntegerField(default=1)
    title = models.CharField(max_length=500)
    notes = models.CharField(max_length=16384, null=True, blank=True)
    status = models.TextField(default="open")
    priority = models.TextField(default="none")
    list_id = models.UUIDField(null=True)
    parent_id = models.UUIDField(null=True)
    position = models.TextField(default="")
    tags = ArrayField(models.TextField(), default=list, size=20)
    start_date = models.DateField(null=True)
    due_date = models.DateField(null=True)
    due_time = models.TimeField(null=True)
    due_timezone = models.TextField(null=True)
    due_at = models.DateTimeField(null=True)
    metadata = models.JSONField(default=dict)
    completed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        """Made by the benchmark."""

        managed = False
        db_table = "tasks"

    @property
    def etag(self) -> str:
        """The version, as a client sends it back."""
        return f'"{self.version}"'

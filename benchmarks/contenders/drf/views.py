"""Tasks over HTTP."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import viewsets
from rest_framework.pagination import CursorPagination
from rest_framework.response import Response

from drf.models import Task
from drf.serializers import TaskSerializer


class NewestFirst(CursorPagination):
    """Pages of 50."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering = ("-created_at", "-id")

    def get_paginated_response(self, data: Any) -> Response:
        """Name the members as everybody here does."""
        return Response({"items": data, "next_cursor": self.get_next_link()})


class TaskViewSet(viewsets.ModelViewSet):
    """A user's own tasks."""

    serializer_class = TaskSerializer
    pagination_class = NewestFirst
    http_method_names = ("get", "post", "patch")

    def get_queryset(self) -> QuerySet[Task]:
        """Leave out what is somebody else's."""
        return Task.objects.filter(user=self.request.user, deleted_at=None)

    def perform_create(self, serializer: TaskSerializer) -> None:
        """Give a new task its owner."""
        serializer.save(user=self.request.user)

    def perform_update(self, serializer: TaskSerializer) -> None:
        """Count the version."""
        serializer.save(version=serializer.instance.version + 1)

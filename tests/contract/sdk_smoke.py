"""The API through a Python client that was generated from docs/openapi.json: an example of its use, and a test of both.

    openapi-python-client generate --path docs/openapi.json
    python sdk_smoke.py http://127.0.0.1:8000

What is not set is left out, and None clears: that difference is what a merge patch lives on.
"""

import sys
from collections.abc import Iterator
from uuid import uuid4

from taskapp_client import AuthenticatedClient, Client
from taskapp_client.api.auth import login, refresh_tokens, register_user
from taskapp_client.api.sessions import logout
from taskapp_client.api.tasks import complete_task, create_task, get_task, list_tasks, update_task
from taskapp_client.models import (
    Completed,
    DueCreate,
    DuePatch,
    ListSort,
    Login,
    Problem,
    Refresh,
    Refreshed,
    Register,
    SignedIn,
    Task,
    TaskCreate,
    TaskPage,
    TaskPatch,
    TaskPriority,
    TaskSort,
    TaskStatus,
    Tokens,
    TokenScope,
)

PASSWORD = "correct horse battery"


def main(url: str) -> None:
    """Go once through what a client does."""
    anonymous = Client(base_url=url, raise_on_unexpected_status=True)
    email = f"ada-{uuid4().hex[:8]}@example.com"

    registered = register_user.sync(client=anonymous, body=Register(email=email, password=PASSWORD))
    assert isinstance(registered, SignedIn)
    assert registered.user.display_name is None

    logged_in = login.sync(client=anonymous, body=Login(email=email, password=PASSWORD, device_name="smoke test"))
    assert isinstance(logged_in, SignedIn)
    api = signed_in(url, logged_in.tokens)

    task = created(api)
    patched(api, task)
    named()
    paged(api)
    completed(api, task)
    refused(api, anonymous)

    refreshed = refresh_tokens.sync(client=anonymous, body=Refresh(refresh_token=logged_in.tokens.refresh_token))
    assert isinstance(refreshed, Refreshed)
    api = signed_in(url, refreshed.tokens)
    assert isinstance(get_task.sync(task.id, client=api), Task)

    assert logout.sync_detailed(client=api).status_code == 204
    ended = get_task.sync(task.id, client=api)
    assert isinstance(ended, Problem)
    assert ended.code == "invalid_token"


def signed_in(url: str, tokens: Tokens) -> AuthenticatedClient:
    """Make a client that sends the access token."""
    assert tokens.token_type == "Bearer"
    return AuthenticatedClient(base_url=url, token=tokens.access_token, raise_on_unexpected_status=True)


def created(api: AuthenticatedClient) -> Task:
    """Create a task. With an id of our own, the request can safely be sent again."""
    due = DueCreate.from_dict({"date": "2026-12-01", "time": "09:30", "timezone": "Europe/Berlin"})
    body = TaskCreate(id=uuid4(), title="Pay rent", notes="The landlord changed banks", tags=["home"], due=due)
    first = create_task.sync_detailed(client=api, body=body)
    again = create_task.sync_detailed(client=api, body=body)
    assert (first.status_code, again.status_code) == (201, 200)
    task = first.parsed
    assert isinstance(task, Task)
    assert again.parsed == task
    assert first.headers["Location"] == f"/v1/tasks/{task.id}"
    assert (task.status, task.priority) == (TaskStatus.OPEN, TaskPriority.NONE)
    assert task.due is not None
    assert task.due.at is not None
    return task


def patched(api: AuthenticatedClient, task: Task) -> None:
    """Set one member to null, leave the others out."""
    cleared = update_task.sync(task.id, client=api, body=TaskPatch(notes=None), if_match=task.etag)
    assert isinstance(cleared, Task)
    assert cleared.notes is None
    assert (cleared.title, cleared.tags, cleared.due) == (task.title, task.tags, task.due)

    all_day = update_task.sync(task.id, client=api, body=TaskPatch(due=DuePatch(time=None, timezone=None)))
    assert isinstance(all_day, Task)
    assert all_day.due is not None
    assert (all_day.due.date.isoformat(), all_day.due.time) == ("2026-12-01", None)

    stale = update_task.sync(task.id, client=api, body=TaskPatch(title="Pay the rent"), if_match=task.etag)
    assert isinstance(stale, Problem)
    assert (stale.code, stale.current_etag) == ("precondition_failed", all_day.etag)


def named() -> None:
    """Find the members of enums by names."""
    members = (TaskSort.DUE, TaskSort.DUE_DESC, ListSort.NAME_DESC, TokenScope.TASKS_READ)
    assert [member.value for member in members] == ["due", "-due", "-name", "tasks:read"]


def paged(api: AuthenticatedClient) -> None:
    """Page to the end."""
    for number in range(4):
        assert isinstance(create_task.sync(client=api, body=TaskCreate(title=f"Task {number}")), Task)
    titles = [task.title for task in open_tasks(api)]
    assert titles == ["Pay rent", "Task 0", "Task 1", "Task 2", "Task 3"]


def open_tasks(api: AuthenticatedClient) -> Iterator[Task]:
    """Read page after page until there is no next cursor."""
    page = list_tasks.sync(client=api, status=[TaskStatus.OPEN], sort=TaskSort.TITLE, limit=2)
    while True:
        assert isinstance(page, TaskPage)
        yield from page.items
        if page.next_cursor is None:
            return
        page = list_tasks.sync(client=api, status=[TaskStatus.OPEN], sort=TaskSort.TITLE, limit=2, cursor=page.next_cursor)


def completed(api: AuthenticatedClient, task: Task) -> None:
    """Complete a task, twice: the second time there is nothing to write down."""
    done = complete_task.sync(task.id, client=api)
    assert isinstance(done, Completed)
    assert done.task.status == TaskStatus.COMPLETED
    assert done.completion is not None
    assert done.completion.task_id == task.id
    again = complete_task.sync(task.id, client=api)
    assert isinstance(again, Completed)
    assert again.completion is None


def refused(api: AuthenticatedClient, anonymous: Client) -> None:
    """Read problems: decide by the code, and find the place."""
    missing = get_task.sync(uuid4(), client=api)
    assert isinstance(missing, Problem)
    assert (missing.status, missing.code) == (404, "not_found")

    invalid = create_task.sync(client=api, body=TaskCreate(title=""))
    assert isinstance(invalid, Problem)
    assert invalid.code == "validation_error"
    assert isinstance(invalid.errors, list)
    assert [(error.pointer, error.code) for error in invalid.errors] == [("#/title", "too_short")]

    wrong = login.sync(client=anonymous, body=Login(email="nobody@example.com", password=PASSWORD))
    assert isinstance(wrong, Problem)
    assert wrong.code == "invalid_credentials"


if __name__ == "__main__":
    main(sys.argv[1])

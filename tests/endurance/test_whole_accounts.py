"""No operation on all of a full account takes longer than 3 seconds: 20,000 tasks with the longest notes, 500 lists."""

import random
import sys
import time
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import pytest
from conftest import PASSWORD, Admin, Person
from werkzeug.test import TestResponse

pytestmark = pytest.mark.endurance

SECONDS = 3
TASKS = 20_000
LISTS = 500
# Of these characters: one byte each, which does not compress, or three.
NOTES = {"ASCII": "abcdefghijklmnopqrstuvwxyz      ", "Chinese": "今日明日天気晴雨雪風山川海空花鳥月星"}

FULL, OTHER, PARENT = (str(uuid4()) for _ in range(3))
L, T = f"/v1/lists/{FULL}", f"/v1/tasks/{PARENT}"

# On a list that has all of the tasks, and then on a task that all others are part of. In this order.
ON_A_LIST: dict[str, tuple[str, str, object]] = {
    "change the time zone": ("PATCH", "/v1/me", {"timezone": "Pacific/Kiritimati"}),
    "rename a tag": ("PATCH", "/v1/tags/old", {"name": "new"}),
    "merge two tags": ("PATCH", "/v1/tags/new", {"name": "other"}),
    "delete a tag": ("DELETE", "/v1/tags/other", None),
    "delete a list": ("DELETE", L, None),
    "restore it from the Inbox": ("POST", f"{L}/restore", None),
    "delete a list and its tasks": ("DELETE", f"{L}?tasks=trash", None),
    "restore it from the trash": ("POST", f"{L}/restore", None),
    "delete a list for good": ("DELETE", f"{L}?permanent=true", None),
}
ON_A_FAMILY: dict[str, tuple[str, str, object]] = {
    "complete a task with its parts": ("POST", f"{T}/complete", None),
    "reopen it with its parts": ("POST", f"{T}/reopen", {"subtasks": "reopen"}),
    "move it with its parts": ("POST", f"{T}/move", {"list_id": OTHER}),
    "move it back": ("PATCH", T, {"list_id": None}),
    "delete it with its parts": ("DELETE", T, None),
    "restore it with its parts": ("POST", f"{T}/restore", None),
    "move it again": ("PATCH", T, {"list_id": OTHER}),
    "delete its list": ("DELETE", f"/v1/lists/{OTHER}?tasks=trash", None),
    "restore its list": ("POST", f"/v1/lists/{OTHER}/restore", None),
    "delete its list again": ("DELETE", f"/v1/lists/{OTHER}", None),
    "purge its list": ("DELETE", f"/v1/lists/{OTHER}?permanent=true", None),
    "delete it once more": ("DELETE", T, None),
    "empty the trash": ("DELETE", "/v1/trash", None),
}
AT_THE_END: dict[str, tuple[str, str, object]] = {"delete the account": ("POST", "/v1/me/delete", {"password": PASSWORD})}


@pytest.mark.parametrize("analyzed", [False, True], ids=["without statistics", "with statistics"])
@pytest.mark.parametrize("letters", NOTES.values(), ids=NOTES)
def test_whatever_touches_all_of_an_account_takes_seconds(alice: Person, admin: Admin, letters: str, analyzed: bool) -> None:
    """`-s` shows how many."""
    took: dict[str, float] = {}

    def run(requests: dict[str, tuple[str, str, object]]) -> None:
        for name, (method, path, body) in requests.items():
            took[name] = seconds(partial(alice, method, path, json=body))

    fill(admin, alice, letters)
    if analyzed:
        admin.execute("VACUUM ANALYZE app.tasks, app.completions")
    run(ON_A_LIST)
    assert alice.post("/v1/lists", {"name": "x", "id": OTHER}).status_code == 201
    admin.execute("UPDATE app.tasks SET parent_id = %s WHERE id <> %s", PARENT, PARENT)
    run(ON_A_FAMILY)
    fill(admin, alice, letters)
    run(AT_THE_END)
    for name, each in took.items():
        sys.stdout.write(f"{each:6.2f} s  {name}\n")
    assert {name: each for name, each in took.items() if each > SECONDS} == {}


def seconds(send: Callable[[], TestResponse]) -> float:
    began = time.perf_counter()
    response = send()
    took = time.perf_counter() - began
    assert response.status_code in (200, 204), response.text
    return took


def fill(admin: Admin, person: Person, letters: str) -> None:
    """Give somebody a list with all the tasks they may have, and all other lists."""
    admin.execute("DELETE FROM app.lists")
    chosen = random.Random(18)
    notes = ["".join(chosen.choices(letters, k=16_384)) for _ in range(20)]
    for tag in ("old", "other"):
        admin.execute("INSERT INTO app.tags (user_id, key, name) VALUES (%s, %s, %s)", person.id, tag, tag)
    admin.execute(
        "INSERT INTO app.lists (user_id, id, name) SELECT %s::uuid, gen_random_uuid(), 'x' FROM generate_series(2, %s)"
        " UNION ALL SELECT %s, %s, 'full'",
        *(person.id, LISTS - 1, person.id, FULL),
    )
    admin.execute(
        "INSERT INTO app.tasks (user_id, id, title, title_words, notes, notes_words, list_id, tags, tag_words, due_date)"
        " SELECT %s, CASE n WHEN 1 THEN %s::uuid ELSE gen_random_uuid() END, 'Task ' || n, ' task ' || n, note, ' ' || note,"
        " %s, '{old,other}', '{old,other}', date '2026-12-01' + n %% 99"
        " FROM generate_series(1, %s) AS n, LATERAL (SELECT (%s)[n %% 20 + 1] AS note) AS notes",
        *(person.id, PARENT, FULL, TASKS, notes),
    )

"""Patches of every member of a task, held against an independent reading of RFC 7396."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import expect
import pytest
from arrange import apart
from conftest import Admin, Person
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TASKS = "/v1/tasks"
ID = "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
LISTS = ("0198f3c2-9d02-7a41-8c57-2f4f0c6e1b90", "0198f3c2-9d02-7a41-8c57-2f4f0c6e1b91")
# What can be without a value; the other members that can be patched always have one.
NULLABLE = {"notes", "list_id", "start_date", "due"}
READ_ONLY = ("id", "etag", "status", "parent_id", "position", "completed_at", "created_at", "updated_at", "deleted_at")


def merge_patch(target: Any, patch: Any) -> Any:
    """MergePatch of RFC 7396 section 2, to the letter."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def without_nulls(value: Any) -> Any:
    """RFC 7396 knows no null within a document: what is null here is absent there."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return value


class Refused(Exception):  # noqa: N818
    """The patch is one the API has to refuse."""


def expected(task: dict[str, Any], patch: dict[str, Any], spelt: dict[str, str]) -> dict[str, Any]:
    """The task that the patch makes."""
    for name in READ_ONLY:
        if name in patch and patch[name] != task[name]:
            raise Refused(name)
    due = patch.get("due")
    if due is not None and "at" in due and due["at"] != (task["due"] or {}).get("at"):
        raise Refused("due/at")
    sent = {name: value for name, value in patch.items() if name not in READ_ONLY}
    if due is not None:
        sent["due"] = {name: value for name, value in due.items() if name != "at"}
    merged = merge_patch(without_nulls(task), sent)
    for name in sent:
        if name not in merged and name not in NULLABLE:
            raise Refused(name)
    result = {**task, **{name: merged.get(name) for name in sent}}
    if result["due"] is not None:
        result["due"] = whole(result["due"])
    if "tags" in sent:
        result["tags"] = [spelt.setdefault(tag.casefold(), tag) for tag in result["tags"]]
    return result


def whole(due: dict[str, Any]) -> dict[str, Any]:
    """A due with every member, as RFC 5545 has its instant. The profile is in UTC."""
    day, clock, zone = due.get("date"), due.get("time"), due.get("timezone")
    if day is None or (zone and not clock):
        raise Refused("due")
    at = None
    if clock is not None:
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone or "UTC")).astimezone(UTC)
        at = moment.isoformat(timespec="milliseconds")[:-6] + "Z"
    return {"date": day, "time": clock, "timezone": zone, "at": at}


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


days = st.sampled_from(["2026-12-01", "2026-03-29", "2024-02-29", "0001-01-02", "9999-12-30"])
clocks = st.sampled_from(["00:00", "02:30", "09:30", "23:59"])
zones = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
titles = st.sampled_from(["x", "Pay rent", "日本語", "'; --", "👩‍👩‍👧‍👦"])
keys = st.sampled_from(["a", "b", "größe", "~/", '"', "_schema", "null"])
tags = st.lists(st.sampled_from(["home", "HOME", "Straße", "a b", "%", "money"]), max_size=4, unique_by=str.casefold)


def nullable(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


def whole_dues(due: dict[str, Any]) -> dict[str, Any]:
    return due if due["time"] else {**due, "timezone": None}


dues = st.fixed_dictionaries({"date": days, "time": nullable(clocks), "timezone": nullable(zones)}).map(whole_dues)
lists = st.sampled_from([None, *LISTS])
bodies = some(
    notes=nullable(texts),
    priority=st.sampled_from(["none", "low", "medium", "high"]),
    list_id=lists,
    tags=tags,
    start_date=nullable(days),
    due=nullable(dues),
    metadata=st.dictionaries(keys, texts, max_size=4),
)
# Seldom is a member cleared that cannot be.
rarely = st.integers(0, 11).map(lambda n: n == 0)
due_patches = some(
    date=st.one_of(days, days, days, st.none()),
    time=nullable(clocks),
    timezone=nullable(zones),
    at=st.sampled_from(["echo", "echo", "echo", "2026-12-01T08:30:00.000Z"]),
)
patches = some(
    title=titles,
    notes=nullable(texts),
    priority=st.sampled_from(["none", "low", "high"]),
    list_id=lists,
    tags=tags,
    start_date=nullable(days),
    due=nullable(due_patches),
    metadata=st.dictionaries(keys, nullable(texts), max_size=4),
)
echoes = st.dictionaries(st.sampled_from(READ_ONLY), st.just("echo"), max_size=3)
breakages = st.one_of(
    *(st.just({}) for _ in range(6)),
    st.sampled_from([{name: None} for name in ("title", "priority", "tags", "metadata")]),
    st.sampled_from(
        [{"status": "completed"}, {"id": LISTS[0]}, {"etag": '"99"'}, {"parent_id": LISTS[0]}, {"position": "zz"}]
    ),
)


def filled(patch: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    """Put in what the client has read, where the patch echoes it."""
    result = {name: task[name] if value == "echo" and name in READ_ONLY else value for name, value in patch.items()}
    if (result.get("due") or {}).get("at") == "echo":
        result["due"] = {**result["due"], "at": (task["due"] or {}).get("at")}
    return result


def tags_of(person: Person) -> dict[str, str]:
    return {item["name"].casefold(): item["name"] for item in person.get("/v1/tags").get_json()["items"]}


@given(bodies, st.lists(st.tuples(patches, echoes, breakages), min_size=1, max_size=5))
@settings(
    deadline=None,
    max_examples=30,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_patch_does_what_rfc_7396_says(
    alice: Person, body: dict[str, Any], sent: list[tuple[dict[str, Any], ...]]
) -> None:
    for list_id in LISTS:
        alice.post("/v1/lists", {"id": list_id, "name": "House"})
    created = alice.post(TASKS, {"title": "x", **body})
    assert created.status_code == 201, created.text
    path, task = created.headers["Location"], created.get_json()
    for members, echoed, broken in sent:
        patch = filled({**members, **echoed, **broken}, task)
        spelt = tags_of(alice)
        response = alice.patch(path, patch)
        wanted = None
        with suppress(Refused):
            wanted = expected(task, patch, spelt)
        if wanted is None:
            assert response.status_code == 422, (task, patch)
            assert response.get_json()["code"] in {"validation_error", "read_only", "not_nullable"}
            assert alice.get(path).get_json() == task
            assert tags_of(alice) == spelt
            continue
        assert response.status_code == 200, (task, patch, response.text)
        after = response.get_json()
        if wanted == task:
            assert after == task, patch
        else:
            assert after["etag"] == f'"{int(task["etag"][1:-1]) + 1}"'
            bookkeeping = {name: after[name] for name in ("etag", "updated_at")}
            if wanted["list_id"] != task["list_id"]:
                assert after["position"] > task["position"]
                bookkeeping["position"] = after["position"]
            assert after == {**wanted, **bookkeeping}, (task, patch)
        assert response.headers["ETag"] == after["etag"]
        assert alice.get(path).get_json() == after
        assert tags_of(alice) == spelt
        task = after


# RFC 7396 appendix A, as far as metadata can say it.
MERGES: list[tuple[dict[str, str], dict[str, str | None], dict[str, str]]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": "b"}, {}, {"a": "b"}),
    ({}, {"a": None}, {}),
    ({"e": ""}, {"a": "1"}, {"e": "", "a": "1"}),
    ({"a": "1"}, {"a": ""}, {"a": ""}),
]


@pytest.mark.parametrize(("before", "patch", "after"), MERGES)
def test_metadata_is_merged_key_by_key(alice: Person, before: Any, patch: Any, after: Any) -> None:
    path = alice.post(TASKS, {"title": "x", "metadata": before}).headers["Location"]
    task = alice.patch(path, {"metadata": patch}).get_json()
    assert (task["metadata"], task["etag"]) == (after, '"1"' if before == after else '"2"')


@pytest.mark.parametrize(
    ("there", "sent", "status"), [(50, {"49": "y"}, 200), (50, {"new": "y"}, 422), (49, {"new": "y"}, 200)]
)
def test_the_keys_of_metadata_are_counted_after_the_merge(
    alice: Person, there: int, sent: dict[str, str], status: int
) -> None:
    path = alice.post(TASKS, {"title": "x", "metadata": {str(n): "x" for n in range(there)}}).headers["Location"]
    response = alice.patch(path, {"metadata": sent})
    assert response.status_code == status
    if status == 422:
        assert expect.errors(response) == [("#/metadata", "too_many")]
        assert alice.patch(path, {"metadata": {**sent, "0": None}}).status_code == 200


WHOLE = {
    "id": ID,
    "title": "Pay rent",
    "notes": "n",
    "priority": "high",
    "list_id": LISTS[0],
    "tags": ["Home", "money"],
    "start_date": "2026-11-28",
    "due": {"date": "2026-12-01", "time": "09:30", "timezone": "Europe/Berlin"},
    "metadata": {"b": "2", "a": "1"},
}


@pytest.fixture
def path(alice: Person) -> str:
    alice.post("/v1/lists", {"id": LISTS[0], "name": "House"})
    created = alice.post(TASKS, WHOLE)
    assert created.status_code == 201
    location: str = created.headers["Location"]
    return location


NOTHING: list[dict[str, Any]] = [
    *({name: value} for name, value in WHOLE.items()),
    {"tags": ["HOME", "Money"]},
    {"due": {}},
    {"due": {"at": "2026-12-01T08:30:00.000Z"}},
    {"due": {"at": "2026-12-01T09:30:00+01:00"}},
    {"due": {"time": "09:30"}},
    {"metadata": {}},
    {"metadata": {"a": "1", "c": None}},
    {"title": " Pay rent "},
    {"list_id": LISTS[0].upper()},
]


@pytest.mark.parametrize("patch", NOTHING, ids=str)
def test_a_patch_that_changes_nothing_keeps_the_etag(alice: Person, path: str, patch: dict[str, Any]) -> None:
    before = alice.get(path).get_json()
    response = alice.patch(path, patch, headers={"If-Match": '"1"'})
    assert (response.status_code, response.get_json(), response.headers["ETag"]) == (200, before, '"1"')


CHANGES: list[dict[str, Any]] = [
    {"title": "y"},
    {"notes": None},
    {"priority": "none"},
    {"list_id": None},
    {"tags": []},
    {"tags": ["money", "Home"]},
    {"start_date": None},
    {"due": None},
    {"due": {"timezone": "UTC"}},
    {"metadata": {"c": ""}},
]


@pytest.mark.parametrize("patch", CHANGES, ids=str)
def test_a_change_is_made_to_the_version_that_is_named_or_not_at_all(
    alice: Person, path: str, patch: dict[str, Any], admin: Admin
) -> None:
    before = alice.get(path).get_json()
    response = alice.patch(path, {**patch, "tags": ["new"]}, headers={"If-Match": '"2"'})
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"1"'
    assert alice.get(path).get_json() == before
    assert admin.execute("SELECT name FROM app.tags ORDER BY 1") == [("Home",), ("money",)]
    changed = alice.patch(path, patch, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert {name for name, value in changed.get_json().items() if value != before[name]} - {
        "etag",
        "updated_at",
        "position",
    } == {*patch}


@pytest.mark.parametrize(
    "patch", [{"tags": ["new"]}, {"metadata": {"c": "3"}}, {"due": {"time": "10:00"}}, {"list_id": None}]
)
def test_of_two_writers_with_the_same_version_one_wins(alice: Person, path: str, patch: dict[str, Any]) -> None:
    start = Barrier(2)

    def write(person: Person) -> int:
        start.wait(5)
        return person.patch(path, patch, headers={"If-Match": '"1"'}).status_code

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(write, [apart(alice), apart(alice)])) == [200, 412]
    assert alice.get(path).headers["ETag"] == '"2"'


def test_writers_of_different_parts_of_an_object_both_win(alice: Person, path: str) -> None:
    patches = [{"metadata": {key: "new"}} for key in "abcd"] + [{"due": {"time": "10:00"}}, {"due": {"date": "2026-12-05"}}]
    start = Barrier(len(patches))

    def write(patch: dict[str, Any]) -> int:
        person = apart(alice)
        start.wait(5)
        return person.patch(path, patch).status_code

    with ThreadPoolExecutor(len(patches)) as threads:
        assert set(threads.map(write, patches)) == {200}
    task = alice.get(path).get_json()
    assert task["metadata"] == dict.fromkeys("abcd", "new")
    assert (task["due"]["date"], task["due"]["time"], task["etag"]) == ("2026-12-05", "10:00", '"7"')


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json-patch+json", "application/x-www-form-urlencoded", ""]
)
def test_what_is_no_merge_patch_is_refused_and_never_an_empty_one(alice: Person, path: str, content_type: str) -> None:
    response = alice.patch(path, data=b'{"notes": null}', content_type=content_type)
    expect.problem(response, 415, "unsupported_media_type")
    assert alice.get(path).headers["ETag"] == '"1"'


@pytest.mark.parametrize(
    "body",
    [
        b'{"title":"x","title":"y"}',
        b'{"due":{"date":"2026-12-01","date":"2026-12-02"}}',
        b'{"metadata":{"a":"1","a":"1"}}',
        b'{"metadata":{"a":NaN}}',
        b'{"title":"x"',
        b"",
        b'\xff\xfe{"title":"x"}',
        b'{"metadata":' * 100_000,
    ],
)
def test_what_is_no_strict_json_is_malformed(alice: Person, path: str, body: bytes) -> None:
    if len(body) > 200_000:
        body = body[:200_000]
    for content_type in ("application/json", "application/merge-patch+json"):
        expect.problem(alice.patch(path, data=body, content_type=content_type), 400, "malformed_request")
    assert alice.get(path).headers["ETag"] == '"1"'


@pytest.mark.parametrize("body", [b"null", b"[]", b'"title"', b"1", b"true", b"[{}]"])
def test_a_patch_is_an_object(alice: Person, path: str, body: bytes) -> None:
    response = alice.patch(path, data=body, content_type="application/merge-patch+json")
    assert expect.errors(response) == [("#", "invalid_type")]
    assert alice.get(path).headers["ETag"] == '"1"'


@pytest.mark.parametrize("whose", ["nobody's", "another user's"])
def test_a_list_that_is_not_ones_own_is_unknown(alice: Person, bob: Person, path: str, admin: Admin, whose: str) -> None:
    target = LISTS[1]
    if whose == "another user's":
        bob.post("/v1/lists", {"id": target, "name": "theirs"})
    before = alice.get(path).get_json()
    response = alice.patch(path, {"list_id": target, "tags": ["new"], "title": "y"})
    assert expect.errors(response) == [("#/list_id", "unknown_list")]
    assert alice.get(path).get_json() == before
    assert admin.execute("SELECT count(*) FROM app.tags") == [(2,)]


def test_in_another_list_a_task_is_the_last(alice: Person, path: str) -> None:
    other = alice.post(TASKS, {"title": "x"}).get_json()["id"]
    alice.patch(path, {"list_id": None})
    alice.patch(path, {"list_id": None, "title": "stays"})
    items = alice.get(f"{TASKS}?list_id=inbox&sort=position").get_json()["items"]
    assert [item["id"] for item in items] == [other, ID]


def test_a_task_in_the_trash_is_not_patched(alice: Person, path: str) -> None:
    alice.delete(path)
    expect.problem(alice.patch(path, {"title": "y"}), 404, "not_found")
    expect.problem(alice.patch(path, {}, headers={"If-Match": '"1"'}), 404, "not_found")

"""ETags and preconditions: the versions of a row, compared as RFC 9110 has it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import expect
import pytest
from conftest import Person
from flask import Flask

STALE = [
    '"2"',
    '"0"',
    '"x"',
    '""',
    '"2", "3"',
    '"-1"',
    '" 1"',
    '"1.0"',
    '"01"',
    '"+1"',
    '"1_0"',
    '"99999999999999999999"',
    '"١"',
]
WEAK = ['W/"1"', 'W/"1", W/"2"']
NO_LIST_OF_TAGS = ["1", "W/1", '"1', '1"', "'1'", 'w/"1"', '"1" "2"', '"1"; "2"', '*, "1"', "**", 'W/ "1"']


@pytest.fixture
def task(alice: Person) -> dict[str, Any]:
    created: dict[str, Any] = alice.post("/v1/tasks", {"title": "first"}).get_json()
    return created


@pytest.fixture
def path(task: dict[str, Any]) -> str:
    return f"/v1/tasks/{task['id']}"


def test_the_etag_of_a_new_task_stands_in_header_and_body(alice: Person) -> None:
    created = alice.post("/v1/tasks", {"title": "x"})
    assert created.headers["ETag"] == created.get_json()["etag"] == '"1"'


def test_the_etag_of_a_task_stands_in_header_and_body(alice: Person, path: str) -> None:
    response = alice.get(path)
    assert response.headers["ETag"] == response.get_json()["etag"]


def test_the_etag_of_a_changed_task_stands_in_header_and_body(alice: Person, path: str) -> None:
    response = alice.patch(path, {"title": "second"})
    assert response.headers["ETag"] == response.get_json()["etag"] == '"2"'


def test_the_etag_of_a_task_is_the_same_within_the_list(alice: Person, path: str) -> None:
    (listed,) = alice.get("/v1/tasks").get_json()["items"]
    assert listed["etag"] == alice.get(path).headers["ETag"]


def test_what_the_client_has_is_not_sent_again(alice: Person, path: str) -> None:
    headers = ['"1"', 'W/"1"', '"0", "1"', '"0",W/"1" , "2"', "*", ' "1" ', '"1", ', ', "1"', '"a,b", "1"']
    answers = {header: alice.get(path, headers={"If-None-Match": header}) for header in headers}
    assert {header: (answer.status_code, answer.data) for header, answer in answers.items()} == dict.fromkeys(
        headers, (304, b"")
    )
    assert {answer.headers["ETag"] for answer in answers.values()} == {'"1"'}


def test_what_the_client_does_not_have_is_sent(alice: Person, path: str, task: dict[str, Any]) -> None:
    headers = [*STALE, 'W/"2"', '"a,b"', '"1,2"', '"2", ']
    answers = {header: alice.get(path, headers={"If-None-Match": header}).get_json() for header in headers}
    assert answers == dict.fromkeys(headers, task)


def test_a_304_is_as_private_as_the_200_it_stands_for(alice: Person, path: str) -> None:
    response = alice.get(path, headers={"If-None-Match": '"1"'})
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "Authorization" in response.headers["Vary"]


@pytest.mark.parametrize(
    "header", ['"1"', '"0", "1"', '"1" , "2"', 'W/"2", "1"', "*", " * ", ' "1" ', '"1", ', '"a,b", "1"']
)
def test_a_change_of_the_version_the_client_has_is_made(alice: Person, path: str, header: str) -> None:
    response = alice.patch(path, {"title": "second"}, headers={"If-Match": header})
    assert (response.status_code, response.get_json()["title"]) == (200, "second")


@pytest.mark.parametrize("patch", [{"title": "second"}, {}], ids=["a change", "nothing"])
def test_a_patch_of_another_version_is_not_made(
    alice: Person, path: str, task: dict[str, Any], patch: dict[str, str]
) -> None:
    headers = [*STALE, *WEAK, '"a,b"', '"1,2"', '"2", ']
    statuses = {header: alice.patch(path, patch, headers={"If-Match": header}).status_code for header in headers}
    assert statuses == dict.fromkeys(headers, 412)
    assert alice.get(path).get_json() == task


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_who_has_another_version_is_told_the_current_one(alice: Person, path: str, method: str) -> None:
    response = alice(method, path, json={"title": "x"} if method == "PATCH" else None, headers={"If-Match": '"7"'})
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"1"'


def test_a_stale_version_counts_before_a_stale_echo(alice: Person, path: str) -> None:
    response = alice.patch(path, {"title": "second", "etag": '"7"'}, headers={"If-Match": '"7"'})
    expect.problem(response, 412, "precondition_failed")


@pytest.mark.parametrize("header", ['"1"', "*", '"0", "1"'])
def test_the_version_the_client_has_is_deleted(alice: Person, path: str, header: str) -> None:
    assert alice.delete(path, headers={"If-Match": header}).status_code == 204
    expect.problem(alice.get(path), 404, "not_found")


def test_another_version_is_not_deleted(alice: Person, path: str, task: dict[str, Any]) -> None:
    # "01" comes last, because a task that is gone would hide what the others do.
    headers = [*WEAK, *sorted(STALE, key=lambda header: header == '"01"')]
    statuses = {header: alice.delete(path, headers={"If-Match": header}).status_code for header in headers}
    assert statuses == dict.fromkeys(headers, 412)
    assert alice.get(path).get_json() == task


def test_what_is_no_list_of_tags_is_malformed_in_if_match(alice: Person, path: str, task: dict[str, Any]) -> None:
    for header in NO_LIST_OF_TAGS:
        expect.problem(alice.patch(path, {"title": "second"}, headers={"If-Match": header}), 400, "malformed_request")
    assert alice.get(path).get_json() == task


def test_what_is_no_list_of_tags_is_malformed_in_if_none_match(alice: Person, path: str) -> None:
    for header in NO_LIST_OF_TAGS:
        expect.problem(alice.get(path, headers={"If-None-Match": header}), 400, "malformed_request")


@pytest.mark.parametrize("header", ['"1"', '"7"', "*"])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_what_does_not_exist_is_not_found_whatever_the_precondition(alice: Person, method: str, header: str) -> None:
    path = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
    body = {"title": "x"} if method == "PATCH" else None
    expect.problem(alice(method, path, json=body, headers={"If-Match": header}), 404, "not_found")


@pytest.mark.parametrize("header", ['"1"', '"7"'])
def test_a_precondition_never_tells_of_another_users_task(bob: Person, path: str, header: str) -> None:
    expect.problem(bob.patch(path, {"title": "x"}, headers={"If-Match": header}), 404, "not_found")


def test_a_precondition_is_never_ignored_where_it_cannot_be_honoured(alice: Person) -> None:
    response = alice.post("/v1/tasks", {"title": "x"}, headers={"If-Match": '"7"'})
    expect.problem(response, 412, "precondition_failed")
    assert alice.get("/v1/tasks").get_json()["items"] == []


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_of_two_writers_with_the_same_version_one_wins(app: Flask, alice: Person, method: str) -> None:
    for _ in range(10):
        path = alice.post("/v1/tasks", {"title": "first"}).headers["Location"]
        start = Barrier(2)

        def write(title: str, path: str = path, start: Barrier = start) -> int:
            writer = Person(app.test_client(), alice.headers)
            start.wait(5)
            body = {"title": title} if method == "PATCH" else None
            return writer(method, path, json=body, headers={"If-Match": '"1"'}).status_code

        with ThreadPoolExecutor(2) as threads:
            statuses = list(threads.map(write, ["one", "two"]))
        assert sorted(statuses) == ([200, 412] if method == "PATCH" else [204, 404])
        if method == "PATCH":
            assert alice.get(path).get_json()["title"] == ("one" if statuses[0] == 200 else "two")


def test_no_update_is_lost_between_writers_that_try_again(app: Flask, alice: Person, path: str) -> None:
    def add(mark: str) -> None:
        writer = Person(app.test_client(), alice.headers)
        for _ in range(10):
            while True:
                read = writer.get(path)
                notes = (read.get_json()["notes"] or "") + mark
                if writer.patch(path, {"notes": notes}, headers={"If-Match": read.headers["ETag"]}).status_code == 200:
                    break

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(add, "abc"))
    assert sorted(alice.get(path).get_json()["notes"]) == sorted("abc" * 10)
    assert alice.get(path).headers["ETag"] == '"31"'


def test_writers_of_different_members_without_a_precondition_both_win(app: Flask, alice: Person, path: str) -> None:
    start = Barrier(2)

    def write(body: dict[str, str]) -> int:
        writer = Person(app.test_client(), alice.headers)
        start.wait(5)
        return writer.patch(path, body).status_code

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(write, [{"title": "new"}, {"priority": "high"}])) == [200, 200]
    task = alice.get(path).get_json()
    assert (task["title"], task["priority"], task["etag"]) == ("new", "high", '"3"')


@pytest.mark.parametrize("header", ["*", '"1"'])
def test_a_change_under_a_condition_that_is_for_reading_is_not_made(alice: Person, header: str) -> None:
    path = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    response = alice.patch(path, {"title": "y"}, headers={"If-None-Match": header})
    expect.problem(response, 412, "precondition_failed")
    assert alice.get(path).get_json()["title"] == "x"

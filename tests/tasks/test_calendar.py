"""The ends of the calendar, its odd days, and zones that go by more than one name; what a single due is, test_due.py has."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import expect
import pytest
from conftest import Person

TASKS = "/v1/tasks"
LEAP = ["0004-02-29", "1600-02-29", "2000-02-29", "2024-02-29", "2028-02-29", "2400-02-29", "9996-02-29"]
FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"
# The same zone by its old name and its new one.
ALIASES = {
    "US/Pacific": "America/Los_Angeles",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Europe/Kiev": "Europe/Kyiv",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "GB": "Europe/London",
    "Zulu": "UTC",
}


def create(person: Person, **members: Any) -> Any:
    response = person.post(TASKS, {"title": "x", **members})
    assert response.status_code == 201, response.text
    return response.get_json()


def found(person: Person, **parameters: Any) -> list[str]:
    response = person.get(TASKS, query_string=parameters)
    assert response.status_code == 200, response.text
    return [task["title"] for task in response.get_json()["items"]]


@pytest.mark.parametrize("day", LEAP)
def test_a_leap_day_is_a_day_like_others(alice: Person, day: str) -> None:
    task = create(alice, start_date=day, due={"date": day, "time": "23:59", "timezone": "Pacific/Kiritimati"})
    assert (task["start_date"], task["due"]["date"]) == (day, day)
    assert found(alice, due_from=day, due_to=day, timezone="Pacific/Kiritimati") == ["x"]
    completed = alice.post(f"{TASKS}/{task['id']}/complete", {"occurrence": day})
    assert completed.status_code == 200, completed.text
    with alice.get("/v1/me/export") as response:
        assert response.get_json()["tasks"] == [completed.get_json()["task"]]


@pytest.mark.parametrize("day", ["2023-02-29", "2100-02-29", "1900-02-29", "9999-02-29", "2026-02-30"])
def test_a_leap_day_of_another_year_is_none(alice: Person, day: str) -> None:
    assert expect.errors(alice.post(TASKS, {"title": "x", "start_date": day})) == [("#/start_date", "invalid_type")]
    assert expect.errors(alice.get(TASKS, query_string={"due_from": day})) == [("?due_from", "invalid_type")]
    path = f"{TASKS}/{create(alice, due={'date': '2024-02-29'})['id']}"
    assert expect.errors(alice.patch(path, {"due": {"date": day}})) == [("#/due/date", "invalid_type")]
    assert expect.errors(alice.post(f"{path}/complete", {"occurrence": day})) == [("#/occurrence", "invalid_type")]


def test_the_first_and_the_last_day_are_found_sorted_and_paged_through(alice: Person) -> None:
    days = ["0001-01-01", "0001-01-02", "2024-02-29", "9999-12-30", "9999-12-31"]
    for day in days:
        create(alice, title=day, start_date=day, due={"date": day})
    assert found(alice, due_from="0001-01-01", due_to="9999-12-31", sort="due") == days
    assert found(alice, due_to="0001-01-01") == days[:1]
    assert found(alice, due_from="9999-12-31") == days[-1:]
    for order, expected in (("due", days), ("-due", days[::-1])):
        seen: list[str] = []
        path: str | None = f"{TASKS}?sort={order}&limit=1"
        while path:
            response = alice.get(path)
            seen += [task["title"] for task in response.get_json()["items"]]
            path = expect.next_page(response)
        assert seen == expected


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu", "America/Los_Angeles"])
def test_the_ends_of_the_calendar_are_filtered_in_any_zone(alice: Person, zone: str) -> None:
    for title, day in (("first", "0001-01-01"), ("last", "9999-12-31")):
        create(alice, title=title, due={"date": day, "time": "12:00"})
    alice.patch("/v1/me", {"timezone": zone})
    for due, expected in (("overdue", ["first"]), ("upcoming", ["last"]), ("today", [])):
        assert found(alice, due=due) == expected
        assert found(alice, due=due, timezone="Pacific/Kiritimati") == expected
    assert found(alice, due="any", sort="due") == ["first", "last"]
    with alice.get("/v1/me/export") as response:
        assert sorted(task["due"]["date"] for task in response.get_json()["tasks"]) == ["0001-01-01", "9999-12-31"]


def test_moments_at_the_ends_of_the_calendar_are_filters_like_others(alice: Person) -> None:
    task = create(alice)
    alice.post(f"{TASKS}/{task['id']}/complete", {})
    for name in ("updated_since", "completed_from"):
        assert found(alice, **{name: FIRST}) == ["x"]
        assert found(alice, **{name: LAST}) == []
    assert found(alice, completed_to=FIRST) == []
    assert found(alice, completed_to=LAST) == ["x"]
    for outside in ("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59.999999-00:01", "9999-12-31T24:00:00Z"):
        assert expect.errors(alice.get(TASKS, query_string={"updated_since": outside})) == [
            ("?updated_since", "invalid_type")
        ]
    # The same moments with an offset that the calendar has room for.
    assert found(alice, updated_since="0001-01-01T00:01:00+00:01") == ["x"]
    assert found(alice, completed_to="9999-12-31T23:58:59.999999-00:01") == ["x"]


@pytest.mark.parametrize("second", ["2016-12-31T23:59:60Z", "2026-12-31T23:59:61Z"])
def test_there_is_no_leap_second(alice: Person, second: str) -> None:
    assert expect.errors(alice.get(TASKS, query_string={"updated_since": second})) == [("?updated_since", "invalid_type")]


@pytest.mark.parametrize(("old", "new"), ALIASES.items())
def test_a_zone_by_its_old_name_is_kept_and_means_the_same(alice: Person, old: str, new: str) -> None:
    shown = [
        create(alice, due={"date": day, "time": "02:30", "timezone": zone})["due"]
        for day in ("2026-03-08", "2026-11-01", "2026-03-29", "2026-10-25")
        for zone in (old, new)
    ]
    assert {due["timezone"] for due in shown} == {old, new}
    assert [due["at"] for due in shown[::2]] == [due["at"] for due in shown[1::2]]
    assert alice.patch("/v1/me", {"timezone": old}).get_json()["timezone"] == old


@pytest.mark.parametrize(
    "zone", ["US/Pacific-New", "Asia/Atlantis", "posix/Europe/Berlin", "right/Europe/Berlin", "us/pacific", "EUROPE/BERLIN"]
)
def test_a_zone_that_is_gone_or_spelt_otherwise_is_unknown_wherever_one_is_named(alice: Person, zone: str) -> None:
    due = {"date": "2026-12-01", "time": "09:30", "timezone": zone}
    assert expect.errors(alice.post(TASKS, {"title": "x", "due": due})) == [("#/due/timezone", "unknown_timezone")]
    assert expect.errors(alice.patch("/v1/me", {"timezone": zone})) == [("#/timezone", "unknown_timezone")]
    assert expect.errors(alice.get(TASKS, query_string={"timezone": zone})) == [("?timezone", "unknown_timezone")]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"])
def test_a_time_that_is_twice_or_never_stays_as_it_was_written(alice: Person, zone: str) -> None:
    for day in ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"):
        for clock in ("01:30", "02:00", "02:30", "03:00"):
            due = create(alice, due={"date": day, "time": clock, "timezone": zone})["due"]
            assert (due["date"], due["time"], due["timezone"]) == (day, clock, zone)
            wall = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone), fold=0)
            assert datetime.fromisoformat(due["at"]) == wall.astimezone(UTC)

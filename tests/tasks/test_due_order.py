"""The instant that a task is due, as an order and as a day on the user's calendar: by zoneinfo, around changes of clocks."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import arrange
import expect
import pytest
from concurrency import account_held
from conftest import Admin, Cluster, Person

TASKS = "/v1/tasks"
Due = dict[str, str | None]

ZONES = ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin", "Asia/Kolkata", "Asia/Beirut")
# In Berlin and Beirut the clock changes on two of these days; in Beirut at midnight.
DAYS = [date(2026, 3, 28) + timedelta(n) for n in range(3)] + [date(2026, 10, 24) + timedelta(n) for n in range(3)]


def dues() -> list[Due]:
    """Return days, times without a zone, and times in zones."""
    clocks = [None, "00:00", "00:30", "02:30", "12:00", "23:30", "23:59"]
    floating: list[Due] = [{"date": str(day), "time": clock, "timezone": None} for day in DAYS for clock in clocks]
    zoned: list[Due] = [
        {"date": str(day), "time": clock, "timezone": zone}
        for day in DAYS
        for clock in ("00:00", "02:30", "23:30")
        for zone in ZONES
    ]
    return floating + zoned


def instant(due: Due, home: str) -> datetime:
    """Return the instant by zoneinfo: of the time, or of the last microsecond of the day."""
    zone, day = ZoneInfo(due["timezone"] or home), date.fromisoformat(due["date"] or "")
    if due["time"] is None:
        return datetime.combine(day + timedelta(1), time(), zone).astimezone(UTC) - timedelta(microseconds=1)
    return datetime.combine(day, time.fromisoformat(due["time"]), zone).astimezone(UTC)


def day_of(due: Due, zone: str) -> date:
    """Return the day on a calendar in this zone: without a zone of its own, a task is due on its date."""
    if due["timezone"] is None:
        return date.fromisoformat(due["date"] or "")
    return instant(due, zone).astimezone(ZoneInfo(zone)).date()


@pytest.fixture
def tasks(alice: Person, admin: Admin) -> dict[str, Due]:
    """Tasks with every one of these, by their ids."""
    return {
        arrange.task(
            admin, alice, due_date=due["date"], due_time=due["time"], due_timezone=due["timezone"], title=f"{due}"
        ): due
        for due in dues()
    }


def listed(person: Person, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    response = person.get(TASKS, query_string={"limit": 200, **query})
    while True:
        assert response.status_code == 200, response.text
        items += response.get_json()["items"]
        if (path := expect.next_page(response)) is None:
            return items
        response = person.get(path)


def test_the_order_is_that_of_the_instants_and_follows_the_profile(alice: Person, tasks: dict[str, Due]) -> None:
    for home in ZONES:
        assert alice.patch("/v1/me", {"timezone": home}).status_code == 200
        expected = sorted(tasks, key=lambda id: (instant(tasks[id], home), id))
        found = listed(alice, sort="due")
        assert [task["id"] for task in found] == expected
        assert [task["id"] for task in listed(alice, sort="-due", limit=70)] == expected[::-1]
        shown = {task["id"]: task["due"]["at"] for task in found}
        assert shown == {
            id: due["time"] and instant(due, home).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            for id, due in tasks.items()
        }
        # The zone of a request is that of its filters.
        assert [task["id"] for task in listed(alice, sort="due", timezone="Pacific/Pago_Pago")] == expected


@pytest.mark.parametrize("asked", [False, True], ids=["profile", "parameter"])
def test_days_are_those_of_the_users_calendar(alice: Person, tasks: dict[str, Due], asked: bool) -> None:
    for zone in ZONES:
        if not asked:
            alice.patch("/v1/me", {"timezone": zone})
        query = {"timezone": zone} if asked else {}
        for day in (DAYS[0] - timedelta(1), *DAYS):
            found = listed(alice, due_from=str(day), due_to=str(day), **query)
            assert {task["id"] for task in found} == {id for id in tasks if day_of(tasks[id], zone) == day}, (zone, day)
        middle = DAYS[1]
        later = {task["id"] for task in listed(alice, due_from=str(middle), **query)}
        assert later == {id for id in tasks if day_of(tasks[id], zone) >= middle}
        before = {task["id"] for task in listed(alice, due_to=str(middle), **query)}
        assert before == {id for id in tasks if day_of(tasks[id], zone) <= middle}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("asked", [False, True], ids=["profile", "parameter"])
def test_today_is_the_same_day_in_all_filters(alice: Person, admin: Admin, zone: str, asked: bool) -> None:
    alice.patch("/v1/me", {"timezone": "America/New_York" if asked else zone})
    query = {"timezone": zone} if asked else {}
    start = datetime.now(UTC).date()
    rows: dict[str, Due] = {}
    for days in (-2, -1, 0, 1, 2):
        for own in (None, "Asia/Tokyo", "America/Los_Angeles"):
            for clock in (*([None] if own is None else []), "00:00", "07:30", "16:45", "23:59"):
                due: Due = {"date": str(start + timedelta(days)), "time": clock, "timezone": own}
                rows[arrange.task(admin, alice, due_date=due["date"], due_time=clock, due_timezone=own)] = due
    for _ in range(2):
        now = datetime.now(UTC)
        today = now.astimezone(ZoneInfo(zone)).date()
        seen = {due: {task["id"] for task in listed(alice, due=due, **query)} for due in ("today", "upcoming", "overdue")}
        same = {task["id"] for task in listed(alice, due_from=str(today), due_to=str(today), **query)}
        until = {task["id"] for task in listed(alice, due_from=str(today + timedelta(1)), **query)}
        if datetime.now(ZoneInfo(zone)).replace(second=0, microsecond=0) == now.astimezone(ZoneInfo(zone)).replace(
            second=0, microsecond=0
        ):
            break
    days_of = {id: day_of(due, zone) for id, due in rows.items()}
    assert seen["today"] == same == {id for id, day in days_of.items() if day == today}
    assert seen["upcoming"] == until == {id for id, day in days_of.items() if day > today}
    assert seen["overdue"] == {id for id, due in rows.items() if instant(due, zone) < now}


def test_a_new_zone_is_a_new_version_of_what_looks_different_only(alice: Person, admin: Admin) -> None:
    ids = {
        name: arrange.task(admin, alice, **columns)
        for name, columns in {
            "all day": {"due_date": "2026-12-01"},
            "floating": {"due_date": "2026-12-01", "due_time": "09:30"},
            "in a zone": {"due_date": "2026-12-01", "due_time": "09:30", "due_timezone": "Asia/Tokyo"},
            "never": {},
        }.items()
    }

    def versions() -> dict[str, int]:
        found = dict(admin.execute("SELECT id::text, version FROM app.tasks"))
        return {name: found[id] for name, id in ids.items()}

    alice.patch("/v1/me", {"timezone": "Europe/Berlin"})
    assert versions() == {"all day": 1, "floating": 2, "in a zone": 1, "never": 1}
    # The clock shows the same there.
    alice.patch("/v1/me", {"timezone": "Europe/Paris"})
    assert versions() == {"all day": 1, "floating": 2, "in a zone": 1, "never": 1}


def key_of(admin: Admin, task_id: str) -> datetime:
    ((key,),) = admin.execute("SELECT due_sort FROM app.tasks WHERE id = %s", task_id)
    found: datetime = key
    return found


@pytest.mark.parametrize("before", [None, {"date": "2026-12-01", "time": "09:30", "timezone": "UTC"}], ids=str)
@pytest.mark.parametrize("act", ["create", "patch"])
@pytest.mark.parametrize("zone_first", [True, False])
def test_a_task_that_is_due_while_the_zone_changes_goes_by_the_new_one(
    alice: Person, admin: Admin, cluster: Cluster, act: str, before: Due | None, zone_first: bool
) -> None:
    due: Due = {"date": "2026-12-01", "time": "09:30", "timezone": None}
    path = alice.post(TASKS, {"title": "x", "due": before}).headers["Location"]
    other = arrange.apart(alice)
    acts = [
        lambda: alice.patch("/v1/me", {"timezone": "Asia/Tokyo"}),
        (lambda: other.patch(path, {"due": due}))
        if act == "patch"
        else lambda: other.post(TASKS, {"title": "y", "due": due}),
    ]
    with account_held(cluster, alice) as queue:
        answers = [queue(each) for each in (acts if zone_first else acts[::-1])]
    responses = [answer.result(60) for answer in answers]
    assert {response.status_code for response in responses} <= {200, 201}
    changed = responses[1 if zone_first else 0].get_json()["id"]
    assert alice.get(f"{TASKS}/{changed}").get_json()["due"]["at"] == "2026-12-01T00:30:00.000Z"
    assert key_of(admin, changed) == datetime(2026, 12, 1, 0, 30, tzinfo=UTC)


def test_no_writer_can_leave_a_task_in_another_place(alice: Person, admin: Admin) -> None:
    task = arrange.task(admin, alice, due_date="2026-12-01", due_time="09:30")
    admin.execute("UPDATE app.users SET timezone = 'Asia/Tokyo'")
    assert key_of(admin, task) == datetime(2026, 12, 1, 0, 30, tzinfo=UTC)
    admin.execute("UPDATE app.tasks SET due_time = NULL")
    assert key_of(admin, task) == datetime(2026, 12, 1, 14, 59, 59, 999999, tzinfo=UTC)
    admin.execute("UPDATE app.tasks SET due_time = '09:30', due_timezone = 'Europe/Berlin'")
    assert key_of(admin, task) == datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
    admin.execute("UPDATE app.tasks SET due_date = NULL, due_time = NULL, due_timezone = NULL")
    assert admin.execute("SELECT due_sort = 'infinity', due_at FROM app.tasks") == [(True, None)]

"""When a task is due: a day, a time on the wall, or a time in a zone; merged member by member, and exact around the clock's
changes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import expect
import pytest
from conftest import Admin, Person
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from taskapp.features.users.schemas import ZONES

TASKS = "/v1/tasks"
ALL_DAY = {"date": "2026-12-01"}
FLOATING = {"date": "2026-12-01", "time": "09:30"}
IN_BERLIN = {"date": "2026-12-01", "time": "09:30", "timezone": "Europe/Berlin"}


def create(person: Person, due: Any) -> Any:
    return person.post(TASKS, {"title": "x", "due": due})


def location(person: Person, due: Any = None) -> str:
    created = create(person, due)
    assert created.status_code == 201, created.text
    path: str = created.headers["Location"]
    return path


def shown(person: Person, due: Any) -> Any:
    return person.get(location(person, due)).get_json()["due"]


@pytest.mark.parametrize(
    ("due", "at"),
    [(ALL_DAY, None), (FLOATING, "2026-12-01T09:30:00.000Z"), (IN_BERLIN, "2026-12-01T08:30:00.000Z")],
    ids=["all day", "floating", "in a zone"],
)
def test_a_due_has_one_of_three_forms(alice: Person, due: dict[str, str], at: str | None) -> None:
    whole = {"time": None, "timezone": None, **due}
    assert shown(alice, due) == {**whole, "at": at}
    assert shown(alice, whole) == {**whole, "at": at}


@pytest.mark.parametrize("due", [None, "absent"])
def test_a_task_need_not_be_due(alice: Person, due: str | None) -> None:
    body = {"title": "x"} | ({} if due else {"due": None})
    assert alice.post(TASKS, body).get_json()["due"] is None


def test_what_floats_goes_by_the_profile(alice: Person) -> None:
    path = location(alice, FLOATING)
    for zone, at in (("Asia/Tokyo", "00:30"), ("America/New_York", "14:30"), ("Asia/Kathmandu", "03:45")):
        alice.patch("/v1/me", {"timezone": zone})
        assert alice.get(path).get_json()["due"]["at"] == f"2026-12-01T{at}:00.000Z"
        assert alice.get(TASKS).get_json()["items"][0]["due"]["at"] == f"2026-12-01T{at}:00.000Z"


def test_the_profile_counts_for_nothing_else(alice: Person) -> None:
    alice.patch("/v1/me", {"timezone": "Asia/Tokyo"})
    assert shown(alice, IN_BERLIN)["at"] == "2026-12-01T08:30:00.000Z"
    assert shown(alice, ALL_DAY) == {**ALL_DAY, "time": None, "timezone": None, "at": None}


def test_what_the_profile_changes_has_another_etag(alice: Person) -> None:
    path = location(alice, FLOATING)
    before = alice.get(path)
    alice.patch("/v1/me", {"timezone": "Asia/Tokyo"})
    after = alice.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, after.headers["ETag"] == before.headers["ETag"]) == (200, False)


# RFC 7396: what a task is due, what is sent, what it is due after that.
MERGES: dict[str, tuple[Any, Any, Any]] = {
    "the day moves and the time stays": (FLOATING, {"date": "2026-12-05"}, {**FLOATING, "date": "2026-12-05"}),
    "the day moves and the zone stays": (IN_BERLIN, {"date": "2026-12-05"}, {**IN_BERLIN, "date": "2026-12-05"}),
    "it becomes all day": (IN_BERLIN, {"time": None, "timezone": None}, ALL_DAY),
    "a floating one becomes all day": (FLOATING, {"time": None}, ALL_DAY),
    "it floats from now on": (IN_BERLIN, {"timezone": None}, FLOATING),
    "it gets a time": (ALL_DAY, {"time": "09:30"}, FLOATING),
    "it gets a time in a zone": (ALL_DAY, {"time": "09:30", "timezone": "Europe/Berlin"}, IN_BERLIN),
    "it gets a zone": (FLOATING, {"timezone": "Europe/Berlin"}, IN_BERLIN),
    "its time moves": (IN_BERLIN, {"time": "10:00"}, {**IN_BERLIN, "time": "10:00"}),
    "all of it changes": (ALL_DAY, IN_BERLIN, IN_BERLIN),
    "it is due at last": (None, ALL_DAY, ALL_DAY),
    "it is due at last, in a zone": (None, IN_BERLIN, IN_BERLIN),
    "it is due no more": (IN_BERLIN, None, None),
    "nothing is cleared": (None, None, None),
    "nothing is sent": (IN_BERLIN, {}, IN_BERLIN),
    "what is clear is cleared": (ALL_DAY, {"time": None, "timezone": None}, ALL_DAY),
}


@pytest.mark.parametrize(("before", "sent", "after"), MERGES.values(), ids=MERGES)
def test_a_due_is_merged_member_by_member(alice: Person, before: Any, sent: Any, after: Any) -> None:
    path = location(alice, before)
    response = alice.patch(path, {"due": sent})
    assert response.status_code == 200, response.text
    assert response.get_json()["due"] == shown(alice, after)
    assert response.headers["ETag"] == ('"1"' if before == after else '"2"')
    assert alice.get(path).get_json() == response.get_json()


@pytest.mark.parametrize("sent", [{}, {"time": "09:30"}, {"time": None}, {"time": None, "timezone": None}, {"at": None}])
def test_an_object_on_a_task_that_is_not_due_lacks_its_date(alice: Person, sent: dict[str, Any]) -> None:
    path = location(alice)
    assert expect.errors(alice.patch(path, {"due": sent})) == [("#/due/date", "required")]
    assert alice.get(path).get_json()["due"] is None


@pytest.mark.parametrize(
    ("before", "sent"),
    [
        (ALL_DAY, {"timezone": "UTC"}),
        (IN_BERLIN, {"time": None}),
        (FLOATING, {"time": None, "timezone": "UTC"}),
        (None, {"date": "2026-12-01", "timezone": "UTC"}),
    ],
)
def test_a_zone_without_a_time_is_refused(alice: Person, before: Any, sent: dict[str, Any]) -> None:
    path = location(alice, before)
    task = alice.get(path).get_json()
    assert expect.errors(alice.patch(path, {"due": sent})) == [("#/due/time", "required")]
    assert alice.get(path).get_json() == task


def test_a_new_task_with_a_zone_without_a_time_is_refused(alice: Person, admin: Admin) -> None:
    assert expect.errors(create(alice, {**ALL_DAY, "timezone": "UTC"})) == [("#/due/time", "required")]
    assert admin.execute("SELECT count(*) FROM app.tasks") == [(0,)]


def test_a_date_cannot_be_cleared_alone(alice: Person) -> None:
    errors = expect.errors(alice.patch(location(alice, ALL_DAY), {"due": {"date": None}}), "not_nullable")
    assert errors == [("#/due/date", "not_nullable")]


@pytest.mark.parametrize("due", [ALL_DAY, FLOATING, IN_BERLIN])
def test_a_due_can_be_sent_back_as_it_was_read(alice: Person, due: dict[str, str]) -> None:
    path = location(alice, due)
    task = alice.get(path).get_json()
    assert alice.patch(path, {"due": task["due"]}).get_json() == task
    moved = alice.patch(path, {"due": {**task["due"], "date": "2027-01-01"}}).get_json()["due"]
    assert moved == shown(alice, {**due, "date": "2027-01-01"})


@pytest.mark.parametrize("at", ["2026-12-01T08:30:00.001Z", "2026-12-01T09:30:00.000Z", None])
def test_an_instant_cannot_be_set(alice: Person, at: str | None) -> None:
    path = location(alice, IN_BERLIN)
    errors = expect.errors(alice.patch(path, {"due": {"at": at}}), "read_only")
    assert errors == [("#/due/at", "read_only")]
    assert expect.errors(create(alice, {**IN_BERLIN, "at": at})) == [("#/due/at", "unknown_member")]


NO_NAME_OF_A_ZONE: list[Any] = [
    *(
        "Europe/Atlantis",
        "W. Europe Standard Time",
        "Pacific Standard Time",
        "+01:00",
        "-0500",
        "UTC+1",
        "GMT-03:00",
        "Z",
    ),
    *("EST5EDT4", "CET-1CEST", "europe/berlin", "utc", "localtime", "Factory", "posixrules", "../UTC", "/UTC", "UTC/"),
    *("posix/UTC", "right/UTC", "Europe", "zone.tab", "<+01>-1", "x" * 64, "Europe/Berlin\u200b"),
]


def test_what_is_no_name_of_a_zone_is_unknown(alice: Person) -> None:
    for zone in NO_NAME_OF_A_ZONE:
        assert expect.errors(create(alice, {**FLOATING, "timezone": zone})) == [("#/due/timezone", "unknown_timezone")]


@pytest.mark.parametrize(
    "zone", sorted(ZONES & {"UTC", "GMT", "Etc/GMT+12", "CET", "EST5EDT", "Asia/Calcutta", "Asia/Kolkata"})
)
def test_a_name_that_is_known_is_kept_as_it_is(alice: Person, zone: str) -> None:
    assert shown(alice, {**FLOATING, "timezone": zone})["timezone"] == zone


def test_the_database_knows_every_zone_that_the_api_takes(admin: Admin) -> None:
    names = sorted(ZONES)
    unknown = admin.execute("SELECT name FROM unnest(%s::text[]) AS name WHERE NOT app.is_timezone(name)", names)
    assert unknown == []


NO_DAY: list[Any] = [
    *("2026-02-29", "2100-02-29", "1900-02-29", "2026-02-30", "2026-04-31", "2026-00-10", "2026-13-01", "2026-01-00"),
    *(
        "0000-01-01",
        "10000-01-01",
        "-2026-01-01",
        "2026-1-1",
        "20261201",
        "2026-W49-2",
        "2026-335",
        "01.12.2026",
        "today",
    ),
    *(
        "2026-12-01T00:00:00Z",
        "2026-12-01 ",
        " 2026-12-01",
        "2026-12-01\n",
        "",
        "２０２６-12-01",
        20261201,
        True,
        ["2026-12-01"],
    ),
]


def test_what_is_no_day_is_refused(alice: Person) -> None:
    for day in NO_DAY:
        assert expect.errors(create(alice, {"date": day})) == [("#/due/date", "invalid_type")]
        path = location(alice, ALL_DAY)
        assert expect.errors(alice.patch(path, {"due": {"date": day}})) == [("#/due/date", "invalid_type")]
        assert expect.errors(alice.patch(path, {"start_date": day})) == [("#/start_date", "invalid_type")]


NO_TIME: list[Any] = [
    "24:00",
    "23:60",
    "9:30",
    "09:30:00",
    "0930",
    "09.30",
    "09:3",
    " 09:30",
    "09:30\n",
    "09:30Z",
    "９:30",
    "noon",
    "",
    930,
    True,
    {},
]


def test_what_is_no_time_is_refused(alice: Person) -> None:
    for clock in NO_TIME:
        assert expect.errors(create(alice, {**ALL_DAY, "time": clock})) == [("#/due/time", "invalid_type")]
        path = location(alice, ALL_DAY)
        assert expect.errors(alice.patch(path, {"due": {"time": clock}})) == [("#/due/time", "invalid_type")]


@pytest.mark.parametrize("clock", ["00:00", "00:01", "12:00", "23:59"])
@pytest.mark.parametrize("day", ["0001-01-01", "2024-02-29", "2000-02-29", "9999-12-31", "1999-12-31"])
def test_every_day_and_minute_of_the_calendar_will_do(alice: Person, day: str, clock: str) -> None:
    due = shown(alice, {"date": day, "time": clock, "timezone": "UTC"})
    assert due == {"date": day, "time": clock, "timezone": "UTC", "at": f"{day}T{clock}:00.000Z"}
    assert shown(alice, {"date": day})["date"] == day


@pytest.mark.parametrize(
    "due",
    [
        {"date": "0001-01-01", "time": "00:00", "timezone": "Asia/Tokyo"},
        {"date": "9999-12-31", "time": "23:59", "timezone": "America/New_York"},
    ],
)
def test_an_instant_outside_of_the_calendar_is_refused(alice: Person, due: dict[str, str]) -> None:
    assert expect.errors(create(alice, due)) == [("#/due", "out_of_range")]
    path = location(alice)
    assert expect.errors(alice.patch(path, {"due": due})) == [("#/due", "out_of_range")]


@pytest.mark.parametrize("due", [("0001-01-01", "00:00", "Asia/Tokyo"), ("9999-12-31", "23:59", "America/New_York")])
def test_what_floats_out_of_the_calendar_has_no_instant(alice: Person, due: tuple[str, str, str]) -> None:
    day, clock, zone = due
    alice.patch("/v1/me", {"timezone": zone})
    path = location(alice, {"date": day, "time": clock})
    assert alice.get(path).get_json()["due"] == {"date": day, "time": clock, "timezone": None, "at": None}
    assert alice.patch(path, alice.get(path).get_json()).status_code == 200


@pytest.mark.parametrize(
    ("day", "clock", "zone", "at"),
    [
        ("2026-03-29", "02:30", "Europe/Berlin", "2026-03-29T01:30"),  # There is no half past two: half past three.
        ("2026-03-29", "01:59", "Europe/Berlin", "2026-03-29T00:59"),
        ("2026-03-29", "03:00", "Europe/Berlin", "2026-03-29T01:00"),
        ("2026-10-25", "02:30", "Europe/Berlin", "2026-10-25T00:30"),  # The first of the two.
        ("2026-10-25", "02:00", "Europe/Berlin", "2026-10-25T00:00"),
        ("2026-10-25", "03:00", "Europe/Berlin", "2026-10-25T02:00"),
        ("2026-03-08", "02:30", "America/New_York", "2026-03-08T07:30"),
        ("2026-11-01", "01:30", "America/New_York", "2026-11-01T05:30"),
        ("2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:45"),  # Half an hour.
        ("2026-04-05", "01:45", "Australia/Lord_Howe", "2026-04-04T14:45"),
        ("2011-12-30", "12:00", "Pacific/Apia", "2011-12-30T22:00"),  # A whole day that never was.
        ("1972-01-07", "00:30", "Africa/Monrovia", "1972-01-07T01:14:30"),  # Forty-four and a half minutes.
    ],
)
def test_when_the_clock_changes(alice: Person, day: str, clock: str, zone: str, at: str) -> None:
    assert instant(datetime.fromisoformat(f"{day}T{clock}"), zone).startswith(at)
    assert shown(alice, {"date": day, "time": clock, "timezone": zone})["at"].startswith(at)


def instant(wall: datetime, zone: str) -> str:
    """What RFC 5545 has for a local time, which is ``fold=0``."""
    moment = wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


# Names that PostgreSQL reads as its own abbreviations, for an offset that is the same in summer.
ABBREVIATIONS = {"CET", "EET", "MET", "WET"}
# The first failure will do: to make it smaller takes minutes.
RANDOM = settings(
    deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def moments(draw: st.DrawFn) -> tuple[datetime, str]:
    """A time in a zone, of preference around a change of its clock. Before 1970 the zones are not the same everywhere."""
    zone = draw(st.sampled_from(sorted(ZONES - ABBREVIATIONS)))
    info = ZoneInfo(zone)
    wall = draw(st.datetimes(datetime(1970, 1, 2), datetime(2037, 6, 1))).replace(second=0, microsecond=0)  # noqa: DTZ001
    low, high = wall.replace(tzinfo=UTC), wall.replace(tzinfo=UTC) + timedelta(days=200)
    before = low.astimezone(info).utcoffset()
    assert before is not None
    if high.astimezone(info).utcoffset() == before or draw(st.integers(0, 3)) == 0:
        return wall, zone
    while high - low > timedelta(seconds=20):
        middle = low + (high - low) / 2
        low, high = (middle, high) if middle.astimezone(info).utcoffset() == before else (low, middle)
    change = (high + before).replace(tzinfo=None, second=0, microsecond=0)
    return change + timedelta(minutes=draw(st.integers(-130, 130))), zone


def agreed(admin: Admin, wall: datetime, zone: str) -> bool:
    """Whether PostgreSQL and Python have heard the same of what this zone's clock shows around then."""
    instants = [wall.replace(tzinfo=UTC) + timedelta(minutes=minutes) for minutes in range(-1800, 1800, 15)]
    told = admin.execute("SELECT moment AT TIME ZONE %s FROM unnest(%s::timestamptz[]) AS moment", zone, instants)
    return [local for (local,) in told] == [one.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for one in instants]


@given(st.lists(moments(), min_size=20, max_size=20))
@settings(RANDOM, max_examples=20)
@example([(datetime(2026, 10, 25, 2, 30), "Europe/Berlin"), (datetime(2026, 3, 29, 2, 30), "Europe/Berlin")])  # noqa: DTZ001
def test_the_database_has_the_instants_of_zoneinfo(admin: Admin, some: list[tuple[datetime, str]]) -> None:
    answered = admin.execute(
        "SELECT to_char(app.instant_at(wall, zone) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        " FROM unnest(%s::timestamp[], %s::text[]) WITH ORDINALITY AS given (wall, zone, n) ORDER BY n",
        [wall for wall, _ in some],
        [zone for _, zone in some],
    )
    wrong = [(moment, at) for moment, (at,) in zip(some, answered, strict=True) if at != instant(*moment)]
    assert [(moment, at) for moment, at in wrong if agreed(admin, *moment)] == []


@given(moments())
@settings(RANDOM, max_examples=15)
def test_a_due_is_at_the_instant_of_zoneinfo(alice: Person, admin: Admin, moment: tuple[datetime, str]) -> None:
    assume(agreed(admin, *moment))
    wall, zone = moment
    due = {"date": wall.date().isoformat(), "time": wall.strftime("%H:%M"), "timezone": zone}
    assert shown(alice, due)["at"] == instant(wall, zone)
    alice.patch("/v1/me", {"timezone": zone})
    assert shown(alice, {**due, "timezone": None})["at"] == instant(wall, zone)


def test_every_zone_means_the_same_here_and_in_the_database(admin: Admin) -> None:
    walls = [datetime(2015, month, 1, 12) for month in (1, 4, 7, 10)]  # noqa: DTZ001
    answered = admin.execute(
        "SELECT zone, wall, to_char(app.instant_at(wall, zone) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        " FROM unnest(%s::text[]) AS zone, unnest(%s::timestamp[]) AS wall",
        sorted(ZONES),
        walls,
    )
    assert {zone for zone, wall, at in answered if at != instant(wall, zone)} == set()

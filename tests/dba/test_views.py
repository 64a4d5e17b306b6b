"""The questions that DBAs really ask: right by the user's own clock, and under the policies like any other."""

import pytest
from conftest import Admin
from isolation.conftest import SqlClient, User

from dba.conftest import open_ticket


def task(boss: Admin, user: User, title: str, **columns: str) -> None:
    """Give a user a task; values are SQL."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    boss.execute(
        f"INSERT INTO app.tasks (user_id, id, title{names}) VALUES (%s, gen_random_uuid(), %s{values})", user.id, title
    )


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        ({"due_date": "(now() - interval '25 hours')::date"}, True),
        ({"due_date": "current_date + 2"}, False),
        ({}, False),
        ({"due_date": "current_date - 2", "deleted_at": "now()"}, False),
        ({"due_date": "current_date - 2", "status": "'completed'", "completed_at": "now()"}, False),
        ({"due_date": "current_date - 2", "due_time": "'09:00'", "due_timezone": "'Asia/Tokyo'"}, True),
        # A quarter of an hour ago there, and still to come by this server's clock.
        (
            {
                "due_date": "(now() AT TIME ZONE 'Asia/Tokyo' - interval '15 minutes')::date",
                "due_time": "(now() AT TIME ZONE 'Asia/Tokyo' - interval '15 minutes')::time::time(0) - "
                "extract(second FROM (now() AT TIME ZONE 'Asia/Tokyo')::time(0)) * interval '1 second'",
                "due_timezone": "'Asia/Tokyo'",
            },
            True,
        ),
    ],
)
def test_overdue_is_what_is_open_and_whose_time_has_passed(
    boss: Admin, ann: SqlClient, owner: User, due: dict[str, str], expected: bool
) -> None:
    task(boss, owner, "Pay rent", **due)
    open_ticket(ann, owner)
    assert ann.rows("SELECT title FROM app.overdue") == ([("Pay rent",)] if expected else [])


def test_overdue_goes_by_the_time_zone_of_the_user(boss: Admin, ann: SqlClient, owner: User) -> None:
    # At no time is it the same day everywhere: where clocks are 14 hours ahead a day is over long before it is in UTC - 12.
    task(boss, owner, "All day", due_date="(now() AT TIME ZONE 'Pacific/Kiritimati')::date - 1")
    open_ticket(ann, owner)
    boss.execute("UPDATE app.users SET timezone = 'Pacific/Kiritimati'")
    assert ann.rows("SELECT title, timezone FROM app.overdue") == [("All day", "Pacific/Kiritimati")]
    boss.execute("UPDATE app.users SET timezone = 'Etc/GMT+12'")
    assert ann.rows("SELECT title FROM app.overdue") == []


def test_overdue_names_the_list(boss: Admin, ann: SqlClient, owner: User) -> None:
    task(boss, owner, "Pay rent", due_date="current_date - 2", list_id=f"'{owner.list_id}'")
    open_ticket(ann, owner)
    assert ann.rows("SELECT list FROM app.overdue") == [(owner.secret,)]


@pytest.mark.parametrize(
    ("columns", "change"),
    [
        ({}, "created"),
        ({"created_at": "now() - interval '3 days'"}, "changed"),
        ({"created_at": "now() - interval '3 days'", "deleted_at": "now()"}, "deleted"),
        ({"created_at": "now() - interval '3 days'", "status": "'completed'", "completed_at": "now()"}, "completed"),
        ({"created_at": "now() - interval '3 days'", "status": "'cancelled'", "completed_at": "now()"}, "cancelled"),
    ],
)
def test_changed_today_says_how(boss: Admin, ann: SqlClient, owner: User, columns: dict[str, str], change: str) -> None:
    task(boss, owner, "Pay rent", **columns)
    open_ticket(ann, owner)
    assert ann.rows("SELECT what, change FROM app.changed_today WHERE name = 'Pay rent'") == [("task", change)]


def test_changed_today_begins_at_the_users_midnight(boss: Admin, ann: SqlClient, owner: User) -> None:
    open_ticket(ann, owner)
    midnight = "date_trunc('day', now() AT TIME ZONE 'Asia/Tokyo') AT TIME ZONE 'Asia/Tokyo'"
    boss.execute("UPDATE app.users SET timezone = 'Asia/Tokyo'")
    boss.execute(f"UPDATE app.tasks SET updated_at = {midnight}; UPDATE app.lists SET updated_at = {midnight}")
    assert {what for (what,) in ann.rows("SELECT what FROM app.changed_today")} == {"task", "list"}
    boss.execute(f"UPDATE app.tasks SET updated_at = {midnight} - interval '1 second'")
    assert ann.rows("SELECT what FROM app.changed_today") == [("list",)]


def test_accounts_shows_all_of_an_account_but_the_hash(ann: SqlClient, owner: User, other: User) -> None:
    open_ticket(ann, owner)
    ((account,),) = ann.rows("SELECT to_jsonb(a) FROM app.accounts a")
    assert account["email"] == owner.email
    assert "password_hash" not in account


@pytest.mark.parametrize("view", ["accounts", "overdue", "changed_today"])
def test_a_view_shows_nothing_without_a_ticket_and_one_users_rows_with_it(
    boss: Admin, ann: SqlClient, owner: User, other: User, view: str
) -> None:
    for user in (owner, other):
        task(boss, user, "Pay rent", due_date="current_date - 2")
    assert ann.rows(f"SELECT user_id::text FROM app.{view}") == []
    open_ticket(ann, owner)
    assert {user for (user,) in ann.rows(f"SELECT user_id::text FROM app.{view}")} == {owner.id}

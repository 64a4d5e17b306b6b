"""What clients send is in columns whose class is content; auditors, operators and statistics do not get it.

The tests look for the values themselves, so they notice a column whose class or rights are wrong in the manifest, too.
"""

from typing import Any

import pytest
from arrange import wish
from conftest import PASSWORD, Admin, Person
from psycopg2 import sql

from taskapp.isolation.columns import COLUMNS

WORD = "xylophone"
ADDRESS = f"{WORD}@example.com"
PLACE = "203.0.113.77"
# Values that stand in the database for nothing else. PostgreSQL writes them like this, or folded.
SENT = [WORD, PLACE, "Antarctica/Troll", "Antarctica/Vostok", "saturday", "#C0FFEE", "2031-03-17", "13:37:00"]

# The address is a key: auditors see whose a row is.
ADDRESSES = {("app.users", "email"), ("app.users", "email_key")}
# Content all the same: digests of requests, and headers of responses.
UNSEEN = {
    *{
        ("app.tasks", "creation_fingerprint"),
        ("app.lists", "creation_fingerprint"),
        ("app.idempotency_records", "request_fingerprint"),
    },
    *{("app.idempotency_records", "location"), ("app.idempotency_records", "etag")},
}


@pytest.fixture
def sent(admin: Admin, anonymous: Person) -> list[str]:
    """Send values of one's own choice in every member and header that takes any; return what to look for."""
    at = {"environ_base": {"REMOTE_ADDR": PLACE}, "headers": {"User-Agent": WORD}}
    account = {"email": ADDRESS, "password": PASSWORD, "device_name": WORD, "display_name": WORD}
    registered = anonymous.post("/v1/auth/register", account, **at)
    assert registered.status_code == 201
    person = Person(anonymous.client, {"Authorization": f"Bearer {registered.get_json()['tokens']['access_token']}"})
    assert person.patch("/v1/me", {"timezone": "Antarctica/Vostok", "week_start": "saturday"}).status_code == 200
    made = person.post("/v1/auth/tokens", wish(name=WORD))
    assert made.status_code == 201
    home = person.post("/v1/lists", {"name": WORD, "color": "#C0FFEE"}).get_json()["id"]
    task: dict[str, Any] = {
        **{"title": WORD, "notes": WORD, "tags": [WORD], "list_id": home, "metadata": {WORD: WORD}},
        "start_date": "2031-03-17",
        "due": {"date": "2031-03-17", "time": "13:37", "timezone": "Antarctica/Troll"},
    }
    path = person.post("/v1/tasks", task, headers={"Idempotency-Key": WORD}).headers["Location"]
    assert person.post(f"{path}/complete", {}).status_code == 200
    return [*SENT, made.get_json()["prefix"]]


def columns_with(admin: Admin, values: list[str], role: str = "postgres") -> set[tuple[str, str]]:
    """Find the columns that a role may read, of whatever rows, and in which one of these values stands."""
    found = set()
    for table, column in admin.execute(
        "SELECT c.oid::regclass::text, attname::text FROM pg_class c JOIN pg_attribute ON attrelid = c.oid"
        " WHERE relnamespace IN ('app'::regnamespace, 'app_private'::regnamespace) AND relkind IN ('r', 'p')"
        " AND attnum > 0 AND NOT attisdropped AND has_column_privilege(%s, c.oid, attnum, 'SELECT')",
        role,
    ):
        name = sql.Identifier(*table.split("."))
        look = sql.SQL("SELECT FROM {} WHERE {}::text ILIKE ANY (%s)").format(name, sql.Identifier(column))
        with admin.connection.cursor() as cur:
            cur.execute(look, ([f"%{value}%" for value in values],))
            if cur.rowcount:
                found.add((table, column))
    return found


def test_what_clients_send_is_in_columns_of_content_and_every_such_column_has_some(admin: Admin, sent: list[str]) -> None:
    content = {(column.table, column.name) for column in COLUMNS if column.kind == "content"}
    assert columns_with(admin, sent) == content - UNSEEN | ADDRESSES


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("taskapp_auditor", ADDRESSES),
        ("taskapp_operator", ADDRESSES),
        ("taskapp_definer", {("app.users", "email")}),
        ("taskapp_warden", set()),
        ("taskapp_migrator", set()),
    ],
)
def test_who_has_no_business_with_it_may_read_the_address_at_most(
    admin: Admin, sent: list[str], role: str, expected: set[tuple[str, str]]
) -> None:
    assert columns_with(admin, sent, role) == expected


def test_statistics_have_nothing_of_it(admin: Admin, sent: list[str]) -> None:
    admin.execute("ANALYZE")
    gathered = admin.execute(
        "SELECT starelid::regclass::text, attname::text FROM pg_statistic"
        " JOIN pg_attribute ON attrelid = starelid AND attnum = staattnum"
    )
    assert {("app.tasks", "user_id"), ("app.tasks", "version")} <= set(gathered)
    assert set(gathered) & columns_with(admin, sent) == set()

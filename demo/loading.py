"""Lets a person of people.toml have what stands there: by requests that any client could send."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from demo import DemoError
from demo.api import Api, succeeded

PASSWORD = "correct horse battery"  # noqa: S105 - everybody may know it
_SCOPES = ["tasks:read", "tasks:write", "lists:read", "lists:write"]
_TOKEN_DAYS = 30

Described = Mapping[str, Any]


def token_of(port: int, person: Described, kept: str | None) -> str:
    """Return a token of that person's: the one that was kept, if it is still good, or a new one. Register who is new.

    :raises DemoError: when that account has another password.
    """
    if kept and Api(port, kept)("GET", "/v1/me").status == 200:
        return kept
    account = {"email": person["email"], "password": PASSWORD}
    about = {name: person[name] for name in ("display_name", "timezone")}
    answer = Api(port)("POST", "/v1/auth/register", {**account, **about})
    if answer.code == "email_taken":
        answer = Api(port)("POST", "/v1/auth/login", account)
    if answer.code == "invalid_credentials":
        raise DemoError(f"{person['email']} has another password than the demo's; delete .taskapp/ to start over")
    session = Api(port, succeeded(person["email"], answer).body["tokens"]["access_token"])
    until = datetime.now(UTC) + timedelta(days=_TOKEN_DAYS)
    wanted = {"name": "make demo", "scopes": _SCOPES, "expires_at": until.isoformat(), "password": PASSWORD}
    token: str = session.insist("POST", "/v1/auth/tokens", wanted)["token"]
    return token


def load(api: Api, person: Described) -> int:
    """Make what that person lacks, and leave what there is as it is now. Return how many lists and tasks were made."""
    made = 0
    for named in person["lists"]:
        made += _create(api, "lists", {"id": id_of(person, named["name"]), **named})
    today = datetime.now(ZoneInfo(person["timezone"])).date()
    for described in person["tasks"]:
        made += _make_task(api, person, described, today)
    return made


def id_of(person: Described, name: str) -> str:
    """Choose the id of a list or a task, the same each time, so that a request that is sent again makes nothing anew."""
    return str(uuid5(NAMESPACE_URL, f"mailto:{person['email']}#{name}"))


def _make_task(api: Api, person: Described, described: Described, today: date) -> int:
    task = {name: described[name] for name in ("title", "notes", "priority", "tags") if name in described}
    task["id"] = id_of(person, described["title"])
    if "list" in described:
        task["list_id"] = id_of(person, described["list"])
    if "start" in described:
        task["start_date"] = str(today + timedelta(days=described["start"]))
    if "day" in described:
        clock = {name: described[name] for name in ("time", "timezone") if name in described}
        task["due"] = {"date": str(today + timedelta(days=described["day"])), **clock}
    made = is_new = _create(api, "tasks", task)
    for title in described.get("parts", ()):
        made += _create(api, "tasks", {"id": id_of(person, title), "title": title, "parent_id": task["id"]})
    if is_new:
        _finish(api, f"/v1/tasks/{task['id']}", described.get("then"))
    return made


def _create(api: Api, kind: str, thing: Mapping[str, Any]) -> int:
    """Create a thing, unless there is one with its id. Return how many were made."""
    answer = api("POST", f"/v1/{kind}", thing)
    # On another day it would be due on another one: then the id is taken.
    if answer.code != "id_conflict":
        succeeded(f"creating {thing.get('title') or thing.get('name')}", answer)
    return int(answer.status == 201)


def _finish(api: Api, path: str, then: str | None) -> None:
    match then:
        case "complete":
            api.insist("POST", f"{path}/complete")
        case "cancel":
            api.insist("POST", f"{path}/complete", {"outcome": "cancelled"})
        case "delete":
            api.insist("DELETE", path)

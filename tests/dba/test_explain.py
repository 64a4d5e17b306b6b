"""`flask isolation explain`: what it says is what PostgreSQL does, and it says no more than whoever asks may know."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from click.testing import CliRunner, Result
from conftest import Admin, Cluster
from isolation import conftest as everywhere
from isolation.conftest import User, all_tables, tenant_tables
from isolation.pooler import PgBouncer

from taskapp.database.signature import SealKey, proven_subject
from taskapp.operations.isolation.commands import isolation

PASSWORD = "correct horse battery"
# Made and taken away by this file: a person with tickets, one who audits and no more, and one who does both.
PEOPLE = {"x-tickets": [], "x-audits": ["--auditor", "--no-tickets"], "x-both": ["--auditor"]}
# The same two, in each of the clusters.
owner, other = everywhere.owner, everywhere.other
COMMANDS = ("select", "insert", "update", "delete")

Ask = Callable[..., Result]


def test_what_it_says_is_what_postgresql_does(
    said: Callable[..., dict[str, Any]], cluster: Cluster, admin: Admin, owner: User, other: User
) -> None:
    for table in tenant_tables(admin):
        row = key_of(table, owner)
        for role in ("taskapp_api", "taskapp_auth", "taskapp_operator"):
            for name, identity in (("the owner", owner.id), ("somebody else", other.id), ("nobody", "nobody")):
                told = said(
                    "x-tickets", identity, table, *row, "--owner", owner.email, "--role", role, "--reason", "INC-1 why"
                )
                assert told["row"]["exists"] is True
                done = doing(cluster, role, identity, table, owner.id, *row, grants=told["commands"])
                outcomes = {command: told["commands"][command]["outcome"] for command in done}
                left = told["commands"]["update"]["why"]
                if "the row as it is does not" in left:
                    outcomes["update"] = "refused as written"
                assert outcomes == done, f"{table}, {role}, {name}: {left}"


def test_the_owner_sees_and_may_do_all(ask: Ask, owner: User) -> None:
    shown = ask("x-tickets", owner.email, "tasks", owner.task_id, "--reason", "INC-1 why").output
    assert shown.startswith("Visible.\n")
    for line in (
        "SELECT every column yes visible",
        "INSERT 17 of 32 columns yes a row of theirs may be inserted",
        "UPDATE 23 of 32 columns yes may be changed",
        "DELETE yes yes may be deleted",
        "yes tasks_api_floor all user_id = (SELECT app.current_user_id())",
        "yes tasks_api_select select user_id = (SELECT app.current_user_id())",
    ):
        assert line in flat(shown)


@pytest.mark.parametrize("command", COMMANDS)
def test_somebody_else_does_not_and_is_told_whose_it_is(ask: Ask, owner: User, other: User, command: str) -> None:
    row = ("tasks", owner.task_id, "--owner", owner.email, "--reason", "INC-1 why", "--command", command)
    shown = flat(ask("x-tickets", other.id, *row).output)
    head = {"select": "Not visible", "insert": "May not be inserted", "update": "May not be changed"}
    assert shown.startswith(f"{head.get(command, 'May not be deleted')}: tasks_api_floor refuses it: the row is")
    assert f"the row is {owner.email}'s, not {other.id}'s" in shown
    assert "no tasks_api_floor all user_id" in shown


def test_nobody_sees_nothing(ask: Ask, owner: User) -> None:
    row = ("tasks", owner.task_id, "--owner", owner.email, "--reason", "INC-1 why")
    shown = flat(ask("x-tickets", "nobody", *row).output)
    assert shown.startswith("Not visible: tasks_api_floor refuses it: there is no identity, and nothing is nobody's.")
    assert "null tasks_api_select select" in shown


def test_a_missing_row_is_missing(ask: Ask, owner: User) -> None:
    for who in (("x-tickets", "--reason", "INC-1 why"), ("x-audits", "--owner", owner.email)):
        shown = ask(who[0], owner.email, "tasks", str(uuid4()), *who[1:]).output
        assert shown.startswith(f"Not visible: {owner.email} has no such row.\n")


def test_an_auditor_is_told_that_nobody_has_such_a_row(ask: Ask, owner: User) -> None:
    assert ask("x-audits", owner.email, "tasks", str(uuid4())).output.startswith("Not visible: there is no such row.\n")


def test_an_auditor_is_told_whose_the_row_is(ask: Ask, owner: User, other: User) -> None:
    shown = ask("x-audits", other.email, "tasks", owner.task_id).output
    assert shown.startswith(f"Not visible: tasks_api_floor refuses it: the row is {owner.email}'s, not {other.email}'s.\n")
    assert "seen as an auditor" in shown


def test_an_account_is_told_from_others_by_its_owner(ask: Ask, owner: User, other: User) -> None:
    for who in (("x-tickets", "--reason", "INC-1 why"), ("x-audits",)):
        shown = ask(who[0], other.id, "users", owner.id, *who[1:]).output
        assert shown.startswith("Not visible: users_api_floor refuses it: the row is alice@example.com's, not")
        assert ask(who[0], owner.id, "users", *who[1:]).output.startswith("Visible.\n")


def test_the_identitys_own_row_comes_before_others_of_the_same_id(ask: Ask, admin: Admin, owner: User, other: User) -> None:
    admin.execute("INSERT INTO app.tasks (user_id, id, title) VALUES (%s, %s, 'x')", other.id, owner.task_id)
    for user in (owner, other):
        shown = ask("x-audits", user.email, "tasks", owner.task_id).output
        assert shown.startswith("Visible.\n")
        assert "other users have 1 more of this id" in flat(shown)


def test_who_has_both_rights_looks_further_than_the_ticket(ask: Ask, owner: User, other: User) -> None:
    shown = ask("x-both", other.email, "tasks", owner.task_id, "--reason", "INC-1 why").output
    assert f"the row is {owner.email}'s, not {other.email}'s" in shown


BROKEN = {
    "a grant is gone": (
        "REVOKE SELECT ON app.lists FROM taskapp_api; REVOKE SELECT (user_id, id, name, color, position, archived,"
        " creation_fingerprint, version, created_at, updated_at, deleted_at, live_id) ON app.lists FROM taskapp_api",
        "GRANT SELECT (user_id, id, name, color, position, archived, creation_fingerprint, version, created_at, updated_at,"
        " deleted_at, live_id) ON app.lists TO taskapp_api",
        "Refused: taskapp_api has no grant to SELECT.",
        "UPDATE 7 of 12 columns error as for SELECT",
    ),
    "a policy is gone": (
        "DROP POLICY lists_api_select ON app.lists",
        "CREATE POLICY lists_api_select ON app.lists FOR SELECT TO taskapp_api"
        " USING (user_id = (SELECT app.current_user_id()))",
        "Not visible: no policy lets taskapp_api SELECT anything.",
        "DELETE yes no as for SELECT",
    ),
    "a floor refuses what it should not": (
        "CREATE POLICY lists_x_floor ON app.lists AS RESTRICTIVE TO taskapp_api USING (archived)",
        "DROP POLICY lists_x_floor ON app.lists",
        "Not visible: lists_x_floor refuses it: archived is false.",
        "no lists_x_floor all archived",
    ),
    "row-level security is off": (
        "ALTER TABLE app.lists DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE app.lists ENABLE ROW LEVEL SECURITY",
        "Visible: row-level security is off, so no policy is asked, for any row.",
        "The policies are not asked",
    ),
    "the role bypasses": (
        "ALTER ROLE taskapp_api BYPASSRLS",
        "ALTER ROLE taskapp_api NOBYPASSRLS",
        "Visible: taskapp_api has BYPASSRLS, so no policy is asked, for any row.",
        "taskapp_api: has BYPASSRLS, so no policy is asked",
    ),
    "the role is a superuser": (
        "ALTER ROLE taskapp_api SUPERUSER",
        "ALTER ROLE taskapp_api NOSUPERUSER",
        "Visible: taskapp_api is a superuser, so no policy is asked, for any row.",
        "INSERT every column yes",
    ),
    "the role has the owner's rights, and nothing forces it": (
        "ALTER TABLE app.lists NO FORCE ROW LEVEL SECURITY;"
        " ALTER ROLE taskapp_api INHERIT; GRANT taskapp_owner TO taskapp_api",
        "ALTER TABLE app.lists FORCE ROW LEVEL SECURITY;"
        " REVOKE taskapp_owner FROM taskapp_api; ALTER ROLE taskapp_api NOINHERIT",
        "Visible: taskapp_api owns the table, and row-level security is not forced, so no policy is asked, for any row.",
        "has the rights of taskapp_owner, may use the schema app table app.lists: row-level security is on, but not forced",
    ),
    "the function that tells the identity cannot be called": (
        "REVOKE EXECUTE ON FUNCTION app.current_user_id FROM taskapp_api",
        "GRANT EXECUTE ON FUNCTION app.current_user_id TO taskapp_api",
        "Refused: lists_api_floor calls app.current_user_id(), which taskapp_api may not.",
        "error lists_api_select",
    ),
    "the schema cannot be used": (
        "REVOKE USAGE ON SCHEMA app FROM taskapp_api",
        "GRANT USAGE ON SCHEMA app TO taskapp_api",
        "Refused: taskapp_api may not use the schema app.",
        "may not use the schema app",
    ),
    "a policy asks another table": (
        "CREATE POLICY lists_x_floor ON app.lists AS RESTRICTIVE TO taskapp_api USING (EXISTS (SELECT FROM app.tags))",
        "DROP POLICY lists_x_floor ON app.lists",
        "It depends: lists_x_floor asks table app.tags.",
        "? lists_x_floor all",
    ),
    "a policy depends on the session": (
        "CREATE POLICY lists_x_floor ON app.lists AS RESTRICTIVE TO taskapp_api USING (current_setting('x.y', true) = 'z')",
        "DROP POLICY lists_x_floor ON app.lists",
        "It depends: lists_x_floor depends on the session that asks: current_setting.",
        "? lists_x_floor all",
    ),
    "a policy may do more than answer": (
        "CREATE POLICY lists_x_floor ON app.lists AS RESTRICTIVE TO taskapp_api USING (set_config('x.y', 'z', true) = 'z')",
        "DROP POLICY lists_x_floor ON app.lists",
        "It depends: lists_x_floor calls set_config(), which may do more than answer.",
        "? lists_x_floor all",
    ),
    "a policy reads the row as a whole": (
        "CREATE POLICY lists_x_floor ON app.lists AS RESTRICTIVE TO taskapp_api USING (lists IS NOT NULL)",
        "DROP POLICY lists_x_floor ON app.lists",
        "It depends: lists_x_floor reads the row as a whole.",
        "? lists_x_floor all",
    ),
    "a policy calls a function nobody knows": (
        "CREATE POLICY lists_x_floor ON app.lists AS RESTRICTIVE TO taskapp_api USING (app.rank_first() > 'A')",
        "DROP POLICY lists_x_floor ON app.lists",
        "It depends: lists_x_floor calls app.rank_first().",
        "? lists_x_floor all",
    ),
    "a policy fails": (
        "CREATE POLICY lists_x_floor ON app.lists AS RESTRICTIVE TO taskapp_api USING (name::integer = 1)",
        "DROP POLICY lists_x_floor ON app.lists",
        "Refused: lists_x_floor fails with SQLSTATE 22P02.",
        "error lists_x_floor all",
    ),
    "the grant comes through everybody": (
        "GRANT SELECT ON app.lists TO PUBLIC; REVOKE SELECT (user_id, id, name, color, position, archived,"
        " creation_fingerprint, version, created_at, updated_at, deleted_at, live_id) ON app.lists FROM taskapp_api",
        "REVOKE SELECT ON app.lists FROM PUBLIC; GRANT SELECT (user_id, id, name, color, position, archived,"
        " creation_fingerprint, version, created_at, updated_at, deleted_at, live_id) ON app.lists TO taskapp_api",
        "Visible.",
        "SELECT every column, by PUBLIC yes visible",
    ),
}


@pytest.mark.parametrize(("break_it", "mend_it", "head", "detail"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_the_reason(
    ask: Ask, admin: Admin, owner: User, break_it: str, mend_it: str, head: str, detail: str
) -> None:
    asked = ("x-tickets", owner.email, "lists", owner.list_id, "--reason", "INC-1 why")
    before = ask(*asked).output
    admin.execute(break_it)
    try:
        broken = flat(ask(*asked).output)
    finally:
        admin.execute(mend_it)
    assert broken.startswith(head)
    assert detail in broken
    assert owner.secret not in broken
    assert before.startswith("Visible.\n")
    assert detail not in flat(before)
    assert without_ticket(ask(*asked).output) == without_ticket(before)


def test_a_careless_policy_opens_nothing_below_the_floor(ask: Ask, admin: Admin, owner: User, other: User) -> None:
    admin.execute("CREATE POLICY lists_x ON app.lists TO taskapp_api USING (true)")
    try:
        shown = flat(ask("x-audits", other.email, "lists", owner.list_id).output)
    finally:
        admin.execute("DROP POLICY lists_x ON app.lists")
    assert shown.startswith("Not visible: lists_api_floor refuses it")
    assert "yes lists_x all true" in shown


def test_rights_of_another_role_bring_its_policies_too(ask: Ask, admin: Admin, owner: User) -> None:
    admin.execute("CREATE ROLE x_heir INHERIT; GRANT taskapp_api TO x_heir")
    try:
        shown = flat(ask("taskapp_migrator", owner.id, "lists", "--role", "x_heir").output)
    finally:
        admin.execute("DROP ROLE x_heir")
    assert shown.startswith(f"Any row of {owner.id}: visible.")
    assert "x_heir: held to the policies, has the rights of taskapp_api, may use the schema app" in shown
    assert "DELETE yes, by taskapp_api yes may be deleted" in shown


def test_the_owner_of_the_table_is_held_to_the_policies_and_has_none(ask: Ask, owner: User) -> None:
    shown = flat(ask("taskapp_migrator", owner.id, "lists", "--role", "taskapp_owner").output)
    assert shown.startswith(f"Any row of {owner.id}: not visible: no policy lets taskapp_owner SELECT anything.")


def test_what_an_auditor_may_not_read_is_left_open(ask: Ask, admin: Admin, owner: User) -> None:
    admin.execute("CREATE POLICY lists_x_floor ON app.lists AS RESTRICTIVE TO taskapp_api USING (name <> 'x')")
    try:
        audited = flat(ask("x-audits", owner.id, "lists", owner.list_id).output)
        ticketed = flat(ask("x-tickets", owner.id, "lists", owner.list_id, "--reason", "INC-1 why").output)
    finally:
        admin.execute("DROP POLICY lists_x_floor ON app.lists")
    assert audited.startswith("It depends: lists_x_floor depends on name of the row, which this login may not read.")
    assert ticketed.startswith("Visible.")


def test_text_that_looks_like_a_call_is_text(ask: Ask, admin: Admin, owner: User) -> None:
    admin.execute("CREATE POLICY lists_x_floor ON app.lists AS RESTRICTIVE TO taskapp_api"
                  " USING (name <> 'it''s app.current_user_id()' AND app.current_user_id() IS NOT NULL)")  # fmt: skip
    try:
        shown = flat(ask("x-tickets", owner.email, "lists", owner.list_id, "--reason", "INC-1 why").output)
    finally:
        admin.execute("DROP POLICY lists_x_floor ON app.lists")
    assert shown.startswith("Visible.")
    assert "yes lists_x_floor all" in shown


def test_without_a_ticket_nobody_learns_whether_a_row_exists(ask: Ask, owner: User) -> None:
    for who in ("taskapp_migrator", "x-tickets", "taskapp_api"):
        for table in ("tasks", "sessions"):
            there = ask(who, owner.id, table, key_of(table, owner)[0]).output
            missing = str(uuid4())
            assert ask(who, owner.id, table, missing).output.replace(missing, key_of(table, owner)[0]) == there
            assert "nobody looked whether there is one" in there


def test_without_a_ticket_nobody_learns_whether_a_user_exists(ask: Ask, owner: User) -> None:
    for user, stranger in ((owner.id, str(uuid4())), (owner.email, "stranger@example.com")):
        for table in ("users", "tasks"):
            there = ask("taskapp_migrator", user, table).output
            assert flat(ask("taskapp_migrator", stranger, table).output).replace(stranger, user) == flat(there)


def test_a_ticket_does_not_tell_somebody_elses_row_from_a_missing_one(ask: Ask, owner: User, other: User) -> None:
    missing = str(uuid4())
    foreign = ask("x-tickets", other.email, "tasks", owner.task_id, "--reason", "INC-1 why").output
    nothing = ask("x-tickets", other.email, "tasks", missing, "--reason", "INC-1 why").output
    assert without_ticket(nothing.replace(missing, owner.task_id)) == without_ticket(foreign)
    assert foreign.startswith(f"Not visible: {other.email} has no such row.")


def test_looking_leaves_one_entry_in_the_log_that_is_closed(ask: Ask, admin: Admin, owner: User) -> None:
    entries = "SELECT person, subject::text, reason, closed_at IS NOT NULL FROM app.access_log WHERE person = 'x-tickets'"
    admin.execute("DELETE FROM app.access_log WHERE person = 'x-tickets'")
    ask("x-tickets", owner.email, "tasks", owner.task_id, "--reason", "INC-1 why")
    assert admin.execute(entries) == [("x-tickets", owner.id, "INC-1 why", True)]


def test_a_ticket_that_is_open_is_used_and_stays_open(ask: Ask, cluster: Cluster, owner: User, other: User) -> None:
    number = opened(cluster, owner)
    for _ in range(2):
        shown = ask("x-tickets", owner.id, "tasks", owner.task_id, "--ticket", str(number)).output
        assert shown.startswith("Visible.\n")
        assert f"seen with ticket {number}" in shown
    refused = ask("x-tickets", other.id, "tasks", other.task_id, "--ticket", str(number), "--owner", other.id)
    assert refused.output == f"Error: ticket {number} is for the rows of {owner.email}, and for nobody else's\n"


def test_a_ticket_of_somebody_else_opens_nothing(ask: Ask, cluster: Cluster, owner: User) -> None:
    number = opened(cluster, owner)
    refused = ask("x-both", owner.id, "tasks", owner.task_id, "--ticket", str(number))
    assert refused.output.startswith(f"Error: app.ticket = '{number}' names no ticket of x-both\n")


def test_it_writes_nothing_but_the_ticket(ask: Ask, admin: Admin, owner: User) -> None:
    def stored() -> dict[str, Any]:
        tables = [table for table in all_tables(admin) if table != "access_log"]
        return {t: admin.execute(f"SELECT to_jsonb(t) FROM app.{t} t ORDER BY 1") for t in tables}

    before, log = stored(), admin.execute("SELECT count(*) FROM app.access_log")
    assert before["tasks"]
    for table in tenant_tables(admin):
        ask("taskapp_migrator", owner.id, table)
        ask("x-audits", owner.id, table, *key_of(table, owner))
    assert admin.execute("SELECT count(*) FROM app.access_log") == log
    for table in tenant_tables(admin):
        ask("x-tickets", owner.id, table, *key_of(table, owner), "--reason", "INC-1 why")
    assert stored() == before


def test_nothing_of_content_is_shown(ask: Ask, admin: Admin, owner: User) -> None:
    for table in tenant_tables(admin):
        for role in ("taskapp_auth", "taskapp_operator"):
            for form in ([], ["--json"]):
                asked = (owner.email, table, *key_of(table, owner), "--role", role, *form)
                for shown in (ask("x-tickets", *asked, "--reason", "INC-1 why").output, ask("x-audits", *asked).output):
                    assert owner.secret not in shown
                    assert "argon2" not in shown


def test_every_line_fits_a_terminal_of_100_columns(ask: Ask, admin: Admin, owner: User, other: User) -> None:
    for table in all_tables(admin):
        row = key_of(table, owner)
        for role in ("taskapp_auth", "taskapp_definer", "taskapp_breakglass"):
            for user in (owner.email, other.id):
                whose = ("--owner", owner.email, "--reason", "INC-1 why") if row or table == "users" else ()
                shown = ask("x-tickets", user, table, *row, *whose, "--role", role).output
                assert [line for line in shown.splitlines() if len(line) > 100 or line != line.rstrip()] == []


def test_each_group_of_people_is_explained_as_if_with_its_right(ask: Ask, owner: User, other: User) -> None:
    row = ("tasks", owner.task_id, "--owner", owner.email, "--reason", "INC-1 why", "--role")
    assert ask("x-tickets", owner.email, *row, "taskapp_dba").output.startswith("Visible.\n")
    assert ask("x-tickets", other.id, *row, "taskapp_dba").output.startswith("Not visible: tasks_dba_floor refuses it")
    assert "a break-glass is open" in ask("x-tickets", other.id, *row, "taskapp_breakglass").output
    assert ask("x-tickets", "nobody", *row, "taskapp_breakglass").output.startswith("Not visible: tasks_breakglass_floor")
    assert ask("x-tickets", "nobody", *row, "taskapp_auditor").output.startswith("Visible.\n")


def test_a_table_of_nobodys_rows_is_explained_by_its_rules(ask: Ask, owner: User) -> None:
    shown = flat(ask("taskapp_migrator", owner.id, "access_log", "--role", "taskapp_auditor").output)
    assert shown.startswith("Visible.")
    assert "row any: they belong to no user" in shown


def test_json_has_one_shape(said: Callable[..., dict[str, Any]], owner: User, other: User) -> None:
    row = ("tasks", owner.task_id, "--owner", owner.email, "--reason", "INC-1 why", "--command", "delete")
    told = said("x-tickets", other.id, *row)
    ticket = told["row"].pop("ticket")
    assert isinstance(ticket, int)
    expression = "(user_id = ( SELECT app.current_user_id() AS current_user_id))"
    using = {"expression": expression, "verdict": "no", "because": None}
    assert told == {
        "table": "tasks",
        "role": {"name": "taskapp_api", "passes_policies": None, "inherits": [], "may_become": [], "uses_schema": True},
        "identity": {"user_id": other.id, "email": None},
        "row": {
            "id": owner.task_id,
            "owner": {"user_id": owner.id, "email": owner.email},
            "exists": True,
            "seen_as": "taskapp_dba",
            "of_other_users": None,
        },
        "row_level_security": {"enabled": True, "forced": True},
        "commands": {
            "delete": {
                "outcome": "no",
                "why": f"tasks_api_floor refuses it: the row is {owner.email}'s, not {other.id}'s",
                "grant": {"whole_table": True, "columns": [], "through": []},
                "policies": [
                    {"name": "tasks_api_floor", "kind": "restrictive", "using": using, "check": None},
                    {"name": "tasks_api_delete", "kind": "permissive", "using": using, "check": None},
                ],
            }
        },
    }


def test_an_id_that_stands_for_an_address_is_not_shown(said: Callable[..., dict[str, Any]], owner: User) -> None:
    told = said("taskapp_migrator", owner.email, "tasks")
    assert told["identity"] == {"user_id": None, "email": owner.email}
    assert told["commands"]["select"]["outcome"] == "yes"


MISTAKES = {
    "a table that does not exist": (["{me}", "task"], "there is no table task in schema app; there are access_log, "),
    "a table of another schema": (["{me}", "app_private.keys"], "there is no table app_private.keys in schema app"),
    "a view": (["{me}", "overdue"], "app.overdue is a view: ask about what it reads, lists, tasks, users"),
    "a role that does not exist": (["{me}", "tasks", "--role", "api"], "there is no role api"),
    "a user that does not exist": (["{id}", "tasks", "{id}", "--reason", "INC-1 why"], "there is no user '{id}'"),
    "an address that nobody has": (["a@b", "tasks", "{id}", "--reason", "INC-1 why"], "there is no user 'a@b'"),
    "a malformed user": (["ada", "tasks"], "Invalid value for 'USER': 'ada' is no id of a user, no e-mail address"),
    "a malformed id": (["{me}", "tasks", "17"], "rows of app.tasks are told apart by id, a UUID: '17' is none"),
    "an id where rows are nobody's": (["{me}", "attempts", "x"], "rows of app.attempts belong to no user: leave out ID"),
    "a reason without a row": (["{me}", "tasks", "--reason", "INC-1 why"], "a ticket is for looking at a row: give its ID"),
    "a reason that is none": (["{me}", "tasks", "{id}", "--reason", "x"], "a ticket needs a reason, of 5 to 500 characters"),
    "a ticket that is none": (["{me}", "tasks", "{id}", "--ticket", "9999"], "app.ticket = '9999' names no ticket of"),
    "a ticket and a reason": (["{me}", "tasks", "{id}", "--ticket", "1", "--reason", "INC-1 why"], "give --reason for a"),
    "nobody's row": (["nobody", "tasks", "{id}", "--reason", "INC-1 why"], "nobody has no rows: say with --owner"),
    "an account and an owner": (["{me}", "users", "{me}", "--owner", "{me}"], "told apart by their owner: give ID or"),
    "a malformed account": (["{me}", "users", "17"], "'17' is no id of a user, no e-mail address"),
    "nobody as the owner": (["{me}", "tasks", "--owner", "nobody"], "nobody has no rows: --owner is an id"),
    "an address beside a ticket": (
        ["a@b", "tasks", "{id}", "--owner", "{me}", "--reason", "INC-1 why"],
        "give a@b by id: a ticket for {address} looks up nobody else",
    ),
    "an address beside an id": (["a@b", "tasks", "{id}", "--owner", "{me}"], "give both users by id: looking up an address"),
}


@pytest.mark.parametrize(("arguments", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_clear_line(ask: Ask, owner: User, arguments: list[str], line: str) -> None:
    values = {"me": owner.id, "id": str(uuid4()), "address": owner.email}
    refused = ask("x-tickets", *(argument.format(**values) for argument in arguments))
    assert refused.exit_code != 0
    (shown,) = [said for said in refused.output.splitlines() if said.startswith("Error: ")]
    assert line.format(**values) in shown
    assert "Traceback" not in refused.output


@pytest.mark.parametrize("who", ["taskapp_migrator", "x-audits"])
def test_who_opens_no_tickets_looks_at_nothing(ask: Ask, owner: User, who: str) -> None:
    refused = ask(who, owner.id, "tasks", owner.task_id, "--reason", "INC-1 why")
    assert refused.output.startswith(f"Error: {who} opens no tickets, and without one nobody looks at rows")


def test_who_passes_all_policies_is_turned_away(cluster: Cluster, owner: User) -> None:
    refused = CliRunner().invoke(isolation, ["explain", owner.id, "tasks", "--url", cluster.admin_url])
    assert refused.exit_code == 1
    assert refused.output.endswith("passes all policies; use a login of your own, or TASKAPP_MIGRATION_DATABASE_URL\n")


def test_the_migrators_url_is_found_in_the_environment(cluster: Cluster, owner: User) -> None:
    environment = {"TASKAPP_MIGRATION_DATABASE_URL": cluster.url("taskapp_migrator")}
    shown = CliRunner().invoke(isolation, ["explain", owner.id, "tasks"], env=environment).output
    assert shown.startswith(f"Any row of {owner.id}: visible.\n")


@pytest.mark.extended
def test_it_works_through_a_pooler_and_leaves_nothing_there(ask: Ask, cluster: Cluster, owner: User) -> None:
    with PgBouncer(replace(cluster, passwords={"x-tickets": PASSWORD})) as bouncer:
        url = bouncer.url("x-tickets")
        asked = ["explain", owner.email, "tasks", owner.task_id, "--reason", "INC-1 why", "--url", url]
        assert CliRunner().invoke(isolation, asked).output.startswith("Visible.\n")
        with closing(psycopg2.connect(url)) as conn, conn.cursor() as cur:
            cur.execute("SELECT current_user = session_user, current_setting('app.ticket', true), current_schemas(false)")
            assert cur.fetchall() == [(True, "", [])]
            cur.execute("SHOW search_path")
            assert cur.fetchall() == [("app",)]


def key_of(table: str, user: User) -> tuple[str, ...]:
    """What tells the row of `user` from their other rows, if they can have others."""
    keys = {
        "users": (),
        "sessions": (user.session_id,),
        "tasks": (user.task_id,),
        "lists": (user.list_id,),
        "completions": (user.completion_id,),
        "personal_access_tokens": (user.token_id,),
        "idempotency_records": (user.answer_key,),
        # What somebody types who asks about a tag is its name, so this one is no secret.
        "tags": (user.tag_key,),
    }
    return keys.get(table, ())


def flat(shown: str) -> str:
    """The words alone, as they follow each other."""
    return " ".join(shown.split())


def without_ticket(shown: str) -> str:
    return re.sub(r"ticket \d+", "ticket N", shown)


def opened(cluster: Cluster, user: User) -> int:
    """Open a ticket for the rows of `user`, as a session at psql would."""
    with closing(psycopg2.connect(cluster.server.url("x-tickets", PASSWORD, "taskapp"))) as conn, conn, conn.cursor() as cur:
        cur.execute("SET LOCAL ROLE taskapp_dba; SELECT app.open_ticket(%s, 'INC-1 why')", (user.id,))
        ((number,),) = cur.fetchall()
        return int(number)


def doing(
    cluster: Cluster, role: str, identity: str, table: str, owner_id: str, *row: str, grants: dict[str, Any]
) -> dict[str, str]:
    """Try each command on the row for real, with a seal of the application's own, and take it back."""
    key = SealKey.parse(cluster.environment["TASKAPP_SEAL_KEY"])
    readable = grants["select"]["grant"]["columns"]
    names = {"idempotency_records": "key", "tags": "key"}
    conditions = {"user_id": owner_id, **({names.get(table, "id"): row[0]} if row else {})}
    where = " AND ".join(f"{name} = %({name})s" for name in conditions if name in readable) or "true"
    changeable = [column for column in grants["update"]["grant"]["columns"] if column in readable] or ["user_id"]
    statements = {
        "select": f"SELECT FROM app.{table} WHERE {where}",
        "update": f"UPDATE app.{table} SET {changeable[0]} = {changeable[0]} WHERE {where}",
        "delete": f"DELETE FROM app.{table} WHERE {where}",
    }
    done = {}
    with closing(psycopg2.connect(cluster.url(role))) as conn:
        for command, statement in statements.items():
            with conn.cursor() as cur:
                if identity != "nobody":
                    cur.execute("SELECT extract(epoch FROM now())::float8")
                    ((now,),) = cur.fetchall()
                    sealed = (identity, key.seal(proven_subject(role, identity), now))
                    cur.execute(
                        "SELECT set_config('app.user_id', %s, true), set_config('app.purpose', 'proven', true),"
                        " set_config('app.user_seal', %s, true)",
                        sealed,
                    )
                try:
                    cur.execute(statement, conditions)
                    done[command] = "yes" if cur.rowcount == 1 else "no"
                except psycopg2.errors.InsufficientPrivilege as error:
                    done[command] = "refused as written" if "row-level security" in str(error) else "error"
            conn.rollback()
    return done


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Iterator[Admin]:
    """The superuser of each of the clusters."""
    with closing(psycopg2.connect(cluster.admin_url)) as conn:
        conn.autocommit = True
        yield Admin(conn)


@pytest.fixture(autouse=True)
def _nobody_there(admin: Admin) -> None:
    admin.execute("DELETE FROM app.users")


@pytest.fixture(scope="module")
def ask(cluster: Cluster, admin: Admin) -> Iterator[Ask]:
    """Ask as one of PEOPLE, or as a login of the application's."""
    with people(cluster):

        def asking(who: str, *arguments: str) -> Result:
            url = cluster.server.url(who, PASSWORD, "taskapp") if who in PEOPLE else cluster.url(who)
            result = CliRunner().invoke(isolation, ["explain", *arguments, "--url", url])
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
            return result

        yield asking
        admin.execute("DELETE FROM app.access_log WHERE person = ANY (%s)", list(PEOPLE))


@pytest.fixture
def said(ask: Ask) -> Callable[..., dict[str, Any]]:
    """The same as JSON."""

    def asking(*arguments: str) -> dict[str, Any]:
        result = ask(*arguments, "--json")
        assert result.exit_code == 0, result.output
        told: dict[str, Any] = json.loads(result.output)
        return told

    return asking


@contextmanager
def people(cluster: Cluster) -> Iterator[None]:
    def run(*arguments: str) -> None:
        done = CliRunner().invoke(isolation, ["dba", *arguments, "--admin-url", cluster.admin_url], input=f"{PASSWORD}\n")
        assert done.exit_code == 0, done.output

    for name, options in PEOPLE.items():
        run("add", name, *options)
    try:
        yield
    finally:
        for name in PEOPLE:
            run("remove", name)


def test_an_address_that_no_user_has_is_told_first(ask: Ask, admin: Admin, owner: User) -> None:
    tickets = "SELECT count(*) FROM app.access_log"
    before = admin.execute(tickets)
    # Who may look it up is told so; who may not is told that nobody did, also of an address that a user has.
    for who, more in (("x-tickets", ["--reason", "INC-1 why"]), ("x-audits", [])):
        refused = ask(who, "none@example.com", "tasks", owner.task_id, *more)
        assert refused.exit_code == 1
        assert refused.output.startswith("Error: there is no user ")
    for address in ("none@example.com", owner.email):
        first = ask("x-tickets", address, "tasks").output.split(":")[0]
        assert first == f"Whether a user has the address {address} was not looked up"
    assert admin.execute(tickets) == before

"""Who may do what, column by column and function by function: whoever grants something writes it here.

What has to hold whatever is granted is the doctor's to know: `taskapp/isolation/doctor/`, and `test_doctor.py`.
"""

from conftest import Admin

from taskapp.isolation.doctor.functions import CALLERS
from taskapp.isolation.doctor.rule import NOBODYS, PRELUDE

# What each role may do with which columns; '*' is the whole table.
GRANTED: dict[tuple[str, str, str], set[str]] = {
    ("taskapp_api", "users", "SELECT"): {
        "user_id",
        "email",
        "display_name",
        "timezone",
        "week_start",
        "version",
        "tasks_at_most",
        "created_at",
        "updated_at",
    },
    ("taskapp_api", "users", "UPDATE"): {
        *{"display_name", "timezone", "week_start", "version", "updated_at", "tasks_at_most"},
    },
    ("taskapp_api", "sessions", "SELECT"): {
        "user_id",
        "id",
        "created_at",
        "expires_at",
        "revoked_at",
        "device_name",
        "user_agent",
        "ip",
        "last_used_at",
    },
    ("taskapp_api", "sessions", "UPDATE"): {"revoked_at"},
    ("taskapp_auth", "users", "SELECT"): {
        "user_id",
        "email",
        "password_hash",
        "display_name",
        "timezone",
        "week_start",
        "version",
        "created_at",
        "updated_at",
        "disabled_at",
    },
    ("taskapp_auth", "users", "INSERT"): {"email", "password_hash", "display_name", "timezone"},
    ("taskapp_auth", "users", "UPDATE"): {"email", "password_hash", "version", "updated_at"},
    ("taskapp_auth", "users", "DELETE"): {"*"},
    ("taskapp_auth", "sessions", "SELECT"): {
        "user_id",
        "id",
        "created_at",
        "expires_at",
        "revoked_at",
        "device_name",
        "user_agent",
        "ip",
        "last_used_at",
        "generation",
        "refreshed_at",
    },
    ("taskapp_auth", "sessions", "INSERT"): {"id", "expires_at", "device_name", "user_agent", "ip"},
    ("taskapp_auth", "sessions", "UPDATE"): {"last_used_at", "generation", "refreshed_at", "revoked_at"},
    **{
        (role, "access_tokens", "SELECT"): {
            *{"user_id", "id", "name", "scopes", "prefix", "created_at", "last_used_at", "expires_at"},
        }
        for role in ("taskapp_api", "taskapp_auth")
    },
    ("taskapp_api", "access_tokens", "DELETE"): {"*"},
    ("taskapp_auth", "access_tokens", "INSERT"): {"id", "name", "scopes", "prefix", "digest", "expires_at"},
    ("taskapp_auth", "access_tokens", "DELETE"): {"*"},
    ("taskapp_definer", "access_tokens", "SELECT"): {"user_id", "id", "digest", "scopes", "last_used_at", "expires_at"},
    ("taskapp_definer", "access_tokens", "UPDATE"): {"last_used_at"},
    ("taskapp_operator", "access_tokens", "SELECT"): {"user_id"},
    ("taskapp_operator", "access_tokens", "DELETE"): {"*"},
    ("taskapp_auth", "attempts", "SELECT"): {"*"},
    ("taskapp_auth", "attempts", "INSERT"): {"key", "count", "since", "blocked_until", "succeeded_at"},
    ("taskapp_auth", "attempts", "UPDATE"): {"count", "since", "blocked_until", "succeeded_at"},
    ("taskapp_auth", "attempts", "DELETE"): {"*"},
    ("taskapp_operator", "users", "SELECT"): {
        *{"user_id", "email", "email_key", "version", "created_at", "updated_at", "disabled_at"},
    },
    ("taskapp_operator", "users", "INSERT"): {"email", "password_hash"},
    ("taskapp_operator", "users", "UPDATE"): {"password_hash", "disabled_at", "version", "updated_at"},
    ("taskapp_operator", "sessions", "SELECT"): {"user_id", "id", "last_used_at", "expires_at", "revoked_at"},
    ("taskapp_operator", "sessions", "UPDATE"): {"revoked_at"},
    ("taskapp_operator", "sessions", "DELETE"): {"*"},
    ("taskapp_operator", "attempts", "SELECT"): {"*"},
    ("taskapp_operator", "attempts", "UPDATE"): {"count"},
    ("taskapp_definer", "users", "SELECT"): {"user_id", "email"},
    ("taskapp_definer", "access_log", "SELECT"): {"*"},
    ("taskapp_definer", "access_log", "INSERT"): {"kind", "login", "subject", "reason", "minutes", "expires_at"},
    ("taskapp_definer", "access_log", "UPDATE"): {
        *{"approved_by", "approved_at", "expires_at", "closed_at", "closed_by"},
    },
}
# What people do not see of a table, each in their way.
PEOPLE = ("taskapp_dba", "taskapp_breakglass", "taskapp_auditor")
HIDDEN_FROM_READERS = {
    "users": {"password_hash"},
    "sessions": {"generation", "refreshed_at"},
    "access_tokens": {"digest"},
    "answers": {"asked", "body", "location", "etag"},
}
SEEN_BY_AUDITORS = {
    "users": {"user_id", "email", "email_key", "version", "created_at", "updated_at", "disabled_at"},
    "sessions": {"user_id", "id", "created_at", "expires_at", "revoked_at", "last_used_at"},
    "access_tokens": {"user_id", "id", "scopes", "created_at", "last_used_at", "expires_at"},
    "lists": {"user_id", "id", "archived", "version", "created_at", "updated_at", "deleted_at"},
    "tags": {"user_id"},
    "tasks": {
        *{"user_id", "id", "status", "priority", "list_id", "left_list_id", "parent_id", "version"},
        *{"created_at", "updated_at", "completed_at", "deleted_at"},
    },
    "completions": {"user_id", "id", "task_id", "outcome", "completed_at"},
    "answers": {"user_id", "status", "answered_at"},
}
"""Of the tables that hold rows of users; all else in them is content. dba/test_auditing.py tries each column."""
# taskapp_api's; which columns it reads, the tests of the features say.
CONTENT = {"tasks", "lists", "tags", "completions", "answers"}
OF_A_TASK = {
    *{"title", "notes", "priority", "list_id", "parent_id", "position", "tags", "metadata"},
    *{"start_date", "due_date", "due_time", "due_timezone"},
    *{"title_words", "notes_words", "tag_words"},
}
WRITTEN: dict[tuple[str, str, str], set[str]] = {
    ("taskapp_api", "tasks", "INSERT"): OF_A_TASK | {"id", "created_from"},
    ("taskapp_api", "tasks", "UPDATE"): {
        *OF_A_TASK,
        *{"status", "completed_at", "deleted_at", "left_list_id", "left_position", "version", "updated_at", "due_sort"},
    },
    ("taskapp_api", "tasks", "DELETE"): {"*"},
    ("taskapp_api", "lists", "INSERT"): {"id", "name", "color", "created_from"},
    ("taskapp_api", "lists", "UPDATE"): {"name", "color", "position", "archived", "deleted_at", "version", "updated_at"},
    ("taskapp_api", "lists", "DELETE"): {"*"},
    ("taskapp_api", "tags", "INSERT"): {"key", "name"},
    ("taskapp_api", "tags", "UPDATE"): {"key", "name"},
    ("taskapp_api", "tags", "DELETE"): {"*"},
    ("taskapp_api", "completions", "INSERT"): {
        *{"id", "task_id", "title", "due_date", "due_time", "due_timezone", "outcome", "completed_at", "closing"},
    },
    ("taskapp_api", "completions", "DELETE"): {"*"},
    ("taskapp_api", "answers", "INSERT"): {"key", "asked", "status", "body", "location", "etag"},
    ("taskapp_api", "answers", "DELETE"): {"*"},
}
# The operator's part in that: whose task is how long in the trash, how old an answer is, and that they go.
PURGING: dict[tuple[str, str, str], set[str]] = {
    ("taskapp_operator", "tasks", "SELECT"): {"user_id", "id", "deleted_at"},
    ("taskapp_operator", "tasks", "DELETE"): {"*"},
    ("taskapp_operator", "lists", "SELECT"): {"user_id", "id", "deleted_at"},
    ("taskapp_operator", "lists", "DELETE"): {"*"},
    ("taskapp_operator", "answers", "SELECT"): {"answered_at"},
    ("taskapp_operator", "answers", "DELETE"): {"*"},
}

# Who may call what: nobody else, and PUBLIC least of all.
EVERY_CALLER: dict[str, set[str]] = {
    **{signature: set(roles) for signature, roles in CALLERS.items()},
    "app.enter_token(uuid,bytea,text,text,boolean)": {"taskapp_api"},
    "app_private.seal_holds(text,text)": set(),
    "app_private.acting_role()": set(),
    "app_private.seal_alike(text,text)": set(),
    "app_private.live_ticket(text)": set(),
    "app_private.log_access(text,uuid,text,integer)": set(),
    "app_private.is_in(name)": set(),
    "app.forget_words()": set(),
    "app_private.has_begun(xid)": set(),
    **{
        signature: {"taskapp_api"}
        for signature in (
            "app.rank_digits(bigint)",
            "app.rank_first()",
            "app.rank_last()",
            "app.own_timezone()",
            "app.rank_between(text,text)",
            "app.rank_for(text,text)",
            "app.take_turn()",
            "app.place_list(uuid,uuid,boolean)",
            "app.remove_list(uuid,bigint[],boolean)",
            "app.purge_list(uuid,bigint[],boolean)",
            "app.clear_list(uuid,boolean)",
            "app.restore_list(uuid,bigint[])",
            "app.complete_parts(uuid,text,uuid)",
            "app.reopen_parts(uuid,uuid)",
            "app.reopen_parent()",
            "app.refuse_notes()",
            "app.tag_names(text[],text[])",
            "app.rename_tag(text,text,text,text,bigint)",
            "app.remove_tag(text)",
            "app.are_tags(text[])",
            "app.is_metadata(jsonb)",
            "app.rough_words(text)",
            "app.splice_words(text[],integer,text)",
            "app.instant_at(timestamp without time zone,text)",
            "app.carry_subtasks()",
            "app.check_subtask()",
            "app.siblings(uuid,uuid)",
            "app.place_task(uuid,uuid,uuid,uuid,boolean)",
            "app.in_turn(uuid)",
            "app.shift_floating_tasks()",
            "app.due_order(date,time without time zone,text)",
            "app.keep_due_order()",
            "app.archived_lists()",
            "app.check_list()",
            "app.claim_key(text)",
            "app.count_task(integer)",
            "app.lock_of(text)",
        )
    },
}


def test_a_role_has_the_columns_it_is_to_have_and_no_more(admin: Admin) -> None:
    found = admin.execute(
        f"{PRELUDE} SELECT grantee::regrole::text, relname, privilege_type, array_agg(coalesce(attname, '*')::text)"
        " FROM granted WHERE oid IN (SELECT oid FROM tenant) GROUP BY grantee, relname, privilege_type"
    )
    granted = {(role, table, privilege): set(columns) for role, table, privilege, columns in found if role not in PEOPLE}
    assert {key: columns for key, columns in granted.items() if key[1] not in CONTENT} == GRANTED
    of_content = {
        (role, table, privilege): columns for (role, table, privilege), columns in granted.items() if table in CONTENT
    }
    reading = {("taskapp_api", table, "SELECT") for table in CONTENT}
    assert {key: columns for key, columns in of_content.items() if key not in reading} == WRITTEN | PURGING
    assert not any("*" in of_content[key] for key in reading)


def test_people_see_the_columns_they_are_to_see_and_no_more(admin: Admin) -> None:
    every = dict(
        admin.execute(
            f"{PRELUDE} SELECT relname, array_agg(attname::text) FROM tenant JOIN pg_attribute ON attrelid = tenant.oid"
            f" WHERE attnum > 0 AND NOT attisdropped AND relname NOT IN {NOBODYS} GROUP BY relname"
        )
    )
    found = admin.execute(
        f"{PRELUDE} SELECT grantee::regrole::text, relname, array_agg(coalesce(attname, '*')::text) FROM granted"
        f" WHERE oid IN (SELECT oid FROM tenant) AND grantee::regrole::text IN {PEOPLE} GROUP BY grantee, relname"
    )
    seen = {(role, table): set(columns) for role, table, columns in found}
    readers = {table: set(columns) - HIDDEN_FROM_READERS.get(table, set()) for table, columns in every.items()}
    for role, expected in zip(PEOPLE, (readers, readers, SEEN_BY_AUDITORS), strict=True):
        ours = {table: columns for (whose, table), columns in seen.items() if whose == role}
        assert ours == {**expected, "access_log": {"*"}}


def test_a_function_can_be_called_by_whom_it_is_for_and_nobody_else(admin: Admin) -> None:
    # No access list at all means everybody; `acldefault` spells that out, and PUBLIC reads '-'.
    found = admin.execute(
        f"{PRELUDE} SELECT signature, array_remove(array_agg(grantee::regrole::text), NULL) FROM function"
        " LEFT JOIN LATERAL aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl ON acl.grantee <> proowner"
        " GROUP BY signature"
    )
    assert {signature: set(callers) for signature, callers in found} == EVERY_CALLER

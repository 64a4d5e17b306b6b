"""Who may do what, column by column and function by function: whoever grants something writes it down.

Rights on columns and tables are written in `taskapp/isolation/columns.py`, and compared here with the catalogue. What has to
hold whatever is granted is the doctor's to know: `taskapp/isolation/doctor/`, and `test_doctor.py`.
"""

from conftest import Admin

from taskapp.isolation.columns import COLUMNS, RIGHTS, WHOLE_TABLE, Right
from taskapp.isolation.doctor.model import PRELUDE
from taskapp.isolation.doctor.rules.functions import CALLERS

ON_COLUMNS = ["SELECT", "INSERT", "UPDATE", "REFERENCES"]
ON_TABLES = [*ON_COLUMNS, "DELETE", "TRUNCATE", "TRIGGER"]

# Who may call what: nobody else, and PUBLIC least of all.
EVERY_CALLER: dict[str, set[str]] = {
    **{signature: set(roles) for signature, roles in CALLERS.items()},
    "app.enter_token(uuid,bytea,text,text,boolean)": {"taskapp_api"},
    "app_private.verify_seal(text,text)": set(),
    "app_private.acting_role()": set(),
    "app_private.seal_with_key_of(text,text)": set(),
    "app_private.require_open_ticket(text)": set(),
    "app_private.insert_access_log(text,uuid,text,integer)": set(),
    "app_private.is_in(name)": set(),
    "app.clear_stale_words()": set(),
    "app_private.xmax_not_aborted(xid)": set(),
    **{
        signature: {"taskapp_api"}
        for signature in (
            "app.rank_digits(bigint)",
            "app.rank_first()",
            "app.rank_last()",
            "app.current_user_timezone()",
            "app.rank_between(text,text)",
            "app.new_rank(text,text)",
            "app.lock_user()",
            "app.rank_of_moved_list(uuid,uuid,boolean)",
            "app.trash_list(uuid,bigint[],boolean)",
            "app.purge_list(uuid,bigint[],boolean)",
            "app.detach_tasks_of_list(uuid,boolean)",
            "app.restore_list(uuid,bigint[])",
            "app.close_subtasks(uuid,text,uuid)",
            "app.reopen_subtasks(uuid,uuid)",
            "app.reopen_parent()",
            "app.refuse_long_notes()",
            "app.get_or_create_tags(text[],text[])",
            "app.rename_tag(text,text,text,text,bigint)",
            "app.remove_tag(text)",
            "app.are_tags(text[])",
            "app.is_metadata(jsonb)",
            "app.fold_words_in_sql(text)",
            "app.replace_array_element(text[],integer,text)",
            "app.instant_at(timestamp without time zone,text)",
            "app.move_subtasks_with_parent()",
            "app.check_subtask()",
            "app.siblings(uuid,uuid)",
            "app.rank_of_moved_task(uuid,uuid,uuid,uuid,boolean)",
            "app.id_after_user_lock(uuid)",
            "app.renew_due_sort_of_floating_tasks()",
            "app.due_sort_of(date,time without time zone,text)",
            "app.set_due_sort()",
            "app.archived_lists()",
            "app.refuse_archived_list()",
            "app.claim_idempotency_key(text)",
            "app.reserve_task_quota(integer)",
            "app.advisory_lock_key(text)",
        )
    },
}


def test_every_column_is_in_the_manifest_and_every_entry_is_a_column(admin: Admin) -> None:
    found = admin.execute(
        f"{PRELUDE} SELECT nspname || '.' || relname, attname::text"
        " FROM relation JOIN pg_attribute ON attrelid = relation.oid"
        " WHERE relkind IN ('r', 'p', 'f', 'm') AND attnum > 0 AND NOT attisdropped"
    )
    assert sorted((column.table, column.name) for column in COLUMNS) == sorted(found)


def test_a_role_has_the_columns_it_is_to_have_and_no_more(admin: Admin) -> None:
    found = admin.execute(
        f"{PRELUDE} SELECT nspname || '.' || relname, coalesce(attname::text, '{WHOLE_TABLE}'), who, privilege_type"
        " FROM granted"
    )
    assert {Right(*right) for right in found} == RIGHTS


def test_postgresql_lets_a_role_do_what_it_was_granted_and_no_more(admin: Admin) -> None:
    # PUBLIC and memberships count here. Owners have every right on what is theirs.
    found = admin.execute(
        f"{PRELUDE} SELECT nspname || '.' || relname, attname::text, rolname, privilege"
        f" FROM unnest(ARRAY{ON_COLUMNS}) AS privilege,"
        " relation JOIN pg_attribute ON attrelid = relation.oid JOIN role ON role.oid <> relowner"
        " WHERE relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped"
        " AND has_column_privilege(role.oid, relation.oid, attnum, privilege)"
        f" UNION SELECT nspname || '.' || relname, '{WHOLE_TABLE}', rolname, privilege"
        f" FROM unnest(ARRAY{ON_TABLES}) AS privilege,"
        " relation JOIN role ON role.oid <> relowner"
        " WHERE relkind IN ('r', 'p', 'v') AND has_table_privilege(role.oid, relation.oid, privilege)"
    )
    of_every_column = {
        right._replace(column=column.name)
        for right in RIGHTS
        for column in COLUMNS
        if right.column == WHOLE_TABLE and right.table == column.table and right.privilege != "DELETE"
    }
    assert {Right(*right) for right in found} == RIGHTS | of_every_column


def test_a_function_can_be_called_by_whom_it_is_for_and_nobody_else(admin: Admin) -> None:
    # No access list at all means everybody; `acldefault` spells that out, and PUBLIC reads '-'.
    found = admin.execute(
        f"{PRELUDE} SELECT signature, array_remove(array_agg(grantee::regrole::text), NULL) FROM function"
        " LEFT JOIN LATERAL aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl ON acl.grantee <> proowner"
        " GROUP BY signature"
    )
    assert {signature: set(callers) for signature, callers in found} == EVERY_CALLER

"""Isolation broken on purpose, to see these tests fail: a suite that nothing can turn red protects nobody.

Each mutation is applied behind the migrations of a run of its own (`break_on_purpose` in tests/conftest.py). Where a breach
changes what people can do, a test of behaviour has to notice, and not only a rule about the catalogue.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from isolation.breakages import rewritten, unsealed

PROJECT = Path(__file__).parents[2]

# The runs that this file starts run other files. Should one ever reach this one, it ends here.
pytestmark = [
    pytest.mark.mutants,
    pytest.mark.skipif("TASKAPP_TEST_MUTATION" in os.environ, reason="a mutation is under way already"),
]


def grid(test: str) -> str:
    return f"tests/isolation/test_grid.py::test_{test}"


def cell(cell: str) -> str:
    return grid(f"another_user_and_nobody_reach_nothing_of_the_owners[{cell}]")


def roles(test: str) -> str:
    return f"tests/isolation/test_roles.py::test_{test}"


def sweep(test: str) -> str:
    return f"tests/isolation/test_sweep.py::test_{test}"


def forgery(test: str) -> str:
    return f"tests/isolation/test_forgery.py::test_{test}"


def entering(test: str) -> str:
    return f"tests/isolation/test_entering.py::test_{test}"


def by_token(test: str) -> str:
    return f"tests/isolation/test_entering_by_token.py::test_{test}"


def tokens(test: str) -> str:
    return f"tests/tokens/test_access_tokens.py::test_{test}"


def twins(test: str) -> str:
    return f"tests/isolation/test_twins.py::test_{test}"


def lasting(test: str) -> str:
    return f"tests/isolation/test_lasting.py::test_{test}"


def operator(cell: str) -> str:
    return grid(f"an_operator_can_do_what_is_granted_and_no_more[{cell}]")


def rule(number: str) -> str:
    return f"tests/isolation/test_doctor.py::test_nothing_breaks_the_rule[{number}]"


OTHERS_IDS = sweep("another_users_id_is_not_found")
NAMED_IDS = sweep("to_name_another_users_thing_is_answered_as_to_name_one_that_never_was")
ALIKE = "what_a_user_does_reaches_nothing_of_another_with_the_same_ids"
CARRIED = "what_a_trigger_or_a_key_carries_on_is_the_same_users_even_where_no_policy_holds"
TOLD = "of_another_users_id_as_much_is_told_as_of_one_that_never_was"
COLUMNS = "tests/isolation/test_catalogue.py::test_a_role_has_the_columns_it_is_to_have_and_no_more"
CALLABLE = "tests/isolation/test_catalogue.py::test_a_function_can_be_called_by_whom_it_is_for_and_nobody_else"
SHOWN = rule("L12")
WRITTEN = rule("L33")
FLOORED = rule("L13")


@dataclass(frozen=True)
class Mutation:
    name: str
    sql: str
    noticed_by: tuple[str, ...]


MUTATIONS = [
    Mutation(
        "no row-level security",
        "ALTER TABLE app.users DISABLE ROW LEVEL SECURITY;"
        "ALTER TABLE app.sessions DISABLE ROW LEVEL SECURITY;"
        "ALTER TABLE app.tasks DISABLE ROW LEVEL SECURITY",
        (
            cell("taskapp_api users select other"),
            cell("taskapp_api sessions select other"),
            cell("taskapp_api tasks select nobody"),
            cell("taskapp_api tasks update other"),
            cell("taskapp_api tasks delete nobody"),
            cell("taskapp_auth users select nobody"),
            cell("taskapp_auth sessions select other"),
            roles("who_logs_in_sees_the_one_account_of_that_address"),
            OTHERS_IDS,
            rule("L01"),
        ),
    ),
    Mutation(
        "row-level security that is not forced",
        "ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY",
        (
            roles("the_role_that_owns_the_tables_reaches_no_row[select]"),
            roles("the_role_that_owns_the_tables_reaches_no_row[delete]"),
            rule("L02"),
        ),
    ),
    Mutation(
        "no floor",
        "DROP POLICY tasks_api_floor ON app.tasks",
        (roles("a_careless_policy_shows_a_signed_in_user_no_row_of_another[tasks]"), FLOORED),
    ),
    Mutation(
        "no floor under a careless policy",
        "DROP POLICY tasks_api_floor ON app.tasks; CREATE POLICY careless ON app.tasks USING (true)",
        (cell("taskapp_api tasks select other"), OTHERS_IDS, FLOORED, SHOWN),
    ),
    Mutation(
        "floor and policy that show everything",
        "ALTER POLICY tasks_api_floor ON app.tasks USING (true); ALTER POLICY tasks_api_select ON app.tasks USING (true)",
        (cell("taskapp_api tasks select other"), cell("taskapp_api tasks select nobody"), OTHERS_IDS, SHOWN),
    ),
    Mutation(
        "a log-in that sees every account",
        "ALTER POLICY users_auth_floor ON app.users USING (true); ALTER POLICY users_auth_select ON app.users USING (true)",
        (cell("taskapp_auth users select other"), roles("who_logs_in_sees_the_one_account_of_that_address"), SHOWN),
    ),
    Mutation(
        "inserts that nothing checks",
        "ALTER POLICY tasks_api_floor ON app.tasks WITH CHECK (true);"
        "ALTER POLICY tasks_api_insert ON app.tasks WITH CHECK (true)",
        (
            cell("taskapp_api tasks insert nobody"),
            grid("a_policy_refuses_an_insert_for_somebody_else[taskapp_api tasks]"),
            WRITTEN,
        ),
    ),
    Mutation(
        # A row that is given away has to be visible to the giver, too.
        "updates that nothing checks",
        "ALTER POLICY tasks_api_floor ON app.tasks USING (true) WITH CHECK (true);"
        "ALTER POLICY tasks_api_select ON app.tasks USING (true);"
        "ALTER POLICY tasks_api_update ON app.tasks WITH CHECK (true)",
        (grid("a_policy_refuses_to_give_a_row_away[taskapp_api tasks]"), WRITTEN),
    ),
    Mutation(
        "an identity for the session and not the transaction",
        rewritten("app.enter_session", "(text|seal), true", r"\1, false"),
        (entering("a_signed_in_users_message_leaves_no_identity_behind"),),
    ),
    Mutation(
        "an immutable identity",
        "ALTER FUNCTION app.current_user_id IMMUTABLE",
        (grid("one_prepared_statement_shows_each_user_their_own_row"), rule("L59")),
    ),
    Mutation(
        "identities without a seal",
        unsealed("app.current_user_id() RETURNS uuid", "NULLIF(current_setting('app.user_id', true), '')::uuid")
        + unsealed("app.login_email() RETURNS text", "lower(NULLIF(current_setting('app.login_email', true), ''))"),
        (
            forgery("a_claim_injected_into_a_message_makes_its_author_nobody"),
            forgery("a_claim_injected_into_a_message_changes_nothing[update]"),
            forgery("a_seal_that_is_not_good_shows_nothing[wrong key, right id]"),
            forgery("a_seal_that_is_not_good_does_not_enter[somebody else's own]"),
            forgery("a_log_in_seal_that_is_not_good_shows_no_account[of another address]"),
            roles("an_address_forged_while_logging_in_shows_no_account"),
        ),
    ),
    Mutation(
        # These do not touch each other, so they share a run.
        "seals that never expire, keys that never retire, sessions that never end and reads that may write",
        rewritten("app_private.verify_seal", r"to_timestamp\(expiry::float8\) <= clock_timestamp\(\)", "false")
        + rewritten("app_private.verify_seal", r"k\.not_after > clock_timestamp\(\)", "true")
        + rewritten("app.enter_session", "IF NOT FOUND THEN", "IF false THEN")
        + rewritten("app.enter_session", "IF read_only THEN", "IF false THEN"),
        (
            forgery("a_seal_that_is_not_good_shows_nothing[expired]"),
            forgery("a_log_in_seal_that_is_not_good_does_not_enter[expired]"),
            forgery("a_key_that_was_retired_is_good_no_longer"),
            entering("a_session_that_has_ended_enters_nothing[ended]"),
            entering("the_session_of_another_user_enters_nothing"),
            entering("over_http_a_session_that_has_ended_answers_like_a_bad_token[revoked]"),
            entering("a_get_cannot_be_made_to_write[SET TRANSACTION READ WRITE]"),
        ),
    ),
    Mutation(
        "a primary key without the owner",
        "ALTER TABLE app.tasks DROP CONSTRAINT tasks_pkey CASCADE, ADD CONSTRAINT tasks_pkey PRIMARY KEY (id)",
        (
            grid("the_id_of_another_users_task_is_free_to_use[insert]"),
            grid("the_id_of_another_users_task_is_free_to_use[do nothing]"),
            rule("L14"),
        ),
    ),
    Mutation(
        # These do not touch each other, so they share a run.
        "hashes for whoever is signed in, tasks for a log-in and keys for everybody",
        "GRANT SELECT (password_hash) ON app.users TO taskapp_api;"
        "GRANT SELECT ON app.tasks TO taskapp_auth;"
        "GRANT USAGE ON SCHEMA app_private TO PUBLIC; GRANT SELECT ON app_private.keys TO PUBLIC",
        (
            roles("who_is_signed_in_cannot_read_even_their_own_password_hash[SELECT password_hash FROM app.users]"),
            rule("L31"),
            cell("taskapp_auth tasks select other"),
            rule("L36"),
            roles("no_login_role_reaches_the_keys[SELECT FROM app_private.keys-taskapp_migrator]"),
            rule("L42"),
        ),
    ),
    Mutation(
        # These do not touch each other, so they share a run.
        "no row-level security on lists, no floor under a careless policy on tags, none to speak of elsewhere",
        "ALTER TABLE app.lists DISABLE ROW LEVEL SECURITY;"
        "DROP POLICY tags_api_floor ON app.tags; CREATE POLICY careless ON app.tags USING (true) WITH CHECK (true);"
        "ALTER POLICY completions_api_floor ON app.completions USING (true);"
        "ALTER POLICY completions_api_select ON app.completions USING (true);"
        "ALTER POLICY completions_api_delete ON app.completions USING (true);"
        "ALTER POLICY idempotency_records_api_floor ON app.idempotency_records USING (true);"
        "ALTER POLICY idempotency_records_api_select ON app.idempotency_records USING (true)",
        (
            cell("taskapp_api lists select nobody"),
            cell("taskapp_api lists update other"),
            cell("taskapp_api tags select other"),
            cell("taskapp_api tags delete nobody"),
            cell("taskapp_api completions select other"),
            cell("taskapp_api completions delete nobody"),
            cell("taskapp_api idempotency_records select other"),
            grid("a_list_shows_only_what_is_ones_own[/v1/lists]"),
            grid("a_list_shows_only_what_is_ones_own[/v1/tags]"),
            grid("a_list_shows_only_what_is_ones_own[/v1/completions]"),
            twins(f"{ALIKE}[remove the list]"),
            twins(f"{ALIKE}[remove the tag]"),
            twins(f"{ALIKE}[take the completion back]"),
            OTHERS_IDS,
            rule("L01"),
            FLOORED,
            SHOWN,
        ),
    ),
    Mutation(
        "keys to lists and tasks without the owner",
        # A key has to have something unique to lead to.
        "ALTER TABLE app.lists ADD CONSTRAINT lists_id_key UNIQUE (id);"
        "ALTER TABLE app.tasks ADD CONSTRAINT tasks_id_key UNIQUE (id);"
        "ALTER TABLE app.tasks DROP CONSTRAINT tasks_list_id_fkey, DROP CONSTRAINT tasks_parent_id_fkey,"
        " ADD CONSTRAINT tasks_list_id_fkey FOREIGN KEY (list_id) REFERENCES app.lists (id) ON DELETE SET NULL,"
        " ADD CONSTRAINT tasks_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES app.tasks (id) ON DELETE CASCADE;"
        "ALTER TABLE app.completions DROP CONSTRAINT completions_task_id_fkey,"
        " ADD CONSTRAINT completions_task_id_fkey FOREIGN KEY (task_id) REFERENCES app.tasks (id) ON DELETE CASCADE",
        (
            cell("taskapp_api tasks insert into the list other"),
            cell("taskapp_api tasks move one's own there other"),
            cell("taskapp_api completions insert other"),
            grid("the_key_of_another_users_row_is_free_to_use[list-insert]"),
            NAMED_IDS,
            rule("L15"),
        ),
    ),
    Mutation(
        "functions that run as the superuser who made them",
        "".join(
            f"ALTER FUNCTION app.{name} SECURITY DEFINER; ALTER FUNCTION app.{name} OWNER TO CURRENT_USER;"
            for name in (
                "rank_of_moved_list",
                "trash_list",
                "get_or_create_tags",
                "remove_tag",
                "rank_of_moved_task",
                "siblings",
                "move_subtasks_with_parent",
            )
        ),
        (
            twins("room_is_made_among_ones_own_only[UPDATE app.tasks SET position = 'a1']"),
            twins("room_is_made_among_ones_own_only[UPDATE app.lists SET position = 'a1']"),
            twins(f"{ALIKE}[remove the list]"),
            twins(f"{ALIKE}[remove the tag]"),
            twins(f"{TOLD}[siblings in a list]"),
            twins(f"{TOLD}[rank_of_moved_task behind in the list]"),
            rule("L20"),
            rule("L57"),
            rule("L28"),
        ),
    ),
    Mutation(
        "triggers that name no owner",
        rewritten("app.move_subtasks_with_parent", r"t\.user_id = NEW\.user_id AND", "")
        + rewritten("app.renew_due_sort_of_floating_tasks", r"t\.user_id = NEW\.user_id AND", ""),
        (twins(f"{CARRIED}[carried into another list]"), twins(f"{CARRIED}[shifted]")),
    ),
    Mutation(
        # These do not touch each other, so they share a run.
        "an operator who sees every task, and its title, and a log-in that sees lists and purges",
        "ALTER POLICY tasks_operator_select ON app.tasks USING (true);"
        "ALTER POLICY tasks_operator_delete ON app.tasks USING (deleted_at IS NOT NULL);"
        "GRANT SELECT (title) ON app.tasks TO taskapp_operator;"
        "GRANT SELECT (user_id, name) ON app.lists TO taskapp_auth;"
        "GRANT EXECUTE ON FUNCTION app.purge_tasks TO taskapp_auth, taskapp_api",
        (
            operator("tasks-select-owner"),
            operator("tasks-select-nobody"),
            grid("an_operator_finds_a_task_once_it_has_been_in_the_trash_for_30_days[delete-29.99-0-nobody]"),
            twins("an_operator_learns_nothing_of_what_was_thrown_away[DELETE FROM app.tasks RETURNING title]"),
            twins("only_an_operator_purges"),
            cell("taskapp_auth lists select other"),
            SHOWN,
            COLUMNS,
            CALLABLE,
        ),
    ),
    Mutation(
        "purging that counts no days",
        rewritten("app.purge_tasks", "30 days", "3 days")
        + "ALTER POLICY tasks_operator_select ON app.tasks USING (deleted_at < now() - interval '3 days');"
        "ALTER POLICY tasks_operator_delete ON app.tasks USING (deleted_at < now() - interval '3 days')",
        (
            twins("a_purge_deletes_everybodys_tasks_that_were_thrown_away_30_days_ago_and_no_others"),
            grid("an_operator_finds_a_task_once_it_has_been_in_the_trash_for_30_days[select-29.99-0-owner]"),
            SHOWN,
        ),
    ),
    Mutation(
        "statistics of content",
        "ALTER TABLE app.tasks ALTER tags SET STATISTICS 100, ALTER title_sort SET STATISTICS 100,"
        " ALTER title_words SET STATISTICS 100, ALTER due_date SET STATISTICS 100;"
        "ALTER TABLE app.lists ALTER name SET STATISTICS 100; ALTER TABLE app.tags ALTER name SET STATISTICS 100;"
        "ALTER TABLE app.completions ALTER title SET STATISTICS 100",
        (
            *(
                lasting(f"estimates_do_not_confirm_a_guess_of_what_others_wrote[{guess}]")
                for guess in (
                    "tag of a task",
                    "title in capitals",
                    "word",
                    "due date",
                    "list",
                    "completed title",
                )
            ),
            lasting("no_column_of_content_has_statistics"),
        ),
    ),
    Mutation(
        # These do not touch each other, so they share a run.
        "tokens that never expire, whose scopes nobody looks at, and that write while they read",
        rewritten("app.enter_token", r" AND t\.expires_at > now\(\)", "")
        + rewritten("app.enter_token", r"IF NOT scope = ANY \(token\.scopes\)", "IF false")
        + rewritten("app.enter_token", r"read_only IS NOT FALSE OR scope IS NULL", "read_only")
        + rewritten("app.enter_token", r"OR split_part\(scope, ':', 2\) <> 'write'", ""),
        (
            by_token("a_token_that_is_no_more_enters_nothing[tasks:read-expired]"),
            by_token("a_token_is_good_for_its_scopes_and_no_others[tasks:read]"),
            by_token("sql_in_a_request_by_a_token_gets_no_scope_from_entering_again"),
            by_token("without_a_scope_to_write_nothing_is_written_whatever_the_application_says[False-tasks:read]"),
            tokens("f24_a_token_that_has_expired_is_refused"),
            tokens("f17_f24_a_token_is_let_in_for_its_scope_and_told_which_one_is_missing[lists:read]"),
        ),
    ),
    Mutation(
        "tokens without a seal",
        rewritten("app.enter_token", "IS NOT TRUE THEN", "IS NULL AND false THEN"),
        (
            by_token("a_seal_that_is_not_good_does_not_enter[of another user's token]"),
            by_token("a_seal_that_is_not_good_does_not_enter[of another token]"),
            by_token("a_seal_that_is_not_good_does_not_enter[expired]"),
            by_token("sql_in_a_request_by_a_token_enters_by_no_other_token_with_the_seal_it_finds[owner]"),
        ),
    ),
    Mutation(
        "tokens whose seal is the user's",
        # As if the application's word were enough: then whatever a client sends names whom it likes.
        rewritten(
            "app.enter_token",
            r"'bearer:' \|\| role \|\| ':' \|\| enter_token\.user_id \|\| ':' \|\| encode\([^)]*\)",
            "'proven:' || role || ':' || enter_token.user_id",
        ),
        (
            by_token("a_token_shows_its_owners_rows"),
            by_token("a_seal_that_is_not_good_does_not_enter[of the user, proven]"),
        ),
    ),
    Mutation(
        # These do not touch each other, so they share a run.
        "seals of the database that last, tokens of anybody's with the digest, and a use that waits",
        rewritten("app.enter_token", r"extract\(epoch FROM now\(\)\)", "0")
        + rewritten("app.current_user_id", r"extract\(epoch FROM now\(\)\)", "0")
        + rewritten("app.enter_token", r"t\.user_id = enter_token\.user_id AND t\.digest", "t.digest")
        + "ALTER POLICY personal_access_tokens_definer_floor ON app.personal_access_tokens USING (true);"
        "ALTER POLICY personal_access_tokens_definer_select ON app.personal_access_tokens USING (true);"
        + rewritten("app.enter_token", "SKIP LOCKED", ""),
        (
            by_token("the_seal_that_the_database_makes_is_for_one_transaction_and_expires_with_the_claim"),
            by_token("an_identity_kept_for_the_whole_connection_is_void_in_the_next_transaction"),
            by_token("the_token_of_another_user_enters_nothing"),
            by_token("a_use_waits_for_nobody[tasks:read]"),
            SHOWN,
        ),
    ),
    Mutation(
        # These do not touch each other, so they share a run.
        "a refusal that is none, digests for whoever asks, tokens without a password, and new credentials that end none",
        rewritten("app.enter_token", "RAISE EXCEPTION 'there is no such token' USING ERRCODE = 'TA001'", "RETURN")
        + rewritten("app.revoke_credentials", "DELETE FROM app.personal_access_tokens t WHERE t.user_id = owner;", "")
        + "GRANT SELECT (digest), INSERT (id, name, scopes, prefix, digest, expires_at)"
        " ON app.personal_access_tokens TO taskapp_api;"
        "CREATE POLICY careless ON app.personal_access_tokens FOR INSERT TO taskapp_api WITH CHECK (true)",
        (
            by_token("a_token_that_is_no_more_enters_nothing[tasks:read-revoked]"),
            by_token("a_refusal_that_is_caught_leaves_whoever_it_was_before[nobody-a token that never was]"),
            by_token(
                "sql_in_a_request_by_a_token_makes_and_learns_no_credential"
                "[SELECT digest FROM app.personal_access_tokens-permission denied]"
            ),
            tokens("f24_a_revoked_token_is_void_at_once"),
            tokens("f5_f24_what_ends_sessions_ends_tokens[by_password]"),
            tokens("f5_f24_what_ends_sessions_ends_tokens[by_disabling]"),
            tokens("f5_a_token_that_is_made_just_before_the_change_does_not_survive_it[by_email]"),
            rule("L31"),
            COLUMNS,
        ),
    ),
    Mutation(
        "roles past all policies",
        "ALTER ROLE taskapp_api BYPASSRLS; GRANT taskapp_owner TO taskapp_auth",
        (
            cell("taskapp_api tasks select other"),
            OTHERS_IDS,
            rule("L03"),
            roles("the_application_cannot_take_on_another_role[taskapp_owner-taskapp_auth]"),
            rule("L51"),
        ),
    ),
]

NOTHING = Mutation("nothing", "SELECT", tuple({test: None for mutation in MUTATIONS for test in mutation.noticed_by}))

Run = subprocess.CompletedProcess[str]


def run(mutation: Mutation) -> Run:
    """Run the tests that should notice, on a server of their own with this one thing broken."""
    clean = {name: value for name, value in os.environ.items() if re.match("(?!TASKAPP_)|TASKAPP_TEST_", name)}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "",
            "-q",
            "--tb=line",
            "-rfE",
            "-p",
            "no:cacheprovider",
            *mutation.noticed_by,
        ],
        cwd=PROJECT,
        env={**clean, "TASKAPP_TEST_MUTATION": mutation.sql},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Run]]]:
    """Start the runs of all the tests that were selected here, two at a time."""
    wanted = [
        item.callspec.params["mutation"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    ]
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {mutation.name: pool.submit(run, mutation) for mutation in wanted if isinstance(mutation, Mutation)}
        pool.shutdown(cancel_futures=True)


def broken(*mutations: Mutation) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mutation", mutations, ids=[mutation.name for mutation in mutations])


@broken(NOTHING)
def test_all_of_these_tests_pass_when_this_is_broken(runs: dict[str, Future[Run]], mutation: Mutation) -> None:
    result = runs[mutation.name].result()
    assert result.returncode == 0, result.stdout
    assert f"{len(mutation.noticed_by)} passed" in result.stdout


@broken(*MUTATIONS)
def test_every_test_that_should_notices_when_this_is_broken(runs: dict[str, Future[Run]], mutation: Mutation) -> None:
    result = runs[mutation.name].result()
    # 1 means that tests failed. A collection or a server that failed is another number, or an ERROR line.
    assert result.returncode == 1, result.stdout
    assert not re.search("^ERROR tests/", result.stdout, re.MULTILINE), result.stdout
    silent = [
        test for test in mutation.noticed_by if not re.search(f"^FAILED {re.escape(test)}( - |$)", result.stdout, re.M)
    ]
    assert silent == [], result.stdout

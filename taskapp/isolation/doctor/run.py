"""Run the doctor: all rules in one statement, and the comparison with the golden catalogue in another."""

from collections.abc import Sequence

from psycopg2.extensions import cursor

from taskapp.isolation.doctor.catalogue.acknowledgements import Line, apply
from taskapp.isolation.doctor.catalogue.comparison import compare
from taskapp.isolation.doctor.model import PRELUDE, Finding, Rule
from taskapp.isolation.doctor.rules.comments import COMMENTS
from taskapp.isolation.doctor.rules.function_bodies import FUNCTION_BODIES
from taskapp.isolation.doctor.rules.functions import FUNCTIONS
from taskapp.isolation.doctor.rules.grants import GRANTS
from taskapp.isolation.doctor.rules.policies import POLICIES
from taskapp.isolation.doctor.rules.roles import ROLES
from taskapp.isolation.doctor.rules.signature_keys import examine_keys
from taskapp.isolation.doctor.rules.tables import TABLES
from taskapp.isolation.doctor.rules.tickets import examine_tickets

RULES = (*TABLES, *POLICIES, *GRANTS, *FUNCTIONS, *FUNCTION_BODIES, *ROLES, *COMMENTS)
_BY_NUMBER = {rule.number: rule for rule in RULES}


def search_names_in_the_catalogue(cur: cursor) -> None:
    """Until the transaction ends: PostgreSQL prints a name with its schema only where a search would not find it.

    It also prints names, texts and intervals as other settings have it, which the server or the database may have set.
    Without compiling, too: of questions as long as these, whose rows are few, that takes seconds where the server has LLVM.
    Which of these the server itself has set can be told only before, and is kept for the golden catalogue.
    """
    # With schemas, since nothing says yet where names are searched.
    cur.execute(
        "SELECT pg_catalog.set_config('taskapp.settings_of_the_server', coalesce("
        "nullif(pg_catalog.current_setting('taskapp.settings_of_the_server', true), ''),"
        " pg_catalog.string_agg(name, ' '), ''), true) FROM pg_catalog.pg_settings"
        " WHERE name OPERATOR(pg_catalog.=) ANY ('{search_path,standard_conforming_strings}')"
        " AND source OPERATOR(pg_catalog.=) ANY ('{configuration file,command line,environment variable,global}')"
    )
    cur.execute(
        "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL jit = off; SET LOCAL quote_all_identifiers = off;"
        " SET LOCAL standard_conforming_strings = on; SET LOCAL IntervalStyle = postgres; SET LOCAL DateStyle = 'ISO, MDY';"
        " SET LOCAL bytea_output = hex; SET LOCAL extra_float_digits = 1; SET LOCAL TimeZone = 'UTC'"
    )


def examine(cur: cursor, acknowledged: Sequence[Line] = ()) -> list[Finding]:
    """Hold the rules against the catalogue, and the catalogue against the golden one, as any login, in an open transaction.

    :param acknowledged: the differences that are there on purpose.
    :raises psycopg2.Error: as the server has it.
    """
    findings = hold_rules(cur)
    return apply([*findings, *compare(cur, findings), *examine_keys(cur), *examine_tickets(cur)], acknowledged)


def hold_rules(cur: cursor) -> list[Finding]:
    """Hold the rules alone against the catalogue, as any login, in an open transaction.

    :raises psycopg2.Error: as the server has it.
    """
    search_names_in_the_catalogue(cur)
    questions = " UNION ALL ".join(f"SELECT '{rule.number}', object FROM ({rule.offenders}) AS o (object)" for rule in RULES)
    cur.execute(f"{PRELUDE} {questions} ORDER BY 1, 2")
    return [_finding(_BY_NUMBER[number], offender) for number, offender in cur]


def _finding(rule: Rule, offender: str) -> Finding:
    return Finding(rule.number, rule.statement, offender, rule.why, rule.mend, rule.severity == "warns")

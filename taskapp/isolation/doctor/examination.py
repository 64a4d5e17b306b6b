"""All the rules, asked in one statement."""

from psycopg2.extensions import cursor

from taskapp.isolation.doctor.bodies import FUNCTION_BODIES
from taskapp.isolation.doctor.comments import COMMENTS
from taskapp.isolation.doctor.functions import FUNCTIONS
from taskapp.isolation.doctor.grants import GRANTS
from taskapp.isolation.doctor.policies import POLICIES
from taskapp.isolation.doctor.roles import ROLES
from taskapp.isolation.doctor.rule import PRELUDE, Finding, Rule
from taskapp.isolation.doctor.tables import TABLES

RULES = (*TABLES, *POLICIES, *GRANTS, *FUNCTIONS, *FUNCTION_BODIES, *ROLES, *COMMENTS)
_BY_NUMBER = {rule.number: rule for rule in RULES}


def search_names_in_the_catalogue(cur: cursor) -> None:
    """Until the transaction ends: PostgreSQL prints a name with its schema only where a search would not find it."""
    cur.execute("SET LOCAL search_path = pg_catalog, pg_temp")


def examine(cur: cursor) -> list[Finding]:
    """Hold the rules against the catalogue, as any login, in an open transaction.

    :raises psycopg2.Error: as the server has it.
    """
    search_names_in_the_catalogue(cur)
    questions = " UNION ALL ".join(f"SELECT '{rule.number}', object FROM ({rule.offenders}) AS o (object)" for rule in RULES)
    cur.execute(f"{PRELUDE} {questions} ORDER BY 1, 2")
    return [_finding(_BY_NUMBER[number], offender) for number, offender in cur]


def _finding(rule: Rule, offender: str) -> Finding:
    return Finding(rule.number, rule.statement, offender, rule.why, rule.mend, rule.warns)

"""Decide per command whether PostgreSQL allows it, from grants and evaluated policies, with one sentence of why."""

from collections.abc import Iterator
from dataclasses import dataclass

from taskapp.operations.isolation.explain.expressions import Expression
from taskapp.operations.isolation.explain.policy_evaluation import Verdict
from taskapp.operations.isolation.explain.row_lookup import Seen
from taskapp.operations.isolation.explain.rules import Policy, Rules

_ALLOWED = {
    "select": "visible",
    "insert": "a row of theirs may be inserted",
    "update": "may be changed",
    "delete": "may be deleted",
}
_REFUSES = (Verdict.NO, Verdict.NULL)


@dataclass(frozen=True)
class Outcome:
    """What becomes of one command: YES, NO, ERROR or OPEN, and what is to be said about it."""

    verdict: Verdict
    sentence: str

    @property
    def goes_without_saying(self) -> bool:
        """Whether there is nothing to say but yes."""
        return self.sentence in _ALLOWED.values()


def outcome(command: str, rules: Rules, seen: Seen) -> Outcome:
    """Go through what PostgreSQL asks, in its order: schema, grants, and then the policies if anybody asks them."""
    role = rules.role.name
    if not rules.role.uses_schema:
        return Outcome(Verdict.ERROR, f"{role} may not use the schema app")
    # A row that is to be changed or deleted has to be found first, which takes SELECT too.
    for needed in ("select", command) if command in ("update", "delete") else (command,):
        if not (rules.grants[needed].every_column or rules.grants[needed].columns):
            return Outcome(Verdict.ERROR, f"{role} has no grant to {needed.upper()}")
    if seen.missing and command != "insert":
        return Outcome(Verdict.NO, seen.missing)
    if not rules.enabled:
        return Outcome(Verdict.YES, "row-level security is off, so no policy is asked, for any row")
    if rules.role.passes:
        return Outcome(Verdict.YES, f"{role} {rules.role.passes}, so no policy is asked, for any row")
    for asked in ("select", command) if command in ("update", "delete") else (command,):
        answer = _all_of(asked, rules, seen, written=asked == "insert")
        if answer.verdict != Verdict.YES:
            return answer
    if command == "update":
        written = _all_of(command, rules, seen, written=True)
        if written.verdict == Verdict.ERROR:
            return written
        if written.verdict != Verdict.YES:
            also = "too" if written.verdict == Verdict.OPEN else "too, and the row as it is does not"
            return Outcome(Verdict.YES, f"what is written has to pass {also}: {written.sentence}")
    return Outcome(Verdict.YES, _ALLOWED[command])


def _all_of(command: str, rules: Rules, seen: Seen, *, written: bool) -> Outcome:
    """Combine the policies of one command: every restrictive one has to say yes, and one of the permissive ones."""
    asked = list(_asked(command, rules, written=written))
    for policy, expression in asked:
        if (said := seen.said[expression]).verdict == Verdict.ERROR:
            return Outcome(Verdict.ERROR, f"{policy.name} {said.because}")
    restrictive = [pair for pair in asked if not pair[0].permissive]
    permissive = [pair for pair in asked if pair[0].permissive]
    for policy, expression in restrictive:
        if seen.said[expression].verdict in _REFUSES:
            return Outcome(Verdict.NO, f"{policy.name} refuses it: {_why(expression, seen)}")
    if not permissive:
        return Outcome(Verdict.NO, f"no policy lets {rules.role.name} {command.upper()} anything")
    if all(seen.said[expression].verdict in _REFUSES for _, expression in permissive):
        (policy, expression), *more = permissive
        who = "no policy lets" if more else f"{policy.name} does not let"
        return Outcome(Verdict.NO, f"{who} it through: {_why(expression, seen)}")
    yes = any(seen.said[expression].verdict == Verdict.YES for _, expression in permissive)
    for policy, expression in restrictive if yes else asked:
        if (said := seen.said[expression]).verdict == Verdict.OPEN:
            return Outcome(Verdict.OPEN, f"{policy.name} {said.because}")
    return Outcome(Verdict.YES, _ALLOWED[command])


def _asked(command: str, rules: Rules, *, written: bool) -> Iterator[tuple[Policy, Expression]]:
    for policy in rules.policies:
        expression = policy.check if written else policy.using
        if command in policy.commands and expression:
            yield policy, expression


def _why(expression: Expression, seen: Seen) -> str:
    said = seen.said[expression]
    if expression.columns == ("user_id",) and expression.calls:
        if seen.identity is None:
            return "there is no identity, and nothing is nobody's"
        if seen.owner and seen.owner != seen.identity and seen.owner.id != seen.identity.id:
            return f"the row is {seen.owner.name}'s, not {seen.identity.name}'s"
    return f"{expression.shown} is {'null' if said.verdict == Verdict.NULL else 'false'}"

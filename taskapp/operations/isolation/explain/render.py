"""An explanation as text for a terminal of 100 columns, and as JSON. Neither says anything of what is in a row."""

import json
from collections.abc import Iterator
from itertools import zip_longest
from textwrap import TextWrapper
from typing import Any

import click

from taskapp.operations.isolation.explain.access_decision import Outcome, outcome
from taskapp.operations.isolation.explain.expressions import Expression
from taskapp.operations.isolation.explain.policy_evaluation import Identity, Verdict, assumed
from taskapp.operations.isolation.explain.row_lookup import Asked, Seen
from taskapp.operations.isolation.explain.rules import Grant, Policy, Rules

_WIDTH = 100
_COLOUR = {Verdict.YES: "green", Verdict.NO: "red", Verdict.NULL: "red", Verdict.ERROR: "red", Verdict.OPEN: "yellow"}
_HEAD = {
    "select": {Verdict.YES: "Visible", Verdict.NO: "Not visible"},
    "insert": {Verdict.YES: "May be inserted", Verdict.NO: "May not be inserted"},
    "update": {Verdict.YES: "May be changed", Verdict.NO: "May not be changed"},
    "delete": {Verdict.YES: "May be deleted", Verdict.NO: "May not be deleted"},
}


def _wrapped(text: str, width: int) -> list[str]:
    """Cut into lines, and leave ids and addresses whole."""
    return TextWrapper(width, break_on_hyphens=False).wrap(text)


def text(rules: Rules, asked: Asked, seen: Seen, commands: tuple[str, ...]) -> Iterator[str]:
    """Write the answer first, then what it rests on."""
    outcomes = {command: outcome(command, rules, seen) for command in commands}
    yield from _not_looked_up(seen)
    yield from _headline(rules, asked, seen, commands[0], outcomes[commands[0]])
    yield ""
    yield from _fact("row", _row(rules, asked, seen))
    if rules.has_owners and seen.exists is not False:
        yield from _fact("owner", _who(seen.owner) if seen.owner else "anybody")
    yield from _fact("identity", _who(seen.identity))
    yield from _fact("role", _role(rules))
    yield from _fact("table", f"app.{rules.table}: {_protection(rules)}")
    yield ""
    yield f"  {'command':8}  {'grant':26}  outcome"
    said: dict[str, str] = {}
    for command, result in outcomes.items():
        before = said.setdefault(result.sentence, command)
        sentence = result.sentence if before == command else f"as for {before.upper()}"
        grant = _grant(rules.grants[command], len(rules.columns), command)
        cells = zip_longest(_wrapped(grant, 26), _wrapped(sentence, _WIDTH - 47), fillvalue="")
        left, mark = f"{command.upper():8}", click.style(f"{result.verdict:5}", fg=_COLOUR[result.verdict])
        for granted, line in cells:
            yield f"  {left}  {granted:26}  {mark}  {line}".rstrip()
            left, mark = " " * 8, " " * 5
    yield from _policies(rules, seen, commands)
    notes = list(_notes(rules, asked, seen, outcomes))
    yield from [""] if notes else []
    for note in notes:
        yield from (f"  {line}" for line in _wrapped(note, _WIDTH - 2))


def _not_looked_up(seen: Seen) -> Iterator[str]:
    """Say first that an address may be of no user: what follows reads as if it were of one."""
    users = [user for user in (seen.identity, seen.owner) if user is not None and not user.looked_up]
    if users:
        addresses = " or ".join(dict.fromkeys(str(user.email) for user in users))
        sentence = f"Whether a user has the address {addresses} was not looked up: ask with --reason, or as an auditor."
        yield from (click.style(line, fg="yellow") for line in _wrapped(sentence, _WIDTH))


def _headline(rules: Rules, asked: Asked, seen: Seen, command: str, result: Outcome) -> Iterator[str]:
    head = _HEAD[command].get(result.verdict) or ("Refused" if result.verdict == Verdict.ERROR else "It depends")
    if seen.exists is None and rules.has_owners and seen.owner:
        whose = seen.owner.name
        head = f"{head}, if it is {whose}'s" if asked.row else f"Any row of {whose}: {head.lower()}"
    sentence = "" if result.goes_without_saying else f": {result.sentence}"
    for line in _wrapped(f"{head}{sentence}.", _WIDTH):
        yield click.style(line, fg=_COLOUR[result.verdict], bold=True)


def _fact(name: str, value: str) -> Iterator[str]:
    first, *rest = _wrapped(value, _WIDTH - 12)
    yield f"  {name:8}  {first}"
    yield from (f"{'':12}{line}" for line in rest)


def _row(rules: Rules, asked: Asked, seen: Seen) -> str:
    if not rules.has_owners:
        return "any: they belong to no user"
    if rules.key is None:
        named = "the only one that a user has"
    else:
        named = f"{rules.key[0]} {asked.row}" if asked.row else "any of this owner's"
    if seen.exists is None:
        return f"{named}; nobody looked whether there is one" if asked.row or rules.key is None else named
    by = "as an auditor" if seen.group == "taskapp_auditor" else f"with ticket {seen.ticket}"
    if not seen.exists:
        return f"{named}; looked for {by}, and not found"
    others = f"; other users have {seen.alike} more of this {rules.key[0]}" if seen.alike and rules.key else ""
    return f"{named}; seen {by}{others}"


def _who(user: Identity) -> str:
    if user is None:
        return "nobody"
    if not user.looked_up:
        return f"{user.email} (the address was not looked up)"
    return f"{user.email}, {user.id}" if user.email else str(user.id)


def _role(rules: Rules) -> str:
    role = rules.role
    rights = f"{role.passes}, so no policy is asked" if role.passes else "held to the policies"
    inherits = [f"has the rights of {', '.join(role.inherits)}"] if role.inherits else []
    becomes = [f"may become {', '.join(role.becomes)}"] if role.becomes else []
    groups = [*inherits, *becomes] or ["member of nothing"]
    schema = f"{'may' if role.uses_schema else 'may not'} use the schema app"
    return f"{role.name}: {', '.join([rights, *groups, schema])}"


def _protection(rules: Rules) -> str:
    if not rules.enabled:
        return "row-level security is OFF"
    return (
        "row-level security is on, and forced on its owner" if rules.forced else "row-level security is on, but not forced"
    )


def _grant(grant: Grant, total: int, command: str) -> str:
    missing = total - len(grant.columns)
    if command == "delete":
        said = "yes" if grant.every_column else "none"
    elif grant.every_column or not missing:
        said = "every column"
    else:
        said = f"{len(grant.columns)} of {total} columns" if grant.columns else "none"
    return f"{said}, by {', '.join(grant.through)}" if grant.through and said != "none" else said


def _policies(rules: Rules, seen: Seen, commands: tuple[str, ...]) -> Iterator[str]:
    applying = [policy for policy in rules.policies if set(policy.commands) & set(commands)]
    width = max((len(policy.name) for policy in applying), default=0)
    for permissive, title in ((False, "restrictive: each has to say yes"), (True, "permissive: one has to say yes")):
        group = [policy for policy in applying if policy.permissive is permissive]
        yield ""
        yield f"  {title}" if group else f"  {title.partition(':')[0]}: none for {rules.role.name}"
        for policy in group:
            yield from _policy(policy, seen, width)


def _policy(policy: Policy, seen: Seen, width: int) -> Iterator[str]:
    name, command = policy.name, "all" if len(policy.commands) > 1 else policy.commands[0]
    once = policy.using is None or policy.using == policy.check
    for label, expression in (("", policy.check),) if once else (("", policy.using), ("as written: ", policy.check)):
        if expression is None:
            continue
        said = seen.said[expression]
        mark = click.style(f"{said.verdict:5}", fg=_COLOUR[said.verdict])
        first, *rest = _wrapped(label + expression.shown, _WIDTH - width - 21)
        yield f"    {mark}  {name:{width}}  {command:6}  {first}"
        yield from (f"{'':{width + 21}}{line}" for line in rest)
        name = command = ""


def _notes(rules: Rules, asked: Asked, seen: Seen, outcomes: dict[str, Outcome]) -> Iterator[str]:
    if rules.policies and (not rules.enabled or rules.role.passes):
        yield "The policies are not asked; what they would say is shown all the same."
    elif rules.policies:
        calls = {call for expression in seen.said for call in expression.calls}
        taken = [words for function, (_, words) in assumed(seen.identity).items() if function in calls]
        on = "on the row itself" if seen.exists else "for any such row" if rules.has_owners else "as far as no row is needed"
        yield f"Worked out by PostgreSQL {on}{', taking it that ' if taken else ''}{'; '.join(taken)}."
    if asked.row and seen.exists is None and rules.has_owners:
        yield 'To look whether there is such a row, open a ticket: --reason "…". Only auditors need none.'
    elif seen.exists is False and seen.group == "taskapp_dba" and rules.key:
        yield "A row of this key may be somebody else's: a ticket does not tell, an auditor can see it."
    shown = outcomes.get("select")
    if seen.exists and shown and shown.verdict == Verdict.YES and rules.role.name == "taskapp_api":
        yield "If the API does not show it, that is the request's doing: the trash, a list, a filter."


def as_json(rules: Rules, asked: Asked, seen: Seen, commands: tuple[str, ...]) -> str:
    """Write one object, with what the text leaves out: each column that is granted."""
    return json.dumps(
        {
            "table": rules.table,
            "role": {
                "name": rules.role.name,
                "passes_policies": rules.role.passes,
                "inherits": rules.role.inherits,
                "may_become": rules.role.becomes,
                "uses_schema": rules.role.uses_schema,
            },
            "identity": _user(seen.identity),
            "row": {
                "id": asked.row,
                "owner": _user(seen.owner),
                "exists": seen.exists,
                "seen_as": seen.group,
                "ticket": seen.ticket,
                "of_other_users": seen.alike if seen.group == "taskapp_auditor" else None,
            },
            "row_level_security": {"enabled": rules.enabled, "forced": rules.forced},
            "commands": {command: _command(command, rules, seen) for command in commands},
        },
        ensure_ascii=False,
    )


def _user(user: Identity) -> dict[str, Any] | None:
    if user is None:
        return None
    return {"user_id": str(user.id) if user.looked_up else None, "email": user.email}


def _command(command: str, rules: Rules, seen: Seen) -> dict[str, Any]:
    grant, result = rules.grants[command], outcome(command, rules, seen)
    return {
        "outcome": _word(result.verdict),
        "why": result.sentence,
        "grant": {"whole_table": grant.every_column, "columns": grant.columns, "through": grant.through},
        "policies": [
            {
                "name": policy.name,
                "kind": "permissive" if policy.permissive else "restrictive",
                "using": _said(policy.using, seen) if command != "insert" else None,
                "check": _said(policy.check, seen) if command in ("insert", "update") else None,
            }
            for policy in rules.policies
            if command in policy.commands
        ],
    }


def _said(expression: Expression | None, seen: Seen) -> dict[str, Any] | None:
    if expression is None:
        return None
    said = seen.said[expression]
    return {"expression": expression.text, "verdict": _word(said.verdict), "because": said.because}


def _word(verdict: Verdict) -> str:
    return "unknown" if verdict == Verdict.OPEN else str(verdict)

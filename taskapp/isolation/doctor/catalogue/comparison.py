"""Compare the live catalogue with the golden one: every difference is one line, and either a finding or drift.

A finding can widen who sees or changes what, and stops the start of the application in production. Drift cannot.
What no entry of :data:`DRIFT` names is a finding, so that a kind of difference that nobody has thought of is one.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from psycopg2.extensions import cursor

from taskapp.isolation.doctor.catalogue.golden_catalogue import Golden, golden, is_list, part_of
from taskapp.isolation.doctor.catalogue.live_catalogue import Facts, Thing, read
from taskapp.isolation.doctor.model import Finding

How = Literal["extra", "missing", "changed"]


@dataclass(frozen=True)
class Difference:
    """One property, or a whole object (without an aspect), that is not as the migrations make it."""

    thing: Thing
    aspect: str
    how: How
    live: str = ""
    expected: str = ""
    properties: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return the line that names it, and by which it is acknowledged."""
        name = f"{self.thing.kind} {self.thing.name}"
        if not self.aspect:
            return f"{name}: {'missing' if self.how == 'missing' else 'not of the migrations'}"
        if is_list(self.aspect):
            return f"{name}: {self.aspect} {self.live or self.expected}{' is missing' if self.how == 'missing' else ''}"
        if self.how == "missing":
            return f"{name}: {self.aspect} {_short(self.expected)} is missing"
        instead = f" instead of {_short(self.expected)}" if self.how == "changed" else ""
        return f"{name}: {self.aspect} is {_short(self.live)}{instead}"


def _short(value: str) -> str:
    """Write a value on one line; one that is long by its digest, which still tells two of them apart."""
    if len(value) <= 120 and "\n" not in value:
        return value
    return f"sha256 {hashlib.sha256(value.encode()).hexdigest()[:12]}"


def differences(live: Facts, expected: Golden) -> Iterator[Difference]:
    """Compare object by object; what is a part of an object that is missing, or not expected, is not told of by itself."""
    gone = {thing.name for thing in expected.keys() - live.keys() if thing.kind in _WHOLE}
    new = {thing.name for thing in live.keys() - expected.keys() if thing.kind in _WHOLE}
    strangers = {thing.name for thing in live.keys() - expected.keys() if thing.kind == "role"}
    for thing in sorted(live.keys() | expected.keys()):
        if thing.kind == "default-privileges" and thing.name.split()[1] in strangers:
            continue
        if thing.kind not in _WHOLE and thing.kind != "function" and part_of(thing) in gone | new:
            continue
        found, wanted = live.get(thing, {}), expected.get(thing, {})
        constraint = Thing("constraint", thing.name)
        if thing.kind == "index" and (
            (constraint in live) != (constraint in expected) or _differs(constraint, live, expected)
        ):
            # It is the constraint's.
            continue
        if not found:
            if any(value.required for value in wanted.values()):
                yield Difference(thing, "", "missing", properties=frozenset(wanted))
            continue
        if not wanted and thing.kind not in _BY_PROPERTY:
            yield Difference(thing, "", "extra", properties=frozenset(found))
        for aspect in sorted((found.keys() | wanted.keys()) - _WEIGHTS):
            values = found.get(aspect, frozenset())
            required = wanted[aspect].required if aspect in wanted else frozenset()
            allowed = wanted[aspect].allowed if aspect in wanted else frozenset()
            if is_list(aspect):
                for value in sorted(values - allowed):
                    yield Difference(thing, aspect, "extra", live=value)
                for value in sorted(required - values - _owners(live, thing)):
                    yield Difference(thing, aspect, "missing", expected=value)
            elif wanted or thing.kind in _BY_PROPERTY:
                for each in _changed(thing, aspect, values, required, allowed):
                    yield replace(each, properties=frozenset(found))


def _differs(thing: Thing, live: Facts, expected: Golden) -> bool:
    found, wanted = live.get(thing, {}).get("definition", frozenset()), expected.get(thing, {}).get("definition")
    return wanted is not None and not found <= wanted.allowed


def _owners(live: Facts, thing: Thing) -> frozenset[str]:
    """Return the owner of an object, who needs no grant."""
    places = (thing, *(Thing(kind, part_of(thing)) for kind in _WHOLE))
    return frozenset().union(*(live.get(place, {}).get("owner", frozenset()) for place in places))


def _changed(
    thing: Thing, aspect: str, values: frozenset[str], required: frozenset[str], allowed: frozenset[str]
) -> Iterator[Difference]:
    """Compare what has one value, or, like a membership that several granted, a few of them."""
    expected = min(required or allowed, default="")
    if not values:
        if required and aspect not in _PRIVATE:
            yield Difference(thing, aspect, "missing", expected=expected)
        return
    for value in sorted(values - allowed):
        yield Difference(thing, aspect, "changed" if expected else "extra", live=value, expected=expected)


_WHOLE = ("table", "view", "sequence", "materialized-view", "foreign-table")
_BY_PROPERTY = ("built-in", "outside", "default-privileges", "database", "membership", "login", "large-objects", "server")
"""Kinds of objects that are there anyway, or whose presence is told by their properties."""
_PRIVATE = frozenset({"revision"})
"""Properties that not every login may read."""
_WEIGHTS = frozenset({"owner without powers"})
"""Properties that are not compared: with them another one is no drift."""


# What is no finding, and why.


@dataclass(frozen=True)
class Drift:
    """Differences that cannot widen who sees or changes what."""

    kinds: str
    aspect: str
    hows: str
    why: str
    only: Callable[[Difference], bool] = lambda _: True

    def covers(self, difference: Difference) -> bool:
        """Tell whether a difference is one of these."""
        return (
            re.fullmatch(self.kinds, difference.thing.kind) is not None
            and re.fullmatch(self.aspect, difference.aspect) is not None
            and difference.how in self.hows.split()
            and self.only(difference)
        )


def _but_parallel(attributes: str) -> list[str]:
    return [each for each in attributes.split(", ") if not each.startswith("parallel ")]


def _but_storage(index: str) -> str:
    return re.sub(r" WITH \(fillfactor='\d+'\)", "", index)


_OF_PLANS = (
    "work_mem|maintenance_work_mem|hash_mem_multiplier|effective_cache_size|random_page_cost|seq_page_cost|cpu_\\w+_cost|jit"
    "|jit_\\w+|max_parallel_\\w+|effective_io_concurrency|default_statistics_target|application_name|tcp_\\w+"
)
_SET_BY_REQUESTS = (
    "DateStyle|IntervalStyle|TimeZone|bytea_output|extra_float_digits|array_nulls|transform_null_equals|client_encoding"
    "|gin_fuzzy_search_limit|exit_on_error|default_transaction_isolation|default_transaction_deferrable"
)
_QUIET = frozenset({
    "log_min_error_statement=panic", "log_statement=none", "log_min_duration_statement=-1", "log_min_duration_sample=-1",
    "log_transaction_sample_rate=0", "log_parameter_max_length_on_error=0", "default_transaction_read_only=on",
})  # fmt: skip
"""Settings that close something; `flask database status` asks for most of them."""
_ENDING = frozenset({
    "EXECUTE on app.close_ticket(bigint)", "EXECUTE on app_private.terminate_backends_of(oid)",
    "EXECUTE on app.revoke_credentials(uuid,uuid)", "UPDATE on app.access_log.closed_at",
    "UPDATE on app.access_log.closed_by", "UPDATE on app.sessions.revoked_at", "UPDATE on app.users.disabled_at",
    "DELETE on app.personal_access_tokens",
})  # fmt: skip
"""Rights to end what somebody else may do: without one, who was let in stays."""
_PLAIN_INDEX = frozenset({"definition"})
_HARMLESS_EXTENSIONS = ("pg_stat_statements",)

DRIFT = (
    Drift(
        ".*",
        ".* to|in .*|leakproof|children|parents|powers|runs as",
        "missing",
        "A right that is missing closes something.",
        lambda each: f"{each.aspect.removesuffix(' to')} on {each.thing.name}" not in _ENDING,
    ),
    Drift(
        "column",
        "",
        "extra",
        "Nothing reads a column that is granted to nobody: a later release adds its columns before its code. One with an"
        " expression can copy what others hold, and a domain, or a type that is not built in, runs functions of its own.",
        lambda each: not each.properties & {"default", "generated", "generated, not stored", "identity", "type is"},
    ),
    Drift(
        "column",
        "statistics",
        "extra changed missing",
        "Estimates of what nobody wrote are no secret; a column of content has 0.",
        lambda each: each.live == "0" or each.expected != "0",
    ),
    Drift(
        "index",
        "",
        "extra missing",
        "An index of plain columns, by built-in operators, answers no question that a query would not.",
        lambda each: each.properties <= _PLAIN_INDEX,
    ),
    Drift("index", "valid", "extra", "An index that is not valid is not used; a key matters.",
          lambda each: not each.thing.name.split(" on ")[0].endswith(("_pkey", "_key"))),
    Drift("index", "statistics of .*", "extra changed", "No statistics confirm no guess.", lambda each: each.live == "0"),
    Drift("view", "", "missing", "What a view shows, its tables show."),
    Drift(
        "table|view|materialized-view|index",
        "option (?!security_|check_option).*",
        "extra changed missing",
        "When to vacuum and how full to fill pages is for whoever runs the server.",
    ),
    Drift("column", "storage|compression|options", "extra changed missing", "It says how a value is stored, or how many"
          " different ones a plan expects."),
    Drift("table", "clustered by", "extra changed", "It says in which order CLUSTER writes rows."),
    Drift("table|view|sequence|schema|function", "comments", "extra changed missing", "A comment does nothing."),
    Drift("schema", "revision", "extra changed", "What is there is compared by itself; the next migration looks at this."),
    Drift("server", "setting (log_\\w+|password_encryption|createrole_self_grant|zero_damaged_pages|ignore_checksum_failure"
          "|default_transaction_read_only|auto_explain\\.log_min_duration|pgaudit\\.log)", "extra changed",
          "It is for whoever runs the server, who has the data files."),
    Drift("table", "replica identity", "extra changed", "It says how rows are named in replication, which L26 looks for."),
    Drift("role|database", "connection limit|valid until", "extra changed", "It keeps somebody out, and lets nobody in."),
    Drift("database", "CONNECT to", "extra", "A login by itself reads no row; what else it may do is found by itself.",
          lambda each: not each.live.startswith("PUBLIC") and ", " not in each.live),
    Drift(
        "database|role",
        f"setting ({_OF_PLANS})( of all databases| in this database)?",
        "extra changed missing",
        "It changes how a query is run, and not what it finds.",
    ),
    Drift(
        "database|role",
        f"setting (?i:{_SET_BY_REQUESTS})( of all databases| in this database)?",
        "extra changed missing",
        "Every request sets what it relies on.",
    ),
    Drift("database|role", "setting .*", "extra changed", "It keeps something out of the log, or from being written.",
          lambda each: f"{each.aspect.split()[1]}={each.live}" in _QUIET),
    Drift("index", "definition", "changed", "How full to fill pages is for whoever runs the server.",
          lambda each: _but_storage(each.live) == _but_storage(each.expected)),
    Drift("membership", "", "missing", "Who is a member of fewer roles can do less."),
    Drift("schema", "", "missing", "Nothing of ours is in schema public.", lambda each: each.thing.name == "public"),
    Drift("function", "cost|rows", "extra changed missing", "No estimate moves a condition before a policy."),
    Drift("function", "is", "changed", "A query that runs in one process finds the same rows, later.",
          lambda each: _but_parallel(each.live) == _but_parallel(each.expected)),
    Drift("outside", "owner|is", "extra changed", "Grants on it, functions that run as their owner, and views of ours (L69)"
          " are found by themselves; an ordinary role that owns rows needs no grant.",
          lambda each: "owner without powers" not in each.properties),
    Drift("large-objects", "number", "extra", "Anybody who can log in can make them; a grant on one is found by itself."),
    Drift("extension", "|schema", "extra changed", "It shows nothing of other sessions to whoever is not granted that.",
          lambda each: each.thing.name in _HARMLESS_EXTENSIONS and not each.properties & {"members", "owner"}),
    Drift("login", "powers", "extra", "Who may only create databases sees nothing of this one, unless it is a template.",
          lambda each: each.live == "CREATEDB"),
)  # fmt: skip


def drift(difference: Difference) -> Drift | None:
    """Return why a difference is no finding, or None when it is one."""
    return next((entry for entry in DRIFT if entry.covers(difference)), None)


# What is told of a difference.


@dataclass(frozen=True)
class Area:
    """A part of the catalogue, with the number by which its differences are known."""

    number: str
    kinds: str
    statement: str
    why: str
    mend: str


_MIGRATE = "Bring it back as its migration has it, or acknowledge it by name (docs/isolation.md)."
AREAS = (
    Area(
        "S01",
        "table|view|sequence|type|schema|materialized-view|foreign-table",
        "tables, views, sequences, types and schemas are those of the migrations",
        "What nobody has reviewed can show rows that a policy does not see.",
        _MIGRATE,
    ),
    Area(
        "S02",
        "column",
        "columns have the types, defaults and expressions of the migrations",
        "A default decides whose a row is, and when a ticket counts; an expression copies content to where it is granted.",
        _MIGRATE,
    ),
    Area(
        "S03",
        "constraint",
        "constraints are those of the migrations",
        "They keep references to one's own rows, and values to what the functions expect.",
        _MIGRATE,
    ),
    Area(
        "S04",
        "index|statistics",
        "indexes and statistics are those of the migrations",
        "A key tells whether a row exists, statistics what is in it, and an expression is evaluated for every row.",
        _MIGRATE,
    ),
    Area(
        "S05",
        "trigger|rule",
        "triggers and rules are those of the migrations",
        "A trigger sees every row that is written, and can change it or tell somebody.",
        _MIGRATE,
    ),
    Area("S06", "policy", "policies are those of the migrations", "They decide whose rows exist.", _MIGRATE),
    Area(
        "S07",
        "function",
        "functions are those of the migrations",
        "A function that was replaced keeps its name and its grants, and does something else.",
        _MIGRATE,
    ),
    Area(
        "S09",
        "default-privileges",
        "default privileges are those of the migrations",
        "They grant what is made tomorrow, before it has policies.",
        "ALTER DEFAULT PRIVILEGES … REVOKE …, or acknowledge it by name (docs/isolation.md).",
    ),
    Area(
        "S10",
        "role|database|server",
        "our roles, the database and the server have the attributes and settings that init gives them",
        "A setting holds for every connection: names are looked up by search_path, and time limits end what was forgotten.",
        "flask database init, ALTER … RESET …, or acknowledge it by name (docs/isolation.md).",
    ),
    Area(
        "S11",
        "membership",
        "our roles are members of what init makes them members of, with the same options",
        "With ADMIN a role makes itself a member when it likes; INHERIT gives it the other's rights, SET lets it become it.",
        "REVOKE … FROM …, or acknowledge it by name (docs/isolation.md).",
    ),
    Area(
        "S12",
        "login",
        "only superusers that own the server or the database pass policies, and only the owner makes roles",
        "BYPASSRLS, SUPERUSER and REPLICATION show every row without a trace, whoever has them; CREATEROLE gets there.",
        "ALTER ROLE … NOBYPASSRLS NOSUPERUSER …; a platform's own are in its file (TASKAPP_PLATFORM).",
    ),
    Area(
        "S13",
        "built-in|added",
        "what PostgreSQL brings has its own functions, owners and grants, and nothing was added to it",
        "Names are looked up there first, by functions that run as their owner too; some of it reads files and statistics.",
        "REVOKE … FROM …; DROP …; or acknowledge it by name (docs/isolation.md).",
    ),
    Area(
        "S14",
        "outside",
        "in other schemas nothing is granted, and no function runs as its owner",
        "No policy holds there: a copy of rows, or a superuser's function, is for whoever it is granted to.",
        "REVOKE … FROM …; ALTER FUNCTION … SECURITY INVOKER; or acknowledge it by name (docs/isolation.md).",
    ),
    Area(
        "S15",
        "extension|event-trigger|publication|subscription|replication-slot|security-label|large-objects",
        "there is nothing that acts on the whole database",
        "Extensions bring functions that everybody may call; replication ships rows past all policies; event triggers run as"
        " whoever migrates.",
        "DROP …, or acknowledge it by name (docs/isolation.md).",
    ),
)
RIGHTS = Area(
    "S08",
    ".*",
    "rights on tables, columns, functions, schemas and the database are those of the migrations",
    "A right to one column more shows or changes what its role was never meant to.",
    "REVOKE … FROM …, in a migration GRANT; or acknowledge it by name (docs/isolation.md).",
)
_OURS = "table|view|sequence|type|schema|materialized-view|foreign-table|column|function|database"


def area(difference: Difference) -> Area:
    """Return the part of the catalogue that a difference is in."""
    kind = difference.thing.kind
    if difference.aspect.endswith(" to") and re.fullmatch(_OURS, kind):
        return RIGHTS
    return next(entry for entry in AREAS if re.fullmatch(entry.kinds, kind))


# What the rules tell already, with a reason of their own. One that only warns is here if all that it names is harmless.

_GRANTS = (
    "L08",
    "L09",
    "L16",
    "L31",
    "L36",
    "L38",
    "L39",
    "L40",
    "L41",
    "L42",
    "L48",
    "L49",
    "L52",
    "L60",
    "L66",
    "L67",
    "L72",
)
_TOLD: tuple[tuple[str, str, Sequence[str]], ...] = (
    ("table", "row security", ("L01", "L02", "L42")),
    ("table|view|schema|function", "comments", ("L53",)),
    ("table", "persistence", ("L60",)),
    ("table", "children|parents", ("L27",)),
    ("table|view|sequence|function|schema", "owner", ("L07", "L22", "L43", "L57")),
    ("table", "", ("L01", "L16", "L27", "L44")),
    ("view", "|option security_invoker", ("L18",)),
    ("materialized-view|foreign-table", "", ("L19",)),
    ("type", "", ("L47",)),
    ("column", "|default|not null|type", ("L16", "L34", "L54")),
    ("column", "statistics", ("L65",)),
    ("constraint", ".*", ("L14", "L15", "L17", "L45", "L46", "L63", "L64")),
    ("index", ".*", ("L14", "L68")),
    ("statistics", "", ("L68",)),
    ("trigger", ".*", ("L28", "L63", "L71")),
    ("rule", "", ("L61",)),
    ("policy", ".*", ("L10", "L11", "L12", "L13", "L33", "L35", "L36", "L37", "L42", "L60")),
    ("function", "body", ("L55", "L58", "L70")),
    ("function", "is|settings", ("L20", "L21", "L23", "L24", "L28", "L59", "L70")),
    ("function", "", ("L20", "L40", "L57", "L70", "L72")),
    ("default-privileges", ".*", ("L29",)),
    ("role", "|is", ("L03", "L06", "L62")),
    ("role|database", "setting .*", ("L50", "L56")),
    ("membership", ".*", ("L04", "L05", "L30", "L51")),
    ("login", ".*", ("L30",)),
    ("publication", ".*", ("L26",)),
    ("outside", ".*", ("L69",)),
    (".*", ".* to", _GRANTS),
)


def told(difference: Difference, findings: Iterable[Finding], expected: Golden, live: Facts) -> bool:
    """Tell whether a rule names this very difference already."""
    rules = {
        rule
        for kinds, aspect, numbers in _TOLD
        if re.fullmatch(kinds, difference.thing.kind) and re.fullmatch(aspect, difference.aspect)
        for rule in numbers
    }
    needles = list(_needles(difference, expected, live))
    return any(
        finding.rule in rules and any(all(needle in finding.object for needle in some) for some in needles)
        for finding in findings
    )


def _needles(difference: Difference, expected: Golden, live: Facts) -> Iterator[Sequence[str]]:
    """Write what the object of a rule's finding has to contain to be about this difference."""
    kind, name = difference.thing
    if kind == "default-privileges":
        role = (difference.live or difference.expected).partition(", ")[0]
        yield [f"to {role}", f"by {name.split()[1]}"]
        return
    if difference.aspect.endswith(" to"):
        role = (difference.live or difference.expected).partition(", ")[0].replace("PUBLIC", "everybody")
        right = difference.aspect.removesuffix(" to")
        yield from ([place, right, role] for place in (name, f"{part_of(difference.thing)},"))
        if role == "taskapp_auditor":
            yield [name]
        yield [f"{name} to {role}"]
        if kind == "function":
            yield [name, role]
        if kind == "outside":
            place = name.partition(" ")[2]
            yield from ([f"{each} for {role}"] for each in (place, place.rpartition(".")[0]))
        if kind == "function" and role == "everybody":
            yield [name]
        yield [right, f"of {name.rpartition('.')[2]} to {role}"]
        if kind == "database":
            yield [role, {"TEMPORARY": "TEMP"}.get(right, right), "on the database"]
        if kind == "schema":
            yield [f"{role} on schema {name}"]
        return
    if kind == "policy":
        yield [name]
        aspects = expected.get(difference.thing)
        if difference.how == "missing" and aspects is not None:
            yield [part_of(difference.thing), *aspects["roles"].allowed]
        elif "roles" in live.get(difference.thing, {}):
            yield [f"{part_of(difference.thing).removeprefix('app.')},", *live[difference.thing]["roles"]]
            yield [f"{part_of(difference.thing)},", *live[difference.thing]["roles"]]
        return
    if kind == "membership":
        yield [name.removeprefix("of ")]
        return
    if difference.aspect.startswith("setting "):
        yield [name if kind == "role" else "", f"{difference.aspect.split()[1]}"]
        return
    if kind in {"index", "constraint", "trigger", "statistics", "rule"}:
        yield [name.partition(" on ")[0]]
        if kind == "constraint" and "pkey" in name:
            yield [part_of(difference.thing)]
        if kind == "constraint" and difference.aspect == "triggers":
            yield ["RI_ConstraintTrigger", part_of(difference.thing)]
        return
    if kind == "outside":
        yield [name.partition(" ")[2]]
        return
    if kind == "publication":
        yield [name]
        return
    yield [name]
    if kind == "type":
        yield [f"type {name.rpartition('.')[2]}"]
    if kind == "column":
        yield [part_of(difference.thing)]


def compare(cur: cursor, findings: Sequence[Finding]) -> list[Finding]:
    """Compare this database with the golden catalogue of its version; leave out what ``findings`` of rules name already.

    :param cur: as any login, in an open transaction in which names are searched in ``pg_catalog`` alone.
    :raises psycopg2.Error: as the server has it.
    """
    expected = golden(cur.connection.server_version // 10000)
    live = read(cur)
    return [_finding(each) for each in differences(live, expected) if not told(each, findings, expected, live)]


def _finding(difference: Difference) -> Finding:
    of, reason = area(difference), drift(difference)
    return Finding(of.number, of.statement, str(difference), reason.why if reason else of.why, of.mend, reason is not None)

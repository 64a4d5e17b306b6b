"""The catalogue that the migrations make: `catalogue.txt`, written by `make catalogue`, and read by the doctor.

An object begins a line, its properties are indented, and a value of several lines is set off by `|`. What holds for some
versions of PostgreSQL only begins with their numbers in brackets. `restored` marks the form that PostgreSQL gives to an
expression when it reads its own dump: that and the first form are the same expression, and either may be there.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby

from taskapp.isolation.doctor.catalogue.live_catalogue import Facts, Thing

VERSIONS = (15, 16, 17, 18)
_RESTORED = "restored"
_WIDTH = 118
_SECTIONS = (
    {"database", "schema", "extension", "role", "membership", "default-privileges"},
    {"table", "view", "sequence", "column", "constraint", "index", "trigger", "policy"},
    {"function"},
)
_PARTS = ("table", "view", "sequence", "column", "constraint", "index", "trigger", "policy")
_HEAD = """\
# What the migrations and `flask database init` make, as `flask isolation doctor` expects to find it.
# Written by `make catalogue` from fresh databases and from restored ones: change a migration, not this file.
"""


@dataclass(frozen=True)
class Expected:
    """The values of one property: those that have to be there, and those that may."""

    required: frozenset[str]
    allowed: frozenset[str]


Golden = Mapping[Thing, Mapping[str, Expected]]


def is_list(aspect: str) -> bool:
    """Tell whether a property has any number of values, like the roles that a privilege is granted to."""
    return (
        aspect.endswith(" to")
        or aspect.startswith("in ")
        or aspect in {"children", "leakproof", "members", "parents", "powers", "runs as"}
    )


def part_of(thing: Thing) -> str:
    """Name the table, view or sequence that an object is a part of; itself where it is none."""
    if thing.kind == "column":
        return thing.name.rpartition(".")[0]
    return thing.name.rpartition(" on ")[2]


@cache
def golden(version: int) -> Golden:
    """Return what is expected on a major version of PostgreSQL; of one that is newer than all, what the newest has."""
    text = files(__package__).joinpath("catalogue.txt").read_text(encoding="utf-8")
    return parse(text, min(max(version, VERSIONS[0]), VERSIONS[-1]))


def parse(text: str, version: int) -> Golden:
    """Read the file, as far as it is about one version."""
    required: defaultdict[Thing, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    allowed: defaultdict[Thing, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for thing, tags, aspect, value in _entries(text):
        numbers = {int(tag) for tag in tags if tag != _RESTORED}
        if numbers and version not in numbers:
            continue
        values = value.split(", ") if is_list(aspect) else [value]
        allowed[thing][aspect].update(values)
        if _RESTORED not in tags:
            required[thing][aspect].update(values)
    return {
        thing: {
            aspect: Expected(frozenset(required[thing][aspect]), frozenset(values)) for aspect, values in aspects.items()
        }
        for thing, aspects in allowed.items()
    }


def _entries(text: str) -> Iterator[tuple[Thing, Sequence[str], str, str]]:
    thing = Thing("", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.startswith(" "):
            thing = Thing(*line.split(" ", 1))
            continue
        found = re.fullmatch(r"  (?:\[([^]]*)\] )?([^:]+):(?: (.*))?", line)
        if found is None:
            raise ValueError(f"catalogue.txt: {line!r} is no property")
        tags, aspect, value = (found[1] or "").split(), found[2], found[3]
        if value is None:
            block = []
            while at < len(lines) and lines[at].startswith("    |"):
                block.append(lines[at][6:])
                at += 1
            value = "\n".join(block)
        yield thing, tags, aspect, value


def render(fresh: Mapping[int, Facts], restored: Mapping[int, Facts]) -> str:
    """Write the file from the facts of a fresh and of a restored database of each version."""
    things = {thing for facts in fresh.values() for thing in facts}
    blocks = []
    for thing in sorted(things, key=_order):
        lines = [f"{thing.kind} {thing.name}"]
        aspects = {aspect for facts in (*fresh.values(), *restored.values()) for aspect in facts.get(thing, {})}
        for aspect in sorted(aspects, key=lambda aspect: (is_list(aspect), aspect)):
            made = {version: facts.get(thing, {}).get(aspect, frozenset()) for version, facts in fresh.items()}
            read = {version: facts.get(thing, {}).get(aspect, frozenset()) for version, facts in restored.items()}
            lines += _list_lines(aspect, made) if is_list(aspect) else _value_lines(aspect, made, read)
        blocks.append("\n".join(lines))
    return _HEAD + "".join(f"\n{block}\n" for block in blocks)


def _order(thing: Thing) -> tuple[int, str, int, str]:
    section = next((number for number, kinds in enumerate(_SECTIONS) if thing.kind in kinds), len(_SECTIONS))
    if section == 1:
        return section, part_of(thing), _PARTS.index(thing.kind), thing.name
    return section, thing.kind, 0, thing.name


def _value_lines(aspect: str, made: Mapping[int, frozenset[str]], read: Mapping[int, frozenset[str]]) -> Iterator[str]:
    for tag, found in (("", made), (_RESTORED, read)):
        values = sorted({value for values in found.values() for value in values})
        for value in values:
            versions = [version for version, values in found.items() if value in values]
            if tag and all(value in made.get(version, ()) for version in versions):
                continue
            yield from _line(_tags(versions, found, tag), aspect, value)


def _list_lines(aspect: str, made: Mapping[int, frozenset[str]]) -> Iterator[str]:
    """Write what all versions have, and then what only some of them have."""
    values = {value for values in made.values() for value in values}
    by_versions = [([version for version in made if value in made[version]], value) for value in sorted(values)]
    for versions, found in groupby(sorted(by_versions, key=lambda entry: (-len(entry[0]), entry)), lambda entry: entry[0]):
        tags = _tags(versions, made, "")
        for several in _wrapped([value for _, value in found], _WIDTH - len(aspect) - len(tags) - 4):
            yield f"  {tags}{aspect}: {several}"


def _tags(versions: Sequence[int], of: Mapping[int, object], tag: str) -> str:
    tags = [str(version) for version in versions] if len(versions) < len(of) else []
    tags += [tag] if tag else []
    return f"[{' '.join(tags)}] " if tags else ""


def _line(tags: str, aspect: str, value: str) -> Iterator[str]:
    if "\n" not in value and value == value.strip() and value:
        yield f"  {tags}{aspect}: {value}"
        return
    yield f"  {tags}{aspect}:"
    for line in value.split("\n"):
        yield f"    | {line}" if line else "    |"


def _wrapped(values: Iterable[str], width: int) -> Iterator[str]:
    line = ""
    for value in values:
        if ", " in value:
            raise ValueError(f"a value of a list has no comma: {value!r}")
        if line and len(line) + 2 + len(value) > width:
            yield line
            line = ""
        line += f", {value}" if line else value
    if line:
        yield line

"""Parse policy expressions as PostgreSQL prints them, and rewrite them for another identity.

A policy of ``taskapp_api`` calls ``app.current_user_id()``, which believes nothing but a seal, and which people at psql may
not call at all. So in its place stands what it would return. Whatever else depends on who asks is not guessed at.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_PART = re.compile(r"""('(?:[^']|'')*')|("(?:[^"]|"")*"|[^'"]+)""")
_OF_THE_SESSION = re.compile(
    r"\b(CURRENT_USER|SESSION_USER|CURRENT_ROLE|USER|current_setting|pg_has_role|has_\w+_privilege)\b"
)
_WHOLE_ROW = re.compile(r"\w\.\*")
_SCALAR = re.compile(r"\( SELECT ([\w.]+\(\)) AS \w+\)")


@dataclass(frozen=True)
class Expression:
    """What one policy asks of a row, before it is found or after it is written.

    ``columns`` are what it reads of the row, ``calls`` the functions that are not PostgreSQL's own, ``refused`` those among
    them that the role may not call, and ``others`` whatever else it asks, such as other tables.
    """

    text: str
    columns: tuple[str, ...]
    calls: tuple[str, ...]
    refused: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The same as somebody would have written it."""
        text = _SCALAR.sub(r"(SELECT \1)", self.text)
        return text[1:-1] if _is_wrapped(text) and not text.startswith("(SELECT") else text

    @property
    def needs_the_session(self) -> str | None:
        """What it asks of the session that asks, if anything."""
        found = _OF_THE_SESSION.search(_code(self.text))
        return found and found[0]

    @property
    def functions(self) -> list[str]:
        """The names of what looks like a call."""
        return re.findall(r"\b(\w+)\(", _code(self.text))

    @property
    def needs_the_whole_row(self) -> bool:
        """Whether it reads the row as one value, so that no list of columns says what it reads."""
        return _WHOLE_ROW.search(_code(self.text)) is not None

    def with_values(self, values: Mapping[str, str]) -> str:
        """Put a constant of SQL in the place of each function's call; what stands in quotes is left as it is."""

        def put(code: str) -> str:
            for function, value in values.items():
                code = code.replace(f"{function}()", value)
            return code

        return "".join(quoted or put(code) for quoted, code in _parts(self.text))


def read(text: str, columns: list[str], calls: list[str], refused: list[str], others: list[str]) -> Expression:
    """Find out what ``text`` asks for, of what its policy depends on by the catalogue.

    A policy's two expressions share one list of dependencies there, so each is searched for the names.
    """
    code = _code(text)

    def named(names: list[str], pattern: str) -> tuple[str, ...]:
        return tuple(name for name in names if re.search(pattern.format(re.escape(name)), code))

    return Expression(
        text,
        columns=named(columns, r"\b{}\b(?!\()"),
        calls=named(calls, r"\b{}\("),
        refused=named(refused, r"\b{}\("),
        others=tuple(others),
    )


def _parts(text: str) -> Iterator[tuple[str, str]]:
    for part in _PART.finditer(text):
        yield part[1] or "", part[2] or ""


def _code(text: str) -> str:
    return "".join("''" if quoted else code for quoted, code in _parts(text))


def _is_wrapped(text: str) -> bool:
    """Whether the first parenthesis is closed by the last."""
    depth = 0
    code = _code(text)
    for place, sign in enumerate(code):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return sign == ")" and place == len(code) - 1
    return False

"""Write the table of docs/performance.md that tells what every operation takes: `make messages`.

Its numbers are those that test_messages.py holds the application to.
"""

import re
from pathlib import Path

from isolation.calls import CALLS, CALLS_WITH_A_KEY, Call, documented

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
HEAD = """\
| operation | request | messages | with an `Idempotency-Key`, and again | otherwise |
|---|---|---|---|---|
"""


def table() -> str:
    """Tell what each operation takes that docs/openapi.json promises."""
    calls = {name.split()[0]: calls for name, calls in CALLS.items()}
    with_a_key = {name.split()[0]: calls for name, calls in CALLS_WITH_A_KEY.items()}
    rows = []
    for method, path, operation in documented():
        name = operation["operationId"]
        usual, *others = calls[name]
        numbers = str(usual.messages), _again(*with_a_key.get(name, ())), _refused(usual, others)
        rows.append(f"| `{name}` | `{method} {path}` | {' | '.join(numbers)} |\n")
    return HEAD + "".join(rows)


def _again(*calls: Call) -> str:
    if not calls:
        return ""
    first, both = calls
    return f"{first.messages}, {both.messages - first.messages}"


def _refused(usual: Call, others: list[Call]) -> str:
    """Tell with what answer it takes another number; that it takes none at all is told of all in general."""
    different = {f"{call.messages} with {call.status}" for call in others if call.messages not in (usual.messages, 0)}
    return ", ".join(sorted(different))


def main() -> None:
    page, found = re.subn(rf"{re.escape(HEAD)}(\|.*\n)*", lambda _: table(), PAGE.read_text())
    if found != 1:
        raise SystemExit(f"{PAGE} has to have the head of the table once, and has it {found} times")
    PAGE.write_text(page)


if __name__ == "__main__":
    main()

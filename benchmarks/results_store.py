"""Where figures are kept: a file, and docs/performance.md, which shows tables and a picture of it."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PICTURES = PAGE.parent / "performance"


def keep(name: str, found: dict[str, Any], tables: str, picture: str | None = None) -> None:
    """Keep what a benchmark found, in place of what its last run did."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    if picture is not None:
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"{name}.svg").write_text(picture)
    show(name, tables)


def show(name: str, text: str) -> None:
    """Put tables into the page, between the marks that stand there for them.

    :raises ValueError: when they do not.
    """
    begin, end = f"<!-- {name}: written by `make bench ARGS={name}` -->\n", f"<!-- {name}: end -->"
    before, found, rest = PAGE.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{PAGE.name} has no place for {name}")
    PAGE.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")

"""Where figures and pictures are kept, for docs/performance.md."""

import json
from pathlib import Path
from typing import Any

_RESULTS = Path(__file__).parent / "results"
_PICTURES = Path(__file__).parents[1] / "docs" / "performance"


def keep(name: str, found: dict[str, Any], picture: str | None = None) -> None:
    """Keep what a benchmark found, in place of what its last run did."""
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    if picture is not None:
        _PICTURES.mkdir(exist_ok=True)
        (_PICTURES / f"{name}.svg").write_text(picture)

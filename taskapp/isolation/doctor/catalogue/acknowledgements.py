"""Differences from the golden catalogue that somebody has made on purpose, or that a platform comes with.

Each line of a file is the line by which the doctor names a difference; `*` stands for any text, `#` begins a comment.
Only differences can be acknowledged: a rule that is broken, an attempt that succeeded or a key that is not one cannot.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from taskapp.isolation.doctor.catalogue.comparison import AREAS, RIGHTS
from taskapp.isolation.doctor.model import Finding

PLATFORMS = ("neon",)
"""Providers whose own roles, extensions and grants are known: `platforms/<name>.txt`."""

_ACKNOWLEDGED = {area.number for area in (*AREAS, RIGHTS)}
_KINDS = {kind for area in AREAS for kind in area.kinds.split("|")}
_NUMBER = "S17"
STATEMENT = "what is acknowledged is there"
_WHY = "A line about what is gone hides the same thing when it comes back, and a line with a mistake hides nothing."
_MEND = "Take the line out of the file, or write it as the doctor prints it."


class AcknowledgementsError(Exception):
    """The file cannot be used. The message is one line."""


@dataclass(frozen=True)
class Line:
    """One line of a file."""

    place: str
    text: str
    platform: bool

    def matches(self, finding: Finding) -> bool:
        """Tell whether it names this difference."""
        pattern = ".*".join(re.escape(part) for part in self.text.split("*"))
        return re.fullmatch(pattern, finding.object) is not None


def acknowledged(path: str | None, platform: str | None) -> Sequence[Line]:
    """Read the file of whoever runs the service, and that of the platform; either may be missing.

    :raises AcknowledgementsError: when the file cannot be read, or a line of it could match anything.
    """
    lines: list[Line] = []
    if platform:
        text = files(__package__).joinpath(f"platforms/{platform}.txt").read_text(encoding="utf-8")
        lines += _lines(text, f"platform {platform}", platform=True)
    if path:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise AcknowledgementsError(f"{path} cannot be read: {type(error).__name__}") from error
        lines += _lines(text, path, platform=False)
    return lines


def _lines(text: str, name: str, *, platform: bool) -> Iterable[Line]:
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        kind, _, rest = stripped.partition(" ")
        if kind not in _KINDS:
            raise AcknowledgementsError(f"{name}, line {number}: {kind!r} is no kind of object")
        if not rest.partition("*")[0].strip():
            raise AcknowledgementsError(f"{name}, line {number}: a line has to name an object before its first *")
        yield Line(f"{name}, line {number}", stripped, platform)


def apply(findings: Iterable[Finding], lines: Sequence[Line]) -> list[Finding]:
    """Mark what is acknowledged, and tell of each line of a file that matches nothing."""
    marked, used = [], set()
    for finding in findings:
        places = [line for line in lines if finding.rule in _ACKNOWLEDGED and line.matches(finding)]
        used.update(places)
        marked.append(replace(finding, warns=True, acknowledged=places[0].place) if places else finding)
    stale = [line for line in lines if not line.platform and line not in used]
    return marked + [Finding(_NUMBER, STATEMENT, f"{line.place}: {line.text}", _WHY, _MEND, True) for line in stale]

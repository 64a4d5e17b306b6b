"""A unit of systemd as it stands in ops/, read without systemd."""

import sys
from collections.abc import Iterator
from pathlib import Path

from live import PROJECT

OPS = PROJECT / "ops"


def assignments(unit: Path) -> Iterator[tuple[str, str, str]]:
    """Section, name and value of each line, in order; a name may come several times."""
    section = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield section, name, value


def values(unit: Path, name: str) -> list[str]:
    """All values of a setting."""
    return [value for _, found, value in assignments(unit) if found == name]


def value(unit: Path, name: str) -> str:
    """Its one value."""
    (found,) = values(unit, name)
    return found


def here(text: str, folder: Path) -> str:
    """Name this clone in the place of a server's, by links in `folder`: a unit cannot name every path as it is."""
    for number, (name, target) in enumerate(
        {"/opt/taskapp/.venv/bin": Path(sys.executable).parent, "/opt/taskapp": PROJECT}.items()
    ):
        link = folder / f"link-{number}"
        if not link.is_symlink():
            link.symlink_to(target)
        text = text.replace(name, str(link))
    return text

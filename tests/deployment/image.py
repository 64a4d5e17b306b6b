"""The images of the Dockerfile: what it says of them, and the files that they have of ours, laid out in a folder."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from installation import copy_packages, copy_postgres_programs, python
from live import PROJECT

from deployment.compose import Service

TEXT = (PROJECT / "Dockerfile").read_text()


class Stage:
    """One stage: its instructions, in order, each a word and the rest of its line."""

    def __init__(self, text: str) -> None:
        first, *lines = [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line and not line.startswith("#")]
        self.base, _, self.name = first.partition(" AS ")
        self._instructions = [line.split(" ", 1) for line in lines]

    def all(self, word: str) -> list[str]:
        return [rest for found, rest in self._instructions if found == word]

    @property
    def command(self) -> list[str]:
        return list(json.loads(self.all("CMD")[-1]))

    @property
    def health_check(self) -> list[str]:
        return list(json.loads(self.all("HEALTHCHECK")[-1].partition("CMD ")[2]))

    @property
    def user(self) -> int:
        return int(self.all("USER")[-1].partition(":")[0])

    @property
    def stop_signal(self) -> str:
        return (self.all("STOPSIGNAL") or ["SIGTERM"])[-1]

    @property
    def environment(self) -> dict[str, str]:
        return dict(word.split("=", 1) for line in self.all("ENV") for word in shlex.split(line))


STAGES = [Stage(text) for text in re.split(r"^FROM ", TEXT, flags=re.MULTILINE)[1:]]
POOLER, BUILD, APPLICATION = STAGES


def image_of(service: Service) -> Stage | None:
    """Our own image that a service runs."""
    return {"taskapp": APPLICATION, "taskapp-pgbouncer": POOLER}.get(service["image"])


def health_check(service: Service) -> list[str]:
    """The command that finds out how a service is, its own or its image's; nothing when there is none."""
    image = image_of(service)
    if "healthcheck" in service:
        how, *words = service["healthcheck"].get("test", ["NONE"])
        assert how in {"CMD", "NONE"}
        return list(words)
    return image.health_check if image else []


def context() -> list[Path]:
    """Every file that gets into a build, by .dockerignore: all is left out, and by name let in again."""
    every, *names, never = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line[0] != "#"]
    assert (every, never) == ("*", "**/__pycache__")
    roots = [PROJECT / name.removeprefix("!") for name in names]
    files = [file for root in roots for file in (root.rglob("*") if root.is_dir() else [root]) if file.is_file()]
    return [file.relative_to(PROJECT) for file in files if "__pycache__" not in file.parts]


def lay_out(root: Path, here: Callable[[str], str]) -> None:
    """Put below ``root`` what both images have of ours, where it stands there, for everybody to read and nobody to write.

    ``here`` says the places of PgBouncer's files as they are on this machine.
    """
    (workdir,) = BUILD.all("WORKDIR")
    assert (BUILD.all("COPY"), APPLICATION.all("COPY")) == (["requirements.txt ./", ". ."], [f"--from=build {workdir} ./"])
    assert APPLICATION.all("WORKDIR") == [workdir]
    application = root / workdir.lstrip("/")
    for file in context():
        (application / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / file, application / file)
    _lay_out_packages(application / ".venv")
    subprocess.run([python(), "-m", "compileall", "-q", application / "taskapp", application / "migrations"], check=True)
    copy_postgres_programs(root)
    _, *sources, target = POOLER.all("COPY")[0].split()
    for source in sources:
        copy = root / target.lstrip("/") / Path(source).name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(here((PROJECT / source).read_text()))
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() or path.parent.name == "bin" else 0o444)


def _lay_out_packages(environment: Path) -> None:
    """Make what requirements.txt pins, and nothing else that is installed here, importable by the commands of the image."""
    packages, commands = environment / "packages", environment / "bin"
    commands.mkdir(parents=True)
    copy_packages(packages)
    (commands / "python").symlink_to(python())
    for command in ("flask", "gunicorn"):
        script = f'#!/bin/sh\nPYTHONPATH={packages} exec {commands}/python -m {command} "$@"\n'
        (commands / command).write_text(script)

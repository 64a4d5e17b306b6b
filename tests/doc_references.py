"""What exists of what a page names. Each function says what does not, in a few words, or nothing."""

import os
import re
import sys
from collections.abc import Sequence
from contextvars import copy_context
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import click
import pages
from flask import Flask
from flask.cli import FlaskGroup
from pages import PROJECT, Command
from werkzeug.exceptions import HTTPException

from taskapp import create_app
from taskapp.config.settings import OF_COMMANDS
from taskapp.config.settings import settings as all_settings
from taskapp.operations.database.provision import new_keys, urls

_MAKEFILE = (PROJECT / "Makefile").read_text()
_OURS = r"127\.0\.0\.1|localhost|tasks\.example\.com|\$\w+"
_PUBLIC_PORTS = {"", "443", "8000", "8001", "8443"}
_METRICS_PORT = "9464"
_ANY_ID = "01a2205a-544b-75b0-968c-707184543706"


@cache
def application() -> Flask:
    """An application with keys and databases of nobody: what it serves, and its commands."""
    nobodys = urls(lambda role: f"postgresql://{role}@localhost/none") | new_keys("none")
    with patch.dict(os.environ, {"TASKAPP_ENVIRONMENT": "local", **nobodys}):
        return create_app()


def wrong_link(page: Path, target: str) -> str | None:
    """Look where a link of a page leads."""
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.is_relative_to(PROJECT) or not there.exists():
        return f"there is no {path}"
    if anchor and there.suffix == ".md" and anchor not in pages.anchors(there.read_text()):
        return f"{there.name} has no heading #{anchor}"
    return None


def wrong_setting(name: str) -> str | None:
    """Look whether a variable is a setting, or one of a command's, of the tests', or of the compose file."""
    ours = {found.variable for found in all_settings()} | set(OF_COMMANDS)
    if name.removesuffix("_FILE") in ours or name in _of_tests() or name in _of_compose():
        return None
    return f"{name} is no setting"


def wrong_command(command: Command) -> str | None:
    """Look whether somebody could type it."""
    program, *arguments = command.words
    if (name := program.rpartition("/")[2]) == "flask":
        # Flask leaves its application behind, for whoever asks for the current one.
        return copy_context().run(_wrong_flask, arguments, command.whole)
    if name == "make":
        return _wrong_make(arguments)
    if name == "curl":
        return _wrong_request(arguments)
    if ".venv/bin/" in program and not program.startswith("benchmarks/"):
        return _wrong_program(name, arguments)
    return None


def _wrong_flask(arguments: Sequence[str], whole: bool) -> str | None:
    given = dict.fromkeys(OF_COMMANDS, "postgresql://somebody@localhost/none")
    command: click.Command = FlaskGroup(create_app=application)
    try:
        with patch.dict(os.environ, given):
            context = command.make_context("flask", list(arguments))
            while isinstance(command, click.Group):
                name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
                assert found is not None
                command = found
                context = found.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return None
    except click.exceptions.NoArgsIsHelpError:
        return f"flask {' '.join(arguments)}: Missing command." if whole else None
    except click.UsageError as error:
        if isinstance(error, click.BadParameter | click.BadOptionUsage) and not whole:
            # A sentence leaves arguments out, or names them: USER.
            return None
        return f"flask {' '.join(arguments)}: {error.format_message()}"
    return None


def _wrong_make(arguments: Sequence[str]) -> str | None:
    for word in arguments:
        name, is_set, _ = word.partition("=")
        if is_set and not re.search(rf"\$[({{]{name}[)}}]|,\$\({name}\)", _MAKEFILE):
            return f"make knows no {name}="
        if not is_set and not word.startswith("-") and not re.search(rf"^{re.escape(word)}:", _MAKEFILE, re.MULTILINE):
            return f"make has no target {word}"
    return None


def _wrong_program(name: str, arguments: Sequence[str]) -> str | None:
    if not (Path(sys.executable).parent / name).exists():
        return f".venv/bin/ has no {name}"
    for option, value in pairwise(arguments):
        if name.startswith("python") and option == "-m" and find_spec(value) is None:
            return f"there is no module {value}"
        if option == "-r" and not (PROJECT / value).exists():
            return f"there is no {value}"
    return None


def _wrong_request(arguments: Sequence[str]) -> str | None:
    for word in arguments:
        url = re.fullmatch(rf"(?:https?://)?(?:{_OURS})(?::(\w*))?(/.*)", word)
        if url is None:
            continue
        port, path = url[1] or "", urlsplit(url[2]).path
        if path == "/metrics" and port in {*_PUBLIC_PORTS, _METRICS_PORT}:
            # Served on a port of its own, and nowhere else, which a page may show.
            continue
        if port in _PUBLIC_PORTS and not _is_served(path, _method(arguments)):
            return f"{_method(arguments)} {path} is not served"
    return None


def _method(arguments: Sequence[str]) -> str:
    for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if option == "--request" or re.fullmatch("-[a-z]*X", option):
            return value
    if any(re.match(r"-d$|--data|--json", word) for word in arguments):
        return "POST"
    return "GET"


def _is_served(path: str, method: str) -> bool:
    path = re.sub(r"\$\{?\w+\}?|…|<\w+>", _ANY_ID, path)
    try:
        application().url_map.bind("localhost").match(path, method=method)
    except HTTPException:
        return False
    return True


@cache
def _of_tests() -> set[str]:
    sources = [*(PROJECT / "tests").rglob("*.py"), PROJECT / "Makefile"]
    named = {name for path in sources for name in pages.settings(path.read_text()) if name.startswith("TASKAPP_TEST_")}
    return named | {f"TASKAPP_TEST_{name.upper()}" for name in _cell_fields()}


def _cell_fields() -> Sequence[str]:
    from postgres_target import Cell  # noqa: PLC0415

    return tuple(Cell.__dataclass_fields__)


@cache
def _of_compose() -> set[str]:
    file = PROJECT / "docker-compose.yml"
    return pages.settings(file.read_text()) if file.exists() else set()

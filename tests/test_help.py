"""Every command of `flask` shows its help without an environment, and none runs without one."""

import json
import os
import subprocess
import sys

import pytest
from live import PROJECT
from waiting import DEADLINE_SECONDS

Said = tuple[int, str]
"""The exit status of a command, and all that it wrote."""

GROUPS = ("config", "database", "db", "isolation", "isolation dba", "jwt-key", "maintenance", "openapi", "users")
# All in one process, since starting takes most of the time; each line loads the application anew.
_ASK = """
import json, sys
import click
from click.testing import CliRunner
from flask.cli import cli

def lines(command, context, words):
    yield [*words, "--help"]
    if isinstance(command, click.Group):
        yield words
        for name in command.list_commands(context):
            yield from lines(command.get_command(context, name), context, [*words, name])

with cli.make_context("flask", [], resilient_parsing=True) as context:
    asked = [line for name in cli.list_commands(context) for line in lines(cli.get_command(context, name), context, [name])]
said = {}
for line in [[], ["--help"], *asked, *json.loads(sys.argv[1])]:
    sys.modules.pop("wsgi", None)
    result = CliRunner().invoke(cli, line, prog_name="flask")
    said[" ".join(line)] = result.exit_code, result.output
print(json.dumps(said))
"""
NOT_SET = "taskapp cannot start: TASKAPP_DATABASE_URL is not set; "
OTHERS = {
    "--app wsgi --help": (0, "Usage: flask "),
    "--app wsgi:app --help": (0, "Usage: flask "),
    "--debug --help": (0, "Usage: flask "),
    "--app wsgi users --help": (0, "Usage: flask users "),
    "db -x a=b upgrade --help": (0, "Usage: flask db upgrade "),
    "db --directory elsewhere check --help": (0, "Usage: flask db check "),
    # What there is not is said before what is not set.
    "nosuch": (2, "Error: No such command 'nosuch'."),
    "nosuch --help": (2, "Error: No such command 'nosuch'."),
    "users nosuch --help": (2, "Error: No such command 'nosuch'."),
    "db nosuch": (2, "Error: No such command 'nosuch'."),
    "db upgrade --nosuch": (2, "Error: No such option '--nosuch'."),
    # These need the application.
    "db current": (1, NOT_SET),
    "db -x a=b upgrade": (1, NOT_SET),
    "users list": (1, NOT_SET),
    "users create ada@example.com": (1, NOT_SET),
    "maintenance purge": (1, NOT_SET),
    "jwt-key add": (1, NOT_SET),
    "openapi print": (1, NOT_SET),
    "routes": (1, NOT_SET),
}


@pytest.fixture(scope="module")
def said() -> dict[str, Said]:
    """What is said to each command line: of all commands that there are, and of OTHERS."""
    ended = subprocess.run(
        [sys.executable, "-c", _ASK, json.dumps([line.split() for line in OTHERS])],
        cwd=PROJECT,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return {line: (status, text) for line, (status, text) in json.loads(ended.stdout).items()}


def test_every_command_shows_its_help_and_nothing_else(said: dict[str, Said]) -> None:
    helps = {line: answer for line, answer in said.items() if line.endswith("--help") and line not in OTHERS}
    assert {"--help", *(f"{group} --help" for group in GROUPS)} <= set(helps)
    assert len(helps) > 50
    wrong = {
        line: (status, text)
        for line, (status, text) in helps.items()
        if status != 0 or not text.startswith(f"Usage: flask {line.removesuffix('--help')}")
    }
    assert wrong == {}


@pytest.mark.parametrize("line", ["", "--help", "--app wsgi --help", "--debug --help"])
def test_flask_lists_all_of_its_commands(said: dict[str, Said], line: str) -> None:
    _, text = said[line]
    assert [group for group in GROUPS if " " not in group and f"\n  {group} " not in text] == []
    assert "Error" not in text


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_alone_lists_its_commands(said: dict[str, Said], group: str) -> None:
    # 2 is click's own status for a group without a command.
    assert said[group] == (2, said[f"{group} --help"][1])


@pytest.mark.parametrize("line", OTHERS)
def test_only_what_needs_the_application_says_what_is_not_set(said: dict[str, Said], line: str) -> None:
    status, expected = OTHERS[line]
    assert said[line][0] == status
    assert expected in said[line][1]
    assert ("cannot start" in said[line][1]) == (expected == NOT_SET)

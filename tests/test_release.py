"""What a release is made of agrees with itself: one version, one list of checks, templates that lead somewhere."""

import json
import re
import shlex
import subprocess
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Person

PROJECT = Path(__file__).parents[1]
GITHUB = PROJECT / ".github"
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
CHANGELOG = (PROJECT / "CHANGELOG.md").read_text()


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_the_version_stands_in_one_place_and_the_document_has_it(anonymous: Person) -> None:
    (written,) = re.findall(r"^version = (\d+\.\d+\.\d+)$", (PROJECT / "setup.cfg").read_text(), re.MULTILINE)
    assert version("taskapp") == written
    assert anonymous.get("/openapi.json").get_json()["info"]["version"] == written
    assert json.loads((PROJECT / "docs" / "openapi.json").read_text())["info"]["version"] == written
    listed = ["git", "grep", "--word-regexp", "-lF", written, "--", "*.py", "*.md", "*.toml", "*.yml", "Makefile"]
    naming = set(subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=False).stdout.split())
    # They tell what was released when, and how to release.
    assert naming <= {"CHANGELOG.md", "CONTRIBUTING.md"}


def test_an_installed_package_has_every_file_that_the_code_reads() -> None:
    setup = ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    declared = {
        PROJECT.joinpath(*package.split("."), pattern.strip())
        for package, patterns in setup["options.package_data"].items()
        for pattern in patterns.split(",")
    }
    files = {path for path in (PROJECT / "taskapp").rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert {path for path in files if not any(path.match(str(pattern)) for pattern in declared)} == set()
    assert [pattern for pattern in declared if not any(path.match(str(pattern)) for path in files)] == []


def test_the_changelog_has_releases_up_to_this_version_newest_first() -> None:
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "Unreleased"
    released = [re.fullmatch(r"(\d+)\.(\d+)\.(\d+) - \d{4}-\d\d-\d\d", heading) for heading in headings[1:]]
    assert all(released), headings
    numbers = [tuple(map(int, found.groups())) for found in released if found]
    assert numbers == sorted(set(numbers), reverse=True)
    assert all(number <= tuple(map(int, version("taskapp").split("."))) for number in numbers)


def test_the_host_runs_what_everybody_runs() -> None:
    steps = read(GITHUB / "workflows" / "ci.yml")["jobs"]["all"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    assert (PROJECT / ".ci" / "run").stat().st_mode & 0o111
    assert {"make check", "make mutants", "make test-all"} <= set((PROJECT / ".ci" / "run").read_text().splitlines())


def test_the_host_starts_the_containers_as_the_page_says() -> None:
    steps = read(GITHUB / "workflows" / "ci.yml")["jobs"]["containers"]["steps"]
    commands = [step["run"] for step in steps if "docker" in step.get("run", "") and "if" not in step]
    page = (PROJECT / "docs" / "operations" / "compose.md").read_text().splitlines()
    assert len(commands) == 4
    assert [command for command in commands if command not in page] == []


def test_the_host_may_read_and_no_more_and_the_actions_it_fetches_are_pinned() -> None:
    workflow = read(GITHUB / "workflows" / "ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert [job for job in workflow["jobs"].values() if "permissions" in job] == []
    actions = [step for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert actions
    assert [step for step in actions if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])] == []
    assert [step for step in actions if step["with"]["persist-credentials"] is not False] == []


def test_before_a_commit_runs_what_make_check_runs() -> None:
    (recipe,) = re.findall(r"^check:.*\n((?:\t.+\n)+)", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    lines = [line.strip().removeprefix("@") for line in recipe.splitlines()]
    checks = [line.replace("$(BIN)", ".venv/bin").replace("$$", "$") for line in lines]
    (repository,) = read(PROJECT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert [command(hook["entry"]) for hook in repository["hooks"]] == checks
    assert {(hook["language"], hook["pass_filenames"]) for hook in repository["hooks"]} == {("system", False)}


def command(entry: str) -> str:
    """What a hook runs: it has no shell unless it asks for one."""
    words = shlex.split(entry)
    return words[2] if words[:2] == ["sh", "-c"] else entry


@pytest.mark.parametrize("path", [form for form in FORMS if form.name != "config.yml"], ids=lambda path: path.name)
def test_a_form_asks_for_something_and_names_each_answer(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in asked}) == len(asked) > 0
    assert [field for field in asked if not field["attributes"]["label"]] == []
    assert any(field["validations"]["required"] for field in asked)


def test_every_page_that_a_form_names_exists() -> None:
    named = [PROJECT / name for path in FORMS for name in re.findall(r"\b[A-Z]+\.md\b", path.read_text())]
    assert named
    assert [path for path in named if not path.exists()] == []


def test_reports_go_to_nobody_who_was_made_up() -> None:
    pages = [*GITHUB.rglob("*.*"), PROJECT / "SECURITY.md"]
    assert [page for page in pages if re.search(r"[\w.]+@[\w-]+\.\w+|https?://(?!127\.)", page.read_text())] == []

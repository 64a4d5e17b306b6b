"""The requirement files are closed: every version is exact, also of what the packages need in turn."""

import ast
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
FILES = tuple(f"requirements{suffix}.txt" for suffix in ("", "-local", "-tracing", "-test", "-dev"))
# Installed apart, without anything that it does not name: the Makefile has pip say whether that is enough.
APART = "benchmarks/requirements.txt"
# Loaded by schemathesis, not by pytest.
NOT_COLLECTED = {PROJECT / "tests" / "contract" / "schemathesis_hooks.py"}


def lines(name: str) -> list[str]:
    """The lines of a file that say something, without those of the files it includes."""
    stripped = (line.partition(" #")[0].strip() for line in (PROJECT / name).read_text().splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def pins(name: str) -> dict[str, str]:
    """What a file pins, with the files it includes."""
    found: dict[str, str] = {}
    for line in lines(name):
        if line.startswith("-r "):
            found |= pins(line.removeprefix("-r ").strip())
        else:
            package, _, pinned = line.partition("==")
            found[canonicalize_name(package)] = pinned
    return found


@pytest.mark.parametrize("name", [*FILES, APART])
def test_every_requirement_is_pinned_to_one_version(name: str) -> None:
    own = [line for line in lines(name) if not line.startswith("-r ")]
    assert own
    assert [line for line in own if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.!+]*", line)] == []


@pytest.mark.parametrize("names", [FILES, [APART]])
def test_no_package_is_pinned_twice(names: Sequence[str]) -> None:
    packages = [line.partition("==")[0] for name in names for line in lines(name) if not line.startswith("-r ")]
    assert sorted(packages) == sorted(set(packages))


@pytest.mark.parametrize("name", FILES)
def test_whatever_a_package_needs_is_pinned_too(name: str) -> None:
    pinned = pins(name)
    missing = {
        f"{package} needs {needed}"
        for package in pinned
        for needed in dependencies(package)
        if canonicalize_name(needed.name) not in pinned
    }
    assert missing == set()


@pytest.mark.parametrize("name", FILES)
def test_whatever_a_package_needs_is_pinned_to_a_version_that_will_do(name: str) -> None:
    pinned = pins(name)
    wrong = {
        f"{package} needs {needed}"
        for package in pinned
        for needed in dependencies(package)
        if (found := pinned.get(canonicalize_name(needed.name))) and not needed.specifier.contains(found, prereleases=True)
    }
    assert wrong == set()


def test_what_is_installed_is_what_is_pinned() -> None:
    installed = [name for name in FILES if all(map(installed_version, pins(name)))]
    assert "requirements-test.txt" in installed
    for name in installed:
        assert {package: installed_version(package) for package in pins(name)} == pins(name)


def test_make_test_installs_whatever_the_modules_of_tests_import() -> None:
    """pytest imports all of them, also those whose tests it then leaves out."""
    pinned, distributions = pins("requirements-test.txt"), packages_distributions()
    modules = set((PROJECT / "tests").rglob("*.py")) - NOT_COLLECTED
    missing = {
        f"{module.relative_to(PROJECT)} imports {package}"
        for module in modules
        if "node_modules" not in module.parts
        for package in imported(module) & distributions.keys() - {"taskapp"}
        if not any(canonicalize_name(distribution) in pinned for distribution in distributions[package])
    }
    assert missing == set()


def test_setuptools_is_the_same_where_it_builds_and_where_it_is_installed() -> None:
    (build,) = re.findall(r'requires = \["setuptools==([^"]+)"\]', (PROJECT / "pyproject.toml").read_text())
    assert build == pins("requirements-local.txt")["setuptools"]


def imported(module: Path) -> set[str]:
    """The packages that a module imports when it is imported itself."""
    return {name.partition(".")[0] for name in _imported(ast.parse(module.read_text()))}


def _imported(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module


def dependencies(package: str) -> list[Requirement]:
    """What an installed package needs here, without its extras."""
    try:
        declared = requires(package) or []
    except PackageNotFoundError:
        return []
    needed = [Requirement(text) for text in declared]
    return [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]


def installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

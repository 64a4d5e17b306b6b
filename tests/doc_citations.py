"""What a page of docs/ cites: rows of its tables, files, and tests; for tests that look whether they are there."""

import ast
import re
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def rows(page: str, letter: str) -> list[list[str]]:
    """The cells of every row whose first is a number with that letter in front."""
    lines = (line for line in page.splitlines() if re.match(rf"\| {letter}\d", line))
    return [[cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in lines]


def files(page: str) -> list[str]:
    """Every file of ours that is named, alone or before the name of a test."""
    return sorted(set(re.findall(r"`((?:tests|taskapp|migrations)/[\w/.]+)", page)))


def tests(page: str) -> list[str]:
    """Every test that is named, as pytest does: ``tests/file.py::test_name`` or ``tests/file.py::TestClass::test_name``."""
    return sorted(set(re.findall(r"`(tests/[\w/.]+::[\w:]+)`", page)))


def is_a_test(cited: str) -> bool:
    """Whether pytest would collect something by this name."""
    path, *names = cited.split("::")
    body: list[ast.stmt] = ast.parse((PROJECT / path).read_text()).body
    for name in names[:-1]:
        body = next((node.body for node in body if isinstance(node, ast.ClassDef) and node.name == name), [])
    return (
        Path(path).name.startswith("test_")
        and all(name.startswith("Test") for name in names[:-1])
        and names[-1].startswith("test_")
        and any(isinstance(node, ast.FunctionDef) and node.name == names[-1] for node in body)
    )

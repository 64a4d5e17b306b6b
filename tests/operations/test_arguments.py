"""The pages warn of commands that have a password as an argument: a host shows arguments to all its users."""

import re
from pathlib import Path

import pytest
from live import PROJECT
from walkthrough import blocks

PAGES = sorted((PROJECT / "docs" / "operations").glob("*.md"))
WARNING = (
    "Type it where nobody else can log in: some commands have passwords as arguments, which a host shows to all its users"
)
# A URL with a password in it, a password made by a command, one in a variable.
SECRET = re.compile(r'"\$(TASKAPP_\w+_URL|url)"|\$\(openssl|ACL SETUSER')


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_page_with_a_password_among_arguments_says_so_before_its_first_command(page: Path) -> None:
    text = page.read_text()
    shown = [block.text for block in blocks(text) if block.language == "sh" and SECRET.search(block.text)]
    assert (WARNING in text.partition("\n```")[0]) == bool(shown), shown


def test_there_are_such_pages() -> None:
    assert {page.stem for page in PAGES if WARNING in page.read_text()} >= {"backup", "incidents", "privacy", "secrets"}

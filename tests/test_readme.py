"""The README tells the truth: its walkthrough does, as written, what it says, and its layout is that of the project."""

import re
import subprocess
from pathlib import Path

import pytest
from conftest import Cluster
from live import program, serving, tracked_files
from waiting import DEADLINE_SECONDS
from walkthrough import blocks, joined, pattern

PROJECT = Path(__file__).parent.parent
README = (PROJECT / "README.md").read_text()


@pytest.mark.extended
def test_the_five_steps_print_what_the_readme_says(cluster: Cluster) -> None:
    walkthrough = README.partition("## Five steps with curl")[2].partition("\n## ")[0]
    script, expected = "set -eu\n", ""
    for block in blocks(walkthrough):
        if block.language == "sh":
            script += block.text
        else:
            expected += block.text
    program("curl")
    with serving(cluster.environment) as url:
        steps = script.replace("http://127.0.0.1:8000", url)
        assert steps != script
        printed = subprocess.run(
            ["sh", "-c", steps], capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS
        ).stdout
    assert re.fullmatch(pattern(expected), joined(printed)), printed


def test_every_page_is_in_the_index() -> None:
    docs = PROJECT / "docs"
    index = (docs / "README.md").read_text()
    pages = [str(page.relative_to(docs)) for page in docs.rglob("*.md")]
    assert [page for page in pages if f"]({page})" not in index] == ["README.md"]


def test_the_layout_names_every_folder() -> None:
    layout = README.partition("## The layout")[2].partition("\n## ")[0]
    tracked = tracked_files()
    folders = {path.split("/")[0] for path in tracked if "/" in path} | {
        path.split("/")[1] for path in tracked if path.startswith("taskapp/") and path.count("/") > 1
    }
    assert {folder for folder in folders if not folder.startswith(".") and f"{folder}/" not in layout} == set()

"""The pages tell the truth: their links lead somewhere, and what they tell people to type and to set is there."""

import re
from pathlib import Path

import pytest
from doc_citations import files
from doc_references import wrong_command, wrong_link, wrong_setting
from pages import PROJECT, anchors, commands, links, pages, settings

PAGES = pages()


def name(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert [wrong for target in links(page.read_text()) if (wrong := wrong_link(page, target))] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_can_be_typed(page: Path) -> None:
    assert [wrong for command in commands(page.read_text()) if (wrong := wrong_command(command))] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_setting_is_one(page: Path) -> None:
    assert [wrong for setting in sorted(settings(page.read_text())) if (wrong := wrong_setting(setting))] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    assert [file for file in files(page.read_text()) if not (PROJECT / file).exists()] == []


def test_there_is_much_to_look_at() -> None:
    texts = [page.read_text() for page in PAGES]
    assert len([target for text in texts for target in links(text)]) > 60
    typed = [" ".join(command.words) for text in texts for command in commands(text)]
    for program, least in (("make", 30), ("flask|\\S*\\.venv/bin/flask", 60), ("curl", 5)):
        assert len([line for line in typed if re.match(rf"(?:{program}) ", line)]) >= least, program


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        ("[x](docs/nowhere.md)", "there is no docs/nowhere.md"),
        ("[x](../elsewhere/README.md)", "there is no ../elsewhere/README.md"),
        ("[x](docs/security.md#requirement)", "security.md has no heading #requirement"),
        ("[x](docs/security.md#requirements)", None),
        ("[x](https://example.com/nowhere)", None),
        ("`[x](nowhere)`", None),
        ("```\n[x](nowhere)\n```\n", None),
    ],
)
def test_a_wrong_link_would_be_found(planted: str, complaint: str | None) -> None:
    found = [wrong for target in links(planted) if (wrong := wrong_link(PROJECT / "README.md", target))]
    assert found == ([complaint] if complaint else [])


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("## What fails, and what is lost then: nothing", "what-fails-and-what-is-lost-then-nothing"),
        ("## Über_alles – oder?", "über_alles--oder"),
        ("## Twice\n## Twice", "twice-1"),
    ],
)
def test_a_heading_has_githubs_name(heading: str, anchor: str) -> None:
    assert anchor in anchors(f"{heading}\n")


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        ("flask databse init", "No such command 'databse'"),
        ("flask database init --rite y", "No such option '--rite'"),
        ("flask database", "Missing command"),
        ("flask db upgrade", None),
        ("make matrix ARGS=--quick", None),
        ("make marix", "make has no target marix"),
        ("make matrix ARG=--quick", "make knows no ARG="),
        (".venv/bin/gunicorm wsgi:app", ".venv/bin/ has no gunicorm"),
        (".venv/bin/python -m pip install -r requirement.txt", "there is no requirement.txt"),
        (".venv/bin/python -m taskapp.loco", "there is no module taskapp.loco"),
        ("(set -a; . x; exec /opt/taskapp/.venv/bin/flask db upgade) | tail -1", "No such command 'upgade'"),
        ("curl -s $API/v1/tasks -d '{}'", None),
        ("TASK=$(curl -s $API/v1/task)", "GET /v1/task is not served"),
        ("curl -s -X PUT http://127.0.0.1:8000/v1/tasks/$ID > x", "PUT /v1/tasks/$ID is not served"),
        ("curl -s 'https://tasks.example.com/v1/tasks?limit=1'", None),
        ("curl -s http://127.0.0.1:9464/metrics && curl https://example.com/v1/nothing", None),
    ],
)
def test_a_wrong_command_would_be_found(planted: str, complaint: str | None) -> None:
    for fence in ("sh", "sh admin", ""):
        if fence == "" and re.match(r"\(|TASK=\$", planted):
            # Without a language only lines that begin like a command of ours are taken for one.
            continue
        found = [wrong for command in commands(f"```{fence}\n{planted}\n```\n") if (wrong := wrong_command(command))]
        assert len(found) == (1 if complaint else 0), found
        assert (complaint or "") in "".join(found)


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        ("Say `flask isolation close` and its number, or `flask isolation audit --user` with an address.", None),
        ("Groups such as `flask users` are named too, and `flask isolation …`.", None),
        ("Say `flask isolation clos`.", "No such command 'clos'"),
        ("Say `flask database init --old-secrets`.", "No such option '--old-secrets'"),
        ("Say `make bensh`.", "make has no target bensh"),
        ("As here:\n\n    make endurnce ARGS=-s\n", "make has no target endurnce"),
    ],
)
def test_a_wrong_command_in_a_sentence_would_be_found(planted: str, complaint: str | None) -> None:
    found = [wrong for command in commands(planted) if (wrong := wrong_command(command))]
    assert len(found) == (1 if complaint else 0), found
    assert (complaint or "") in "".join(found)


@pytest.mark.parametrize(
    ("planted", "wrong"),
    [
        ("`TASKAPP_WORKERS`, `TASKAPP_SEAL_KEY_FILE`, `TASKAPP_ADMIN_DATABASE_URL`, `TASKAPP_TEST_POSTGRES`", []),
        ("TASKAPP_WORKER=2", ["TASKAPP_WORKER is no setting"]),
        # In two parts, as what stands in a file of tests is known.
        ("TASKAPP_TEST_" + "NOTHING", ["TASKAPP_TEST_" + "NOTHING is no setting"]),
    ],
)
def test_a_wrong_setting_would_be_found(planted: str, wrong: list[str]) -> None:
    assert [found for setting in sorted(settings(planted)) if (found := wrong_setting(setting))] == wrong

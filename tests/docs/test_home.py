"""The page at the root: where somebody begins."""

import re
import subprocess
from html import unescape

import expect
import pytest
from conftest import Admin, Cluster, Person
from live import program, serving
from waiting import DEADLINE_SECONDS
from walkthrough import joined, pattern


@pytest.mark.extended
def test_the_commands_print_what_the_page_says(cluster: Cluster, admin: Admin) -> None:
    program("curl")
    with serving(cluster.environment) as url:
        html = run(f"curl -s {url}/")
        blocks = re.findall(r'<pre class="(commands|output)">(.*?)</pre>', html, re.DOTALL)
        script = "\n".join(unescape(text) for kind, text in blocks if kind == "commands")
        expected = "".join(unescape(text) for kind, text in blocks if kind == "output")
        assert f"API={url}\n" in script
        printed = run(script)
    assert re.fullmatch(pattern(expected), joined(printed)), printed
    assert admin.execute("SELECT title, due_date::text FROM app.tasks") == [("Pay rent", "2030-01-31")]


def run(script: str) -> str:
    return subprocess.run(
        ["sh", "-euc", script], capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS
    ).stdout


@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json", ""])
def test_it_is_one_page_for_everybody(anonymous: Person, accept: str) -> None:
    response = anonymous.get("/", headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (200, "text/html")


def test_programs_find_the_document_by_its_links(anonymous: Person) -> None:
    links = dict(re.findall(r'<([^>]*)>; rel="([^"]*)"', anonymous.get("/").headers["Link"]))
    assert links == {"/openapi.json": "service-desc", "/docs": "service-doc", "/healthz": "status"}
    assert [anonymous.get(path).status_code for path in links] == [200, 200, 200]


def test_the_commands_name_the_address_where_it_listens_and_never_the_host_that_was_asked(anonymous: Person) -> None:
    # tests/web/test_request_target.py: with TASKAPP_PUBLIC_URL they name that.
    assert "API=http://127.0.0.1:8000\n" in anonymous.get("/", base_url="https://evil.example:8443").text
    assert "evil.example" not in anonymous.get("/", base_url="https://evil.example:8443").text


def test_every_operation_it_leads_to_exists(anonymous: Person) -> None:
    document = anonymous.get("/openapi.json").get_json()
    there = {
        f"/docs#/{operation['tags'][0]}/{operation['operationId']}"
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
    }
    led_to = set(re.findall('href="(/docs#[^"]*)"', anonymous.get("/").text))
    assert len(led_to) > 4
    assert led_to - there == set()


def test_it_needs_no_script(anonymous: Person) -> None:
    assert "<script" not in anonymous.get("/").text


def test_other_paths_are_problems_still(anonymous: Person) -> None:
    expect.problem(anonymous.get("/index.html"), 404, "not_found")
    expect.problem(anonymous.post("/"), 405, "method_not_allowed")

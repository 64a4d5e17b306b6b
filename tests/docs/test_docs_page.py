"""The documentation page, in a real browser, as somebody meets it who wants to try the API."""

import re
from urllib.parse import urlsplit

import expect
import pytest
from conftest import Person
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from docs.browser import Page

STATIC = ["/docs/static/start.js", "/docs/static/pages.css", "/docs/static/swagger.css"]
PAGES = ["/", "/docs", "/problems/", "/problems/not-found"]


def directives(person: Person, path: str) -> dict[str, set[str]]:
    with person.get(path) as response:
        header = response.headers["Content-Security-Policy"]
    return {name: set(values) for name, *values in (directive.split() for directive in header.split(";"))}


@pytest.mark.parametrize("path", [*PAGES, *STATIC, "/docs/assets/swagger-ui-bundle.js"])
def test_f28_pages_come_with_a_strict_policy(anonymous: Person, path: str) -> None:
    policy = directives(anonymous, path)
    assert policy["default-src"] == {"'none'"}
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == {"'self'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == {"'none'"}
    assert set().union(*policy.values()) <= {"'none'", "'self'", "data:"}


def test_pages_tell_no_other_site_where_one_came_from(anonymous: Person) -> None:
    assert anonymous.get("/docs").headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_nothing_from_elsewhere_and_hold_no_script(anonymous: Person, path: str) -> None:
    html = anonymous.get(path).text
    assert re.findall(r'(?:src|href)="((?:[a-z]+:)?//[^"]*)"', html) == []
    assert re.findall(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:|<style|\sstyle=", html) == []


@pytest.mark.parametrize("path", PAGES)
def test_everything_a_page_names_is_there(anonymous: Person, path: str) -> None:
    links = set(re.findall(r'(?:src|href)="(/[^"#]*)', anonymous.get(path).text))
    assert len(links) >= 5
    for link in links:
        with anonymous.get(link) as response:
            assert response.status_code == 200, link


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_a_title_a_language_and_a_way_back(anonymous: Person, path: str) -> None:
    html = anonymous.get(path).text
    assert '<html lang="en">' in html
    assert re.search("<title>[^<]*taskapp[^<]*</title>", html)
    assert '<a class="name" href="/">taskapp</a>' in html


@pytest.mark.parametrize("path", [*PAGES, *STATIC, "/docs/assets/swagger-ui.css"])
def test_what_the_next_release_may_change_is_asked_for_again(anonymous: Person, path: str) -> None:
    with anonymous.get(path) as response:
        assert response.cache_control.no_cache
        assert not response.cache_control.max_age


def test_what_is_named_with_its_version_is_kept_for_good(anonymous: Person) -> None:
    named = re.findall(r'"(/docs/assets/[^"]*[?]v=[^"]*)"', anonymous.get("/docs").text)
    assert len(named) == 2
    for path in named:
        with anonymous.get(path) as response:
            assert (response.cache_control.max_age, response.cache_control.immutable) == (365 * 24 * 60 * 60, True)
    with anonymous.get(named[0] + "x") as response:
        assert response.cache_control.no_cache


def test_an_asset_that_has_not_changed_is_not_sent_again(anonymous: Person) -> None:
    with anonymous.get(STATIC[0]) as response:
        etag = response.headers["ETag"]
    with anonymous.get(STATIC[0], headers={"If-None-Match": etag}) as response:
        assert response.status_code == 304


@pytest.mark.parametrize("name", ["..", "../routes.py", "%2e%2e%2fVERSION", "nothing.js", "/etc/passwd", "..%5croutes.py"])
def test_no_other_file_is_served(anonymous: Person, name: str) -> None:
    expect.problem(anonymous.get(f"/docs/assets/{name}"), 404, "not_found")


@pytest.fixture
def fresh(page: Page) -> Page:
    """The page just opened, with nobody authorized."""
    page.look("desktop light")
    page.open()
    page.complaints()
    return page


@pytest.mark.extended
def test_every_operation_is_on_the_page(fresh: Page, anonymous: Person) -> None:
    document = anonymous.get("/openapi.json").get_json()
    expected = {
        (method.upper(), path, operation["summary"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    shown = {
        tuple(
            block.find_element(By.CSS_SELECTOR, selector).text.replace("\u200b", "")
            for selector in (".opblock-summary-method", ".opblock-summary-path", ".opblock-summary-description")
        )
        for block in fresh.all(".opblock")
    }
    assert shown == expected


@pytest.mark.extended
def test_they_stand_in_reading_order(fresh: Page) -> None:
    tags = [tag.get_attribute("data-tag") for tag in fresh.all(".opblock-tag")]
    read = ["auth", "sessions", "account", "tasks", "completions", "trash", "lists", "tags", "keys", "health"]
    assert [tag for tag in tags if tag in read] == read
    assert [block.get_attribute("id") for block in fresh.all(".opblock")][:3] == [
        f"operations-auth-{operation}" for operation in ("registerUser", "login", "refreshTokens")
    ]


@pytest.mark.extended
def test_the_models_are_there_and_closed(fresh: Page) -> None:
    assert len(fresh.all(".models")) == 1
    assert fresh.all(".models.is-open") == []


@pytest.mark.extended
def test_an_address_opens_its_operation(page: Page) -> None:
    page.open("/docs#/tasks/createTask")
    (opened,) = page.wait(lambda: page.all(".opblock.is-open"))
    assert opened.get_attribute("id") == "operations-tasks-createTask"
    page.open("/docs")
    page.click("#operations-lists-createList .opblock-summary-control")
    page.wait(lambda: page.browser.current_url.endswith("/docs#/lists/createList"))


@pytest.mark.extended
def test_the_browser_has_nothing_to_complain_about(page: Page) -> None:
    page.complaints()
    page.open()
    # One after the other: each that is open makes opening the next slower.
    for block in page.all(".opblock"):
        for _ in ("open", "close"):
            before = block.get_attribute("class")
            page.browser.execute_script("arguments[0].querySelector('.opblock-summary-control').click()", block)
            page.wait(lambda block=block, before=before: block.get_attribute("class") != before)
    assert page.complaints() == []


@pytest.mark.extended
@pytest.mark.parametrize("path", PAGES)
def test_the_browser_asks_nobody_but_us(page: Page, path: str) -> None:
    page.hosts()
    page.open(path)
    assert page.hosts() == {urlsplit(page.url).netloc}


@pytest.mark.extended
def test_without_a_token_the_answer_is_401(fresh: Page) -> None:
    status, body = execute(fresh, "tasks", "listTasks")
    # Set as JSON, a member a line.
    assert (status, '\n  "code": "missing_token",\n' in body) == ("401", True)


@pytest.mark.extended
def test_the_example_registers_an_account(fresh: Page) -> None:
    status, body = execute(fresh, "auth", "registerUser")
    assert status == "201"
    assert '"access_token"' in body


@pytest.mark.extended
def test_with_a_token_a_task_is_created_and_listed(fresh: Page, alice: Person) -> None:
    authorize(fresh, alice.headers["Authorization"].removeprefix("Bearer "))
    status, body = execute(fresh, "tasks", "createTask")
    assert (status, '"title": "Pay rent"' in body) == ("201", True)
    status, body = execute(fresh, "tasks", "listTasks")
    assert (status, '"title": "Pay rent"' in body) == ("200", True)
    assert [task["title"] for task in alice.get("/v1/tasks").get_json()["items"]] == ["Pay rent"]
    assert fresh.complaints() == []


@pytest.mark.extended
def test_a_task_is_got_changed_and_deleted(fresh: Page, alice: Person) -> None:
    authorize(fresh, alice.headers["Authorization"].removeprefix("Bearer "))
    task = alice.post("/v1/tasks", {"title": "x"}).get_json()["id"]
    status, body = execute(fresh, "tasks", "getTask", task_id=task)
    assert (status, '"title": "x"' in body) == ("200", True)
    status, body = execute(fresh, "tasks", "updateTask", body='{"title": "y"}', task_id=task)
    assert (status, '"title": "y"' in body) == ("200", True)
    assert execute(fresh, "tasks", "deleteTask", task_id=task)[0] == "204"
    assert alice.get("/v1/tasks").get_json()["items"] == []
    assert fresh.complaints() == []


@pytest.mark.extended
def test_the_page_is_dark_where_one_prefers_it(page: Page) -> None:
    shown = {}
    for scheme in ("light", "dark"):
        page.look(f"desktop {scheme}")
        page.open()
        shown[scheme] = [page.all(part)[0].value_of_css_property("background-color") for part in ("html", ".site")]
    assert all(light != dark for light, dark in zip(shown["light"], shown["dark"], strict=True)), shown


@pytest.mark.extended
@pytest.mark.parametrize("look", ["desktop light", "phone light"])
def test_an_open_operation_fits_the_screen(page: Page, look: str) -> None:
    page.look(look)
    page.open()
    page.click("#operations-tasks-createTask .opblock-summary-control")
    page.wait(lambda: page.all("#operations-tasks-createTask .body-param"))
    assert page.overflow() == 0
    # Swagger UI's own style sheet has arrived: without it a summary is a plain line of text.
    colour = page.all(".opblock-post .opblock-summary-method")[0].value_of_css_property("background-color")
    assert colour == "rgba(73, 204, 144, 1)"


def authorize(page: Page, token: str) -> None:
    page.click(".auth-wrapper .btn.authorize")
    page.wait(lambda: page.all(".modal-ux input"))[0].send_keys(token)
    page.click(".modal-ux .btn.authorize")
    page.wait(lambda: "Logout" in page.all(".modal-ux")[0].text)
    page.click(".modal-ux .btn-done")


def execute(page: Page, tag: str, operation: str, body: str = "", **parameters: str) -> tuple[str, str]:
    """Open an operation, send its example or a body, and return the status and the body of the answer."""
    block = f"#operations-{tag}-{operation}"
    page.click(f"{block} .opblock-summary-control")
    for name, value in parameters.items():
        page.wait(lambda name=name: page.all(f'{block} [data-param-name="{name}"] input'))[0].send_keys(value)
    if body:
        page.wait(lambda: page.all(f"{block} .body-param textarea"))[0].send_keys(Keys.CONTROL, "a", Keys.NULL, body)
    page.click(f"{block} .execute")
    page.wait(lambda: page.all(f"{block} .live-responses-table .response-col_status"))
    (status,) = page.all(f"{block} .live-responses-table tbody .response-col_status")
    return status.text.split()[0], page.all(f"{block} .live-responses-table .response-col_description")[-1].text

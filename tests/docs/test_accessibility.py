"""The pages for everybody: any screen, either scheme, a keyboard alone, a screen reader."""

import os
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from docs.browser import Page

pytestmark = pytest.mark.extended

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
LOOKS = ["desktop light", "desktop dark", "phone light", "phone dark"]
PAGES = ["/", "/problems/", "/problems/validation-error"]


@pytest.fixture(scope="module")
def axe() -> Path:
    if not AXE.exists():
        give_up = pytest.fail if os.environ.get("TASKAPP_TEST_REQUIRE_ALL") == "1" else pytest.skip
        give_up("axe-core is not installed: npm ci --prefix tests/docs")
    return AXE


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_on_a_page(page: Page, axe: Path, path: str, look: str) -> None:
    page.look(look)
    page.complaints()
    page.open(path)
    assert page.violations(axe) == []
    assert page.complaints() == []


@pytest.mark.parametrize("look", ["desktop light", "phone dark"])
def test_axe_finds_nothing_in_the_reference(page: Page, axe: Path, look: str) -> None:
    page.look(look)
    page.open("/docs#/tasks/createTask")
    page.wait(lambda: page.all("#operations-tasks-createTask .body-param textarea"))
    page.click("#operations-completions-listCompletions .opblock-summary-control")
    page.click("#operations-completions-listCompletions .execute")
    page.wait(lambda: page.all("#operations-completions-listCompletions .live-responses-table .response-col_status"))
    page.click(".models button")
    page.wait(lambda: page.all(".models.is-open .json-schema-2020-12"))
    assert page.violations(axe) == []


@pytest.mark.parametrize("look", ["desktop light", "desktop dark"])
def test_axe_finds_nothing_where_one_authorizes(page: Page, axe: Path, look: str) -> None:
    page.look(look)
    page.open("/docs")
    page.click(".auth-wrapper .btn.authorize")
    page.wait(lambda: page.all(".modal-ux input"))[0].send_keys("x")
    assert page.violations(axe) == []
    page.click(".modal-ux .btn.authorize")
    page.wait(lambda: "Logout" in page.all(".modal-ux")[0].text)
    assert page.violations(axe) == []


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wider_than_the_screen(page: Page, path: str, look: str) -> None:
    page.look(look)
    page.open(path)
    assert page.overflow() == 0


@pytest.mark.parametrize("look", LOOKS)
def test_a_table_is_no_wider_than_its_text(page: Page, look: str) -> None:
    page.look(look)
    page.open("/problems/")
    heading, *tables = page.all("main h1, main table")
    assert tables
    assert {table.rect["width"] for table in tables} == {heading.rect["width"]}


@pytest.mark.parametrize("path", [*PAGES, "/docs"])
def test_the_keyboard_may_skip_what_is_on_every_page(page: Page, path: str) -> None:
    page.look("desktop light")
    page.open(path)
    skip = page.press(Keys.TAB)
    assert (skip.text, skip.rect["x"]) == ("Skip to the content", 0)
    page.press(Keys.ENTER)
    page.wait(lambda: page.browser.switch_to.active_element.get_attribute("id") == "content")
    inside = page.press(Keys.TAB)
    assert page.browser.execute_script("return arguments[0].closest('#content') !== null", inside)


@pytest.mark.parametrize("path", PAGES)
def test_the_keyboard_gets_to_every_link_in_order_and_sees_where_it_is(page: Page, path: str) -> None:
    page.look("desktop dark")
    page.open(path)
    links = page.all("a")
    assert len(links) > 4
    for link in links:
        reached = page.press(Keys.TAB)
        assert reached == link
        assert (reached.value_of_css_property("outline-style"), reached.value_of_css_property("outline-width")) == (
            "solid",
            "3px",
        )


def test_the_keyboard_opens_an_operation(page: Page) -> None:
    page.look("desktop light")
    page.open("/docs")
    for _ in range(20):
        reached = page.press(Keys.TAB)
        assert reached.value_of_css_property("outline-style") != "none"
        if "opblock-summary-control" in (reached.get_attribute("class") or ""):
            break
    page.press(Keys.ENTER)
    (opened,) = page.wait(lambda: page.all(".opblock.is-open"))
    assert opened.get_attribute("id") == "operations-auth-registerUser"

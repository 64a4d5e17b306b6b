"""The documentation page, in a real browser, as somebody meets it who wants to try the API."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import expect
import pytest
from conftest import Cluster, Person
from live import program, serving
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
]


def directives(person: Person, path: str) -> dict[str, set[str]]:
    with person.get(path) as response:
        header = response.headers["Content-Security-Policy"]
    return {name: set(values) for name, *values in (directive.split() for directive in header.split(";"))}


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/assets/swagger-ui-bundle.js", "/docs/static/start.js", "/problems/not-found"]
)
def test_f28_pages_come_with_a_strict_policy(anonymous: Person, path: str) -> None:
    policy = directives(anonymous, path)
    assert policy["default-src"] == {"'none'"}
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == {"'self'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == {"'none'"}
    assert set().union(*policy.values()) <= {"'none'", "'self'", "data:"}


def test_pages_tell_no_other_site_where_one_came_from(anonymous: Person) -> None:
    assert anonymous.get("/docs").headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/docs", "/problems/not-found"])
def test_pages_load_nothing_from_elsewhere_and_hold_no_script(anonymous: Person, path: str) -> None:
    html = anonymous.get(path).text
    assert re.findall(r'(?:src|href)="((?:[a-z]+:)?//[^"]*)"', html) == []
    assert re.findall(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:|<style|\sstyle=", html) == []


def test_everything_the_page_names_is_there(anonymous: Person) -> None:
    links = re.findall(r'(?:src|href)="(/[^"]*)"', anonymous.get("/docs").text)
    assert len(links) >= 4
    for link in links:
        with anonymous.get(link) as response:
            assert response.status_code == 200, link


@pytest.mark.parametrize("name", ["..", "../routes.py", "%2e%2e%2fVERSION", "nothing.js", "/etc/passwd", "..%5croutes.py"])
def test_no_other_file_is_served(anonymous: Person, name: str) -> None:
    expect.problem(anonymous.get(f"/docs/assets/{name}"), 404, "not_found")


class Page:
    """The page in the browser."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url

    def open(self, path: str = "/docs") -> None:
        self.browser.get(self.url + path)
        self.wait(lambda: self.all(".opblock") and not self.all(".loading"))

    def wait(self, condition: Any, seconds: float = 10) -> Any:
        return WebDriverWait(self.browser, seconds, 0.05).until(lambda _: condition())

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        element = self.wait(lambda: [found for found in self.all(selector) if found.is_displayed()])[0]
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def size(self, width: int, height: int, mobile: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def complaints(self) -> list[str]:
        """What the browser's console has said since it was last asked."""
        return [entry["message"] for entry in self._log("browser")]

    def hosts(self) -> set[str]:
        """Whom the browser has asked for anything since it was last asked."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return {urlsplit(url).netloc for url in urls if not url.startswith("data:")}

    def _log(self, name: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.browser.get_log(name)  # type: ignore[no-untyped-call]
        return entries


@pytest.fixture(scope="module")
def page(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    options = ChromeOptions()
    options.binary_location = program("chromium")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = Service(program("chromedriver"))
    with serving(cluster.environment) as url:
        browser = Chrome(options=options, service=service)
        try:
            yield Page(browser, url)
        finally:
            browser.quit()


@pytest.fixture
def fresh(page: Page) -> Page:
    """The page just opened, with nobody authorized."""
    page.size(1280, 900)
    page.open()
    page.complaints()
    return page


@pytest.mark.browser
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


@pytest.mark.browser
def test_the_browser_has_nothing_to_complain_about(page: Page) -> None:
    page.complaints()
    page.open()
    page.browser.execute_script("document.querySelectorAll('.opblock-summary-control').forEach(control => control.click())")
    page.wait(lambda: len(page.all(".opblock.is-open")) == len(page.all(".opblock")))
    assert page.complaints() == []


@pytest.mark.browser
def test_the_browser_asks_nobody_but_us(page: Page) -> None:
    page.hosts()
    page.open()
    assert page.hosts() == {urlsplit(page.url).netloc}


@pytest.mark.browser
def test_a_public_operation_can_be_tried_out_at_once(fresh: Page) -> None:
    assert execute(fresh, "health", "getHealth")[0] == "200"


@pytest.mark.browser
def test_without_a_token_the_answer_is_401(fresh: Page) -> None:
    assert execute(fresh, "tasks", "listTasks")[0] == "401"


@pytest.mark.browser
def test_the_example_registers_an_account(fresh: Page) -> None:
    status, body = execute(fresh, "auth", "registerUser")
    assert status == "201"
    assert '"access_token"' in body


@pytest.mark.browser
def test_with_a_token_a_task_is_created_and_listed(fresh: Page, alice: Person) -> None:
    authorize(fresh, alice.headers["Authorization"].removeprefix("Bearer "))
    status, body = execute(fresh, "tasks", "createTask")
    assert (status, '"title": "Pay rent"' in body) == ("201", True)
    status, body = execute(fresh, "tasks", "listTasks")
    assert (status, '"title": "Pay rent"' in body) == ("200", True)
    assert [task["title"] for task in alice.get("/v1/tasks").get_json()["items"]] == ["Pay rent"]
    assert fresh.complaints() == []


@pytest.mark.browser
@pytest.mark.parametrize(("name", "width", "height"), [("desktop", 1280, 900), ("phone", 390, 844)])
def test_the_page_fits_the_screen(page: Page, tmp_path: Path, name: str, width: int, height: int) -> None:
    page.size(width, height, mobile=name == "phone")
    page.open()
    page.browser.save_screenshot(str(tmp_path / f"{name}.png"))
    page.click("#operations-tasks-createTask .opblock-summary-control")
    page.wait(lambda: page.all("#operations-tasks-createTask .body-param"))
    page.browser.save_screenshot(str(tmp_path / f"{name}-open.png"))
    assert page.browser.execute_script("return document.documentElement.scrollWidth") <= width
    # Swagger UI's own style sheet has arrived: without it a summary is a plain line of text.
    colour = page.all(".opblock-post .opblock-summary-method")[0].value_of_css_property("background-color")
    assert colour == "rgba(73, 204, 144, 1)"


def authorize(page: Page, token: str) -> None:
    page.click(".auth-wrapper .btn.authorize")
    page.wait(lambda: page.all(".modal-ux input"))[0].send_keys(token)
    page.click(".modal-ux .btn.authorize")
    page.wait(lambda: "Logout" in page.all(".modal-ux")[0].text)
    page.click(".modal-ux .btn-done")


def execute(page: Page, tag: str, operation: str) -> tuple[str, str]:
    """Open an operation, send its example, and return the status and the body of the answer."""
    block = f"#operations-{tag}-{operation}"
    page.click(f"{block} .opblock-summary-control")
    page.click(f"{block} .execute")
    page.wait(lambda: page.all(f"{block} .live-responses-table .response-col_status"))
    (status,) = page.all(f"{block} .live-responses-table tbody .response-col_status")
    return status.text.split()[0], page.all(f"{block} .live-responses-table .response-col_description")[-1].text

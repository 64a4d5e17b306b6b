"""One server and one browser for all tests of the pages."""

from collections.abc import Iterator

import pytest
from conftest import Cluster
from live import program, serving
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from docs.browser import Page

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


@pytest.fixture(scope="session")
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

"""A page in a real browser, as somebody meets it."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium.common.exceptions import ElementClickInterceptedException
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from waiting import DEADLINE_SECONDS

# Where an element is, from the top of the screen, a few frames after it was moved to the middle.
CENTRED = """
const [element, answer] = arguments
element.scrollIntoView({block: 'center', behavior: 'instant'})
setTimeout(() => requestAnimationFrame(() => answer(element.getBoundingClientRect().top)), 50)
"""


class Page:
    """The page in the browser."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url
        # axe-core looks at a whole page in one script.
        browser.set_script_timeout(DEADLINE_SECONDS)

    def open(self, path: str = "/docs") -> None:
        # Another fragment of the same page would not load it again.
        self.browser.get("about:blank")
        self.browser.get(self.url + path)
        if path.startswith("/docs"):
            self.wait(lambda: self.all(".opblock") and not self.all(".loading"))

    def wait(self, condition: Any) -> Any:
        return WebDriverWait(self.browser, DEADLINE_SECONDS, 0.05).until(lambda _: condition())

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """Click on the first that is visible, once it stays where it is: the page still grows, and scrolls to its anchor."""
        element = self.wait(lambda: [found for found in self.all(selector) if found.is_displayed()])[0]
        self.wait(lambda: self._clicked(element))

    def _clicked(self, element: WebElement) -> bool:
        seen = [self.browser.execute_async_script(CENTRED, element) for _ in range(3)]
        if seen.count(seen[0]) < len(seen):
            return False
        try:
            element.click()
        except ElementClickInterceptedException:
            # It has moved after all, and nothing was clicked.
            return False
        return True

    def press(self, key: str) -> WebElement:
        """Press a key; return what has the focus then."""
        ActionChains(self.browser).send_keys(key).perform()
        return self.browser.switch_to.active_element

    def size(self, width: int, height: int, mobile: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        """Prefer ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def look(self, name: str) -> None:
        """Set the screen and the scheme: ``desktop`` or ``phone``, ``light`` or ``dark``."""
        screen, scheme = name.split()
        self.size(*{"desktop": (1280, 900), "phone": (390, 844)}[screen], mobile=screen == "phone")
        self.scheme(scheme)

    def overflow(self) -> int:
        """How many pixels there are to scroll to the right."""
        pixels: int = self.browser.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return pixels

    def violations(self, axe: Path) -> list[str]:
        """What axe-core finds wrong: by WCAG 2 at the levels A and AA, and by its own best practices."""
        self.browser.execute_script(axe.read_text())
        result = self.browser.execute_async_script("axe.run({resultTypes: ['violations']}).then(arguments[0])")
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]

    def complaints(self) -> list[str]:
        """What the browser's console has said since it was last asked."""
        return [entry["message"] for entry in self._log("browser")]

    def hosts(self) -> set[str]:
        """Whom the browser has asked for anything since it was last asked."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return {urlsplit(url).netloc for url in urls if not url.startswith(("data:", "about:"))}

    def _log(self, name: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.browser.get_log(name)  # type: ignore[no-untyped-call]
        return entries

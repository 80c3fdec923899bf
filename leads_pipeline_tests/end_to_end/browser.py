"""A headless Chromium that clicks and types as a person does: it finds things by what they show, and waits for them."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.3
_IN_MOTION = [ElementClickInterceptedException, ElementNotInteractableException, StaleElementReferenceException]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRIVER = "chromedriver"
_FLAGS = (
    "--headless",
    "--no-sandbox",  # which Chromium, started by root, refuses to do without
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-gpu",
    "--no-first-run",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1500,1000",
)


class Browser:
    """One window. Whatever is looked for may take its time to appear."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def open(self, url: str) -> None:
        self._driver.get(url)

    def click(self, xpath: str) -> None:
        self._act(xpath, WebElement.click)

    def type_into(self, xpath: str, text: str) -> None:
        """Replace what the field holds and leave it."""

        def replace_text(field: WebElement) -> None:
            field.click()
            field.send_keys(Keys.CONTROL, "a")
            field.send_keys(text, Keys.TAB)

        self._act(xpath, replace_text)

    def wait_until_it_says(self, text: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Return all text of the page, once it holds this."""
        deadline = time.monotonic() + seconds
        while text not in (shown := self._driver.find_element(By.TAG_NAME, "body").text):
            assert time.monotonic() < deadline, f"the page does not say {text!r} but:\n{shown}"
            time.sleep(_LOOK_SECONDS)
        return shown

    def _act(self, xpath: str, action: Callable[[WebElement], None]) -> None:
        """Do it to the first such thing that is shown and enabled, once nothing moves or lies over it any more."""

        def acted(driver: webdriver.Chrome) -> bool:
            for element in driver.find_elements(By.XPATH, xpath):
                if element.is_displayed() and element.is_enabled():
                    action(element)
                    return True
            return False

        wait = WebDriverWait(self._driver, PATIENCE_SECONDS, _LOOK_SECONDS, _IN_MOTION)
        wait.until(acted, f"nothing can be done to {xpath}")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Open a window; skip the test where there is no Chromium, unless the gate runs it."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which(_DRIVER)
    if browser is None or driver is None:
        reason = "no Chromium with its driver: `apt-get install chromium chromium-driver` brings both"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*_FLAGS, f"--user-data-dir={Path(profile) / 'profile'}"):
            options.add_argument(flag)
        window = webdriver.Chrome(options, Service(driver))  # both paths are given, so that nothing is downloaded
        try:
            yield Browser(window)
        finally:
            window.quit()

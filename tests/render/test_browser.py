"""The HTML report in a real browser: it filters, copies, opens, complains of nothing, and asks the network for nothing."""

import json
import shutil

import pytest

from dockerdoctor.model import Status
from dockerdoctor.render import ReportFormat
from tests.render.patients import REPORTS
from tests.render.test_formats import shown

pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    # Root, as in containers, cannot have Chromium's own sandbox.
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1100,1400"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    granted = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    driver.execute_cdp_cmd("Browser.grantPermissions", granted)
    yield driver
    driver.quit()


def asked_for(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}


@pytest.mark.parametrize("name", REPORTS)
def test_page(browser, tmp_path, name):
    report, file = REPORTS[name], tmp_path / "report.html"
    file.write_text(shown(ReportFormat.HTML, report), encoding="utf-8")
    browser.get(file.as_uri())

    def rows():
        return [row for row in browser.find_elements(By.TAG_NAME, "details") if row.is_displayed()]

    assert len(rows()) == len(report.results)
    for status in (s for s in Status if report.counts[s]):
        button = browser.find_element(By.CSS_SELECTOR, f"[data-show='{status.value}']")
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert [row.get_attribute("data-status") for row in rows()] == [status.value] * report.counts[status]
    for link in browser.find_elements(By.CSS_SELECTOR, "article a[href^='#']"):
        link.click()
        opened = browser.find_element(By.CSS_SELECTOR, "details:target")
        assert link.get_attribute("href").endswith(f"#{opened.get_attribute('id')}")
        assert opened.get_attribute("open")
    for copier in browser.find_elements(By.CSS_SELECTOR, "article [data-copy]"):
        command = browser.execute_script("return arguments[0].previousElementSibling.textContent", copier)
        copier.click()
        WebDriverWait(browser, 5).until(lambda b: b.find_element(By.ID, "said").text == "Copied")
        pasted = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
        assert pasted == command
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.get_log("browser") == []
    assert asked_for(browser) == {file.as_uri()}

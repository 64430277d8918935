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


# The least that text needs to be read (WCAG 2.1, 1.4.3), measured as the browser shows it.
CONTRASTS = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function painted(...colours) {
  canvas.clearRect(0, 0, 1, 1);
  for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => {
    const part = c / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
}
const light = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
return [...document.querySelectorAll(".matrix th, .matrix td[title]")].map((cell) => {
  const behind = [];
  for (let node = cell; node; node = node.parentElement) { behind.unshift(getComputedStyle(node).backgroundColor); }
  const [a, b] = [light(painted(...behind)), light(painted(getComputedStyle(cell).color))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
});
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_matrix_can_be_read(browser, tmp_path, scheme):
    file = tmp_path / "report.html"
    file.write_text(shown(ReportFormat.HTML, REPORTS["sick"]), encoding="utf-8")
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.get(file.as_uri())
    cells = browser.find_elements(By.CSS_SELECTOR, ".matrix td[title]")
    matrix = REPORTS["sick"].matrix
    assert len(cells) == len(matrix.rows) * len(matrix.places)
    assert all(cell.is_displayed() for cell in cells)
    assert cells[2].get_attribute("title") == "not reached: refused"
    assert cells[0].text == "✗ no answer"
    timed = [cell.seconds is not None for row in matrix.rows for cell in row.cells]
    assert [len(cell.find_elements(By.TAG_NAME, "rect")) for cell in cells] == [int(t) for t in timed]
    contrasts = browser.execute_script(CONTRASTS)
    assert min(contrasts) >= 4.5
